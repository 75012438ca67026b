"""The tree of the type index: read piece by piece, changed in memory, written where it changed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.typenotes import (
    MOST_LINES,
    Line,
    TreeEntry,
    decode_tree,
    encode_note,
    encode_tree,
    folder_of,
    key_blob,
    key_name,
    split_note,
)
from gitstore.core.errors import StoreCorrupted

Read = Callable[[str, str], bytes]
"""From an object's id and kind to its content; ``StoreCorrupted`` where it is missing."""

Folder = dict[str, TreeEntry]


class NotesTree:
    """The notes tree ``root`` (``None``: an empty one). ``StoreCorrupted`` where it is damaged."""

    def __init__(self, read: Read, root: str | None = None) -> None:
        self._read = read
        self._root = decode_tree(read(root, "tree")) if root else {}
        self._folders: dict[str, Folder] = {}
        self._changed: set[str] = set()

    def names(self) -> list[str]:
        """The root's entries: types and fan-out."""
        return list(self._root)

    def folder(self, name: str) -> Folder:
        """A type's keys, or a part of the fan-out; empty where it is not there."""
        found = self._folders.get(name)
        if found is None:
            entry = self._root.get(name)
            found = decode_tree(self._read(entry.id.hex(), "tree")) if entry else {}
            self._folders[name] = found
        return found

    def forget(self, name: str) -> None:
        """Let a folder that was only read go from memory."""
        self._folders.pop(name, None)

    def entry(self, name: str) -> TreeEntry | None:
        """The root's entry; ``None`` where there is none, or where it has changed since."""
        return None if name in self._changed else self._root.get(name)

    def note(self, key: str) -> str | None:
        """The id of the note on the object ``key``, ``None`` where there is none."""
        entry = self._root.get(key) or self.folder(key[:2]).get(key[2:])
        return entry.id.hex() if entry else None

    def add(self, type_name: str, day: str, lines: Sequence[Line]) -> Iterator[GitObject]:
        """Add the lines of one type and day, in arrival order; gives the blobs that are new."""
        number, held = self._last_note(type_name, day)
        held += lines
        for start in range(0, len(held), MOST_LINES):
            key = key_blob(type_name, key_name(day, number))
            note = GitObject.of("blob", encode_note(held[start : start + MOST_LINES]))
            if self._put(folder_of(type_name), key_name(day, number), key.id):
                yield key
            self._put(key.id[:2], key.id[2:], note.id)
            yield note
            number += 1

    def lacking(self, type_name: str, day: str, lines: Sequence[Line]) -> list[Line]:
        """Those of the lines that stand in no note of their type and day."""
        left = {line[3]: line for line in lines}
        for content in self.pages(type_name, day):
            for text in content.split(b"\n"):
                left.pop(text + b"\n", None)
            if not left:
                break
        return list(left.values())

    def pages(self, type_name: str, day: str) -> Iterator[bytes]:
        """The notes of a type and day, from the first on."""
        keys = self.folder(folder_of(type_name))
        for number in itertools.count(1):
            if key_name(day, number) not in keys:
                return
            yield self._read(self._note_of(type_name, key_name(day, number)), "blob")

    def changed(self) -> Iterator[GitObject]:
        """The trees that are new, the root last."""
        for name in sorted(self._changed):
            tree = encode_tree(self._folders[name])
            self._root[name] = TreeEntry(b"40000", bytes.fromhex(tree.id))
            yield tree
        yield encode_tree(self._root)

    def _last_note(self, type_name: str, day: str) -> tuple[int, list[Line]]:
        """The number of the note that takes the next line, and the lines it has."""
        keys = self.folder(folder_of(type_name))
        number = 1
        while key_name(day, number + 1) in keys:
            number += 1
        if key_name(day, number) not in keys:
            return number, []
        held = split_note(self._read(self._note_of(type_name, key_name(day, number)), "blob"))
        return (number, held) if len(held) < MOST_LINES else (number + 1, [])

    def _note_of(self, type_name: str, name: str) -> str:
        note = self.note(key_blob(type_name, name).id)
        if note is None:
            raise StoreCorrupted(f"the type index has no note for {type_name} {name}")
        return note

    def _put(self, folder: str, name: str, object_hex: str) -> bool:
        """Set an entry; whether it was another before."""
        entry = TreeEntry(b"100644", bytes.fromhex(object_hex))
        entries = self.folder(folder)
        if entries.get(name) == entry:
            return False
        entries[name] = entry
        self._changed.add(folder)
        return True
