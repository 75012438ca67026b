"""Restoring the lines of recorded events that a data file has lost, from ``index.db``.

The damaged file is kept, as a copy in ``indexes/damaged``. The new one has the lines that were
whole as they stood, the lost ones where their versions belong, and everything that is somebody
else's. Its place is taken at once.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from typing import BinaryIO

import orjson

from gitstore.backends.disk.files import sync_file
from gitstore.backends.jsonl.comparing import Comparison, Oddity
from gitstore.backends.jsonl.entries import line_of
from gitstore.backends.jsonl.folders import Folder
from gitstore.backends.jsonl.layout import data_file
from gitstore.backends.jsonl.parts import Parts
from gitstore.backends.jsonl.scanning import whole_lines
from gitstore.backends.table.schema import Row

DAMAGED = "damaged"
"""Below the indexes: copies of data files from before they were restored."""
_RESTORED = ".restored"
_log = logging.getLogger("gitstore.store")


def restore_lines(parts: Parts, comparison: Comparison, damage: Sequence[Oddity]) -> list[str]:
    """Restore all lines that the comparison misses; gives the files that were changed.

    ``damage``: the oddities that stand in the place of recorded events' lines. Under the lock.
    """
    missing: dict[str, list[Row]] = {}
    for row in comparison.missing():
        missing.setdefault(data_file(row.stream_id, row.timestamp), []).append(row)
    spoilt: dict[str, set[int]] = {}
    for odd in damage:
        if odd.verdict == "zeros" or _is_remnant(odd, missing.get(odd.line.file, [])):
            spoilt.setdefault(odd.line.file, set()).add(odd.line.offset)
    files = sorted(missing.keys() | spoilt.keys())
    for file in files:
        rows = sorted(missing.get(file, []), key=lambda row: row.version)
        _log.warning("%s/%s: restoring %d lines", parts.where, file, len(rows))
        _restore(parts, file, rows, spoilt.get(file, set()))
    parts.filing.forget()
    return files


def _is_remnant(odd: Oddity, missing: Sequence[Row]) -> bool:
    """Whether this may be what is left of a missing line; else it is somebody's."""
    if odd.verdict == "torn":
        return any(line_of(row).startswith(odd.line.text.rstrip(b"\0")) for row in missing)
    return bool(missing)


def _restore(parts: Parts, file: str, rows: list[Row], spoilt: set[int]) -> None:
    day, _, name = file.partition("/")
    with parts.root.made(day) as folder, parts.indexes.made(DAMAGED) as kept:
        folder.unlink(_RESTORED)  # of one that was cut short
        descriptor, _ = folder.open_to_append(_RESTORED)
        with os.fdopen(descriptor, "wb") as out:
            if folder.size(name) is not None:
                old = folder.open_to_read(name)
                try:
                    _keep(old, kept, f"{day}--{name}")
                    _write(out, old, rows, spoilt)
                finally:
                    os.close(old)
            out.write(b"".join(map(line_of, rows)))
            out.flush()
            sync_file(out.fileno())
        folder.rename(_RESTORED, name)


def _write(out: BinaryIO, old: int, rows: list[Row], spoilt: set[int]) -> None:
    """Write what is kept of the old file, and the rows that belong among it, which are taken."""
    end = 0
    for line in whole_lines(old, ""):
        end = line.offset + line.length
        if line.offset in spoilt:
            continue
        version = _version_of(line.text)
        while rows and rows[0].version < version:
            out.write(line_of(rows.pop(0)))
        out.write(os.pread(old, line.length, line.offset))
    rest = os.pread(old, os.fstat(old).st_size - end, end)
    if rest and end not in spoilt:
        out.write(b"".join(map(line_of, rows)) + rest)
        rows.clear()


def _version_of(text: bytes) -> int:
    """The version a line says it has; 0 where it says none."""
    try:
        version = orjson.loads(text)["version"]
    except (ValueError, KeyError, TypeError):
        return 0
    return version if isinstance(version, int) else 0


def _keep(old: int, folder: Folder, name: str) -> None:
    number = 1
    while folder.size(f"{name}.{number}") is not None:
        number += 1
    descriptor, _ = folder.open_to_append(f"{name}.{number}")
    with os.fdopen(descriptor, "wb") as copy, os.fdopen(os.dup(old), "rb") as stream:
        shutil.copyfileobj(stream, copy, 2**20)
        copy.flush()
        sync_file(copy.fileno())
    folder.sync()
