"""``sc-events``: the commands, each loaded when it is called, and the way out of every error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module

import click

from gitstore_cli import failures
from gitstore_cli.env import Env

_COMMANDS = {
    "init": "init",
    "status": "status",
    "append": "append",
    "import": "import_",
    "export": "export",
    "copy": "copy",
    "list": "list_",
    "show": "show",
    "streams": "streams",
    "log": "log",
    "follow": "follow",
    "replay": "replay",
    "projections": "projections",
    "schema": "schema",
    "verify": "verify",
    "checkpoint": "checkpoint",
    "maintain": "maintain",
    "remote": "remote",
    "clone": "clone",
    "push": "push",
    "pull": "pull",
    "compare": "compare",
}
_EXAMPLES = """\b
Examples:
  sc-events append note-1 Noted --data '{"text": "Ask Ada"}'
  sc-events log note-1
  sc-events replay --projection TaskBoard

\b
The store is the first of: --store, SCOPECRAFT_EVENTS_STORE, the project's git
config scopecraft.events, ~/.scopecraft/events.git.

\b
Exit codes: 0 ok, 1 failure, 2 usage, 3 histories disagree, 130 Ctrl-C."""


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(f"gitstore_cli.commands.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise failures.Usage(f"there is no command {args[0]!r}", hint=_nearest(args[0], ctx))
        return super().resolve_command(ctx, args)


def _nearest(name: str, ctx: click.Context) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, _COMMANDS, 1)
    return f"Did you mean `{found[0]}`?" if found else f"See `{ctx.command_path} --help`."


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gitstore._version import __version__

        ctx.ensure_object(Env).answer(f"sc-events {__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    epilog=_EXAMPLES,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--store",
    metavar="PATH",
    help="The event store to use: a path, git:PATH, jsonl:DIR or sqlite:FILE.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks (also: SC_EVENTS_DEBUG=1).")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(ctx: click.Context, store: str | None, debug: bool) -> int:
    """Record events and work with them; in a git store, every event is a commit."""
    env: Env = ctx.obj
    ctx.obj = replace(env, store=store or env.store, debug=debug or env.debug)
    if ctx.invoked_subcommand is None:
        env.say(ctx.get_help())
        return failures.USAGE
    return failures.OK


def main(
    argv: Sequence[str] | None = None, *, env: Env | None = None, prog: str = "sc-events"
) -> int:
    """Run one command line and give its exit code; ``argv`` is without the program's name."""
    env = env or Env.current()
    args = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _complete(env, prog) if _completion_variable(prog) in env.environ else None
        if code is None:
            code = _run(args, env, prog)
        env.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the one place that turns errors into exit codes
        debug = env.debug or "--debug" in args
        code = failures.report(error, replace(env, debug=debug))
    if code == failures.INTERRUPTED and env.stderr.isatty():
        env.say("")  # the terminal wrote ^C, and what comes next is to begin a line
    return code


def _run(args: list[str], env: Env, prog: str) -> int:
    # Not click's own main(): that one writes messages of its own and swallows closed pipes.
    with (
        redirect_stdout(env.stdout),  # click writes its help there
        cli.make_context(prog, [*args], obj=env) as ctx,  # it takes the list apart
    ):
        code = cli.invoke(ctx)
    return code if isinstance(code, int) else failures.OK


def _completion_variable(prog: str) -> str:
    return f"_{prog.upper().replace('-', '_').replace(' ', '_')}_COMPLETE"


def _complete(env: Env, prog: str) -> int:
    from click.shell_completion import shell_complete

    variable = _completion_variable(prog)
    return shell_complete(cli, {"obj": env}, prog, variable, env.environ[variable])
