"""What became of streams that were brought to a remote, or taken in from one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import one_line, pretty
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.backends.git.relating import Relation

MOST_ROWS = 20
"""Of a table: more are counted."""
Row = dict[str, Any]
"""One stream (or another ``ref``): its ``state``, and what there is to say of it."""


def left_out(state: str, reasons: Mapping[str, str]) -> Iterator[Row]:
    """Rows of streams, or other refs by their full names, with what is wrong with each."""
    for name, why in sorted(reasons.items()):
        what = "ref" if name.startswith("refs/") else "stream"
        yield {what: name, "state": state, "why": why}


def apart(
    state: str, relations: Mapping[str, Relation], reasons: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """Rows of streams that are not the same here and there; ``reasons``: why some stay so."""
    for stream, relation in sorted(relations.items()):
        row = {
            "stream": stream,
            "state": state,
            "ahead": relation.ahead,
            "behind": relation.behind,
            "fork": relation.fork,
        }
        why = (reasons or {}).get(stream)
        yield {**row, "why": why} if why else row


def moved(streams: Mapping[str, tuple[int, int]]) -> Iterator[Row]:
    """Rows of streams that moved on, with their versions before and after."""
    for stream, (before, after) in sorted(streams.items()):
        state = "updated" if before else "new"
        yield {"stream": stream, "state": state, "from": before, "to": after}


def write_outcomes(env: Env, form: str, summary: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Answer with a row a stream; ``summary`` goes before them in JSON."""
    if form == "json":
        env.answer(pretty({**summary, "streams": list(rows)}))
    elif form == "jsonl":
        for row in rows:
            env.answer(one_line(row))
    elif form == "minimal":
        for row in rows:
            rest = [str(row[key]) for key in row if key not in {"stream", "ref", "state"}]
            env.answer("\t".join(map(printable, (row["state"], _name(row), *rest))))
    elif rows:
        _write_table(env, rows)


def _name(row: Row) -> str:
    return str(row["stream"] if "stream" in row else row["ref"])


def _what(row: Row) -> str:
    if "why" in row:
        return str(row["why"])
    if "to" in row:
        return f"{row['from']} → {row['to']}"
    versions = f"here {row['fork'] + row['ahead']}, there {row['fork'] + row['behind']}"
    if row["state"] == "behind":
        return versions
    same = f"the same up to {row['fork']}" if row["fork"] else "nothing in common"
    return f"{versions}, {same}"


def _write_table(env: Env, rows: Sequence[Row]) -> None:
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("State"),
        Column("Stream", "bold", most=48, least=12, keeps_end=True),
        Column("Versions", most=1000),
    )
    shown = rows[:MOST_ROWS]
    Table(env, columns).write((row["state"], _name(row), _what(row)) for row in shown)
    if len(rows) > len(shown):
        env.say(f"… and {len(rows) - len(shown):,} more")
