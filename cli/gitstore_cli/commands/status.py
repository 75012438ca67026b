"""``sc-events status``: which store it is, why, and how it is doing."""

from __future__ import annotations

from typing import Any

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.finding import Place, find_place
from gitstore_cli.stores import as_git_store, reading

_EXAMPLES = """\b
Examples:
  sc-events status
  sc-events status --store backup.git -f json"""

_NO_STORE: dict[str, Any] = {
    "format": None,
    "storeId": None,
    "events": 0,
    "streams": 0,
    "unflushed": 0,
    "size": 0,
    "notes": [],
}


@options.command(epilog=_EXAMPLES, short_help="Show which store is used, and its state.")
@options.format_option
def command(env: Env, form: str) -> None:
    """Show which store is used and why, and how many events it has. Changes nothing."""
    with reading(env) as store:
        if store is not None:
            status = as_git_store(store, "status").status()
            _write(env, form, _object(find_place(env), status))
        elif form == "json":
            place = find_place(env)
            _write(env, form, {"store": place.where, "why": place.why, **_NO_STORE})


def _object(place: Place, status: Any) -> dict[str, Any]:
    return {
        "store": str(status.where),
        "why": place.why,
        "format": status.format,
        "storeId": status.store_id,
        "events": status.events,
        "streams": status.streams,
        "unflushed": status.unflushed,
        "size": status.size,
        "notes": list(status.notes),
    }


def _write(env: Env, form: str, status: dict[str, Any]) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty
    from gitstore_cli.safe import printable

    if form == "json":
        env.answer(pretty(status))
    elif form == "jsonl":
        env.answer(one_line(status))
    elif form == "minimal":
        notes = status.pop("notes")
        rows = [*status.items(), *(("note", note) for note in notes)]
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
        ("Unflushed", f"{status['unflushed']:,}"),
        ("Size", _size(status["size"])),
        *(("Note", note) for note in status["notes"]),
    ]


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{count} bytes"
        size /= 1000
    return f"{size:.1f} TB"
