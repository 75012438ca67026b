"""Maintenance: few packs, packed refs, a commit-graph, short logs, beside writers and readers.

The maintain lock is held throughout, the flush lock for short steps only, never while git packs:
appends, flushes and batches wait no longer than for another flush. Whatever a run that was killed
left behind, the next one clears; each step may be repeated and stands by itself.

Nothing is ever pruned here, reachable or not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gitstore.backends.disk.files import FILE_MODE, disk_errors_told
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.gitchild import GitChild, MaintenanceEnded
from gitstore.backends.git.gitcommand import Git, GitFailed
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.packfiles import KEPT
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.repacking import Repacker, loose_objects
from gitstore.backends.git.upkeep import Upkeep
from gitstore.core.errors import EventStoreError
from gitstore.core.findings import Progress
from gitstore.core.upkeep import MaintainReport, Occupied

_LOG = logging.getLogger("gitstore.maintain")
MOST_PACKS = 40
MOST_LOOSE = 1_000
"""More, and a store that is in use maintains itself."""
BODIES_KEPT = 10_000
"""Newest events whose bodies stay in the index when it is trimmed."""
_TRIMMED_AT_ONCE = 5_000
_STALE_SECONDS = 600
_POLL_SECONDS = 0.2
_FAN_OUT = 256


class Maintainer:
    """Maintains one open store; ``stop``, from any thread, ends what is running."""

    def __init__(self, parts: Parts, upkeep: Upkeep) -> None:
        self._parts = parts
        self._upkeep = upkeep
        self._stop = threading.Event()

    def stop(self) -> None:
        """End what is running, for good: the store is being closed."""
        self._stop.set()

    def run(self, progress: Progress, *, trim: bool) -> MaintainReport:
        """Do all of it; where another process is at it, after that one."""
        lock = self._parts.maintain_lock
        while not lock.try_acquire(_POLL_SECONDS):
            progress("Waiting for another maintenance", 0, 1)
            if self._stop.is_set():
                raise MaintenanceEnded("maintenance was ended: the store is being closed")
        try:
            return self._run(progress, trim=trim)
        finally:
            lock.release()

    def run_if_due(self, *, search: bool = True) -> MaintainReport | None:
        """The same at a low priority; ``None`` where nothing is due or another one is at it.

        ``search``: look for deltas too, which takes a core for ten seconds per 100,000 events.
        """
        if not self.is_due() or not self._parts.maintain_lock.try_acquire():
            return None
        try:
            if not self._is_allowed():
                return None
            report = self._run(_silent, trim=False, gentle=True, search=search)
            self._parts.layout.maintain_failed.unlink(missing_ok=True)
        except (EventStoreError, OSError):
            if not self._stop.is_set():
                self._note_failure()
            raise
        else:
            return report
        finally:
            self._parts.maintain_lock.release()

    def is_due(self) -> bool:
        """See ``is_due``."""
        return is_due(self._parts.layout)

    def _is_allowed(self) -> bool:
        """Whether the store's own git configuration does not say otherwise."""
        question = ("config", "--local", "--type=bool", "--get", "gitstore.autoMaintain")
        try:
            return Git(self._parts.layout.root).run(*question).strip() != b"false"
        except GitFailed as error:
            if error.code != 1:  # 1: it does not say
                raise
            return True

    def _run(
        self, progress: Progress, *, trim: bool, gentle: bool = False, search: bool = True
    ) -> MaintainReport:
        parts = self._parts
        child = GitChild(
            parts.layout.root, parts.maintain_lock.fileno(), self._stop, progress, gentle
        )
        steps: dict[str, Callable[[], None]] = {
            "flush": self._upkeep.flush,
            "type index": lambda: self._upkeep.with_sound_index(self._upkeep.index_types),
            "repack": Repacker(parts, child, search=search).run,
            "pack-refs": self._upkeep.pack_refs,
            **({"trim": lambda: self._trim(progress)} if trim else {}),
            "checkpoint": self._checkpoint,
            "commit-graph": lambda: self._write_commit_graph(child),
        }
        before = occupied(parts.layout)
        seconds: dict[str, float] = {}
        with disk_errors_told(parts.layout.root):
            for name, step in steps.items():
                begun = time.perf_counter()
                step()
                seconds[name] = time.perf_counter() - begun
        parts.maintain_lock.interrupted = False  # what a killed run left has been cleared
        return MaintainReport(before, occupied(parts.layout), seconds)

    def _trim(self, progress: Progress) -> None:
        """Drop bodies of all but the newest events from the index, and give the space back."""
        index, lock = self._parts.index, self._parts.flush_lock
        end = index.state()[0] - BODIES_KEPT
        for after in range(0, max(end, 0), _TRIMMED_AT_ONCE):
            with lock.held():
                index.drop_bodies(after, min(after + _TRIMMED_AT_ONCE, end))
            progress("Trimming the index", after, end)
        with lock.held():
            index.give_back_space()

    def _checkpoint(self) -> None:
        parts = self._parts
        with parts.flush_lock.held():
            with parts.write_lock.held():
                parts.journal.restart_log()
            parts.index.cut_log()

    def _write_commit_graph(self, child: GitChild) -> None:
        """Let git cache what it needs of commits to walk them: counting takes a seventh."""
        graphs = self._parts.layout.commit_graphs
        locks = [graphs / "commit-graph-chain.lock", graphs.with_name("commit-graph.lock")]
        for lock in locks:
            if self._parts.maintain_lock.interrupted or not _is_recent(lock):
                lock.unlink(missing_ok=True)
        arguments = ("commit-graph", "write", "--reachable", "--split", "--progress")
        try:
            child.run(*arguments)
        except GitFailed as error:
            if error.code < 0:  # killed: its lock is nobody's
                self._parts.maintain_lock.interrupted = True
                raise
            if any(lock.exists() for lock in locks):
                _LOG.info("another git process is at the commit-graph: %s", error)
                return
            # It is derived, and what is there may be damaged.
            shutil.rmtree(graphs, ignore_errors=True)
            graphs.with_name("commit-graph").unlink(missing_ok=True)
            child.run(*arguments)

    def _note_failure(self) -> None:
        with contextlib.suppress(OSError):  # a full disk may be why it failed
            note = self._parts.layout.maintain_failed
            note.touch(FILE_MODE)
            os.utime(note)


def occupied(layout: StoreLayout) -> Occupied:
    """What the store takes now."""
    return Occupied(
        sum(_size(folder, name) for folder, _, names in os.walk(layout.root) for name in names),
        packs=len(list(layout.packs.glob("pack-*.pack"))),
        loose=sum(1 for _ in loose_objects(layout.objects)),
    )


def is_due(layout: StoreLayout) -> bool:
    """Whether there are too many packs or loose objects, and nobody is at it; 50 µs.

    Nor where a run that nobody asked for failed within ten minutes.
    """
    # As git estimates it: ids are spread evenly over the folders.
    loose = len(_names(layout.objects / "17")) * _FAN_OUT
    packs = _names(layout.packs)
    kept = sum(name.endswith(KEPT) for name in packs)
    if loose <= MOST_LOOSE and sum(n.endswith(".pack") for n in packs) - kept <= MOST_PACKS:
        return False
    return not _is_recent(layout.maintain_failed) and not _is_held(layout.maintain_lock)


def _silent(_what: str, _done: int, _total: int) -> None:
    """Nobody is watching."""


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_held(lock: Path) -> bool:
    """Whether a process holds a lock, or a child that its killed holder left."""
    other = FileLock(lock)
    try:
        if not other.try_acquire():
            return True
        other.release()
        return False
    finally:
        other.close()


def _is_recent(path: Path) -> bool:
    try:
        return path.stat().st_mtime > time.time() - _STALE_SECONDS
    except FileNotFoundError:
        return False


def _size(folder: str, name: str) -> int:
    try:
        return Path(folder, name).stat().st_size
    except FileNotFoundError:  # a flush was faster
        return 0
