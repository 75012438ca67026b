"""The forms in which events travel as lines: the interface's own, and CloudEvents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gitstore.backends.jsonl.lines import decode_again, encode_line
from gitstore.core.event import DomainEvent
from gitstore.sync.cloudevents import (
    decode_cloudevent,
    decode_cloudevent_again,
    encode_cloudevent,
)


@dataclass(frozen=True, slots=True)
class Form:
    """How an event is written as a line, and a line's text read as an event.

    ``encode`` gives a line with its end; ``decode`` raises ``InvalidEvent``; ``decode_again`` is
    for a text that ``decode`` has accepted.
    """

    encode: Callable[[DomainEvent], bytes]
    decode: Callable[[bytes], DomainEvent]
    decode_again: Callable[[bytes], DomainEvent]


JSONL = Form(encode_line, DomainEvent.from_json, decode_again)
"""The interface's JSON object, keys in its order."""
CLOUDEVENTS = Form(encode_cloudevent, decode_cloudevent, decode_cloudevent_again)
"""CloudEvents 1.0 in the JSON event format."""
FORMS: Mapping[str, Form] = MappingProxyType({"jsonl": JSONL, "cloudevents": CLOUDEVENTS})
"""The forms by the names the command line has for them."""
