"""Putting a layout that was made anew in the place of the old one, file by file.

Each file is whole at any time: it is replaced, never rewritten. May be cut short at any point and
begun again.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from gitstore.backends.disk.files import sync_file
from gitstore.backends.jsonl.appending import append_lines
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import BY_STREAM, BY_TYPE, INDEXES, is_day

_BEGINNING = b'{"id":'
IsKnown = Callable[[bytes], bool]
"""Whether a line is an event that the store has, be it at another version now."""


def move_over(aside: Folder, root: Folder, is_known: IsKnown) -> None:
    """Move all files of the layout ``aside`` into ``root``: data, then indexes.

    Lines of others in a data file, which the store does not know, are kept at its end.
    """
    for day in filter(is_day, aside.names()):
        with aside.folder(day) as new, root.made(day) as old:
            for name in new.names():
                _keep_foreign(new, old, name, is_known)
                new.move(name, old)
    with aside.folder(INDEXES) as new, root.folder(INDEXES) as old:
        if BY_TYPE in new.names():
            with new.folder(BY_TYPE) as new_types, old.made(BY_TYPE) as old_types:
                for name in new_types.names():
                    new_types.move(name, old_types)
        if BY_STREAM in new.names():
            new.move(BY_STREAM, old)


def _keep_foreign(new: Folder, old: Folder, name: str, is_known: IsKnown) -> None:
    content = old.read(name)
    if content is None:
        return
    ours = set((new.read(name) or b"").split(b"\n"))
    *lines, torn = content.split(b"\n")
    if not torn.startswith(_BEGINNING):  # else a line of ours that was cut short
        lines.append(torn)
    foreign = [line + b"\n" for line in lines if line and line not in ours and not is_known(line)]
    if not foreign:
        return
    descriptor, _ = new.open_to_append(name)
    try:
        append_lines(descriptor, foreign, 0)
        sync_file(descriptor)
    finally:
        os.close(descriptor)
