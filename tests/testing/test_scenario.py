"""Given, when, then: what passes, what fails, and how a failure reads."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gitstore import DomainEvent, WrongExpectedVersion, open_store
from gitstore.core.base import BaseEventStore
from gitstore.testing import scenario
from gitstore.testing.scenario import Scenario
from gitstore.testing.support import at

CREATED = DomainEvent("task-1", "Created", {"title": "Ship"})
FINISHED = DomainEvent("task-1", "Finished", {"after": 1})


@pytest.fixture(params=["memory:", "sqlite:{}/events.db", "git:{}/events.git"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseEventStore]:
    """An empty store of each kind."""
    with open_store(request.param.format(tmp_path)) as opened:
        yield opened


def finish(history: Sequence[DomainEvent]) -> list[DomainEvent]:
    """Decide on a stream, as users do."""
    if any(event.type == "Finished" for event in history):
        raise ValueError("it is finished")
    return [DomainEvent("task-1", "Finished", {"after": len(history)})]


class Service:
    """A service as users write them: it holds the store, and is asked to do things."""

    def __init__(self, store: BaseEventStore) -> None:
        self._store = store

    def create_twice(self) -> None:
        for stream in ("task-2", "task-3"):
            self._store.append(DomainEvent(stream, "Created", {"by": "service"}, {"userId": "ann"}))


def test_the_example_in_the_module_runs() -> None:
    """The docstring is no pseudo-code."""
    result = doctest.testmod(scenario)
    assert (result.failed, result.attempted) == (0, 5)


def test_a_decision_is_recorded_after_what_it_saw(store: BaseEventStore) -> None:
    """On any store: history in, new events out, at the versions after it."""
    Scenario(store).given(CREATED).when_decided("task-1", finish).then(FINISHED)
    assert store.stream_version("task-1") == 2


def test_a_service_may_append_to_many_streams(store: BaseEventStore) -> None:
    """``then`` has all streams in the order of arrival; metadata counts where it is named."""
    created = DomainEvent("task-2", "Created", {"by": "service"}, {"userId": "ann"}, version=1)
    other = DomainEvent("task-3", "Created", {"by": "service"})
    Scenario(store).given(CREATED).when(lambda store: Service(store).create_twice()).then(
        created, other
    )


def test_each_when_is_a_chapter_of_its_own(store: BaseEventStore) -> None:
    """``then`` sees the last one's events alone."""
    story = Scenario(store).when(lambda store: store.append(CREATED)).then(CREATED)
    story.when_decided("task-1", finish).then(FINISHED)
    story.when(lambda store: store.last_position()).then()
    story.given(CREATED).then()


def test_a_refusal_may_be_expected(store: BaseEventStore) -> None:
    """The error is the one that was named, and nothing is recorded."""
    story = Scenario(store).given(CREATED, FINISHED)
    story.when_refused(lambda store: finish(list(store.get_events("task-1"))), ValueError).then()
    story.when_refused(lambda store: store.append(CREATED, 7), WrongExpectedVersion).then()
    with pytest.raises(WrongExpectedVersion):
        story.when_refused(lambda store: store.append(CREATED, 7), ValueError)


def test_a_decision_on_a_stream_that_moved_is_refused(store: BaseEventStore) -> None:
    """What is decided stands right after what it was decided on, or nowhere."""

    def slow(history: Sequence[DomainEvent]) -> list[DomainEvent]:
        store.append(CREATED)
        return [FINISHED]

    with pytest.raises(WrongExpectedVersion):
        Scenario(store).given(CREATED).when_decided("task-1", slow)


def test_what_a_step_raises_passes_through(store: BaseEventStore) -> None:
    """An error that nobody expected is the test's failure, not swallowed."""
    with pytest.raises(ValueError, match="it is finished"):
        Scenario(store).given(FINISHED).when_decided("task-1", finish)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ((), "0 events were expected, 1 recorded"),
        ((FINISHED, CREATED), "2 events were expected, 1 recorded\n  missing   {"),
        ((DomainEvent("task-2", "Finished", {"after": 1}),), "event 1 has another stream_id"),
        ((DomainEvent("task-1", "Closed", {"after": 1}),), "event 1 has another type"),
        ((DomainEvent("task-1", "Finished", {"after": 1.0}),), "event 1 has another data"),
        ((DomainEvent("task-1", "Finished", {"after": 1}, {"by": 1}),), "another metadata['by']"),
        ((DomainEvent("task-1", "Finished", {"after": 1}, version=3),), "another version"),
        ((DomainEvent("task-1", "Finished", {"after": 1}, timestamp=at(0)),), "another timestamp"),
        ((DomainEvent("task-1", "Finished", {"after": 1}, id="x"),), "another id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_says_what_differs(expected: tuple[DomainEvent, ...], words: str) -> None:
    """The event's number, the part, both events, and all that was recorded."""
    with open_store("memory:") as store:
        story = Scenario(store).given(CREATED).when_decided("task-1", finish)
        with pytest.raises(AssertionError) as caught:
            story.then(*expected)
    message = str(caught.value)
    assert words in message
    assert message.splitlines()[-2] == "recorded by the last when:"
    assert '"after":1' in message.splitlines()[-1]


def test_what_was_not_refused_is_told() -> None:
    """With what was recorded instead."""
    with open_store("memory:") as store, pytest.raises(AssertionError) as caught:
        Scenario(store).when_refused(lambda store: store.append(CREATED), ValueError)
    assert str(caught.value).startswith("nothing was refused: ValueError was expected")
    assert '"title":"Ship"' in str(caught.value)


@pytest.mark.parametrize(
    ("module", "missing"),
    [("contract", "pytest"), ("strategies", "hypothesis"), ("laws", "hypothesis"),
     ("sidebyside", "hypothesis")],
)  # fmt: skip
def test_a_missing_extra_is_named(module: str, missing: str) -> None:
    """``ImportError`` says which library, and how to install it."""
    code = f"import sys; sys.modules[{missing!r}] = None; import gitstore.testing.{module}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("ImportError: gitstore.testing.")
    assert last.endswith(f"needs {missing}: pip install 'scopecraft-events[testing]'")


def test_scenario_needs_no_test_library() -> None:
    """It works in any test runner: no pytest, no hypothesis."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pytest', 'hypothesis']));"
        "import gitstore.testing.scenario"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
