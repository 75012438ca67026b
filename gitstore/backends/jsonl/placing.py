"""Putting indexes that were made aside in their place: texts first, ``index.db`` last."""

from __future__ import annotations

from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import BY_STREAM, BY_TYPE, INDEX


def put_in_place(aside: Folder, indexes: Folder) -> None:
    """Move the indexes in a folder to where they belong; again, where it was cut short."""
    if BY_TYPE in aside.names():
        with aside.folder(BY_TYPE) as new, indexes.made(BY_TYPE) as old:
            for name in new.names():
                new.move(name, old)
    if BY_STREAM in aside.names():
        aside.move(BY_STREAM, indexes)
    # The file before its log: a log may never come to lie beside another file.
    for old_file in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        indexes.unlink(old_file)
    aside.move(INDEX, indexes)
