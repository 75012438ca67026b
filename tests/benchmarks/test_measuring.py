"""The parts of the benchmarks that turn samples into claims."""

from __future__ import annotations

import itertools
import sys
from datetime import timedelta

import orjson
import pytest

from benchmarks.disk import parts
from benchmarks.events import Plan, growing, history, over, take
from benchmarks.measure import paired_ratio, percentile, summary
from benchmarks.memory import watch
from benchmarks.report import Outcome, at_least, at_most, table, verdict
from benchmarks.tasks.build import QUERIED, Size


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_the_smallest_sample_that_covers_the_share(share, expected):
    """Nearest rank: always a sample that was measured."""
    assert percentile(range(1, 101), share) == expected


def test_one_sample_is_every_percentile():
    """No interpolation, no error."""
    assert summary([7.0]) == dict.fromkeys(("mean", "median", "p90", "p99", "min", "max"), 7.0) | {
        "n": 1
    }


def test_a_slow_spell_does_not_bend_a_paired_ratio():
    """It slows both of one round alike."""
    ours, theirs = [1.0, 1.0, 50.0], [2.0, 2.0, 100.0]
    assert paired_ratio(theirs, ours) == 2.0


def test_targets_include_their_bound():
    """At least and at most, not more than and less than."""
    assert at_least(0.9).reached(0.9)
    assert not at_least(0.9).reached(0.89)
    assert at_most(250).reached(250)
    assert not at_most(250).reached(250.1)


def test_a_missed_target_is_said_aloud():
    """The table says NO, the verdict counts it; figures without a target do not count."""
    outcome = Outcome(notes=["a note"])
    outcome.show("ours / theirs", 0.5, "×", at_least(0.9))
    outcome.show("startup", 40, "ms", at_most(300))
    outcome.show("shown", 1234567, "/s")
    lines = table("append", outcome).splitlines()
    assert [line.split("|")[-1].strip() for line in lines[2:4]] == ["NO", "yes"]
    assert "1,234,567 /s" in lines[4]
    assert "a note" in lines[5]
    assert verdict([outcome]) == "1 of 2 targets reached"


def test_a_history_is_the_same_in_every_run():
    """The seed decides, ids and times included."""
    first, again = (take(history(Plan(growing(5))), 200) for _ in range(2))
    assert first == again
    assert history(Plan(growing(5)), seed=1).__next__() != first[0]


@pytest.mark.parametrize("pick", [over(7), growing(5, window=3)])
def test_histories_are_whole_streams_of_realistic_events(pick):
    """Versions from 1 without gaps, times that rise, 80 to 300 bytes of data, known users."""
    versions: dict[str, int] = {}
    events = take(history(Plan(pick)), 500)
    for event in events:
        assert event.version == versions.get(event.stream_id, 0) + 1
        versions[event.stream_id] = event.version
        assert 80 <= len(orjson.dumps(event.data)) <= 300
        assert event.user_id
        assert event.correlation_id
    assert all(a.timestamp < b.timestamp for a, b in itertools.pairwise(events))


def test_the_last_day_of_the_million_has_exactly_the_hits_that_are_claimed():
    """1,000 of the type queried, on a day that is full."""
    size = Size(events=4_000, per_day=1_000, every=20)
    events = take(size.history(), size.events)
    last = [e for e in events if e.timestamp >= size.last_day]
    assert len(last) == 1_000
    assert sum(e.type == QUERIED for e in last) == size.hits == 50
    assert events[-1].timestamp - size.last_day < timedelta(days=1)
    assert len({e.stream_id for e in events}) == 80


def test_disk_is_counted_by_part(tmp_path):
    """Every file once, blocks and not lengths."""
    for name in (
        "objects/pack/pack-1.pack",
        "objects/pack/pack-1.idx",
        "objects/aa/bb",
        "refs/streams/task-1",
        "packed-refs",
        "gitstore/index.db-wal",
        "gitstore/journal.db",
        "HEAD",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    used = parts(tmp_path)
    assert len(set(used.values())) == 1
    assert used["loose refs"] >= 512


def test_memory_is_that_of_the_process_watched():
    """Fifty megabytes that are held are seen, and the output is kept."""
    program = "import time; held = bytearray(b'x') * 50_000_000; time.sleep(0.3); print('done')"
    watched = watch((sys.executable, "-c", program))
    assert watched.output == "done\n"
    if sys.platform == "linux":
        assert 50_000_000 < watched.own < 90_000_000
        assert watched.family >= watched.own
