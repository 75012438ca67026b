"""From an error to what is said on stderr and the exit code: the one place that knows both.

0 ok, 1 failure, 2 usage, 3 histories disagree, 130 interrupted.
"""

from __future__ import annotations

import os

import click

from gitstore_cli.env import Env

OK, FAILURE, USAGE, DISAGREE, INTERRUPTED = 0, 1, 2, 3, 130

_REPORT = "This is a bug: report it with the traceback that SC_EVENTS_DEBUG=1 shows."


class Failure(Exception):
    """A command that cannot do what it was asked; ``hint`` is one sentence that says what to do.

    ``code``: the exit code.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = FAILURE) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class Usage(click.UsageError):
    """A command line that makes no sense; ``hint`` is one sentence that says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def report(error: BaseException, env: Env) -> int:
    """Say on stderr what went wrong, and give the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _drop_output(env)
        return OK  # whoever read the answer has enough
    if env.debug:
        _show_traceback(error, env)
    code = INTERRUPTED
    if not isinstance(error, KeyboardInterrupt | click.Abort):
        code = _say_it(error, env)
    try:
        env.stdout.flush()
    except OSError:
        _drop_output(env)
    return code


def _say_it(error: BaseException, env: Env) -> int:
    code, message, hint = _explain(error)
    env.say(f"Error: {message}")
    if hint:
        env.say(f"Hint: {hint}")
    return code


def _explain(error: BaseException) -> tuple[int, str, str]:
    from gitstore.core.errors import EventStoreError, WrongExpectedVersion

    if isinstance(error, click.UsageError):
        return USAGE, error.format_message(), getattr(error, "hint", "") or _see_help(error)
    if isinstance(error, click.ClickException):
        return FAILURE, error.format_message(), ""
    if isinstance(error, EventStoreError):
        code = DISAGREE if isinstance(error, WrongExpectedVersion) else FAILURE
        return code, str(error), error.hint
    if isinstance(error, Failure):
        return error.code, str(error), error.hint
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return FAILURE, f"{where}{error.strerror}", ""
    text = " ".join(str(error).split())
    return FAILURE, f"internal error: {type(error).__name__}: {text}", _REPORT


def _see_help(error: click.UsageError) -> str:
    return f"See `{error.ctx.command_path} --help`." if error.ctx else ""


def _drop_output(env: Env) -> None:
    """Send what is still buffered nowhere: Python would complain about it when it ends."""
    try:
        target = env.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, target)
    os.close(nowhere)


def _show_traceback(error: BaseException, env: Env) -> None:
    import traceback

    env.say("".join(traceback.format_exception(error)).rstrip())
