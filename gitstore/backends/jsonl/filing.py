"""Filing: lines into data files and text indexes, and all of it onto the disk.

Of each append the data lines are written first, then the indexes of the types, ``by-stream.idx``
last. So the last whole line of ``by-stream.idx`` says how far the files go; whatever a killed
writer left behind it, torn or whole, is told of by the journal, from which ``mend`` brings files
into the state they would be in.

Nothing here is durable before ``sync``: until then the journal is.
"""

from __future__ import annotations

import os
import resource
import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from gitstore.backends.disk.files import sync_file
from gitstore.backends.jsonl.entries import Entry, by_file
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.indexlines import end_before, index_lines, mend_tail
from gitstore.backends.jsonl.layout import BY_STREAM, INDEXES, index_files, index_line
from gitstore.backends.jsonl.mending import mend_lines, write_again
from gitstore.core.errors import InvalidEvent, StoreCorrupted

BY_STREAM_FILE = f"{INDEXES}/{BY_STREAM}"
_MOST_OPEN = 512
_FEWEST_OPEN = 8
_MOST_FOLDERS = 32
# From so many files on one sync of everything costs less. Elsewhere it need not wait for the disk.
_FEW = 64 if sys.platform == "linux" else sys.maxsize


class OpenFile:
    """A file of the layout held open.

    ``known``: how many of its bytes, from the first on, are told of by the indexes; -1: not looked
    up yet.
    """

    __slots__ = ("descriptor", "known")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.known = -1

    def size(self) -> int:
        """Its bytes; -1 where it was removed, or replaced by another."""
        found = os.fstat(self.descriptor)
        return found.st_size if found.st_nlink else -1


class Filing:
    """The data files and text indexes of one layout; use it under the layout's lock.

    Names of files are relative to the layout, with ``/``.
    """

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._folders: OrderedDict[str, Folder] = OrderedDict()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(min(_MOST_OPEN, limit // 4), _FEWEST_OPEN)
        self._dirty: set[str] = set()
        self._dirty_folders: set[str] = set()
        self.is_doubtful = False
        """Whether a sync has failed: then ``write_again``, before the next."""
        self.folds_case = os.path.lexists(f"{root.path}/{INDEXES.upper()}")
        """Whether the file system takes names that differ in case only for one."""

    def close(self) -> None:
        """Give back all descriptors; idempotent."""
        while self._files:
            os.close(self._files.popitem()[1].descriptor)
        while self._folders:
            self._folders.popitem()[1].close()

    def open(self, name: str) -> OpenFile:
        """The file, made where there is none; ``StoreUnavailable`` for a link in its way.

        ``InvalidEvent`` where the file system gives one whose name differs in case.
        """
        found = self._files.get(name)
        if found is not None:
            self._files.move_to_end(name)
            return found
        if len(self._files) >= self._most:
            os.close(self._files.popitem(last=False)[1].descriptor)
        path, _, file = name.rpartition("/")
        try:
            descriptor, is_new = self.folder(path).open_to_append(file)
        except FileNotFoundError:  # the folder was removed
            self._folders.pop(path).close()
            descriptor, is_new = self.folder(path).open_to_append(file)
        if is_new:
            self._dirty_folders.add(path)
        elif self.folds_case and file not in (names := self.folder(path).names()):
            os.close(descriptor)
            twins = [twin for twin in names if twin.casefold() == file.casefold()]
            raise InvalidEvent(
                f"{name} differs from {twins[0] if twins else 'another'} in case only, which this "
                "file system cannot hold",
                hint="Use the existing name, or keep the store on a case-sensitive disk.",
            )
        self._files[name] = found = OpenFile(descriptor)
        return found

    def folder(self, path: str) -> Folder:
        """A folder, made where there is none."""
        found = self._folders.get(path)
        if found is not None:
            self._folders.move_to_end(path)
            return found
        parent, _, name = path.rpartition("/")
        folder = (self.folder(parent) if parent else self._root).made(name)
        if len(self._folders) >= _MOST_FOLDERS:
            self._folders.popitem(last=False)[1].close()
        self._folders[path] = folder
        return folder

    def forget(self, name: str | None = None) -> None:
        """Open a file (``None``: all) anew the next time: it may be another one."""
        for gone in [name] if name else list(self._files):
            found = self._files.pop(gone, None)
            if found is not None:
                os.close(found.descriptor)
        if name is None:
            while self._folders:
                self._folders.popitem()[1].close()

    def file_lines(self, entries: Sequence[Entry], *, stand: bool = False) -> Sequence[Entry]:
        """Append the lines of entries to their files, and list them; gives where they stand.

        That is behind an entry's ``offset`` where another program has written there in the
        meantime. ``stand``: the lines stand at their offsets already, and are only listed.
        """
        if len(entries) == 1:
            return [self._file_one(entries[0], stand=stand)]
        placed = entries if stand else self._file_many(entries)
        for name, lines in index_lines(placed).items():
            self._write(name, b"".join(lines))
        return placed

    def mend(self, entries: Sequence[Entry]) -> None:
        """``file_lines``, where any of it may have happened before, in part or as a whole.

        ``entries``: the journal's, from some position on to its end.
        """
        if not entries:
            return
        offsets: dict[int, int] = {}
        for name, some in by_file(entries).items():
            self._dirty.add(name)
            self.forget(name)
            folder, _, file = name.rpartition("/")
            self._dirty_folders.add(folder)
            wanted = [(entry.offset, entry.line) for entry in some]
            found = mend_lines(self.folder(folder), file, wanted)
            offsets.update((e.row.position, at) for e, at in zip(some, found, strict=True))
        placed = [entry._replace(offset=offsets[entry.row.position]) for entry in entries]
        first = entries[0].row.position
        for name, lines in index_lines(placed).items():
            self._dirty.add(name)
            mend_tail(self.open(name).descriptor, first, b"".join(lines))

    def write_again(self, entries: Sequence[Entry]) -> None:
        """Write all of files from these entries on once more, the same bytes; they stand there.

        After a sync that failed, in whatever process, the system takes what it could not write for
        written: the next sync would pass without it.
        """
        if not entries:
            return
        first = entries[0].row.position
        starts = {name: some[0].offset for name, some in by_file(entries).items()}
        for name in index_lines(entries):
            starts[name] = end_before(self.open(name).descriptor, first)[1]
        for name, start in starts.items():
            path, _, file = name.rpartition("/")
            descriptor = self.folder(path).open_to_write(file)
            try:
                write_again(descriptor, start)
            finally:
                os.close(descriptor)
            self._dirty.add(name)
        self.is_doubtful = False

    def note_dirty(self, entries: Iterable[Entry]) -> None:
        """These were filed by another process, and may not be on the disk."""
        for entry in entries:
            self._dirty.add(entry.file)
            self._dirty_folders.add(entry.file.rpartition("/")[0])
            self._dirty.update(index_lines([entry]))

    def sync(self) -> None:
        """Bring all that was filed, here or as noted, to the disk."""
        self.is_doubtful = True
        if len(self._dirty) > _FEW:
            os.sync()
        else:
            for name in self._dirty:
                sync_file(self.open(name).descriptor)
            for path in self._dirty_folders:
                self.folder(path).sync()
        self._dirty.clear()
        self._dirty_folders.clear()
        self.is_doubtful = False

    def has_news(self) -> bool:
        """Whether ``by-stream.idx`` is not as this process left it, or last took it over."""
        file = self.open(BY_STREAM_FILE)
        return file.size() != file.known

    def is_replaced(self) -> bool:
        """Whether ``by-stream.idx`` was removed, or another was put in its place."""
        return self.open(BY_STREAM_FILE).size() < 0

    def last(self) -> tuple[int, int]:
        """The last position ``by-stream.idx`` lists, and where its line ends; ``(0, 0)``."""
        file = self.open(BY_STREAM_FILE)
        return end_before(file.descriptor, 2**63)

    def check_follows(self, position: int) -> int:
        """Where the line of this position ends in ``by-stream.idx``; 0: where its first begins.

        ``StoreCorrupted`` where it does not list this position, or does not begin with the first.
        """
        descriptor = self.open(BY_STREAM_FILE).descriptor
        if position:
            found, end = end_before(descriptor, position + 1)
        else:
            found, end = 0 if os.pread(descriptor, 2, 0) == b"1\t" else -1, 0
        if found != position:
            raise StoreCorrupted(f"{BY_STREAM_FILE} does not list what it did")
        return end

    def cut(self, end: int) -> None:
        """Cut what stands in ``by-stream.idx`` after its last line, and is none."""
        file = self.open(BY_STREAM_FILE)
        if file.size() > end:
            os.ftruncate(file.descriptor, end)

    def texts(self, entries: Iterable[Entry]) -> list[tuple[str, int]]:
        """The indexes of the entries' types, and their sizes."""
        names = {index_files(kind)[1] for kind in {entry.row.type for entry in entries}}
        return [(name, self.open(name).size()) for name in names]

    def take_over(self) -> None:
        """All that ``by-stream.idx`` tells of is known from here on; of data files, nothing is."""
        for file in self._files.values():
            file.known = -1
        file = self.open(BY_STREAM_FILE)
        file.known = file.size()

    def end_line(self, name: str) -> None:
        """Give the last line of a data file its line feed, so that the next begins a line."""
        file = self.open(name)
        size = file.size()
        if size and os.pread(file.descriptor, 1, size - 1) != b"\n":
            _write_all(file.descriptor, b"\n")

    def read(self, name: str, offset: int, size: int) -> bytes:
        """``size`` bytes of a file, fewer at its end."""
        return os.pread(self.open(name).descriptor, size, offset)

    def _file_one(self, entry: Entry, *, stand: bool) -> Entry:
        row, name, offset, line = entry
        at = offset if stand else self._append(name, line)
        listed = index_line(row.position, row.timestamp, row.stream_id, row.version, name, at)
        by_stream, by_type = index_files(row.type)
        self._write(by_type, listed)
        self._write(by_stream, listed)
        return entry if at == offset else entry._replace(offset=at)

    def _file_many(self, entries: Sequence[Entry]) -> list[Entry]:
        placed: dict[int, Entry] = {}
        for name, some in by_file(entries).items():
            at = self._append(name, b"".join([entry.line for entry in some]))
            for entry in some:
                placed[entry.row.position] = entry._replace(offset=at)
                at += len(entry.line)
        return [placed[entry.row.position] for entry in entries]

    def _append(self, name: str, text: bytes) -> int:
        """Append to a data file; gives where that begins."""
        file = self.open(name)
        self._dirty.add(name)
        _write_all(file.descriptor, text)
        # By the place the system wrote to: another program may have appended meanwhile.
        at = os.lseek(file.descriptor, 0, os.SEEK_CUR) - len(text)
        if at == file.known:
            file.known += len(text)
        return at

    def _write(self, name: str, text: bytes) -> None:
        self._dirty.add(name)
        file = self.open(name)
        _write_all(file.descriptor, text)
        file.known += len(text)


def _write_all(descriptor: int, text: bytes) -> None:
    written = os.write(descriptor, text)
    while written < len(text):
        written += os.write(descriptor, text[written:])
