"""``replay``: states as they are, as they were, and of a window; over rebases, too."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import BaseEventStore, DomainEvent, open_store
from gitstore.projections import ProjectionManager, replay
from tests.projections.support import T0, Fussy, Log, event, note
from tests.sync.rebased import two_sides


def replayed(store: BaseEventStore, **bounds: Any) -> list[str]:
    """The ids of what a replay hands on."""
    log = Log()
    replay(store, [log], **bounds)
    return log.seen


_STEPS = st.lists(
    st.tuples(st.sampled_from(["here", "there", "diverge", "give", "rebase"]), st.integers(1, 2)),
    max_size=10,
)


@given(_STEPS)
@settings(max_examples=12)
def test_the_state_as_of_a_position_is_the_one_of_then(steps: list[tuple[str, int]]) -> None:
    """Law: what was live when it was the last position, in that order, whatever rebases came."""
    with tempfile.TemporaryDirectory() as folder, two_sides(Path(folder)) as sides:
        then: dict[int, list[str | None]] = {}
        for what, number in steps:
            if what in {"give", "rebase"}:
                getattr(sides, what)()
            else:
                getattr(sides, what)(f"task-{number}")
            live = [recorded.event.id for recorded in sides.ours.read_all()]
            then.setdefault(sides.ours.last_position(), live)
        for position, live in then.items():
            assert replayed(sides.ours, as_of=position) == live
        kept = ProjectionManager(sides.ours, [Log])
        kept.catch_up()
        assert kept.state("Log") == {"seen": replayed(sides.ours)}


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(-1, 6))
@settings(max_examples=60)
def test_the_state_as_of_a_time_is_the_fold_of_what_had_happened(
    minutes: list[int], minute: int
) -> None:
    """Law: by the events' own times, inclusive, in the order of their positions."""
    with open_store("memory:") as store:
        store.append_many(event("note-1", "Noted", n, m) for n, m in enumerate(minutes))
        at = T0 + timedelta(minutes=minute)
        wanted = [r.event.id for r in store.read_all() if r.event.timestamp <= at]  # type: ignore[operator]
        assert replayed(store, as_of=at) == wanted
        before = replayed(store, as_of=at - timedelta(microseconds=1))
        assert before == replayed(store, until=at)
        assert sorted(before + replayed(store, since=at)) == sorted(replayed(store))


def test_a_window_ends_where_the_earlier_of_its_ends_is() -> None:
    """``since``, ``until`` and ``as_of`` hold together."""
    with open_store("memory:") as store:
        for n in range(6):
            store.append(event("note-1", "Noted", n, n, id=f"m{n}"))
        since, until = T0 + timedelta(minutes=1), T0 + timedelta(minutes=4)
        assert replayed(store, since=since, until=until) == ["m1", "m2", "m3"]
        assert replayed(store, since=since, until=until, as_of=3) == ["m1", "m2"]
        assert replayed(store, since=since, until=until, as_of=since) == ["m1"]
        assert replayed(store, since=since, as_of=until) == ["m1", "m2", "m3", "m4"]


def test_one_that_raises_is_stopped_alone() -> None:
    """What stopped it is told, and the others have everything."""
    with open_store("memory:") as store:
        note(store, "a", "b")
        note(store, "c", kind="Bad")
        note(store, "d")
        log, fussy = Log(), Fussy()
        done = replay(store, [log, fussy])
    assert log.seen == ["a", "b", "c", "d"]
    assert (done.events, done.position) == (4, 4)
    assert list(done.stopped) == ["Fussy"]
    assert done.stopped["Fussy"].place == "note-c@1"


@pytest.mark.parametrize("names", ["a set", "a list"])
def test_aliases_of_types_are_handed_on(names: str) -> None:
    """As by the manager."""
    wanted = {"SessionFailed"} if names == "a set" else ["SessionFailed"]
    failed = type("Failed", (Log,), {"types": wanted})()
    with open_store("memory:", validate=False) as store:
        for n, result in enumerate(("success", "failure")):
            store.append(
                DomainEvent("session-1", "SessionCompleted", {"result": result}, id=f"{n}")
            )
        replay(store, [failed])
    assert failed.seen == ["1"]


def test_types_need_not_be_named() -> None:
    """What has none is handed everything."""

    class Bare:
        name = "Bare"
        version = 1

        def __init__(self) -> None:
            self.count = 0

        def handle(self, recorded: Any) -> None:
            self.count += 1

        def state(self) -> Any:
            return self.count

        def restore(self, state: Any) -> None:
            self.count = state

    with open_store("memory:") as store:
        note(store, "a", "b")
        bare: Any = Bare()
        replay(store, [bare])
        manager = ProjectionManager(store, [Bare])  # type: ignore[list-item]
        manager.catch_up()
        assert manager.state("Bare") == bare.count == 2
