"""The object database: objects are only ever added, and read by id."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gitstore.backends.git.commits import MOST_BYTES, EventCommit, GitObject, decode_commit
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.packmerge import merge_small_packs
from gitstore.backends.git.packs import PackBuilder
from gitstore.core.errors import StoreCorrupted

if TYPE_CHECKING:
    import pygit2

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_MAPPED = 16 << 20
_MAPPED_IN_BULK = 1 << 30
_ENTRY_BYTES = 37
"""Of a tree that holds ``data.json`` and nothing else."""


class Objects:
    """Git's objects of one store, read and written without git's configuration.

    ``bulk``: for a process of its own that reads very many, and proves each by its content. It may
    map large packs as a whole, which saves 23 µs a read here and there in one and counts as the
    process's memory, and libgit2 does not hash what it reads, which saves 3 µs.
    """

    def __init__(self, layout: StoreLayout, *, bulk: bool = False) -> None:
        self._layout = layout
        self._bulk = bulk
        self._opening = threading.Lock()
        self._odb: pygit2.Odb | None = None

    @property
    def root(self) -> Path:
        """Where the repository lies that they belong to."""
        return self._layout.root

    def read(self, object_hex: str, kind: str = "commit") -> bytes:
        """The content of an object; ``StoreCorrupted`` where it is missing or of another kind."""
        found = self.read_any(object_hex)
        if found is None:
            raise StoreCorrupted(f"{kind} {object_hex} is missing from the object database")
        if found[0] != kind:
            raise StoreCorrupted(f"{object_hex} is a {found[0]}, not a {kind}")
        return found[1]

    def read_any(self, object_hex: str) -> tuple[str, bytes] | None:
        """Kind and content of an object, ``None`` where it is missing.

        Raises ``StoreCorrupted`` where it is there but damaged.
        """
        import pygit2  # noqa: PLC0415 - 70 ms, which a command that never needs it must not pay

        try:
            number, content = self._database().read(object_hex)
        except KeyError:
            return None
        except (pygit2.GitError, ValueError) as error:
            raise StoreCorrupted(f"object {object_hex} cannot be read: {error}") from None
        return _KINDS.get(int(number), "object"), bytes(content)

    def read_at_most(self, size: int, object_hex: str, kind: str = "commit") -> bytes:
        """``read`` for an object of others: ``StoreCorrupted`` where it has more bytes than that.

        Its kind and size are looked at before it is loaded.
        """
        found = self._header(object_hex)
        if found is not None and found[0] == kind and found[1] > size:
            raise StoreCorrupted(f"{kind} {object_hex} has {found[1]} bytes, more than {size}")
        if found is not None and found[0] != kind:
            raise StoreCorrupted(f"{object_hex} is a {found[0]}, not a {kind}")
        return self.read(object_hex, kind)

    def read_event(self, commit_hex: str) -> EventCommit:
        """The event of a commit; ``StoreCorrupted`` or ``UnsupportedFormat`` where it is none."""
        return decode_commit(self.read(commit_hex))

    def read_foreign(self, commit_hex: str) -> EventCommit:
        """``read_event`` for a commit that others may have made: one too large is not loaded."""
        return decode_commit(self.read_at_most(MOST_BYTES, commit_hex))

    def read_data(self, event: EventCommit) -> bytes:
        """The canonical data of an event, from its blob where it was spilled.

        Raises ``StoreCorrupted`` where the blob is missing or not what the message promises.
        """
        if event.data is not None:
            return event.data
        entry = self.read_at_most(_ENTRY_BYTES, event.tree, "tree")
        if not entry.startswith(b"100644 data.json\0") or len(entry) != _ENTRY_BYTES:
            raise StoreCorrupted(f"tree {event.tree} is not that of an event")
        data = self.read_at_most(event.size, entry[17:].hex(), "blob")
        if len(data) != event.size or hashlib.sha256(data).hexdigest() != event.digest:
            raise StoreCorrupted(
                f"the data of {event.stream_id}@{event.version} is not what its commit promises"
            )
        return data

    def holds(self, object_hex: str) -> bool:
        """Whether an object is there; looks again where another process may have moved it."""
        return self.loose_path(object_hex).exists() or object_hex in self._database()

    def lists(self, object_hex: str) -> bool:
        """``holds`` in 2 µs, for many: without the look at a loose object's own file."""
        return object_hex in self._database()

    def seen_now(self) -> Callable[[str], bool]:
        """``holds`` as of now, for many ids most of which are not here: 10 µs each, not 60.

        It does not look again: what has come or moved since may be said not to be here.
        """
        import pygit2  # noqa: PLC0415 - see above

        self._database()  # its settings come first
        packed = pygit2.OdbBackendPack(os.fspath(self._layout.objects))
        loose = pygit2.OdbBackendLoose(os.fspath(self._layout.objects), 0, False)  # noqa: FBT003
        return lambda object_hex: packed.exists(object_hex) or loose.exists(object_hex)

    def with_prefix(self, prefix: str) -> list[str]:
        """The ids of all objects that begin with ``prefix`` (4 to 40 hex digits)."""
        if len(prefix) == 40:
            return [prefix] if self.holds(prefix) else []
        found = Git(self._layout.root).run("rev-parse", f"--disambiguate={prefix}")
        return found.decode().split()

    def loose_path(self, object_hex: str) -> Path:
        """Where the object lies when it is loose."""
        return self._layout.objects / object_hex[:2] / object_hex[2:]

    def add(self, objects: Iterable[GitObject]) -> Path:
        """Make objects durable as a pack, and give the ``.keep`` that guards it from ``git gc``.

        The caller takes the ``.keep`` away when refs hold the objects. Never loose: ``git prune``
        looks at the refs first and deletes loose objects later, also those that a ref has come to
        hold meanwhile; packs are listed before the refs are looked at.
        """
        pack = PackBuilder()
        pack.add(objects)
        return pack.write(self._layout.packs)

    def merge_small_packs(self) -> None:
        """Make few packs of many; needs the flush lock."""
        merge_small_packs(self._layout.packs)

    def close(self) -> None:
        """Let the object database go."""
        self._odb = None

    def _header(self, object_hex: str) -> tuple[str, int] | None:
        """Kind and size of an object, ``None`` where it is missing or its header damaged."""
        import pygit2  # noqa: PLC0415 - see above

        try:
            number, size = self._database().read_header(object_hex)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return _KINDS.get(int(number), "object"), size

    def _database(self) -> pygit2.Odb:
        if self._odb is None:
            with self._opening:
                if self._odb is None:
                    self._odb = _open_database(self._layout.objects, bulk=self._bulk)
        return self._odb


def _open_database(path: Path, *, bulk: bool) -> pygit2.Odb:
    """Open an object database; ``pygit2.Repository`` would read the user's configuration.

    The settings are those of the whole process: without them a full read of a million events holds
    600 MB of caches and mapped packs. Bytes are checked by ``verify``, not at each read.
    """
    import pygit2  # noqa: PLC0415 - see above

    pygit2.settings.enable_caching(False)  # noqa: FBT003
    pygit2.settings.mwindow_size = 8 << 20
    pygit2.settings.mwindow_mapped_limit = _MAPPED_IN_BULK if bulk else _MAPPED
    pygit2.settings.mwindow_file_limit = 64
    if bulk:
        pygit2.settings.enable_strict_hash_verification(False)  # noqa: FBT003
    return pygit2.Odb(os.fspath(path))
