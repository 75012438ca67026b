"""What an import reads: files, pipes, layouts. Each can be read twice, in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from gitstore.backends.jsonl.layout_order import OrderedLayout
from gitstore.backends.jsonl.lines import Line, read_lines, seekable, size_of
from gitstore.sync.forms import JSONL, Form


@dataclass(frozen=True, slots=True)
class Source:
    """An input: its ``name`` for messages, and the binary ``stream``, a pipe or a file.

    ``form``: what its lines are.
    """

    name: str
    stream: BinaryIO
    form: Form = JSONL


@dataclass(frozen=True, slots=True)
class LayoutSource:
    """A layout as an input: its ``name`` for messages, and the directory it lies in."""

    name: str
    where: Path


class Input(Protocol):
    """An opened input. ``form``: what its lines are; ``size``: their bytes together, about."""

    @property
    def form(self) -> Form: ...
    @property
    def size(self) -> int: ...
    def lines(self) -> Iterator[Line]:
        """All its lines, in the same order each time."""
        ...

    def close(self) -> None:
        """Give back what opening took."""
        ...


def opened(source: Source | LayoutSource, report: Callable[[str, int, int], object]) -> Input:
    """``source`` as something that can be read twice; ``report`` is told of progress."""
    # Names may hold bytes of the file system that are no text.
    name = source.name.encode(errors="backslashreplace").decode()
    if isinstance(source, LayoutSource):
        return _Layout(OrderedLayout(name, source.where, report))
    stream = seekable(source.stream)
    return _Stream(name, stream, source.form, stream.tell(), stream is not source.stream)


@dataclass(frozen=True, slots=True)
class _Stream:
    """``start``: where the first line begins; ``is_copy``: nobody else closes the stream."""

    name: str
    stream: BinaryIO
    form: Form
    start: int
    is_copy: bool

    @property
    def size(self) -> int:
        self.stream.seek(self.start)
        return size_of(self.stream)

    def lines(self) -> Iterator[Line]:
        self.stream.seek(self.start)
        return read_lines(self.stream, self.name)

    def close(self) -> None:
        if self.is_copy:
            self.stream.close()


@dataclass(frozen=True, slots=True)
class _Layout:
    layout: OrderedLayout

    @property
    def form(self) -> Form:
        return JSONL

    @property
    def size(self) -> int:
        return self.layout.size

    def lines(self) -> Iterator[Line]:
        return self.layout.lines()

    def close(self) -> None:
        self.layout.close()
