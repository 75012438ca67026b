"""The form of a saved state: two lines of JSON, with the checkpoint it belongs to.

::

    {"form":1,"name":"TaskBoard","version":1,"build":"…","checkpoint":{…},"skipped":[],
     "stopped":null,"saved":"2026-11-23T08:00:00.000Z","crc":1234567890}
    {"tasks":{…}}

Derived, so nothing is lost with it: what is damaged, or of another form, is made anew.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import orjson

from gitstore.core.canonical import JSON
from gitstore.core.checkpoint import Checkpoint
from gitstore.core.errors import UnsupportedFormat
from gitstore.core.event import RecordedEvent
from gitstore.core.garbage import uncollected

_FORM = 1
_MOST_SAID = 1_000


class StateDamaged(Exception):
    """What is saved cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The event at which a projection stopped.

    ``position``, ``event_id``, ``type`` and ``place`` (``<stream>@<version>``) are the event's;
    ``error`` is what the projection raised.
    """

    position: int
    event_id: str
    type: str
    place: str
    error: str

    @classmethod
    def at(cls, recorded: RecordedEvent, error: Exception) -> Stopped:
        """Stopped at this event, which the projection could not handle."""
        place = f"{recorded.stream_id}@{recorded.version}"
        event = recorded.event
        return cls(recorded.position, event.id or "", event.type, place, _told(error))

    def to_dict(self) -> dict[str, JSON]:
        """``{"position", "eventId", "type", "place", "error"}``."""
        return {
            "position": self.position,
            "eventId": self.event_id,
            "type": self.type,
            "place": self.place,
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Stopped:
        """What ``to_dict`` gave."""
        return cls(
            int(given["position"]),
            str(given["eventId"]),
            str(given["type"]),
            str(given["place"]),
            str(given["error"]),
        )


def _told(error: Exception) -> str:
    """What was raised, in a text that can be saved: errors may quote whole events."""
    try:
        said = str(error)[:_MOST_SAID]
    except Exception:  # noqa: BLE001 - code of its own, whatever it raises
        said = "it does not say what"
    return f"{type(error).__name__}: {said}".encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a saved state without reading it.

    - ``name``, ``version``: of the projection.
    - ``build``: random, of the run through the events that made it; a later one goes on with it.
    - ``checkpoint``: the state is what the events up to there make.
    - ``skipped``: ids of events that were passed over, since the projection cannot handle them.
    - ``stopped``: the event after ``checkpoint`` at which it stopped, or ``None``.
    - ``saved``: when, as a timestamp's text.
    """

    name: str
    version: int
    build: str
    checkpoint: Checkpoint
    skipped: tuple[str, ...] = ()
    stopped: Stopped | None = None
    saved: str = ""
    crc: int = 0


def encode_state(state: JSON) -> bytes:
    """The second line; ``ValueError`` where reading it would not give ``state`` again."""
    with uncollected():  # a large state is many objects, and no cycles
        try:
            body = orjson.dumps(state)
        except TypeError as error:
            raise ValueError(f"its state is no JSON: {error}") from None
        if orjson.loads(body) != state:
            raise ValueError("its state is no JSON: it has tuples, NaN or other values that change")
    return body


def decode_state(body: bytes) -> JSON:
    """The state of a second line that is sound."""
    with uncollected():
        return orjson.loads(body)


def encode(header: Header, body: bytes) -> bytes:
    """Both lines; ``body`` is what ``encode_state`` gave."""
    given = {
        "form": _FORM,
        "name": header.name,
        "version": header.version,
        "build": header.build,
        "checkpoint": header.checkpoint.to_dict(),
        "skipped": header.skipped,
        "stopped": header.stopped and header.stopped.to_dict(),
        "saved": header.saved,
        "crc": zlib.crc32(body),
    }
    return b"%s\n%s\n" % (orjson.dumps(given), body)


def decode_header(content: bytes) -> Header:
    """The first line; ``StateDamaged`` for another one."""
    try:
        given = orjson.loads(content[: max(content.find(b"\n"), 0)])
        if given["form"] != _FORM:
            raise StateDamaged(f"it has the form {given['form']!r}")
        stopped = given["stopped"]
        return Header(
            str(given["name"]),
            int(given["version"]),
            str(given["build"]),
            Checkpoint.from_dict(given["checkpoint"]),
            tuple(map(str, given["skipped"])),
            None if stopped is None else Stopped.from_dict(stopped),
            str(given["saved"]),
            int(given["crc"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedFormat) as error:
        raise StateDamaged("its first line is damaged") from error


def decode(content: bytes) -> tuple[Header, bytes]:
    """What both lines say; ``StateDamaged`` where a byte is not as it was written."""
    header = decode_header(content)
    body = content[content.find(b"\n") + 1 : -1]
    if content[-1:] != b"\n" or zlib.crc32(body) != header.crc:
        raise StateDamaged("its checksum is wrong")
    return header, body
