"""Is this batch new, recorded already, or a contradiction? The rules, apart from any storage.

A store hands over the batch with canonical bytes and what it knows of the ids; the answer is
``None`` (append it) or the recorded events to return, or one of the errors of the protocol.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gitstore.core import canonical
from gitstore.core.canonical import JSON
from gitstore.core.encoded import EncodedEvent
from gitstore.core.errors import (
    DuplicateEventId,
    InvalidEvent,
    PartialDuplicate,
    WrongExpectedVersion,
)
from gitstore.core.event import DomainEvent, RecordedEvent, trusted_domain_event
from gitstore.core.expected import ExpectedVersion, check_expected, exact_version
from gitstore.core.names import check_event_id, check_stream_id, check_type
from gitstore.core.timestamps import from_microseconds

MAX_METADATA = 65_536
"""Most bytes of an event's metadata as canonical JSON."""


class Proposal(NamedTuple):
    """An event as the caller gave it, with the canonical bytes of what it carries.

    ``own_data`` and ``own_metadata``: decoded from those bytes, so that what is returned of the
    event is nobody else's to change.
    """

    event: DomainEvent
    data: bytes
    metadata: bytes
    own_data: JSON
    own_metadata: dict[str, JSON]

    @classmethod
    def of(cls, event: DomainEvent) -> Proposal:
        """Encode ``event``.

        ``InvalidEvent`` where JSON cannot hold it unchanged, or metadata is over 64 KiB.
        """
        metadata, own_metadata = encode_metadata(event.metadata)
        data, own_data = canonical.encode_with_copy(event.data)
        return cls(event, data, metadata, own_data, own_metadata)

    @classmethod
    def of_encoded(cls, given: EncodedEvent) -> Proposal:
        """An event that another store has recorded, which may be damaged.

        ``InvalidEvent`` where its bytes are not canonical, metadata is no object or too large, or
        one of its names, or its time, is none.
        """
        _check_names(given.stream_id, given.type)
        check_event_id(given.id)
        data, metadata = canonical.read_canonical(given.data), read_metadata(given.metadata)
        event = trusted_domain_event(
            given.stream_id,
            given.type,
            data,
            metadata,
            given.id,
            from_microseconds(given.time),
            given.version,
        )
        return cls(event, given.data, given.metadata, data, metadata)


@functools.lru_cache(maxsize=4_096)
def _check_names(stream_id: str, kind: str) -> None:
    check_stream_id(stream_id)
    check_type(kind)


def read_metadata(text: bytes) -> dict[str, JSON]:
    """The metadata of canonical bytes; ``InvalidEvent`` unless ``encode_metadata`` gives them."""
    metadata = canonical.read_canonical(text)
    if not isinstance(metadata, dict):
        raise InvalidEvent(f"metadata must be an object, not {type(metadata).__name__}")
    _check_size(text)
    return metadata


def encode_metadata(metadata: Mapping[str, JSON]) -> tuple[bytes, dict[str, JSON]]:
    """The canonical bytes of an event's metadata, and a copy; ``InvalidEvent`` as in ``of``."""
    text, copy = canonical.encode_with_copy(metadata, "metadata")
    _check_size(text)
    return text, copy


def _check_size(text: bytes) -> None:
    if len(text) > MAX_METADATA:
        raise InvalidEvent(
            f"metadata has {len(text):,} bytes, more than {MAX_METADATA:,}",
            hint="Put what is large into data.",
        )


def check_batch_ids(proposals: Sequence[Proposal]) -> list[str]:
    """The ids the batch names, in order; ``DuplicateEventId`` where one stands twice."""
    ids = [p.event.id for p in proposals if p.event.id is not None]
    if len(set(ids)) != len(ids):
        twin = next(i for i in ids if ids.count(i) > 1)
        raise DuplicateEventId(twin)
    return ids


def already_recorded(
    proposals: Sequence[Proposal],
    known: Mapping[str, RecordedEvent],
    expected: Mapping[str, ExpectedVersion],
    versions: Mapping[str, int],
) -> list[RecordedEvent] | None:
    """The recorded events of a batch that was appended before, ``None`` for a new one.

    ``known``: the recorded events of those of the batch's ids that are recorded; ``versions``: the
    present version of each of the batch's streams.
    """
    if not known:
        return None
    found: list[RecordedEvent] = []
    for proposal in proposals:
        recorded = known.get(proposal.event.id or "")
        if recorded is not None:
            _check_same(proposal, recorded)
            found.append(recorded)
    if len(found) < len(proposals):
        names = [p.event.id or "(no id)" for p in proposals]
        raise PartialDuplicate(
            [i for i in names if i in known], [i for i in names if i not in known]
        )
    _check_places(found, expected, versions)
    return found


def check_new(
    proposals: Sequence[Proposal],
    expected: Mapping[str, ExpectedVersion],
    versions: Mapping[str, int],
) -> None:
    """Raise ``WrongExpectedVersion`` unless every event of a new batch may stand where it would."""
    heads = dict(versions)
    for stream_id, version in versions.items():
        if stream_id in expected:
            check_expected(stream_id, expected[stream_id], version)
    for proposal in proposals:
        event = proposal.event
        head = heads[event.stream_id]
        if event.version is not None:
            check_expected(event.stream_id, event.version - 1, head)
        heads[event.stream_id] = head + 1


def _check_same(proposal: Proposal, recorded: RecordedEvent) -> None:
    given, there = proposal.event, recorded.event
    differs = ""
    if given.stream_id != there.stream_id:
        differs = "another stream"
    elif given.type != there.type:
        differs = "another type"
    elif given.timestamp is not None and given.timestamp != there.timestamp:
        differs = "another timestamp"
    elif given.version is not None and given.version != there.version:
        differs = "another version"
    elif proposal.data != canonical.encode(there.data):
        differs = "other data"
    elif proposal.metadata != canonical.encode(there.metadata, "metadata"):
        differs = "other metadata"
    if differs:
        raise DuplicateEventId(
            there.id or "", there.stream_id, recorded.version, why=f"this one has {differs}"
        )


def _check_places(
    found: Sequence[RecordedEvent],
    expected: Mapping[str, ExpectedVersion],
    versions: Mapping[str, int],
) -> None:
    last: dict[str, int] = {}
    for recorded in found:
        stream_id = recorded.stream_id
        before = last.get(stream_id)
        if before is None:
            before = exact_version(expected[stream_id]) if stream_id in expected else None
            if before is not None and recorded.version != before + 1:
                raise WrongExpectedVersion(stream_id, expected[stream_id], versions[stream_id])
        elif recorded.version != before + 1:
            raise DuplicateEventId(
                recorded.event.id or "",
                stream_id,
                recorded.version,
                why="the batch has it in another order",
            )
        last[stream_id] = recorded.version
