"""Figures against targets: as a table for people, as JSON with the raw samples for tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Target:
    """The bound a figure must reach: ``at_least``, or else at most, ``bound``."""

    bound: float
    at_least: bool = True

    def reached(self, value: float) -> bool:
        """Whether ``value`` is on the right side of the bound, or on it."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {_number(self.bound)}"


def at_least(bound: float) -> Target:
    """The target of a ratio or rate."""
    return Target(bound)


def at_most(bound: float) -> Target:
    """The target of a time or size."""
    return Target(bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; without a target it is only shown. ``unit`` ``×`` is a ratio."""

    name: str
    value: float
    unit: str
    target: Target | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the JSON: ``reached`` is null where there is no target."""
        return {
            "figure": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": str(self.target) if self.target else None,
            "reached": self.target.reached(self.value) if self.target else None,
        }


@dataclass
class Outcome:
    """What a workload found.

    - ``figures``: the rows of the table.
    - ``raw``: the samples they were made from, and sizes.
    - ``durability``: of each peer that took part.
    - ``notes``: what a reader must know to judge the figures.
    """

    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    durability: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def show(self, name: str, value: float, unit: str, target: Target | None = None) -> None:
        """Add a row."""
        self.figures.append(Figure(name, value, unit, target))

    def to_dict(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "figures": [figure.to_dict() for figure in self.figures],
            "durability": self.durability,
            "notes": self.notes,
            "raw": self.raw,
        }


def table(workload: str, outcome: Outcome) -> str:
    """The figures of one workload, aligned, with its notes below."""
    rows = [(workload, "measured", "target", "reached")]
    rows += [_row(figure) for figure in outcome.figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join([*lines, *(f"  {note}" for note in outcome.notes), ""])


def verdict(outcomes: Iterable[Outcome]) -> str:
    """One line: how many targets were reached."""
    targets = [(f.target, f.value) for outcome in outcomes for f in outcome.figures if f.target]
    reached = sum(target.reached(value) for target, value in targets)
    return f"{reached} of {len(targets)} targets reached"


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the result as one line of JSON: a list of 10,000 samples is not for reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))


def _row(figure: Figure) -> tuple[str, str, str, str]:
    target = figure.target
    reached = "" if target is None else "yes" if target.reached(figure.value) else "NO"
    value = f"{_number(figure.value)} {figure.unit}"
    return figure.name, value, f"{target} {figure.unit}" if target else "", reached


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, reached = (row[0].ljust(widths[0]), *row[1:])
    middle = (text.rjust(width) for text, width in zip(numbers, widths[1:3], strict=True))
    return " | ".join((name, *middle, reached)).rstrip()


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if value >= 1 else f"{value:.3g}"
