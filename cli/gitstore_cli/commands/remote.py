"""``sc-events remote``: the repositories that this store is pushed to and pulled from."""

from __future__ import annotations

from pathlib import Path

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Failure
from gitstore_cli.finding import find_place
from gitstore_cli.safe import printable
from gitstore_cli.stores import check_git, existing_git, made

_EXAMPLES = """\b
Examples:
  sc-events remote add hub ssh://hub.example/events.git
  sc-events remote add stick /media/stick/events.git
  sc-events remote list
  sc-events remote set-url hub https://hub.example/events.git
  sc-events remote remove stick
  sc-events remote machine laptop-2

\b
An empty remote is made with `git init --bare PATH` on its host. Plain git works
in the store too: `git push hub` and `git fetch hub` move the same refs."""
_EMPTY = "No remotes. Add one with `sc-events remote add NAME URL`."
_WHAT = "a remote gets git commits"
_SAID = {
    "added": "✓ Added remote {name}: {url}",
    "completed": "✓ Completed remote {name}: {url}",
    "moved": "✓ Moved remote {name} to {url}",
    "unchanged": "Remote {name} is there already: {url}",
}


@options.command(
    epilog="Example: sc-events remote add hub ssh://hub.example/events.git",
    short_help="Add the remote NAME at URL.",
)
@click.argument("name")
@click.argument("url")
def add(env: Env, name: str, url: str) -> None:
    """Add the remote NAME at URL: a path, or what git takes for a URL.

    The store is made if there is none. Nothing is sent or fetched yet.
    """
    from gitstore.sync import remotes
    from gitstore.sync.complaints import redacted

    remotes.check_name(name)  # before a store is made
    address = _address(env, url)
    place = find_place(env)
    check_git(place, _WHAT)
    made(env, place).close()
    change = remotes.add(_root(env), name, address)
    if env.on_terminal:
        env.answer(printable(_SAID[change].format(name=name, url=redacted(address))))
    _say_if_missing(env, address)
    if change == "added" and env.on_terminal:
        env.say(f"Next: sc-events push {name}, or sc-events pull {name}")


@options.command(
    name="list", epilog="Example: sc-events remote list -f json", short_help="List the remotes."
)
@options.format_option
def list_(env: Env, form: str) -> None:
    """List the remotes, as `sc-events remote` does."""
    _write(env, form, _listed(env))


@options.command(
    name="set-url",
    epilog="Example: sc-events remote set-url hub https://hub.example/events.git",
    short_help="Move the remote NAME to URL.",
)
@click.argument("name")
@click.argument("url")
def set_url(env: Env, name: str, url: str) -> None:
    """Look for the remote NAME at URL from now on: a path, or what git takes for a URL.

    What was fetched of it stays. Nothing is sent or fetched yet.
    """
    from gitstore.sync import remotes
    from gitstore.sync.complaints import redacted

    if not _is_there(env):
        raise remotes.unknown(name, [])
    address = _address(env, url)
    change = "moved" if remotes.set_url(_root(env), name, address) else "unchanged"
    if env.on_terminal:
        env.answer(printable(_SAID[change].format(name=name, url=redacted(address))))
    _say_if_missing(env, address)


@options.command(
    epilog="Example: sc-events remote remove stick", short_help="Remove the remote NAME."
)
@click.argument("name")
def remove(env: Env, name: str) -> None:
    """Remove the remote NAME, and what is remembered of it here. No event is touched."""
    from gitstore.sync import remotes

    if not _is_there(env):
        raise remotes.unknown(name, [])
    count = remotes.remove(_root(env), name)
    if env.on_terminal:
        refs = "1 ref" if count == 1 else f"{count:,} refs"
        env.answer(printable(f"✓ Removed remote {name}, and {refs} that came from it"))


@options.command(
    epilog="Example: sc-events remote machine laptop-2",
    short_help="Show or set this machine's name at its remotes.",
)
@click.argument("name", required=False)
def machine(env: Env, name: str | None) -> None:
    """Show what this machine is called at its remotes, or call it NAME from the next push on.

    Its feed, the order in which events arrived here, lies there as refs/feeds/NAME.
    """
    from gitstore.sync import remotes

    if not _is_there(env):
        raise Failure("there is no store yet", hint="`sc-events init` makes one.")
    if name is not None:
        remotes.set_machine(_root(env), name)
    env.answer(printable(remotes.machine(_root(env))))


@options.command(
    cls=click.Group,
    commands=[add, list_, machine, remove, set_url],
    epilog=_EXAMPLES,
    short_help="List, add, move and remove remotes.",
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",
)
@options.format_option
def command(env: Env, form: str) -> None:
    """List the remotes; with a command: add, remove, list, set-url or machine.

    A remote is a git repository to which machines push their events, and from which each pulls
    those of the others: a path, an ssh or HTTP URL, a `git daemon`.
    """
    ctx = click.get_current_context()
    ctx.obj = env  # for the commands below this one: with the --store that stood before them
    if ctx.invoked_subcommand is None:
        _write(env, form, _listed(env))


def _is_there(env: Env) -> bool:
    """Whether there is a store; only the default one may be missing. It is one of git."""
    place = find_place(env)
    if place.is_default and place.is_missing:
        return False
    existing_git(env, place, _WHAT).close()
    return True


def _root(env: Env) -> Path:
    return find_place(env).address.path


def _address(env: Env, url: str) -> str:
    """The URL as it is stored: a path absolute."""
    from gitstore.sync import remotes

    return str(env.home / url[2:]) if url.startswith("~/") else remotes.resolved(url, env.cwd)


def _say_if_missing(env: Env, address: str) -> None:
    if Path(address).is_absolute() and not Path(address).exists():
        env.say(f"Nothing is there yet: `git init --bare {address}` makes an empty remote.")


def _listed(env: Env) -> list[dict[str, str]]:
    from gitstore.sync import remotes
    from gitstore.sync.complaints import redacted

    if not _is_there(env):
        return []
    root = _root(env)
    here = remotes.machine(root)
    return [
        {"name": name, "url": redacted(url), "machine": here}
        for name, url in remotes.urls(root).items()
    ]


def _write(env: Env, form: str, listed: list[dict[str, str]]) -> None:
    from gitstore_cli.render.jsontext import array, one_line

    if form == "json":
        env.stdout.writelines(array(listed))
    elif form == "jsonl":
        env.stdout.writelines(one_line(value) + "\n" for value in listed)
    elif form == "minimal":
        for value in listed:
            env.answer("\t".join(printable(cell) for cell in value.values()))
    else:
        _write_table(env, listed)
    if not listed:
        env.say(_EMPTY)


def _write_table(env: Env, listed: list[dict[str, str]]) -> None:
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("Remote", "bold", least=8),
        Column("URL", "cyan", most=1000, least=20, keeps_end=True),
        Column("This machine", leaves=1),
    )
    Table(env, columns).write(tuple(value.values()) for value in listed)
