"""Tables that stream: widths grow page by page, a million rows are never held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.segment import Segment, Segments

from gitstore_cli.env import Env
from gitstore_cli.safe import printable

_PAGE = 100
_GAP = "  "
_LEAST_REST = 12
_WIDTH_OF_A_FILE = 160
_KEPT_END = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, rich's style for its cells, its alignment and its width.

    ``most`` bounds its width; ``least``: where the terminal is narrow it gives way down to this, or
    not at all with 0; ``keeps_end``: what is too long is cut in the middle. ``leaves``: where even
    the least widths are too much, columns are left out in this order, 1 first; those with 0 stay.
    ``rest``: the last column takes what is left, and is left out where that is next to nothing.
    """

    title: str
    style: str = ""
    right: bool = False
    most: int = 60
    least: int = 0
    keeps_end: bool = False
    leaves: int = 0
    rest: bool = False


class Table:
    """Rows of text on a terminal. Every cell is made printable here, so that none can be missed."""

    def __init__(self, env: Env, columns: Sequence[Column]) -> None:
        self._console = Console(
            file=env.stdout,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            _environ=env.environ,
        )
        self._room = _room(env, self._console)
        self._columns = columns
        self._left_out: set[int] = set()
        self._wanted = [0] * len(columns)
        self._widths = [0] * len(columns)

    def write(self, rows: Iterable[Sequence[str]], *, live: bool = False) -> int:
        """Print all rows and give how many they were; no rows, no titles.

        ``live``: each row at once, instead of a page at a time.
        """
        written = 0
        rest = iter(rows)
        while page := [list(map(printable, row)) for row in islice(rest, 1 if live else _PAGE)]:
            if not written and not live:
                self.begin(page)
            self._widen(page)
            self._print(page)
            written += len(page)
        return written

    def begin(self, sample: Sequence[Sequence[str]]) -> None:
        """Print the titles, with room for rows such as these."""
        titles = [[column.title for column in self._columns]]
        rows = [*titles, *sample]
        self._measure(rows)
        self._leave_out()
        self._widen(rows)
        self._print(titles, style="bold")

    def _measure(self, rows: Sequence[Sequence[str]]) -> None:
        for at, column in enumerate(self._columns):
            widest = max(cell_len(row[at]) for row in rows)
            if not (column.rest or at in self._left_out):
                self._wanted[at] = max(self._wanted[at], min(widest, column.most))

    def _leave_out(self) -> None:
        """Leave out columns for which there is no room; decided once, so that titles stay true."""
        leaving = (at for at, column in enumerate(self._columns) if column.leaves)
        for at in sorted(leaving, key=lambda at: self._columns[at].leaves):
            if self._least() <= self._room:
                break
            self._left_out.add(at)
            self._wanted[at] = 0

    def _least(self) -> int:
        """The width below which the columns that are shown cannot go."""
        columns = zip(self._columns, self._wanted, strict=True)
        widths = [column.least or wanted for column, wanted in columns if wanted]
        return sum(widths) + len(_GAP) * (len(widths) - 1)

    def _widen(self, rows: Sequence[Sequence[str]]) -> None:
        """Make room for these rows; columns never become narrower for them."""
        self._measure(rows)
        self._widths = list(self._wanted)
        left = self._room - sum(width + len(_GAP) for width in self._wanted if width)
        if self._columns[-1].rest and left >= _LEAST_REST:
            self._widths[-1] = left
        elif left < -len(_GAP):
            self._narrow(-len(_GAP) - left)

    def _narrow(self, surplus: int) -> None:
        """Take ``surplus`` cells from the columns that give way, each from the widest."""
        for _ in range(surplus):
            columns = zip(self._columns, self._widths, strict=True)
            spare = {at: w for at, (c, w) in enumerate(columns) if c.least and w > c.least}
            if not spare:
                return
            self._widths[max(spare, key=spare.__getitem__)] -= 1

    def _print(self, rows: Sequence[Sequence[str]], style: str = "") -> None:
        segments: list[Segment] = []
        for row in rows:
            segments += self._segments(row, style)
            segments.append(Segment.line())
        self._console.print(Segments(segments), end="", crop=False)

    def _segments(self, row: Sequence[str], style: str) -> list[Segment]:
        cells = []
        shown = [at for at, width in enumerate(self._widths) if width]
        for at in shown:
            column = self._columns[at]
            cell = _fitted(row[at], self._widths[at], column)
            cell = cell.rstrip() if at == shown[-1] else cell + _GAP
            cells.append(Segment(cell, self._console.get_style(style or column.style or "none")))
        return cells


def _room(env: Env, console: Console) -> int:
    """The width to fill. Asked for here: rich takes 80 for every file and dumb terminal."""
    asked = env.environ.get("COLUMNS", "")
    if asked.isdecimal():
        return int(asked)
    return console.width if env.on_terminal else _WIDTH_OF_A_FILE


def _fitted(text: str, width: int, column: Column) -> str:
    length = cell_len(text)
    if length <= width:
        space = " " * (width - length)
        return space + text if column.right else text + space
    end = _end(text) if column.keeps_end and width >= 2 * _KEPT_END else ""
    # A character of two cells that is cut leaves a space, which belongs behind the text.
    begin = set_cell_size(text, width - 1 - cell_len(end)).rstrip(" ")
    return set_cell_size(f"{begin}…{end}", width)


def _end(text: str) -> str:
    """The last characters, as many as fit in the cells that are kept."""
    end = text[-_KEPT_END:]
    while cell_len(end) > _KEPT_END:
        end = end[1:]
    return end
