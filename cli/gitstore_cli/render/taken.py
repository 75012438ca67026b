"""What a pull or a clone brought, and what it left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import one_line, pretty
from gitstore_cli.render.table import Column, Table
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.sync.pulling import PullReport

_MOST_ROWS = 20
_HINT_DIVERGED = (
    "Hint: nothing here was changed; `sc-events compare {name} --stream {stream}` shows both sides."
)


def write_taken(env: Env, form: str, report: PullReport) -> None:
    """Answer with what became of each stream; the sum of it goes to stderr."""
    rows = list(_rows(report))
    if form == "json":
        env.answer(
            pretty({"source": report.source, "events": report.adoption.events, "streams": rows})
        )
    elif form == "jsonl":
        for row in rows:
            env.answer(one_line(row))
    elif form == "minimal":
        for row in rows:
            env.answer("\t".join((row["state"], printable(row["stream"]), _what(row))))
    elif rows:
        _write_table(env, rows)
    _say(env, report)


def _rows(report: PullReport) -> Iterator[dict[str, Any]]:
    """What needs a look first."""
    for ref, why in sorted(report.adoption.refused.items()):
        yield {"stream": ref.removeprefix("refs/streams/"), "state": "refused", "why": why}
    for stream, relation in sorted(report.adoption.diverged.items()):
        yield {
            "stream": stream,
            "state": "diverged",
            "fork": relation.fork,
            "ahead": relation.ahead,
            "behind": relation.behind,
        }
    for stream, (before, after) in sorted(report.adoption.adopted.items()):
        yield {
            "stream": stream,
            "state": "new" if before == 0 else "updated",
            "from": before,
            "to": after,
        }


def _what(row: dict[str, Any]) -> str:
    if row["state"] == "refused":
        return printable(row["why"])
    if row["state"] == "diverged":
        return f"since version {row['fork']}: {row['ahead']} here, {row['behind']} there"
    return f"{row['from']} → {row['to']}"


def _write_table(env: Env, rows: list[dict[str, Any]]) -> None:
    columns = (
        Column("State"),
        Column("Stream", "bold", most=48, least=12, keeps_end=True),
        Column("Versions", most=1000),
    )
    Table(env, columns).write(
        (row["state"], row["stream"], _what(row)) for row in rows[:_MOST_ROWS]
    )
    if len(rows) > _MOST_ROWS:
        env.say(f"… and {len(rows) - _MOST_ROWS:,} more: `-f jsonl` lists all")


def _say(env: Env, report: PullReport) -> None:
    taken = report.adoption
    name = printable(report.source)
    if report.is_empty:
        env.say(f"{name} has no events yet.")
        return
    streams = _counted(len(taken.adopted), "stream")
    brought = f"{_counted(taken.events, 'event')} in {streams}" if taken.events else "nothing new"
    env.say(f"{brought} from {name}")
    if taken.refused:
        refused = _counted(len(taken.refused), "stream")
        env.say(f"Warning: {refused} failed the checks and stays in quarantine, not adopted.")
    if taken.diverged:
        env.say(
            f"Warning: {_counted(len(taken.diverged), 'stream')} diverged and stays as it is here."
        )
        first = min(taken.diverged)
        env.say(_HINT_DIVERGED.format(name=name, stream=printable(first)))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
