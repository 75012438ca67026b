"""A second implementation of FORMAT.md, from that page and the standard library alone.

It shares no code with gitstore: where both give the same bytes, the page is what they follow.
Run as a program it fills in what ``tests/vectors.json`` expects: refs, commits, parents, dates.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

Event = dict[str, Any]
"""An event of the interface: ``{id, streamId, type, version, timestamp, data, metadata}``."""

COMMITTER = "scopecraft <events@scopecraft.invalid>"
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_TRAILERS = {"User-Id": "userId", "Correlation-Id": "correlationId", "Causation-Id": "causationId"}
_CONTROLS = "\u0000-\u001f\u007f-\u009f"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3}(?:\d{3})?)Z", re.ASCII)
_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?")
_UNQUOTED = re.compile(r"[!#-~]([ -~]*[!-~])?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADERS = re.compile(
    rb"tree (?P<tree>[0-9a-f]{40})\n(?:parent (?P<parent>[0-9a-f]{40})\n)?"
    rb"author [^\n]*\ncommitter [^\n]* (?P<date>[0-9]+) \+0000\n\n"
)


class RefusedError(ValueError):
    """Not what the page says."""


class NewerError(RefusedError):
    """Written by a newer version."""


class Encoded(NamedTuple):
    """An event as git objects; ``blob`` is ``None`` where the data stands in the message."""

    commit: bytes
    tree: bytes
    blob: bytes | None
    date: int

    @property
    def id(self) -> str:
        return object_id("commit", self.commit)


def object_id(kind: str, content: bytes) -> str:
    """Git's name of an object."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content)).hexdigest()


def _need(truth: object, why: str) -> None:
    if not truth:
        raise RefusedError(why)


# Canonical JSON


class _Done(str):
    """Text that needs nothing more."""


def canonical(value: Any) -> bytes:
    """The one JSON text of a value."""
    text: list[str] = []
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, list | dict):
            _need(depth < 250, "more than 250 levels")
            todo += [(piece, depth + 1) for piece in reversed(_pieces(item))]
        else:
            text.append(item if isinstance(item, _Done) else _scalar(item))
    try:
        return "".join(text).encode()
    except UnicodeEncodeError as error:
        raise RefusedError("a surrogate") from error


def _pieces(value: list[Any] | dict[str, Any]) -> list[Any]:
    comma = _Done(",")
    if isinstance(value, list):
        inner = [piece for item in value for piece in (comma, item)]
        return [_Done("["), *inner[1:], _Done("]")]
    _need(all(isinstance(key, str) for key in value), "a key that is no text")
    inner = [piece for key in sorted(value) for piece in (comma, key, _Done(":"), value[key])]
    return [_Done("{"), *inner[1:], _Done("}")]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        _need(-(2**63) <= value < 2**64, "an integer outside -2^63 to 2^64-1")
        return str(value)
    _need(isinstance(value, float), "no JSON value")
    return _float(value)


_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def _string(text: str) -> str:
    escaped = (_SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)
    return '"' + "".join(escaped) + '"'


def _float(value: float) -> str:
    number = Decimal(repr(value))  # CPython: the shortest digits, the nearest where there are many
    _need(number.is_finite(), "NaN or infinite")
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + int(exponent) if value else 1  # digits before the decimal point
    minus = "-" * sign
    if not -4 <= point <= 16:
        fraction = "." + text[1:] if len(text) > 1 else ""
        return f"{minus}{text[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    return f"{minus}{text[:point].ljust(point, '0')}.{text[point:] or '0'}"


# Names


def ref_name(stream: str) -> str:
    """The ref of a stream."""
    raw = stream.encode()
    name = ""
    for at, byte in enumerate(raw):
        before, after = raw[at - 1 : at] if at else b"", raw[at + 1 :]
        escape = (
            byte in b"/\\:?*[~^% "
            or byte < 0x20
            or byte >= 0x7F
            or (byte == 0x2D and not before)
            or (byte == 0x2E and (before in {b"", b"."} or not after or after.lower() == b"lock"))
            or (byte == 0x40 and after[:1] == b"{")
        )
        name += f"%{byte:02X}" if escape else chr(byte)
    if len(name) > 200:
        name = "%h" + hashlib.sha256(raw).hexdigest()
    return "refs/streams/" + name


def identity(user: object) -> str:
    """The author of an event whose ``metadata.userId`` is this."""
    if not isinstance(user, str):
        return COMMITTER
    name = re.sub(f"[{_CONTROLS}<>]", "", user).strip(" .,:;<>\"\\'")
    if not name:
        return COMMITTER
    address = re.sub("[^A-Za-z0-9._+-]+", "-", name).strip("-.") or "user"
    return f"{name} <{address}@scopecraft.invalid>"


# Events to commits


def _check(event: Event) -> None:
    stream, kind, metadata = event["streamId"], event["type"], event["metadata"]
    forbidden = f"[{_CONTROLS}\u2028\u2029\ud800-\udfff]"
    _need(1 <= len(kind) <= 200 and not re.search(r"\s", kind), "type")
    _need(1 <= len(stream) <= 1000 and stream.strip() == stream, "stream id")
    _need(not re.search(forbidden, kind + stream), "a control character in type or stream id")
    _need(len(event["id"]) <= 200 and _PLAIN.fullmatch(event["id"]), "event id")
    _need(1 <= event["version"] < 2**63, "version")
    _need(isinstance(metadata, dict) and len(canonical(metadata)) <= 65536, "metadata")


def _date(timestamp: str) -> int:
    match = _TIME.fullmatch(timestamp)
    if match is None or (len(match[2]) == 6 and match[2].endswith("000")):
        raise RefusedError("time")
    try:
        time = datetime.fromisoformat(match[1] + "+00:00")
    except ValueError as error:
        raise RefusedError("time") from error
    return min(max((time - _EPOCH) // timedelta(seconds=1), 0), 2**34 - 1)


def _trailers(event: Event) -> Iterable[str]:
    rest = dict(event["metadata"])
    yield f"Event-Id: {event['id']}\n"
    yield f"Event-Time: {event['timestamp']}\n"
    for trailer, key in _TRAILERS.items():
        value = rest.get(key)
        if isinstance(value, str) and len(value.encode()) <= 255:
            del rest[key]
            yield f"{trailer}: {value if _UNQUOTED.fullmatch(value) else _string(value)}\n"
    if rest:
        yield f"Event-Metadata: {canonical(rest).decode()}\n"


def encode(
    event: Event, parent: str | None = None, parent_date: int = 0, origin: str | None = None
) -> Encoded:
    """An event as a commit upon ``parent``, whose committer date is ``parent_date``.

    ``origin``: of an event that a rebase recorded again, the commit that recorded it first.
    """
    _check(event)
    _need((event["version"] == 1) == (parent is None), "version 1 and only it has no parent")
    date = _date(event["timestamp"])
    committed = max(date, parent_date)
    line = canonical(event["data"])
    blob, tree = None, b""
    if len(line) > 8192:
        blob, tree = line, b"100644 data.json\0" + bytes.fromhex(object_id("blob", line))
        line = f"data.json {len(blob)} bytes sha256:{hashlib.sha256(blob).hexdigest()}".encode()
    headers = (
        f"tree {object_id('tree', tree)}\n"
        + (f"parent {parent}\n" if parent else "")
        + f"author {identity(event['metadata'].get('userId'))} {date} +0000\n"
        + f"committer {COMMITTER} {committed} +0000\n"
    )
    subject = f"{event['type']} {event['streamId']}@{event['version']}"
    start = f"{headers}\n{subject}\n\n".encode()
    commit = start + line + b"\n\n" + "".join(_trailers(event)).encode()
    commit += f"Event-Origin: {origin}\n".encode() if origin else b""
    return Encoded(commit, tree, blob, committed)


# Commits to events


def decode(commit: bytes, blob: bytes | None = None, parent_date: int | None = None) -> Event:
    """The event of a commit, refused unless encoding it gives these very bytes.

    Its origin is not among what is given. Where ``parent_date`` is not known, every date of the
    parent is granted.
    """
    headers = _HEADERS.match(commit)
    _need(headers, "headers")
    assert headers is not None
    try:
        parts = commit[headers.end() :].decode().split("\n\n")
        subject, line, trailers = parts
        event = _subject(subject) | _fields(trailers)
        spilled = headers["tree"].decode() != EMPTY_TREE
        event["data"] = json.loads((blob or b"") if spilled else line)
    except NewerError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError("message") from error
    parent = headers["parent"].decode() if headers["parent"] else None
    date = int(headers["date"]) if parent and parent_date is None else parent_date or 0
    last = re.search("\nEvent-Origin: ([0-9a-f]{40})\n$", trailers)
    origin = last[1] if last else None
    _need(encode(event, parent, date, origin).commit == commit, "not the canonical bytes")
    return event


def _subject(subject: str) -> Event:
    kind, _, rest = subject.partition(" ")
    stream, _, version = rest.rpartition("@")
    return {"streamId": stream, "type": kind, "version": int(version)}


def _fields(text: str) -> Event:
    values: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        name, colon, value = line.partition(": ")
        known = name in {"Event-Id", "Event-Time", "Event-Metadata", "Event-Origin", *_TRAILERS}
        if not known and colon and re.fullmatch("[A-Za-z0-9-]+", name):
            raise NewerError(f"the trailer {name}")
        _need(known and colon and name not in values, "no trailer, or one twice")
        values[name] = value
    _need({"Event-Id", "Event-Time"} <= set(values), "a trailer is missing")
    metadata = json.loads(values.get("Event-Metadata", "{}"))
    _need(isinstance(metadata, dict), "metadata that is no object")
    for trailer, key in _TRAILERS.items():
        if trailer in values:
            value = values[trailer]
            metadata[key] = json.loads(value) if value.startswith('"') else value
    return {"id": values["Event-Id"], "timestamp": values["Event-Time"], "metadata": metadata}


# The feed


def feed_message(events: list[tuple[int, str, str, int, str]]) -> str:
    """The message of a feed commit: of each event position, type, stream, version and commit."""
    first, last = events[0][0], events[-1][0]
    subject = f"1 event, {first}" if len(events) == 1 else f"{len(events)} events, {first}..{last}"
    lines = (f"{at} {kind} {stream}@{n} {commit}\n" for at, kind, stream, n, commit in events)
    return f"{subject}\n\n{''.join(lines)}"


# The vectors


def expand(value: Any) -> Any:
    """A value of ``vectors.json``, its ``{"repeat": …}`` and ``{"nested": …}`` written out."""
    if isinstance(value, dict) and set(value) == {"repeat"}:
        return value["repeat"][0] * value["repeat"][1]
    if isinstance(value, dict) and set(value) == {"nested"}:
        return reduce(lambda inner, _: [inner], range(value["nested"] - 1), [])
    if isinstance(value, dict):
        return {key: expand(item) for key, item in value.items()}
    return [expand(item) for item in value] if isinstance(value, list) else value


def fill(vectors: dict[str, Any]) -> dict[str, Any]:
    """The same vectors, with what they expect computed anew."""
    for stream in vectors["streams"]:
        parent, date = None, 0
        stream["ref"] = ref_name(expand(stream["events"][0]["event"]["streamId"]))
        for vector in stream["events"]:
            made = encode(expand(vector["event"]), parent, date)
            vector |= {"parent": parent, "commit": made.id, "committerDate": made.date}
            parent, date = made.id, made.date
    for vector in vectors["replays"]:
        made = encode(
            expand(vector["event"]), vector["parent"], vector["parentDate"], vector["origin"]
        )
        vector |= {"commit": made.id, "committerDate": made.date}
    return vectors


def text_of(vectors: dict[str, Any]) -> str:
    """The file of these vectors: a line an event, and ASCII, so that no editor changes it."""
    about = json.dumps(vectors["about"], indent=2)
    streams = []
    for stream in vectors["streams"]:
        rows = ",\n".join(json.dumps(vector) for vector in stream["events"])
        head = json.dumps({"about": stream["about"], "ref": stream["ref"]})
        streams.append(f'{head[:-1]}, "events": [\n{rows}\n]}}')
    body = ",\n".join(streams)
    replays = ",\n".join(json.dumps(vector) for vector in vectors["replays"])
    return f'{{"about": {about},\n"streams": [\n{body}\n],\n"replays": [\n{replays}\n]}}\n'


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(text_of(fill(json.loads(file.read_text()))))
