"""The rules of an import: which events are the same, and where a new one may stand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from gitstore.backends.jsonl.lines import BadLine
from gitstore.core import canonical
from gitstore.core.errors import WrongExpectedVersion
from gitstore.core.event import DomainEvent, RecordedEvent
from gitstore.core.idempotence import encode_metadata
from gitstore.core.timestamps import to_microseconds

ORIGINAL_VERSION = "originalVersion"
"""The metadata key that keeps the version a renumbered event had in its file."""
RENUMBER = "`--renumber` appends in file order with new versions and keeps these in metadata."
LEAVE_OUT = "`--keep-going` leaves such lines out and lists them."


class HistoriesDisagree(WrongExpectedVersion):
    """A line's event does not continue what the store has; nothing was recorded.

    ``file`` and ``line``: where it stands; ``reason``: the message without that.
    """

    hint = f"The store has other events there, or lacks earlier ones. {RENUMBER}"

    def __init__(self, file: str, line: int, stream_id: str, expected: int, actual: int) -> None:
        super().__init__(stream_id, expected, actual)
        self.file = file
        self.line = line
        self.reason = f"{stream_id}@{expected + 1} cannot stand there: {self}"
        self.args = (f"{file}:{line}: {self.reason}",)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line that is not imported: ``file``, ``line`` from 1, and ``reason``."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line by what decides its place: ``known`` is 1 where the store has its event."""

    seq: int
    file: str
    line: int
    stream: str
    version: int | None
    known: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """What makes two lines of one id the same event.

    ``digest``: of stream, type, data and metadata. ``time`` in microseconds and ``version`` are
    ``None`` where the line leaves them to the store.
    """

    stream: str
    version: int | None
    time: int | None
    digest: bytes

    @classmethod
    def of(cls, event: DomainEvent) -> Content:
        """The content of an event that was read; ``InvalidEvent`` where no store can record it."""
        time = None if event.timestamp is None else to_microseconds(event.timestamp)
        metadata = encode_metadata(event.metadata)[0]
        digest = _digest(event, canonical.encode_own(event.data), metadata)
        return cls(event.stream_id, event.version, time, digest)

    def difference(self, recorded: RecordedEvent, *, any_version: bool) -> str:
        """What sets a line apart from the recorded event of its id; empty where nothing does.

        A recorded event that was renumbered counts as what it was in its file. ``any_version``:
        the line's version does not matter.
        """
        there = Content.of(recorded.event)
        if self.stream != there.stream:
            return "another stream"
        if self.time not in (None, there.time):
            return "another timestamp"
        if self.digest == there.digest and (any_version or self.version in (None, there.version)):
            return ""
        if (self.version, self.digest) == _before_renumbering(recorded.event):
            return ""
        same = self.digest == there.digest
        return "another version" if same else "another type, other data or other metadata"


def renumbered(event: DomainEvent, version: int) -> DomainEvent:
    """``event`` at another version, with the one it had kept in its metadata."""
    if version == event.version:
        return event
    # An original that is there already is the older truth.
    metadata = {ORIGINAL_VERSION: event.version, **event.metadata}
    return replace(event, version=version, metadata=metadata)


def misplaced(
    row: NumberedLine, previous: NumberedLine | None, head: int
) -> BadLine | HistoriesDisagree:
    """The error of a line that cannot follow a stream at ``head``.

    ``previous``: the line before it of the same stream that is or will be recorded.
    """
    version = row.version
    assert version is not None  # or it would have a place
    before = previous.version if previous else None
    if previous is None or before is None or version == before + 1:
        return HistoriesDisagree(row.file, row.line, row.stream, version - 1, head)
    reason = (
        f"{row.stream}@{version} comes after {row.stream}@{before} "
        f"({previous.file}:{previous.line}), {_fault_between(before, version)}"
    )
    return BadLine(row.file, row.line, reason, hint=f"{RENUMBER} {LEAVE_OUT}")


def backwards(row: NumberedLine, later: NumberedLine) -> BadLine:
    """The error of a stream's first line, when a later one shows that its version is too high."""
    reason = (
        f"{row.stream}@{row.version} comes before {row.stream}@{later.version} "
        f"({later.file}:{later.line}), so versions go backwards"
    )
    return BadLine(row.file, row.line, reason, hint=f"{RENUMBER} {LEAVE_OUT}")


def _before_renumbering(recorded: DomainEvent) -> tuple[int, bytes] | None:
    """The version and the digest a renumbered event had in its file."""
    metadata = dict(recorded.metadata)
    original = metadata.pop(ORIGINAL_VERSION, None)
    if type(original) is not int:
        return None
    given = canonical.encode(metadata, "metadata")
    return original, _digest(recorded, canonical.encode(recorded.data), given)


def _digest(event: DomainEvent, data: bytes, metadata: bytes) -> bytes:
    stream, kind = event.stream_id.encode(), event.type.encode()
    parts = (len(stream), stream, len(kind), kind, len(data), data, len(metadata), metadata)
    return hashlib.blake2b(b"%d:%b%d:%b%d:%b%d:%b" % parts, digest_size=16).digest()


def _fault_between(previous: int, version: int) -> str:
    """What is wrong when ``version`` comes after ``previous`` in a file."""
    if version == previous:
        return "so one version stands twice"
    if version < previous:
        return "so versions go backwards"
    if version == previous + 2:
        return f"so version {previous + 1} is missing"
    return f"so versions {previous + 1} to {version - 1} are missing"
