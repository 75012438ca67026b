"""The file layout: a history as folders of JSON lines, with indexes to seek by.

::

    DIR/2026-11-23/task-AUTH-001.jsonl     the events of one stream on one UTC day
    DIR/indexes/by-stream.idx              where every event stands
    DIR/indexes/by-type/TaskCreated.idx    the same, of one type
    DIR/indexes/state.json                 whose layout it is

FORMAT.md beside this module is the normative page: data lines, index lines, the store's own files,
and what other programs may do.

Lines of an index stand in order of position, so a reader finds a position by bisection, seeks, and
reads one line. Indexes say where to look, and only the data line says what happened.

No data file is ever shortened, but where an export makes a layout anew, because a rebase gave the
events of its source other versions: then its files replace the old ones, each of them at once.
"""

from __future__ import annotations

import functools
import re
from datetime import date
from typing import NamedTuple

from gitstore.core.names import encode_name

INDEXES = "indexes"
BY_TYPE = "by-type"
BY_STREAM = "by-stream.idx"
STATE = "state.json"
INDEX = "index.db"
LAYOUT = 2
"""The version of a layout; 1: what ``export --layout`` of a former version made."""
ANEW = ".anew"
"""Below the indexes: where a layout is made that takes the place of this one."""
DATA_SUFFIX = ".jsonl"

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_INDEX_LINE = re.compile(rb"(\d{1,19})\t[^\t]+\t[^\t]+\t([^\t]+)\t(\d{1,19})\n").fullmatch


class IndexEntry(NamedTuple):
    """What an index line is good for: the ``position`` of the line at ``offset`` in ``file``."""

    position: int
    file: str
    offset: int


def is_day(name: str) -> bool:
    """Whether a folder of this name holds the events of a day."""
    if not _DAY(name):
        return False
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True


def data_file(stream_id: str, time: str) -> str:
    """The file of an event, relative to the layout; ``time``: the text of its timestamp."""
    return f"{time[:10]}/{encode_name(stream_id)}{DATA_SUFFIX}"


@functools.lru_cache(1_024)
def index_files(kind: str) -> tuple[str, str]:
    """The two indexes that list an event of this type, relative to the layout."""
    return f"{INDEXES}/{BY_STREAM}", f"{INDEXES}/{BY_TYPE}/{encode_name(kind)}.idx"


def index_line(
    position: int, time: str, stream_id: str, version: int, file: str, offset: int
) -> bytes:
    """The index line of an event whose data line begins at ``offset`` of ``file``."""
    return f"{position}\t{time}\t{stream_id}@{version}\t{file}\t{offset}\n".encode()


def parse_index_line(line: bytes) -> IndexEntry | None:
    """What an index line says; ``None`` where it is damaged or torn."""
    match = _INDEX_LINE(line)
    if match is None:
        return None
    position, file, offset = match.groups()
    entry = IndexEntry(int(position), file.decode(errors="surrogateescape"), int(offset))
    return entry if max(entry.position, entry.offset) < 2**63 else None
