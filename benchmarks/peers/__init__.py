"""The participants. A peer's libraries are imported only where it takes part."""

from __future__ import annotations

from importlib import import_module

from benchmarks.peers.base import Peer

__all__ = ["Peer", "load"]

_CLASSES = {
    "gitstore": "ours.GitStorePeer",
    "gitstore flush=append": "ours.GitStoreFlushedPeer",
    "gitstore sqlite": "ours.SqliteStorePeer",
    "gitstore jsonl": "ours.JsonlStorePeer",
    "gitstore memory": "ours.MemoryStorePeer",
    "eventsourcing": "eventsourcing_sqlite.EventSourcingPeer",
    "sqlite3": "plain_sqlite.PlainSQLitePeer",
    "sqlite3, same table": "plain_sqlite.SameTablePeer",
    "jsonl": "jsonl.JsonLinesPeer",
    "pygit2": "pygit2_commits.Pygit2Peer",
    "GitPython": "gitpython.GitPythonPeer",
    "git command": "git_command.GitCommandPeer",
}


def load(name: str) -> type[Peer]:
    """The peer of this name."""
    module, _, class_name = _CLASSES[name].partition(".")
    peer: type[Peer] = getattr(import_module(f"benchmarks.peers.{module}"), class_name)
    return peer
