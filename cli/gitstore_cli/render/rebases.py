"""What a rebase did, or would do: a row a stream, and what that means for readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.render.names import counted
from gitstore_cli.render.outcomes import MOST_ROWS, Row

if TYPE_CHECKING:
    from gitstore.backends.git.rebasing import Rebased


def rebases(streams: Mapping[str, Rebased]) -> Iterator[Row]:
    """Rows of streams that were rebased, or kept: their events are the same here and there.

    ``theirs``, ``replayed``, ``dropped``: how many events came in after ``fork``, how many of ours
    stand after them now, how many of ours were among them. ``from``, ``to``: our version before and
    after.
    """
    for stream, one in sorted(streams.items()):
        yield {
            "stream": stream,
            "state": "kept" if one.kept else "rebased",
            "fork": one.fork,
            "theirs": one.theirs,
            "replayed": one.replayed,
            "dropped": one.dropped,
            "from": one.before,
            "to": one.after,
        }


def write_rebases(env: Env, rows: Sequence[Row]) -> None:
    """The table of these rows."""
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("State"),
        Column("Stream", "bold", most=48, least=12, keeps_end=True),
        Column("Fork", right=True),
        Column("Theirs"),
        Column("Yours"),
        Column("Replayed", right=True, leaves=2),
        Column("Dropped", right=True, leaves=1),
    )
    Table(env, columns).write(map(_cells, rows[:MOST_ROWS]))
    if len(rows) > MOST_ROWS:
        env.say(f"… and {len(rows) - MOST_ROWS:,} more")


def say_rebases(env: Env, streams: Mapping[str, Rebased], *, dry_run: bool) -> None:
    """The sum of it, and what changes for those who read here."""
    moved = [one for one in streams.values() if not one.kept]
    kept = len(streams) - len(moved)
    if moved:
        _say_moved(env, moved, dry_run=dry_run)
    if kept:
        of = "it" if kept == 1 else "them"
        env.say(
            f"Note: {counted(kept, 'stream')} with the same events in another order: yours stays, "
            f"and the other machine's next `pull --rebase` takes {of} over."
        )


def _say_moved(env: Env, moved: Sequence[Rebased], *, dry_run: bool) -> None:
    replayed, dropped = sum(one.replayed for one in moved), sum(one.dropped for one in moved)
    parts = []
    if replayed:
        theirs = sum(one.theirs for one in moved if one.replayed)
        parts.append(f"{counted(replayed, 'event')} of yours after {theirs:,} of theirs")
    if dropped:
        parts.append(f"{dropped:,} of yours dropped, as theirs has the same")
    streams = f"{counted(len(moved), 'stream')} {'to rebase' if dry_run else 'rebased'}"
    env.say(f"{streams}: {'; '.join(parts)}")
    if not dry_run:
        count = replayed + dropped
        have = "event has" if count == 1 else "events have"
        env.say(
            f"{count:,} {have} a new version and position; what stood before is kept: "
            "`sc-events list --superseded`"
        )


def _cells(row: Row) -> tuple[str, ...]:
    fork, before, after, replayed = row["fork"], row["from"], row["to"], row["replayed"]
    ours = _versions(fork, before)
    if row["state"] != "kept":
        ours += f" → {_versions(after - replayed, after) or 'theirs'}"
    return (
        row["state"],
        str(row["stream"]),
        str(fork),
        _versions(fork, fork + row["theirs"]),
        ours,
        f"{replayed:,}",
        f"{row['dropped']:,}",
    )


def _versions(after: int, to: int) -> str:
    """``3..5``, ``3``, or nothing: the versions after one up to another."""
    if to - after < 2:
        return str(to) if to > after else ""
    return f"{after + 1}..{to}"
