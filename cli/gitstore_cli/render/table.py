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

    ``most`` bounds its width; ``least``: where the terminal is narrow it gives way down to this;
    ``keeps_end``: what is too long is cut in the middle. ``rest``: the last column takes what is
    left, and is left out where that is next to nothing.
    """

    title: str
    style: str = ""
    right: bool = False
    most: int = 60
    least: int | None = None
    keeps_end: bool = False
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
        self._widen([*titles, *sample])
        self._print(titles, style="bold")

    def _widen(self, rows: Sequence[Sequence[str]]) -> None:
        """Make room for these rows; columns never become narrower for them."""
        for at, column in enumerate(self._columns):
            widest = max(cell_len(row[at]) for row in rows)
            if not column.rest:
                self._wanted[at] = max(self._wanted[at], min(widest, column.most))
        self._widths = list(self._wanted)
        left = self._room - sum(width + len(_GAP) for width in self._wanted if width)
        if self._columns[-1].rest and left >= _LEAST_REST:
            self._widths[-1] = left
        elif left < -len(_GAP):
            self._narrow(-len(_GAP) - left)

    def _narrow(self, surplus: int) -> None:
        """Take ``surplus`` cells from the columns that give way, the widest first."""
        for at in sorted(range(len(self._columns)), key=lambda at: -self._widths[at]):
            least = self._columns[at].least
            if least is not None:
                given = max(0, min(surplus, self._widths[at] - least))
                self._widths[at] -= given
                surplus -= given

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
    if not column.keeps_end or width < 2 * _KEPT_END:
        return set_cell_size(text, width - 1) + "…"
    end = text[-_KEPT_END:]
    return set_cell_size(text, width - 1 - cell_len(end)) + "…" + end
