"""From a filter to SQL: which index of the table answers it.

Two ways. A filter that passes much is read page by page along the positions, each row tested. A
selective one (few streams, a rare type, a span of time, a correlation) looks its positions up
first, 8 bytes each, and fetches those rows: paging it by position would look through the whole
table.

SQL narrows, and ``EventFilter.matches`` decides where SQL cannot: timestamps of three and of six
decimals do not sort as texts, so bounds are widened to whole seconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from gitstore.core.filters import EventFilter
from gitstore.core.names import category_of

_FEW = 2_000
"""A read of so few positions walks along them, whatever it wants."""
_SELECTIVE = 8
"""A filter that passes less than one event in so many looks positions up first."""
_DENSE = 100
"""Of a filter that passes so many times what a read gives, enough are soon met by walking."""
_MOST_NAMES = 500
"""More names than this are not told to SQLite."""

_EVERY_TYPE = (
    "(WITH RECURSIVE t(n) AS (SELECT min(type) FROM events UNION ALL "
    "SELECT (SELECT min(type) FROM events WHERE type > n) FROM t WHERE n IS NOT NULL) "
    "SELECT n FROM t WHERE n IS NOT NULL)"
)


class Test(NamedTuple):
    """A condition on one column, and what it binds; ``{}`` stands for the column."""

    column: str
    condition: str
    values: tuple[str, ...]

    def sql(self, mark: str = "") -> str:
        """The condition; with the mark ``+`` no index is used for it."""
        return self.condition.replace("{}", f"{mark}{self.column}")


@dataclass(slots=True)
class Query:
    """How to read what a filter wants.

    ``tests``: what SQL can hold against each row; ``exact``: whether that is all; ``lead``: those
    whose index gives the positions, none where the positions are walked along.
    """

    tests: list[Test] = field(default_factory=list)
    exact: bool = True
    lead: tuple[Test, ...] = ()

    def where(self) -> tuple[str, Sequence[str]]:
        """Conditions that use no index, each with ``AND`` before it, and what they bind."""
        return (
            "".join(f" AND {test.sql('+')}" for test in self.tests),
            [value for test in self.tests for value in test.values],
        )

    def positions(self) -> tuple[str, Sequence[str]]:
        """Conditions of which ``lead`` use their index, and what they bind."""
        tests = [test.sql("" if test in self.lead else "+") for test in self.tests]
        return " AND ".join(tests), [value for test in self.tests for value in test.values]


def plan(db: sqlite3.Connection, wanted: EventFilter, span: int, most: int) -> Query:
    """The query of a filter on a read over ``span`` positions, of which ``most`` are given."""
    streams = _of_streams(wanted)
    types = _of_names("type", wanted.looked_up_types)
    times = _of_times(wanted)
    correlations = _of_texts("correlationId", wanted.correlations)
    users = _of_texts("userId", wanted.users)
    tests = (*correlations, *streams, *types, *times, *users)
    query = Query([test for test in tests if test is not None])
    query.exact = wanted.types_decide and not (None in tests or times or users or correlations)
    if span > _FEW:
        every_type = (Test("type", f"{{}} IN {_EVERY_TYPE}", ()),)
        by_type = (*(types or every_type), *times) if types or times else ()
        few = span // _SELECTIVE
        # What a span of time passes stands together: walking may meet none of it for long.
        fewer = min(few, most * _DENSE)
        leads = ((correlations, fewer), (streams, fewer), (by_type, few if times else fewer))
        for lead, least in leads:
            leading = tuple(test for test in lead if test is not None)
            if leading and None not in lead and _is_rarer(db, leading, least):
                query.tests += [test for test in leading if test not in query.tests]
                query.lead = leading
                break
    return query


def stream_range(category: str) -> tuple[str, str]:
    """The streams of a category but for the one named like it: from the first text to the second.

    Inclusive and exclusive: a dot is what comes after a hyphen.
    """
    return f"{category}-", f"{category}."


def _is_rarer(db: sqlite3.Connection, lead: Sequence[Test], least: int) -> bool:
    """Whether fewer than ``least`` events pass; no more of them are looked at."""
    condition = " AND ".join(test.sql() for test in lead)
    values = [value for test in lead for value in test.values]
    counted = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {condition} LIMIT ?)", (*values, least)
    )
    found: int = counted.fetchone()[0]
    return found < least


def _of_streams(wanted: EventFilter) -> tuple[Test | None, ...]:
    if wanted.streams is not None:
        among = wanted.categories
        names = (s for s in wanted.streams if among is None or category_of(s) in among)
        return _of_names("stream_id", names)
    if wanted.categories is None:
        return ()
    if len(wanted.categories) > _MOST_NAMES // 3:
        return (None,)
    # What has a hyphen in it is no category.
    values = [(c, *stream_range(c)) for c in sorted(wanted.categories) if "-" not in c]
    condition = " OR ".join(["{} = ? OR ({} >= ? AND {} < ?)"] * len(values)) or "0"
    return (Test("stream_id", f"({condition})", tuple(chain.from_iterable(values))),)


def _of_names(column: str, names: Iterable[str] | None) -> tuple[Test | None, ...]:
    if names is None:
        return ()
    known = tuple(sorted(names))
    if len(known) > _MOST_NAMES:
        return (None,)
    return (Test(column, f"{{}} IN ({','.join('?' * len(known))})", known),)


def _of_texts(key: str, texts: frozenset[str] | None) -> tuple[Test | None, ...]:
    """What metadata has under a key; SQLite's texts of JSON end at a NUL."""
    if texts is not None and any("\0" in text for text in texts):
        return (None,)
    return _of_names(f"json_extract(metadata, '$.{key}')", texts)


def _of_times(wanted: EventFilter) -> tuple[Test, ...]:
    tests = []
    since, until = _second(wanted.since), _second(wanted.until)
    if since is not None:
        tests.append(Test("timestamp", "{} >= ?", (since,)))
    if until is not None:
        tests.append(Test("timestamp", "{} < ?", (f"{until}~",)))  # after every fraction, and Z
    return tuple(tests)


def _second(bound: datetime | None) -> str | None:
    """The text that all timestamps of this second begin with; ``None`` outside years 1 to 9999."""
    try:
        return bound.astimezone(UTC).isoformat()[:19] if bound is not None else None
    except OverflowError:
        return None
