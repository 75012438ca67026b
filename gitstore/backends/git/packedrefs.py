"""Git's ``packed-refs``, read as a whole: a store may have a million streams there.

Looking at each line takes 3 µs, and whoever opens a store wants to know of one ref only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import repeat

from gitstore.core.errors import StoreCorrupted

_HEADER = b"# pack-refs with: peeled fully-peeled sorted \n"
_WELL_FORMED = re.compile(
    rb"(?:[0-9a-f]{40} [^\n]+\n(?:\^[0-9a-f]{40}\n)?)*+"  # possessive: remembers nothing
).match
_PEELED = re.compile(rb"^\^[0-9a-f]{40}\n", re.MULTILINE)
_REMARK = re.compile(rb"^(?:#[^\n]*)?\n", re.MULTILINE)
_REF = re.compile(rb"^([0-9a-f]{40} ([^\n]+)\n(?:\^[0-9a-f]{40}\n)?)", re.MULTILINE)
_SEARCHES = 8
"""A search takes 2 µs for 100 refs; this often, then all of them are taken apart."""


class PackedRefs:
    """The refs of a ``packed-refs`` with this content; ``StoreCorrupted`` where it is damaged."""

    def __init__(self, content: bytes = b"") -> None:
        if content and not content.endswith(b"\n"):
            content += b"\n"
        self._content = _without_remarks(content)
        self._ids: dict[str, str] | None = None
        self._searches = 0
        sound = _WELL_FORMED(self._content)
        assert sound is not None  # it may be empty
        if sound.end() < len(self._content):
            line = self._content[sound.end() :].partition(b"\n")[0]
            raise StoreCorrupted(f"packed-refs has a line that is no ref: {line[:60]!r}")

    def __len__(self) -> int:
        """How many lines there are, which is about how many refs."""
        return self._content.count(b"\n")

    def get(self, name: str) -> str | None:
        """The id a ref stands at, ``None`` where it is not here."""
        if self._ids is None:
            if self._searches < _SEARCHES:
                self._searches += 1
                return self._search(name)
            self._ids = self.under("")
        return self._ids.get(name)

    def under(self, prefix: str) -> dict[str, str]:
        """Name → id of all refs whose names begin with ``prefix``, in the file's order."""
        wanted = b" " + os.fsencode(prefix)
        begin = self._content.find(wanted)
        if begin < 0:
            return {}
        begin = self._content.rfind(b"\n", 0, begin) + 1
        end = self._content.find(b"\n", self._content.rfind(wanted))
        part = self._content[begin:end]
        if b"\n^" in part:
            part = _PEELED.sub(b"", part)
        found = {line[41:]: line[:40] for line in os.fsdecode(part).split("\n")}
        if all(map(str.startswith, found, repeat(prefix))):
            return found
        return {name: at for name, at in found.items() if name.startswith(prefix)}

    def lines(self) -> dict[bytes, bytes]:
        """Name → its lines, for who writes the file anew (a peeled tag has two).

        Names as bytes, in whose order the file is sorted: to make texts of them and bytes again
        takes half the time of a rewrite.
        """
        found: list[tuple[bytes, bytes]] = _REF.findall(self._content)
        return {name: lines for lines, name in found}

    def _search(self, name: str) -> str | None:
        end = self._content.rfind(b" " + os.fsencode(name) + b"\n")
        begin = end - 40
        is_ref = begin == 0 or self._content[begin - 1 : begin] == b"\n"
        return self._content[begin:end].decode() if begin >= 0 and is_ref else None


def _without_remarks(content: bytes) -> bytes:
    """Without the header that git writes, and other lines that are of no ref."""
    if content.startswith(b"#"):
        content = content[content.index(b"\n") + 1 :]
    if b"\n#" in content or b"\n\n" in content or content[:1] in {b"#", b"\n"}:
        content = _REMARK.sub(b"", content)
    return content


def packed_content(lines: Mapping[bytes, bytes]) -> bytes:
    """The content of the file with these lines."""
    return _HEADER + b"".join([lines[name] for name in sorted(lines)])
