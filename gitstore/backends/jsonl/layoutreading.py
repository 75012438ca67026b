"""Reading a layout: its data files, one line of them, and where its index says lines are."""

from __future__ import annotations

import os
import resource
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import (
    BY_STREAM,
    DATA_SUFFIX,
    INDEXES,
    IndexEntry,
    is_day,
    parse_index_line,
)
from gitstore.core.errors import StoreUnavailable

_MOST_OPEN = 512
_LONGEST_ENTRY = 8 * 1024  # a stream id of 1,000 characters fits three times


def is_layout(where: Path) -> bool:
    """Whether there is a layout in this directory: the folder of a day, or of indexes."""
    return any(is_day(path.name) or path.name == INDEXES for path in where.iterdir())


class LayoutReader:
    """A layout opened for reading, a context manager. ``StoreUnavailable`` for a link in it."""

    def __init__(self, where: Path) -> None:
        self._root = Folder.at(where)
        self._files: OrderedDict[str, int] = OrderedDict()
        self._most = min(_MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back all descriptors."""
        while self._files:
            os.close(self._files.popitem()[1])
        self._root.close()

    def data_files(self) -> Iterator[tuple[str, int]]:
        """The data files by day and name, relative to the layout, each with its size.

        Names that no layout has are passed over, unread.
        """
        for day in self._root.names():
            if not is_day(day):
                continue
            with self._root.folder(day) as folder:
                for name in folder.names():
                    if name.endswith(DATA_SUFFIX) and not name.startswith("."):
                        yield f"{day}/{name}", folder.size(name) or 0

    def open(self, file: str) -> int:
        """A new descriptor of a data file; ``StoreUnavailable`` where it is gone."""
        day, _, name = file.partition("/")
        try:
            with self._root.folder(day) as folder:
                return folder.open_to_read(name)
        except FileNotFoundError:
            raise StoreUnavailable(
                f"{self._root.path}/{file} was removed while it was read",
                hint="Run it again: what is recorded already is passed over.",
            ) from None

    def read(self, file: str, offset: int, length: int) -> bytes:
        """``length`` bytes of a data file, fewer where it has become shorter."""
        descriptor = self._files.get(file)
        if descriptor is None:
            if len(self._files) >= self._most:
                os.close(self._files.popitem(last=False)[1])
            self._files[file] = descriptor = self.open(file)
        else:
            self._files.move_to_end(file)
        return os.pread(descriptor, length, offset)

    def index_entries(self) -> Iterator[IndexEntry]:
        """What by-stream.idx says; nothing where there is none, damaged lines left out."""
        for line in self.index_lines():
            entry = parse_index_line(line)
            if entry is not None:
                yield entry

    def index_lines(self, name: str = BY_STREAM) -> Iterator[bytes]:
        """The lines of a text index, a last one that is torn too; none where there is no index.

        ``name``: relative to the folder of indexes. What has no line feed for 8 KiB comes in parts.
        """
        with suppress(FileNotFoundError), self._root.folder(INDEXES) as folder:
            path, _, file = name.rpartition("/")
            with folder.folder(path) if path else nullcontext(folder) as inner:
                descriptor = inner.open_to_read(file)
            with os.fdopen(descriptor, "rb") as index:
                while line := index.readline(_LONGEST_ENTRY):
                    yield line
