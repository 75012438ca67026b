"""``sc-events push``: bring what happened here to a remote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, FAILURE, OK, Usage
from gitstore_cli.finding import find_place
from gitstore_cli.stores import as_git_store, existing, say_no_events

if TYPE_CHECKING:
    from gitstore.backends.git.store import GitEventStore
    from gitstore.sync.pushreport import Estimate, PushReport

_MOST_ROWS = 100
_ADD_ONE = "Add one: sc-events remote add NAME URL"
_EXAMPLES = """\b
Examples:
  sc-events push
  sc-events push backup --timeout 30
  sc-events push -f json | jq '.summary'

\b
Nothing is ever forced. With plain git, in the store: git push NAME

\b
Exit codes: 0 the remote has all that is here, 1 it could not be reached or
declined something, 3 it has streams that went on differently there."""


@options.command(epilog=_EXAMPLES, short_help="Bring what happened here to a remote.")
@click.argument("name", required=False)
@options.timeout_option
@options.format_option
def command(env: Env, form: str, name: str | None, timeout: float | None) -> int:
    """Push streams, type index and feed to the remote NAME: the only one, or origin.

    Streams that somebody else has moved there are named and left; all others go through. Others
    may append meanwhile; what they record goes with the next push.
    """
    from gitstore.sync.pushing import push
    from gitstore_cli.render.progress import ProgressBar

    place = find_place(env)
    if place.is_default and place.is_missing:
        say_no_events(env, place)
        return OK
    with existing(env, place) as opened:
        store = as_git_store(opened, "push")
        remote = _remote(store, name)
        with ProgressBar(env) as bar:
            report = push(
                store,
                remote,
                timeout=timeout,
                progress=bar,
                expect=lambda expected: _say_estimate(env, expected),
            )
    _write(env, form, report)
    _say(env, report)
    if not report.is_complete:
        return FAILURE
    return OK if report.agrees else DISAGREE


def _remote(store: GitEventStore, name: str | None) -> str:
    """The remote that is meant: the one named, the only one, or ``origin``."""
    from gitstore.sync import remotes

    known = sorted(remotes.urls(store.exchange.layout.root))
    hint = (
        f"Name one of: {', '.join(known)}." if known else "Add one: sc-events remote add NAME URL"
    )
    if name is None:
        if not known:
            raise Usage("the store has no remote", hint=hint)
        if len(known) > 1 and "origin" not in known:
            raise Usage("the store has several remotes, and none is called origin", hint=hint)
        return known[0] if len(known) == 1 else "origin"
    if name not in known:
        raise Usage(f"there is no remote {name!r}", hint=hint)
    return name


def _say_estimate(env: Env, expected: Estimate) -> None:
    env.say(
        f"{expected.refs:,} new streams: the other side writes a file for each, which takes about "
        f"{_readable(expected.least)} to {_readable(expected.most)}."
    )


def _readable(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _write(env: Env, form: str, report: PushReport) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty
    from gitstore_cli.safe import printable

    if form == "table":
        _write_table(env, report)
        return
    streams = _streams(report)
    if form == "json":
        env.answer(
            pretty(
                {
                    "remote": report.remote,
                    "machine": report.machine,
                    "streams": streams,
                    "summary": _summary(report),
                }
            )
        )
    elif form == "jsonl":
        for stream in streams:
            env.answer(one_line(stream))
    else:
        for stream in streams:
            cells = (stream[key] for key in ("result", "stream", "here", "there", "why"))
            env.answer("\t".join("" if cell is None else printable(f"{cell}") for cell in cells))


def _streams(report: PushReport) -> list[dict[str, Any]]:
    """An object a stream: what became of it, and its versions here and there, where known."""
    rows = [
        _row(stream, "updated" if before else "new", now, now)
        for stream, (before, now) in report.pushed.items()
    ]
    for result, relations in (("behind", report.behind), ("diverged", report.diverged)):
        rows += [
            _row(stream, result, r.fork + r.ahead, r.fork + r.behind, r.fork)
            for stream, r in relations.items()
        ]
    for result, reasons in (
        ("foreign", report.foreign),
        ("refused", report.refused),
        ("waiting", report.waiting),
    ):
        rows += [_row(name, result, why=why) for name, why in reasons.items()]
    return rows


def _row(
    stream: str,
    result: str,
    here: int | None = None,
    there: int | None = None,
    fork: int | None = None,
    why: str | None = None,
) -> dict[str, Any]:
    return {
        "stream": stream,
        "result": result,
        "here": here,
        "there": there,
        "fork": fork,
        "why": why,
    }


def _summary(report: PushReport) -> dict[str, int]:
    return {
        "events": report.events,
        "new": sum(not before for before, _ in report.pushed.values()),
        "updated": sum(before > 0 for before, _ in report.pushed.values()),
        "behind": len(report.behind),
        "onlyThere": report.only_there,
        "diverged": len(report.diverged),
        "foreign": len(report.foreign),
        "refused": len(report.refused),
        "waiting": len(report.waiting),
    }


def _write_table(env: Env, report: PushReport) -> None:
    env.answer(_sentence(report))
    left = [row for row in _streams(report) if row["result"] not in {"new", "updated"}]
    if left:
        _write_rest(env, left)


def _write_rest(env: Env, left: list[dict[str, Any]]) -> None:
    """A table of what was not pushed."""
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("Stream", "bold", most=48, least=12, keeps_end=True),
        Column("Here", right=True),
        Column("There", right=True),
        Column("What", most=1000),
    )
    rows = (
        (row["stream"], _version(row["here"]), _version(row["there"]), _what(row))
        for row in left[:_MOST_ROWS]
    )
    Table(env, columns).write(rows)
    if len(left) > _MOST_ROWS:
        env.say(f"… and {len(left) - _MOST_ROWS:,} more: `-f jsonl` lists all")


def _sentence(report: PushReport) -> str:
    from gitstore_cli.safe import printable

    where = printable(report.remote)
    summary = _summary(report)
    if not report.pushed:
        return f"Nothing to push to {where}."
    events = _counted(summary["events"], "event")
    streams = _counted(len(report.pushed), "stream")
    new = f", {summary['new']:,} of them new" if summary["new"] else ""
    return f"✓ Pushed {events} in {streams} to {where}{new}."


def _version(version: int | None) -> str:
    return "" if version is None else f"@{version}"


def _what(row: dict[str, Any]) -> str:
    if row["result"] == "diverged":
        since = f"after version {row['fork']}" if row["fork"] else "from the start"
        return f"went on differently {since}"
    if row["result"] == "behind":
        return f"{_counted(row['there'] - row['here'], 'event')} only there"
    return f"{row['result']}: {row['why']}"


def _say(env: Env, report: PushReport) -> None:
    """What to do about what was not pushed, on stderr."""
    if report.renamed:
        env.say(
            f"Note: another machine called {report.renamed} pushes there; "
            f"this one is {report.machine} from now on."
        )
    remote = report.remote
    if report.diverged:
        stream = next(iter(report.diverged))
        count = _counted(len(report.diverged), "stream")
        env.say(f"Error: {count} went on differently at {remote}, and stayed as they are there.")
        env.say(f"Hint: sc-events compare {remote} --stream {stream} shows both sides.")
    if report.foreign:
        count = _counted(len(report.foreign), "stream")
        env.say(f"Error: what stands at {remote} for {count} is no history of it.")
    if report.refused:
        env.say(f"Error: {remote} declined {_counted(len(report.refused), 'ref')}.")
    if report.waiting:
        count = _counted(len(report.waiting), "stream")
        env.say(f"Error: {count} could not be moved into git, and stayed here.")
        env.say("Hint: sc-events verify")
    newer = len(report.behind) + report.only_there
    if newer:
        env.say(f"Note: {remote} has newer events of {_counted(newer, 'stream')}.")
        env.say(f"Hint: sc-events pull {remote}")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
