"""``sc``: ``sc events …`` is ours, everything else belongs to the next ``sc`` on PATH."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence

_SEEN = "_SC_EVENTS_SHIMS"


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run ``sc events`` here, or become the other ``sc``; gives the exit code of the former."""
    args = sys.argv[1:] if argv is None else list(argv)
    if args[:1] == ["events"]:
        from gitstore_cli.main import main as events

        return events(args[1:], prog="sc events")
    environ = os.environ if environ is None else environ
    # Every copy of this shim leaves its name, so that two of them cannot hand on to each other
    # for ever.
    seen = [*filter(None, environ.get(_SEEN, "").split(os.pathsep)), os.path.realpath(sys.argv[0])]
    other = next(_others(environ.get("PATH", os.defpath), seen), None)
    if other is not None:
        os.execve(other, ["sc", *args], {**environ, _SEEN: os.pathsep.join(seen)})  # noqa: S606
    return _nobody(args)


def _others(path: str, seen: Sequence[str]) -> Iterator[str]:
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder or os.curdir, "sc")  # noqa: PTH118 - pathlib costs 15 ms
        if os.path.realpath(candidate) in seen:
            continue
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):  # noqa: PTH113
            yield candidate


def _nobody(args: Sequence[str]) -> int:
    asked = shlex.join(["sc", *args])
    sys.stderr.write(
        f"Error: there is no other `sc` on PATH to run `{asked}`\n"
        "Hint: This `sc` knows only `sc events …`; install Scopecraft's own, or see "
        "`sc events --help`.\n"
    )
    return 1
