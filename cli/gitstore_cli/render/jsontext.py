"""JSON text: one line an event for programs, indented for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from gitstore.core.event import RecordedEvent
from gitstore_cli.safe import safe_json

_PAGE = 500


def event_object(recorded: RecordedEvent) -> dict[str, Any]:
    """The event in the interface's form, with its ``position`` and ``commit``.

    Where a rebase has moved it, also ``replaces`` and ``supersededBy``: its positions before and
    after this one.
    """
    given = {
        **recorded.event.to_dict(),
        "position": recorded.position,
        "commit": recorded.commit,
    }
    if recorded.replaces is not None:
        given["replaces"] = recorded.replaces
    if recorded.superseded_by is not None:
        given["supersededBy"] = recorded.superseded_by
    return given


def one_line(value: Any) -> str:
    """A JSON value without any line end."""
    return safe_json(orjson.dumps(value).decode())


def lines(values: Iterable[Any]) -> Iterator[str]:
    """``one_line`` of each value with its line end, some hundred at a time: for very many."""
    rest = iter(values)
    while page := list(islice(rest, _PAGE)):
        yield safe_json(b"\n".join(map(orjson.dumps, page)).decode()) + "\n"


def pretty(value: Any) -> str:
    """A JSON value, indented by two spaces."""
    return safe_json(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def array(values: Iterable[Any]) -> Iterator[str]:
    """The lines of an indented array, one value after the other so that none has to be held."""
    opened = False
    for value in values:
        # Line ends inside strings are escaped in JSON: these are all its own.
        item = pretty(value).replace("\n", "\n  ")
        yield f"{',' if opened else '['}\n  {item}"
        opened = True
    yield "\n]\n" if opened else "[]\n"
