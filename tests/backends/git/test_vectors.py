"""Golden vectors: events whose commits are fixed for good, here and in any other implementation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitstore import DomainEvent, open_store
from gitstore.backends.git.commits import (
    MalformedCommit,
    check_canonical,
    check_follows,
    decode_commit,
    encode_commit,
)
from gitstore.backends.git.store import GitEventStore
from gitstore.core import canonical
from gitstore.core.errors import InvalidEvent
from gitstore.core.names import decode_name, encode_name
from gitstore.core.timestamps import format_timestamp, from_microseconds
from gitstore.testing.strategies import floats, json_values, stream_ids
from tests.backends.git import format_witness as witness
from tests.backends.git.witness import git

FILE = Path(__file__).parents[2] / "vectors.json"
STREAMS = json.loads(FILE.read_text())["streams"]
REPLAYS = [
    pytest.param(vector, id=vector["about"]) for vector in json.loads(FILE.read_text())["replays"]
]
DATES = {v["commit"]: v["committerDate"] for stream in STREAMS for v in stream["events"]}
VECTORS = [
    pytest.param(vector, id=f"{number}-{vector['about']}")
    for number, vector in enumerate(vector for stream in STREAMS for vector in stream["events"])
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store of all vectors is."""
    return tmp_path_factory.mktemp("vectors") / "events.git"


@pytest.fixture(scope="module")
def store(path: Path) -> Iterator[GitEventStore]:
    """A store of all vectors."""
    with open_store(path, flush="append", validate=False) as opened:
        assert isinstance(opened, GitEventStore)
        for stream in STREAMS:
            for vector in stream["events"]:
                opened.append(DomainEvent.from_dict(witness.expand(vector["event"])))
        yield opened
        report = opened.verify()
        assert report.ok, report.findings


def test_the_witness_makes_the_file() -> None:
    """What the file expects is what the second implementation of the page computes."""
    text = FILE.read_text()
    assert witness.text_of(witness.fill(json.loads(text))) == text


@pytest.mark.parametrize("vector", VECTORS)
def test_an_append_makes_the_commit(vector: dict[str, Any], store: GitEventStore) -> None:
    """A real store has recorded the event as the commit, and gives the event back unchanged."""
    event = witness.expand(vector["event"])
    recorded = store.find_event(event["id"])
    assert recorded is not None
    assert recorded.commit == vector["commit"]
    assert recorded.event.to_json() == canonical.encode(event)


@pytest.mark.parametrize("vector", VECTORS)
def test_the_commit_gives_the_event(vector: dict[str, Any]) -> None:
    """The bytes of the commit, without any store, are decoded to the event and found canonical."""
    event = witness.expand(vector["event"])
    parent_date = DATES.get(vector["parent"], 0)
    objects = witness.encode(event, vector["parent"], parent_date)
    assert objects.id == vector["commit"]
    found = decode_commit(objects.commit)
    data = objects.blob if found.data is None else found.data
    assert data is not None
    check_canonical(objects.id, found, data)
    check_follows(found, parent_date)
    again = {
        "id": found.event_id,
        "streamId": found.stream_id,
        "type": found.type,
        "version": found.version,
        "timestamp": format_timestamp(from_microseconds(found.time)),
        "data": canonical.decode(data),
        "metadata": found.metadata,
    }
    assert canonical.encode(again) == canonical.encode(event)
    assert found.parent == vector["parent"]
    assert found.date == vector["committerDate"]
    assert witness.decode(objects.commit, objects.blob, parent_date) == event


@pytest.mark.parametrize("vector", REPLAYS)
def test_a_replayed_event_names_its_origin(vector: dict[str, Any]) -> None:
    """Library and witness make the same commit of an event that a rebase records again."""
    event = witness.expand(vector["event"])
    objects = witness.encode(event, vector["parent"], vector["parentDate"], vector["origin"])
    assert objects.id == vector["commit"]
    found = decode_commit(objects.commit)
    assert found.origin == vector["origin"]
    data = objects.blob if found.data is None else found.data
    assert data is not None
    check_canonical(objects.id, found, data)
    check_follows(found, vector["parentDate"])
    assert encode_commit(found, data)[-1].content == objects.commit
    assert witness.decode(objects.commit, objects.blob, vector["parentDate"]) == event


@pytest.mark.parametrize(
    "swap",
    [
        (b"Event-Origin: 1", b"Event-Origin: G"),
        (b"Event-Origin: 1", b"Event-Origin: "),
        (b"Event-Time", b"Event-Origin: %b\nEvent-Time" % (b"2" * 40)),
    ],
    ids=["no hex", "too short", "out of place"],
)
def test_an_origin_out_of_form_is_refused(swap: tuple[bytes, bytes]) -> None:
    """40 hex digits, once, as the last trailer."""
    vector = REPLAYS[0].values[0]
    assert isinstance(vector, dict)
    made = witness.encode(
        witness.expand(vector["event"]), vector["parent"], vector["parentDate"], vector["origin"]
    )
    with pytest.raises(MalformedCommit):
        decode_commit(made.commit.replace(*swap))
    with pytest.raises(witness.RefusedError):
        witness.decode(made.commit.replace(*swap))


def test_streams_have_their_refs(store: GitEventStore, path: Path) -> None:
    """Each stream's tip is on the ref that the file names, and no other stream ref is there."""
    listed = git(path, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    tips = {stream["ref"]: stream["events"][-1]["commit"] for stream in STREAMS}
    assert dict(line.split() for line in listed.splitlines()) == tips


@given(json_values)
@example([1e16, 1e15, 1e-5, 9.999e-6, 1e-7, 5e-324, 1.7976931348623157e308, -0.0, 0.0, 1e22])
@example([2251799813685248.25, 2251799813685248.75, 9007199254740993.0, 5.684341886080802e-14])
@example({"\uffff": 1, "\U0001f600": 2, "é": 3, "": 4, "\u2028": [], "\x7f": {}})
def test_law_canonical_json_is_that_of_the_witness(value: Any) -> None:
    """Library and witness write the same bytes for any value."""
    assert canonical.encode(value) == witness.canonical(value)


@given(st.lists(floats, min_size=1, max_size=20))
def test_law_floats_are_those_of_the_witness(numbers: list[float]) -> None:
    """Library and witness write the same digits for any floats, and these give the floats back."""
    text = canonical.encode(numbers)
    assert text == witness.canonical(numbers)
    assert list(map(repr, json.loads(text))) == list(map(repr, numbers))


@given(st.integers(2**51, 2**53).map(lambda n: n / 4) | st.integers(2**50, 2**66).map(float))
def test_law_equally_short_floats_are_those_of_the_witness(number: float) -> None:
    """Also where several decimals are equally short, or as the exponent begins."""
    assert canonical.encode(number) == witness.canonical(number)


@pytest.mark.parametrize("depth", [250, 251])
def test_both_stop_at_250_levels(depth: int) -> None:
    """250 arrays inside each other are written by both, 251 by neither; a scalar counts nothing."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    if depth == 250:
        assert canonical.encode(value) == witness.canonical(value)
        return
    with pytest.raises(InvalidEvent):
        canonical.encode(value)
    with pytest.raises(witness.RefusedError):
        witness.canonical(value)


@given(stream_ids)
@example("...")
@example(".lock")
@example("a.LOCK")
@example("@{@")
@example("--")
@example("é" * 34)
@example("x" * 200)
def test_law_names_are_those_of_the_witness(stream: str) -> None:
    """Library and witness name the same ref, and where it is no digest it gives the stream back."""
    name = encode_name(stream)
    assert f"refs/streams/{name}" == witness.ref_name(stream)
    assert len(name) <= 200
    assert decode_name(name) == (None if name.startswith("%h") else stream)
