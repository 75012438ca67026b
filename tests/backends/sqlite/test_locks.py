"""What a process does beside an open store must not take away the locks that protect its log."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gitstore import DomainEvent, open_store
from gitstore.backends.addresses import parse_address

_OTHER = """
import sys, gitstore
with gitstore.open_store(sys.argv[1]) as store:
    store.append(gitstore.DomainEvent("other", "Noted"))
"""


def _open_again(file: Path) -> None:
    open_store(f"sqlite:{file}").close()


def _open_by_its_path(file: Path) -> None:
    open_store(file).close()


def _look_what_it_is(file: Path) -> None:
    assert parse_address(file).kind == "sqlite"


@pytest.mark.parametrize("beside", [_open_again, _open_by_its_path, _look_what_it_is])
def test_a_store_keeps_its_log(tmp_path: Path, beside: Callable[[Path], None]) -> None:
    """Whatever else this process does with the file, no other one deletes the log under it.

    Closing any descriptor of a file gives back all POSIX locks of the process: the next process to
    close the store would take itself for the last, and what is appended here would go nowhere.
    """
    file = tmp_path / "events.db"
    with open_store(f"sqlite:{file}") as store:
        store.append(DomainEvent("a", "Noted"))
        beside(file)
        subprocess.run([sys.executable, "-c", _OTHER, f"sqlite:{file}"], check=True)
        done = [store.append(DomainEvent("a", "Noted")) for _ in range(5)]
        # What a kill would leave: copied by another program, for the same reason.
        crashed = tmp_path / "crashed"
        subprocess.run(["cp", "-r", str(tmp_path), f"{tmp_path}-crashed"], check=True)
    shutil.move(f"{tmp_path}-crashed", crashed)
    with open_store(f"sqlite:{crashed / 'events.db'}") as left:
        events = list(left.read_all())
    assert [event.stream_id for event in events] == ["a", "other", *["a"] * 5]
    assert events[2:] == done
