"""``sc-events status``: which store it is, why, and how it is doing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.finding import Place, find_place
from gitstore_cli.stores import as_git_store, reading

if TYPE_CHECKING:
    from gitstore.core.status import StoreStatus
    from gitstore.sync.standing import RemoteStanding

_EXAMPLES = """\b
Examples:
  sc-events status
  sc-events status --store backup.git -f json"""

_STATES = ("ahead", "behind", "diverged")
_NO_STORE: dict[str, Any] = {
    "format": None,
    "storeId": None,
    "events": 0,
    "streams": 0,
    "superseded": 0,
    "rebased": 0,
    "unflushed": 0,
    "size": 0,
    "remotes": [],
    "notes": [],
}


@options.command(epilog=_EXAMPLES, short_help="Show which store is used, and its state.")
@options.format_option
def command(env: Env, form: str) -> None:
    """Show which store is used and why, and how many events it has. Changes nothing."""
    from gitstore.sync.standing import remote_standings

    place = find_place(env)
    with reading(env) as store:
        if store is not None:
            remotes = remote_standings(as_git_store(store)) if place.is_git else []
            _write(env, form, _object(place, store.status(), remotes))
            _say_next(env, remotes)
        elif form == "json":
            _write(env, form, {"store": place.where, "why": place.why, **_NO_STORE})


def _say_next(env: Env, remotes: list[RemoteStanding]) -> None:
    for remote in remotes:
        if remote.diverged:
            env.say(f"Hint: `sc-events pull {remote.name} --rebase` puts yours after theirs.")


def _object(place: Place, status: StoreStatus, remotes: list[RemoteStanding]) -> dict[str, Any]:
    odd = (
        f"{name} of remote {r.name} is no ref of a stream: {r.odd[name]}"
        for r in remotes
        for name in r.odd
    )
    return {
        "store": status.where,
        "why": place.why,
        "format": status.format,
        "storeId": status.store_id,
        "events": status.events,
        "streams": status.streams,
        "superseded": status.superseded,
        "rebased": status.rebased,
        "unflushed": status.unflushed,
        "size": status.size,
        "remotes": [_remote(remote) for remote in remotes],
        "notes": [*status.notes, *odd],
    }


def _remote(remote: RemoteStanding) -> dict[str, Any]:
    from gitstore.core.timestamps import format_timestamp

    return {
        "name": remote.name,
        "url": remote.url,
        "fetched": remote.fetched and format_timestamp(remote.fetched),
        "ahead": remote.ahead,
        "behind": remote.behind,
        "diverged": remote.diverged,
    }


def _write(env: Env, form: str, status: dict[str, Any]) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty
    from gitstore_cli.safe import printable

    if form == "json":
        env.answer(pretty(status))
    elif form == "jsonl":
        env.answer(one_line(status))
    elif form == "minimal":
        remotes, notes = status.pop("remotes"), status.pop("notes")
        rows = [*status.items(), *(("remote", _standing(remote)) for remote in remotes)]
        rows += [("note", note) for note in notes]
        for name, value in rows:
            env.answer(f"{name}\t{printable(str(value))}")
    else:
        for name, text in _rows(status):
            env.answer(f"{name:<10} {printable(text)}")


def _rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Store", f"{status['store']}  ({status['why']})"),
        ("Format", status["format"]),
        ("Store id", status["storeId"]),
        ("Events", f"{status['events']:,}"),
        ("Streams", f"{status['streams']:,}"),
        *_rebases(status),
        ("Unflushed", f"{status['unflushed']:,}"),
        ("Size", _size(status["size"])),
        *(("Remote", _standing(remote)) for remote in status["remotes"]),
        *(("Note", note) for note in status["notes"]),
    ]


def _rebases(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    from gitstore_cli.render.names import counted

    if status["superseded"]:
        streams = counted(status["rebased"], "stream")
        yield "Rebased", f"{streams}, {counted(status['superseded'], 'event')} superseded"


def _standing(remote: dict[str, Any]) -> str:
    """``hub  ssh://host/events.git  3 ahead, 1 diverged, as of the last fetch``."""
    where = f"{remote['name']}  {remote['url']}"
    if remote["ahead"] is None:
        return f"{where}  never fetched"
    counts = [f"{remote[state]:,} {state}" for state in _STATES if remote[state]]
    when = _moment(remote["fetched"])
    return f"{where}  {', '.join(counts) or 'nothing differs'}, as of the last fetch{when}"


def _moment(fetched: str | None) -> str:
    from gitstore.core.timestamps import parse_timestamp
    from gitstore_cli.render.moments import local_seconds

    return f", {local_seconds(parse_timestamp(fetched))}" if fetched else ""


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{count} bytes"
        size /= 1000
    return f"{size:.1f} TB"
