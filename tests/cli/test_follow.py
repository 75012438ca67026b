"""``follow``: live, prompt, and gone when nobody listens."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gitstore_cli.interrupts import stopped_by_interrupt
from gitstore_cli.pipes import stop_when_closed

import gitstore
from tests.cli.conftest import Cli, eventually, run_program

Start = Callable[..., subprocess.Popen[str]]


def append(where: Path, *streams: str) -> None:
    """Record an event in each stream, as another process would."""
    with gitstore.open_store(where) as store:
        for stream in streams:
            store.append(gitstore.DomainEvent(stream, "Noted"))


def next_event(process: subprocess.Popen[str]) -> Any:
    """The next line of the process, which must come soon."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith("\n"), process.communicate()
    return json.loads(line)


def silent(process: subprocess.Popen[str]) -> bool:
    """Whether nothing has come for a while."""
    assert process.stdout is not None
    return not select.select([process.stdout], [], [], 0.3)[0]


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A store of three events."""
    path = tmp_path / "events.git"
    append(path, "a-1", "b-1", "a-1")
    return path


def test_after_a_position_everything_later_comes_as_lines(start: Start, where: Path) -> None:
    """What is there, then what others record: each once, in order, flushed line by line."""
    process = start("follow", "--after", 1, "--store", where)
    assert [next_event(process)["position"] for _ in range(2)] == [2, 3]
    for position in (4, 5):
        append(where, "c-1")
        assert next_event(process)["position"] == position
    assert silent(process)


def test_only_new_events_unless_told_otherwise(start: Start, where: Path) -> None:
    """What was recorded before the start is not shown."""
    process = start("follow", "--store", where)
    assert silent(process)
    stop = threading.Event()

    def keep_appending() -> None:
        while not stop.wait(0.05):
            append(where, "c-1")

    appending = threading.Thread(target=keep_appending)
    appending.start()
    try:
        assert next_event(process)["streamId"] == "c-1"
    finally:
        stop.set()
        appending.join()


def test_it_may_begin_with_the_last_events(start: Start, where: Path) -> None:
    """Those that pass the filters are counted."""
    process = start("follow", "--last", 2, "--category", "a", "--store", where)
    assert [next_event(process)["position"] for _ in range(2)] == [1, 3]
    append(where, "b-1", "a-2")
    assert next_event(process)["streamId"] == "a-2"


def test_what_another_process_appends_shows_within_200_ms(start: Start, where: Path) -> None:
    """Idle, from the append's return to the line in the pipe; the median of some."""
    process = start("follow", "--last", 1, "--store", where)
    next_event(process)
    waits = []
    with gitstore.open_store(where) as store:
        for _ in range(9):
            store.append(gitstore.DomainEvent("a-1", "Noted"))
            began = time.monotonic()
            next_event(process)
            waits.append(time.monotonic() - began)
            time.sleep(0.03)
    assert sorted(waits)[4] < 0.2


def test_ctrl_c_ends_it_with_130(start: Start, where: Path) -> None:
    """Without a word."""
    process = start("follow", "--last", 1, "--store", where)
    next_event(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.timeout(30)
def test_ctrl_c_may_come_at_any_moment() -> None:
    """Also while the waiting thread holds the lock of what it waits for: no deadlock."""
    stop = threading.Event()
    with stopped_by_interrupt(stop) as interrupted:
        with stop._cond:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGINT)
        assert stop.wait(10)
    assert interrupted.is_set()


def test_a_json_array_is_closed_by_ctrl_c(start: Start, where: Path) -> None:
    """What was shown until then is whole."""
    process = start("follow", "--last", 2, "-f", "json", "--store", where)
    assert process.stdout is not None
    shown = ""
    while shown.count('"commit"') < 2:
        shown += os.read(process.stdout.fileno(), 65536).decode()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 130
    assert len(json.loads(shown + out)) == 2


def test_a_closed_pipe_ends_it_while_it_is_idle(start: Start, where: Path) -> None:
    """Nothing has to be recorded for it to notice that nobody reads."""
    process = start("follow", "--last", 1, "--store", where)
    next_event(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_reader_that_has_enough_ends_it(where: Path) -> None:
    """``follow | head`` comes to an end."""
    done = subprocess.run(
        f"'{sys.executable}' -m gitstore_cli follow --after 0 --store '{where}' | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert json.loads(done.stdout)["position"] == 1
    assert done.stderr == ""


def test_a_missing_default_store_is_waited_for(start: Start, cli: Cli) -> None:
    """It says so; the very first event is shown when it comes."""
    process = start("follow", cwd=cli.cwd)
    assert process.stderr is not None
    assert "No events yet" in process.stderr.readline()
    time.sleep(0.2)
    append(cli.default_store, "a-1")
    assert next_event(process)["position"] == 1


def test_waiting_ends_with_the_pipe(start: Start, cli: Cli) -> None:
    """Also before there is a store."""
    process = start("follow", cwd=cli.cwd)
    assert process.stderr is not None
    process.stderr.readline()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=10) == 0


def test_a_table_has_its_titles_first(start: Start, where: Path) -> None:
    """Rows come one at a time."""
    process = start("follow", "--last", 1, "-f", "table", "--store", where)
    assert process.stdout is not None
    assert process.stdout.readline().split()[0] == "Position"
    assert "a-1@2" in process.stdout.readline()
    append(where, "c-1")
    assert "c-1@1" in process.stdout.readline()


def test_usage_errors() -> None:
    """Before anything is opened."""
    assert run_program("follow", "--last", "x").returncode == 2


def test_files_are_no_pipes(tmp_path: Path) -> None:
    """The watcher leaves files, and streams without a file, alone."""
    with (tmp_path / "f").open("w") as file, stop_when_closed(file) as closed:
        assert not closed.wait(0.1)


def test_the_watcher_sees_the_reader_go() -> None:
    """Within its interval."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, stop_when_closed(stream) as closed:
        assert not closed.is_set()
        os.close(reader)
        eventually(closed.is_set)
