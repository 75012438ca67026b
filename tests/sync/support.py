"""What the tests of files share: histories, stores made of them, and looks at directories."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

import gitstore
from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent
from gitstore.sync.exporting import export_events
from gitstore.sync.forms import JSONL, Form
from gitstore.testing import strategies

START = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)

histories = st.tuples(
    st.lists(strategies.stream_ids, min_size=1, max_size=4), st.integers(0, 12), st.data()
).map(lambda drawn: [_drawn(drawn[2], drawn[0]) for _ in range(drawn[1])])
"""Events of some streams with hostile names, at any times; versions and ids are the store's."""


def _drawn(data: st.DataObject, streams: list[str]) -> DomainEvent:
    return data.draw(
        st.builds(
            DomainEvent,
            st.sampled_from(streams),
            strategies.types,
            strategies.json_values,
            strategies.json_objects | user_metadata,
            st.none(),
            strategies.zoned_datetimes,
        )
    )


user_metadata = st.fixed_dictionaries(
    {},
    optional={
        "userId": strategies.json_values,
        "correlationId": strategies.text,
        "causationId": strategies.text,
        "source": strategies.text,
        "metadata": strategies.text,
    },
)
"""Metadata with the keys that have a place of their own in CloudEvents, in all their forms."""


def event(number: int, stream: str = "task-1", kind: str = "Noted", hours: int = 0) -> DomainEvent:
    """A whole event but for its version; ``hours`` after ``START``."""
    at = START + timedelta(hours=hours)
    return DomainEvent(stream, kind, {"n": number}, {"userId": "ada"}, f"id-{number}", at)


def several(count: int, streams: int = 3, every: int = 5) -> list[DomainEvent]:
    """Events in turn over streams and two types, an hour later with every ``every``-th."""
    return [
        event(n, f"task-{n % streams}", ("Noted", "Moved")[n % 2], n // every) for n in range(count)
    ]


def memory_store(events: Iterable[DomainEvent]) -> BaseEventStore:
    """A store in memory that has recorded them."""
    store = gitstore.open_store("memory:", validate=False)
    for each in events:
        store.append(each)
    return store


def exported(store: BaseEventStore, form: Form = JSONL, **filters: object) -> bytes:
    """All the lines of an export."""
    out = io.BytesIO()
    export_events(store, out, form=form, **filters)
    return out.getvalue()


def tree(where: Path) -> dict[str, bytes]:
    """Every file below a directory, by its name."""
    return {
        str(path.relative_to(where)): path.read_bytes()
        for path in sorted(where.rglob("*"))
        if path.is_file()
    }


def lines_of(where: Path) -> dict[str, bytes]:
    """The data files and text indexes of a layout: what is the same in every export of one history.

    Not among it: its id, and what the store keeps beside or begins to make.
    """
    return {
        name: text
        for name, text in tree(where).items()
        if name.endswith((".jsonl", ".idx")) and "/." not in name
    }


def refs(store: Path) -> str:
    """What git says of the streams of a store."""
    command = ["git", f"--git-dir={store}", "for-each-ref", "refs/streams"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
