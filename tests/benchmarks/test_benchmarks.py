"""The documented command runs, and its result has the form that tools read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("eventsourcing", reason="the peers are not installed: .[bench]")
pytest.importorskip("git", reason="the peers are not installed: .[bench]")

PROJECT = Path(__file__).parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m benchmarks`` as the README says."""
    command = (sys.executable, "-m", "benchmarks", *map(str, arguments))
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, object], Path]:
    """One quick run of two workloads: what it printed, its result, and where its data was."""
    place = tmp_path_factory.mktemp("benchmarks")
    data = place / "data"
    ran = run("append", "startup", "--quick", "--out", place / "result.json", "--dir", data)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads((place / "result.json").read_bytes()), data


def test_the_result_says_what_it_was_measured_on(quick):
    """Versions of everything measured, the machine and its file system."""
    _, result, _ = quick
    wanted = ("python", "git", "sqlite", "orjson", "pygit2", "eventsourcing", "GitPython")
    assert all(result["versions"][name] for name in (*wanted, "gitstore"))
    assert {"cpu", "cores", "kernel", "file_system"} <= set(result["machine"])
    assert result["quick"] is True
    assert list(result["workloads"]) == ["append", "startup"]


def test_every_peer_says_how_durable_it_is(quick):
    """Speeds of peers that keep less are no comparison, so it is recorded."""
    _, result, _ = quick
    durability = result["workloads"]["append"]["durability"]
    assert set(durability) == {
        "gitstore", "gitstore flush=append", "eventsourcing", "sqlite3", "jsonl",
        "pygit2", "GitPython", "git command",
    }  # fmt: skip
    assert "FULL" in durability["eventsourcing"]


def test_figures_stand_beside_their_raw_samples(quick):
    """A figure has a value, and a verdict exactly where it has a target."""
    _, result, _ = quick
    append = result["workloads"]["append"]
    for figure in append["figures"]:
        assert figure["value"] > 0
        assert (figure["target"] is None) == (figure["reached"] is None)
    named = {figure["figure"]: figure["target"] for figure in append["figures"]}
    assert named["gitstore / eventsourcing"] == "≥ 0.9"
    for peer in append["durability"]:
        raw = append["raw"][peer]
        assert len(raw["samples_us"]) == sum(raw["rounds"]) == raw["summary_us"]["n"]


def test_people_get_a_table_and_no_rubbish(quick):
    """Figure, target, reached; the data is gone afterwards."""
    printed, _, data = quick
    assert "target" in printed
    assert "reached" in printed
    assert "gitstore / eventsourcing" in printed
    assert list(data.iterdir()) == []


def test_an_unknown_workload_is_a_usage_error():
    """And the message names those there are."""
    ran = run("apend")
    assert ran.returncode == 2
    assert "append, sustained" in ran.stderr
