"""Laws of leaving and returning: equal commits, equal bytes, whatever the way."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gitstore
from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent
from gitstore.sync.exporting import export_events
from gitstore.sync.forms import CLOUDEVENTS, JSONL, Form
from gitstore.sync.importing import LayoutSource, Source, import_events
from gitstore.sync.layouts import export_layout
from tests.sync.support import exported, histories, lines_of, memory_store, refs

Way = Callable[[BaseEventStore, Path], Source | LayoutSource]


def as_lines(form: Form) -> Way:
    """A file of this form."""

    def leave(store: BaseEventStore, folder: Path) -> Source:
        out = io.BytesIO()
        export_events(store, out, form=form)
        out.seek(0)
        return Source("f", out, form)

    return leave


def as_layout(store: BaseEventStore, folder: Path) -> LayoutSource:
    """A layout of files."""
    export_layout(store, folder / "layout")
    return LayoutSource("layout", folder / "layout")


@contextmanager
def folder() -> Iterator[Path]:
    """A directory for one example."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(as_lines(JSONL), id="jsonl"),
        pytest.param(as_lines(CLOUDEVENTS), id="cloudevents"),
        pytest.param(as_layout, id="layout"),
    ],
)
@given(histories)
@settings(max_examples=15)
def test_export_and_import_give_equal_commits(leave: Way, events: list[DomainEvent]) -> None:
    """Law: an empty git store that imports an export has the same refs, and the same order."""
    with folder() as here:
        with gitstore.open_store(here / "a.git") as first:
            first.append_many(events)
            source = leave(first, here)
            lines = exported(first)
        with gitstore.open_store(here / "b.git") as second:
            assert import_events(second, [source]).imported == len(events)
            assert exported(second) == lines
            assert second.verify().ok  # type: ignore[attr-defined]
        assert refs(here / "b.git") == refs(here / "a.git")


@given(histories, st.sampled_from([JSONL, CLOUDEVENTS]))
def test_exporting_twice_gives_equal_bytes(events: list[DomainEvent], form: Form) -> None:
    """Law: and so does exporting what was imported."""
    with memory_store(events) as store, memory_store([]) as other:
        first = exported(store, form)
        assert exported(store, form) == first
        import_events(other, [Source("f", io.BytesIO(first), form)])
        assert exported(other, form) == first


@given(histories, st.data())
@settings(max_examples=40)
def test_a_layout_written_in_parts_is_the_one_written_at_once(
    events: list[DomainEvent], data: st.DataObject
) -> None:
    """Law: wherever the history is split."""
    with folder() as here, memory_store([]) as store:
        for event in events:
            store.append(event)
            if data.draw(st.booleans()):
                export_layout(store, here / "parts")
        export_layout(store, here / "parts")
        export_layout(store, here / "once")
        assert lines_of(here / "parts") == lines_of(here / "once")
