"""CloudEvents 1.0 in the JSON event format, an event a line, without a loss in either direction.

==================  ============================================================================
CloudEvents         our event
==================  ============================================================================
``specversion``     ``"1.0"``
``id``              ``id``
``source``          ``urn:scopecraft:events``; see below
``type``            ``type``
``subject``         ``streamId``
``time``            ``timestamp``
``datacontenttype`` ``application/json``
``data``            ``data``
``streamversion``   ``version``: an Integer, from 2**31 on (where there are none) its digits
``userid``          ``metadata.userId``, where it is a text that a String may hold; if not, it is in
                    ``metadata`` below; so ``correlationid`` and ``causationid``
``metadata``        what else metadata has: the text of a JSON object
``exact``           the text of a JSON object with ``subject`` or ``type`` where these hold what a
                    String may not (U+FFFE and its like) and have U+FFFD in its place
==================  ============================================================================

The source is the same for every store, because consumers take ``source`` and ``id`` for the
identity of an event, and an event that was pushed, pulled or imported is still the same one. What a
String may not hold is escaped in ``metadata`` and ``exact``, which are JSON inside a String.

**Events of others.** ``subject`` is required, because it is the stream; ids are unique in a store,
whatever the source. ``userid``, ``correlationid``, ``causationid``, ``streamversion``, and
``metadata`` where it is the text of an object, mean what they mean in ours. Every other attribute
is kept in ``metadata`` under its name: a foreign ``source``, ``dataschema``, extensions, a
``datacontenttype`` such as ``application/vnd.x+json``. An attribute that is null is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.core.timestamps import format_timestamp

SOURCE = "urn:scopecraft:events"
"""The ``source`` of every event of ours."""
_VERSION = "1.0"
_JSON_TYPE = "application/json"
_MAX_INTEGER = 2**31 - 1
_IDS = (("userId", "userid"), ("correlationId", "correlationid"), ("causationId", "causationid"))

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)
)
# What the type system's String does not allow.
_ILLEGAL = re.compile(f"[\x00-\x1f\x7f-\x9f{_NONCHARACTERS}]")
_IS_JSON = re.compile(r"[^/;\s]+/(?:[^/;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE).fullmatch
_DIGITS = re.compile(r"[1-9][0-9]{0,18}").fullmatch


def encode_cloudevent(event: DomainEvent) -> bytes:
    """A recorded event as a CloudEvent, one line of UTF-8 JSON with its end."""
    assert event.timestamp is not None  # a recorded event has one,
    assert event.version is not None  # and the other
    version = event.version
    exact: dict[str, JSON] = {}
    attributes = {
        "specversion": _VERSION,
        "id": event.id,
        "source": SOURCE,
        "type": _legal("type", event.type, exact),
        "subject": _legal("subject", event.stream_id, exact),
        "time": format_timestamp(event.timestamp),
        "datacontenttype": _JSON_TYPE,
        "streamversion": version if version <= _MAX_INTEGER else str(version),
    }
    rest = dict(event.metadata)
    for key, name in _IDS:
        value = rest.get(key)
        if isinstance(value, str) and value and not _ILLEGAL.search(value):
            attributes[name] = rest.pop(key)
    if rest:
        attributes["metadata"] = _text_of(rest)
    if exact:
        attributes["exact"] = _text_of(exact)
    return b'%b,"data":%b}\n' % (orjson.dumps(attributes)[:-1], canonical.encode_own(event.data))


def decode_cloudevent(text: bytes, read: Callable[[bytes], JSON] = canonical.decode) -> DomainEvent:
    """The event of a CloudEvent's JSON text; ``InvalidEvent`` where it is none, or is not ours.

    Refused: another ``specversion``, no ``subject``, data that is not JSON (``data_base64``).
    ``read`` gives the value of a JSON text.
    """
    given = read(text)
    _check_envelope(given)
    data = given.pop("data", None)
    left = {name: value for name, value in given.items() if value is not None}
    for name in ("specversion", "data_base64"):
        left.pop(name, None)
    is_ours = left["source"] == SOURCE
    if is_ours:
        del left["source"]
    if left.get("datacontenttype") == _JSON_TYPE:
        del left["datacontenttype"]
    exact = _object("exact", left, required=True) if is_ours else {}
    event_id, kind, subject = left.pop("id"), left.pop("type"), left.pop("subject")
    return DomainEvent.from_dict(
        {
            "id": event_id,
            "streamId": exact.get("subject", subject),
            "type": exact.get("type", kind),
            "version": _version(left.pop("streamversion", None)),
            "timestamp": left.pop("time", None),
            "data": data,
            "metadata": _metadata(left),
        }
    )


def decode_cloudevent_again(text: bytes) -> DomainEvent:
    """The event of a text that ``decode_cloudevent`` has accepted, at half the cost."""
    return decode_cloudevent(text, canonical.decode_own)


def _legal(name: str, value: str, exact: dict[str, JSON]) -> str:
    legal = _ILLEGAL.sub("\ufffd", value)
    if legal != value:
        exact[name] = value
    return legal


def _text_of(value: JSON) -> str:
    """Canonical JSON as a text that a String may hold."""
    return _ILLEGAL.sub(_escape, canonical.encode_own(value).decode())


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _check_envelope(given: Any) -> None:
    if not isinstance(given, dict) or "specversion" not in given:
        raise InvalidEvent(
            "no CloudEvent: it has no specversion",
            hint="Leave out `--format cloudevents` for lines in this program's own form.",
        )
    if given["specversion"] != _VERSION:
        raise InvalidEvent(
            f"CloudEvents {given['specversion']!r} is not read, only version {_VERSION}",
            hint=f"Have its producer write specversion {_VERSION}.",
        )
    for name in ("id", "source", "type"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise InvalidEvent(f"no CloudEvent: it has no {name}", hint=f"Give it a {name}.")
    if not isinstance(given.get("subject"), str):
        raise InvalidEvent(
            "the CloudEvent has no subject, which names the stream",
            hint="Give each event the id of the thing it is about as its subject.",
        )
    _check_content(given)


def _check_content(given: dict[str, JSON]) -> None:
    content = given.get("datacontenttype")
    is_json = content is None or (isinstance(content, str) and _IS_JSON(content))
    if given.get("data_base64") is None and is_json:
        return
    what = "binary" if is_json else f"of the type {content!r}"
    raise InvalidEvent(
        f"the CloudEvent's data is {what}, and only JSON can be recorded",
        hint="Have its producer write the data as JSON, or as a text inside JSON.",
    )


def _version(given: JSON) -> JSON:
    if isinstance(given, str):
        if not _DIGITS(given):
            raise InvalidEvent(f"streamversion {given!r} is no whole number from 1")
        return int(given)
    return given


def _metadata(left: dict[str, JSON]) -> dict[str, JSON]:
    """Metadata of the attributes that have no field of their own."""
    metadata = _object("metadata", left, required="source" not in left)
    names = {name: key for key, name in _IDS}
    for name, value in left.items():
        key = names.get(name, name)
        if key in metadata:
            raise InvalidEvent(
                f"the CloudEvent has {name}, and {key} in metadata too",
                hint="Leave out one of the two.",
            )
        metadata[key] = value
    return metadata


def _object(name: str, left: dict[str, JSON], *, required: bool) -> dict[str, JSON]:
    """Take out the object whose text the attribute ``name`` is; empty where there is none.

    What is no such text stays, or where it is ``required`` raises ``InvalidEvent``.
    """
    text = left.get(name)
    value: JSON = {} if text is None else None
    if isinstance(text, str):
        try:
            value = canonical.decode(text.encode())  # also the second time: it decides
        except InvalidEvent:
            value = None  # another's attribute of that name
    if isinstance(value, dict):
        left.pop(name, None)
        return value
    if required:
        raise InvalidEvent(f"the CloudEvent's {name} is no text of a JSON object")
    return {}
