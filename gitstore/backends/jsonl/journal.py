r"""The journal: what makes an append durable, in one write and one fdatasync.

``indexes/journal`` holds the events whose lines may not have reached the disk yet, in blobs, an
append each::

    <salt> <first position> <count> <bytes of the body> <CRC-32 of all of it>\n
    <offset>\t<data file>\t<data line>\n        an event each, in order of position

A blob counts when it is whole: its checksum is right, it has the salt of the first, and its
positions go on where the one before it ends. So a batch is recorded as a whole or not at all, and
a torn last blob, which nobody was told of, is as good as none.

Once all that the blobs name is on the disk in its place, the journal *begins anew*: its first
header is wiped, and the next blob takes a salt of its own. So what is left of former blobs behind
the new ones never counts, whatever bytes an event may hold. If a power cut brings back the former
beginning, its events are in their places, and are found there.

Every method but ``has_news`` is to be called under the lock of the layout. A process knows where
the journal ends when it leaves the lock; ``has_news`` says in two small reads whether another has
written or begun anew since.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Iterator, Sequence

from gitstore.backends.disk.files import sync_file
from gitstore.backends.jsonl.entries import Entry, own_row_of
from gitstore.backends.jsonl.folders import Folder
from gitstore.core.errors import StoreUnavailable

JOURNAL = "journal"
_HEADER = b"%b %019d %09d %012d %08x\n"
_HEADER_SIZE = 16 + 1 + 19 + 1 + 9 + 1 + 12 + 1 + 8 + 1

# fdatasync alone spares the times of the file; on macOS only F_FULLFSYNC reaches the disk.
_sync = os.fdatasync if sys.platform == "linux" else sync_file


class Journal:
    """``indexes/journal``, a file that is overwritten again and again."""

    def __init__(self, indexes: Folder) -> None:
        self._path = f"{indexes.path}/{JOURNAL}"
        self._descriptor = -1
        self.reopen(indexes)

    def reopen(self, indexes: Folder) -> None:
        """Open the file at its place anew, and know nothing of what is in it."""
        self.close()
        self._descriptor = indexes.open_to_write(JOURNAL)
        self._salt = b""
        self._first = b""
        self._end = 0
        self._is_uncertain = False
        self._unsynced = b""
        self.count = 0
        """Events in it, as far as this process knows."""
        self.last = 0
        """The position of the last of them; 0 where it is empty."""

    @property
    def size(self) -> int:
        """Bytes of all blobs, as far as this process knows."""
        return self._end

    def close(self) -> None:
        """Give back the descriptor; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def is_gone(self) -> bool:
        """Whether the file was removed, or another put in its place."""
        return os.fstat(self._descriptor).st_nlink == 0

    def has_news(self) -> bool:
        """Whether another process has written to it since this one left the lock."""
        if self._is_uncertain or self._read(0, _HEADER_SIZE) != self._first:
            return True
        return bool(self._end) and os.pread(self._descriptor, 16, self._end) == self._salt

    def append(self, first: int, entries: Sequence[Entry]) -> None:
        """Make entries durable, from position ``first`` on.

        ``StoreUnavailable``: none is, unless its message says that this is not known.
        """
        body = b"".join(
            [b"%d\t%b\t%b" % (entry.offset, entry.file.encode(), entry.line) for entry in entries]
        )
        salt = self._salt if self._end else os.urandom(8).hex().encode()
        header = _header(salt, first, len(entries), body)
        try:
            _write_at(self._descriptor, header + body, self._end)
        except OSError as error:
            self._is_uncertain = True
            self._cut()
            raise self._refused(error) from error
        try:
            _sync(self._descriptor)
        except OSError as error:
            self._is_uncertain = True
            raise self._taken_back(error, header + body, entries) from error
        if not self._end:
            self._salt, self._first = salt, header
        self._take_over(_HEADER_SIZE + len(body), first, len(entries))

    def news(self) -> Iterator[list[Entry]]:
        """The entries of each whole blob this process does not know of; then it knows them.

        All of them at first, and where the journal was begun anew. What is left of a blob that was
        cut short is wiped. ``OSError`` where the disk takes none of what it failed to take before.
        """
        self._sync_again()
        if not self._end or self._read(0, _HEADER_SIZE) != self._first:
            self._end = self.count = self.last = 0
            self._first = self._read(0, _HEADER_SIZE)
            self._salt = self._first[:16]
        while blob := self._blob(self._end):
            first, entries, size = blob
            self._take_over(size, first, len(entries))
            yield entries
        if self._salt and self._read(self._end, len(self._salt)) == self._salt:
            self._cut()
        if not self._end:
            self._salt = self._first = b""

    def every(self) -> Iterator[list[Entry]]:
        """``news`` from the first blob on."""
        self._sync_again()
        self._end = 0
        return self.news()

    def begin_anew(self) -> None:
        """Forget all entries: they are in their places, on the disk."""
        # Not synced: a beginning that comes back names only what is in its place.
        self._end = 0
        self._cut()
        self._salt = self._first = b""
        self.count = self.last = 0

    def shrink(self) -> None:
        """Give back the room, where it is empty."""
        if not self._end:
            os.ftruncate(self._descriptor, 0)

    def forget_for_good(self) -> None:
        """``begin_anew``, durable: no power cut brings back what was in it."""
        self.begin_anew()
        self.shrink()
        sync_file(self._descriptor)

    def _take_over(self, size: int, first: int, count: int) -> None:
        self._end += size
        self.count += count
        self.last = first + count - 1

    def _blob(self, start: int) -> tuple[int, list[Entry], int] | None:
        """First position, entries and size of the blob at ``start``; ``None``: no whole one."""
        header = os.pread(self._descriptor, _HEADER_SIZE, start)
        fields = header[:-1].split(b" ")
        if len(header) < _HEADER_SIZE or len(fields) != 5 or fields[0] != self._salt:
            return None
        try:
            first, count, size = map(int, fields[1:4])
        except ValueError:
            return None
        if self.count and first != self.last + 1:
            return None
        body = os.pread(self._descriptor, size, start + _HEADER_SIZE)
        if len(body) < size or _header(self._salt, first, count, body) != header:
            return None
        return first, _entries(body, first), _HEADER_SIZE + size

    def _cut(self) -> None:
        """Wipe the header at the end, so that no blob begins there."""
        with contextlib.suppress(OSError):  # where nothing can be written, nothing was
            if os.fstat(self._descriptor).st_size > self._end:
                _write_at(self._descriptor, bytes(_HEADER_SIZE), self._end)

    def _taken_back(
        self, error: OSError, blob: bytes, entries: Sequence[Entry]
    ) -> StoreUnavailable:
        """Wipe a blob that may or may not be on the disk; gives what to say of its append."""
        try:
            _write_at(self._descriptor, bytes(_HEADER_SIZE), self._end)
            _sync(self._descriptor)
        except OSError:
            self._unsynced = blob
            ids = entries[0].row.event_id
            if len(entries) > 1:
                ids += f" … {entries[-1].row.event_id}"
            return StoreUnavailable(
                f"{self._path} cannot be written: {error.strerror}; whether the append is recorded "
                "is not known",
                hint="Check the disk, then append again with the same ids, which records nothing "
                f"twice; this time they were: {ids}.",
            )
        return self._refused(error)

    def _refused(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._path} cannot be written: {error.strerror}",
            hint="Nothing was recorded; check free space and permissions, then append again.",
        )

    def _sync_again(self) -> None:
        """Bring a blob to the disk that could neither be synced nor wiped, and stands there.

        Not wiped now: whoever had the lock meanwhile took it for recorded.
        """
        blob = self._unsynced
        if blob and self._read(self._end, _HEADER_SIZE) == blob[:_HEADER_SIZE]:
            _write_at(self._descriptor, blob, self._end)  # what a sync failed on, it leaves out
            _sync(self._descriptor)
        self._unsynced = b""
        self._is_uncertain = False

    def _read(self, start: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, start).rstrip(b"\0")


def _header(salt: bytes, first: int, count: int, body: bytes) -> bytes:
    unchecked = b"%b %019d %09d %012d" % (salt, first, count, len(body))
    return b"%b %08x\n" % (unchecked, zlib.crc32(body, zlib.crc32(unchecked)))


def _entries(body: bytes, first: int) -> list[Entry]:
    entries = []
    for position, text in enumerate(body.split(b"\n")[:-1], first):
        offset, file, line = text.split(b"\t", 2)
        name = file.decode(errors="surrogateescape")
        row = own_row_of(position, line + b"\n", f"{JOURNAL}, position {position}")
        entries.append(Entry(row, name, int(offset), line + b"\n"))
    return entries


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, content, offset)
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], offset + written)
