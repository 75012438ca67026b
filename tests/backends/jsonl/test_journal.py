"""The journal: what counts of it after a crash at any byte, and who may write to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gitstore.backends.jsonl import mending
from gitstore.backends.jsonl.entries import Entry, entry_of
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.journal import JOURNAL, Journal
from gitstore.backends.jsonl.recovery import settle
from gitstore.backends.jsonl.store import JsonlEventStore
from gitstore.backends.table.schema import Row
from gitstore.core.errors import StoreUnavailable
from tests.backends.jsonl.support import BrokenDisk, event, opened


def entries(first: int, count: int = 1) -> list[Entry]:
    """Events of one stream at these positions."""
    return [
        entry_of(
            Row(n, "task-1", n, "Noted", "2026-11-23T08:00:00.000Z", f"id-{n}", b"{}", b"{}"), 100
        )
        for n in range(first, first + count)
    ]


def positions(blobs: Iterator[Sequence[Entry]]) -> list[int]:
    """The positions of all entries, in order."""
    return [entry.row.position for blob in blobs for entry in blob]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """The folder of indexes."""
    with Folder.at(tmp_path) as folder:
        yield folder


@pytest.fixture
def journal(folder: Folder) -> Iterator[Journal]:
    """A new journal."""
    journal = Journal(folder)
    yield journal
    journal.close()


def read(folder: Folder) -> list[int]:
    """What another process finds in the journal."""
    other = Journal(folder)
    try:
        return positions(other.every())
    finally:
        other.close()


def test_what_was_appended_is_found(journal: Journal, folder: Folder) -> None:
    """Every entry of every blob, as it was given."""
    written = [entries(7), entries(8, 3), entries(11)]
    for blob in written:
        journal.append(blob[0].row.position, blob)
    other = Journal(folder)
    assert list(other.every()) == written
    assert (other.count, other.last, other.size) == (5, 11, journal.size)
    other.close()


def test_a_blob_that_is_cut_at_any_byte_is_none(journal: Journal, tmp_path: Path) -> None:
    """Of a batch all events are there or none, and what was before it stays."""
    journal.append(1, entries(1))
    whole = journal.size
    journal.append(2, entries(2, 3))
    content = (tmp_path / JOURNAL).read_bytes()[: journal.size]
    for end in range(whole, len(content)):
        copy = tmp_path / f"cut-{end}"
        copy.mkdir()
        (copy / JOURNAL).write_bytes(content[:end])
        with Folder.at(copy) as folder:
            assert read(folder) == [1], end
            again = Journal(folder)
            assert positions(again.news()) == [1]
            again.append(2, entries(2))
            again.close()
            assert read(folder) == [1, 2], end


def test_a_changed_byte_ends_what_counts(journal: Journal, folder: Folder, tmp_path: Path) -> None:
    """A blob whose checksum is wrong counts as little as one that is not there."""
    journal.append(1, entries(1))
    journal.append(2, entries(2))
    path = tmp_path / JOURNAL
    content = bytearray(path.read_bytes())
    content[journal.size - 5] ^= 1
    path.write_bytes(content)
    assert read(folder) == [1]


def test_begun_anew_nothing_of_before_counts(journal: Journal, folder: Folder) -> None:
    """Blobs that lie behind the new ones, at the very place the next would take, are no news."""
    for n in range(1, 6):
        journal.append(n, entries(n))
    journal.begin_anew()
    assert read(folder) == []
    journal.append(6, entries(6))
    assert read(folder) == [6]
    assert not journal.has_news()


def test_two_writers_take_over_from_each_other(journal: Journal, folder: Folder) -> None:
    """Each sees what the other wrote or began anew, and only that."""
    other = Journal(folder)
    assert not other.has_news()
    journal.append(1, entries(1))
    assert other.has_news()
    assert positions(other.news()) == [1]
    other.append(2, entries(2))
    assert not other.has_news()
    assert journal.has_news()
    assert positions(journal.news()) == [2]
    other.begin_anew()
    assert journal.has_news()
    assert positions(journal.news()) == []
    assert journal.count == 0
    journal.append(3, entries(3))
    assert positions(other.news()) == [3]
    other.close()


def test_a_failed_append_leaves_nothing(
    journal: Journal, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append that was told to have failed is not found by anybody, and the next one goes on."""
    journal.append(1, entries(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gitstore.backends.jsonl.journal._sync", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            journal.append(2, entries(2, 50))
    assert read(folder) == [1]
    journal.append(2, entries(2))
    assert read(folder) == [1, 2]


def test_an_append_that_cannot_be_taken_back_is_in_doubt(
    journal: Journal, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that nothing is known, and gives the ids with which to try again.

    Where it stands, it counts for everybody alike.
    """
    journal.append(1, entries(1))
    with monkeypatch.context() as patch:
        BrokenDisk(patch, good_writes=1)
        with pytest.raises(StoreUnavailable, match="not known") as error:
            journal.append(2, entries(2, 2))
    assert "id-2 … id-3" in error.value.hint
    assert journal.has_news()
    assert read(folder) == [1, 2, 3]
    assert positions(journal.news()) == [2, 3]
    assert not journal.has_news()


def test_what_is_in_doubt_counts_once_the_disk_has_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody goes on from an event that the disk does not take."""
    with monkeypatch.context() as patch:
        BrokenDisk(patch, good_writes=1)
        with pytest.raises(StoreUnavailable, match="not known"):
            journal.append(1, entries(1))
        with pytest.raises(OSError, match="Input/output"):
            list(journal.news())
    assert positions(journal.news()) == [1]


def test_a_failed_append_takes_nothing_from_others(
    journal: Journal, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process writes to the same place meanwhile is not wiped."""
    journal.append(1, entries(1))
    other = Journal(folder)
    with monkeypatch.context() as patch:
        BrokenDisk(patch, good_writes=0)
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            journal.append(2, entries(2))
    assert positions(other.news()) == [1]
    other.append(2, entries(2, 3))
    other.close()
    assert positions(journal.news()) == [2, 3, 4]
    journal.append(5, entries(5))
    assert read(folder) == [1, 2, 3, 4, 5]


def test_a_removed_journal_is_noticed(journal: Journal, folder: Folder, tmp_path: Path) -> None:
    """Nothing is written to a file that nobody would find."""
    journal.append(1, entries(1))
    (tmp_path / JOURNAL).unlink()
    assert journal.is_gone()
    journal.reopen(folder)
    assert positions(journal.news()) == []
    assert not journal.has_news()


@pytest.mark.parametrize("again", ["by itself", "by the next"])
def test_what_could_not_be_synced_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    """Before the journal forgets it: the next sync of the same bytes passes, and does nothing."""

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    store = opened(tmp_path / "events")
    assert isinstance(store, JsonlEventStore)
    store.append_many([event(number, f"task-{number % 2}") for number in range(6)])
    parts = store._parts
    with monkeypatch.context() as patch:
        patch.setattr("gitstore.backends.jsonl.filing.sync_file", fail)
        with parts.lock.held(), pytest.raises(OSError, match="output"):
            settle(parts)
        assert parts.journal.count == 6
        if again == "by the next":
            with pytest.raises(StoreUnavailable):
                store.close()
    written: list[bytes] = []
    write = mending._write_at

    def write_and_note(descriptor: int, text: bytes, offset: int) -> None:
        written.append(text)
        write(descriptor, text, offset)

    monkeypatch.setattr(mending, "_write_at", write_and_note)
    if again == "by the next":
        store = opened(tmp_path / "events")
    store.close()
    files = [*(tmp_path / "events").rglob("*.jsonl"), *(tmp_path / "events").rglob("*.idx")]
    assert len(files) == 4
    for file in files:
        assert file.read_bytes() in written
