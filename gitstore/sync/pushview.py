"""A git directory of its own, from which a push sees nothing but the refs that are to be pushed.

Given thousands of refspecs, git compares each with every ref; given a pattern, it would push what
came in meanwhile, and cannot be told where to begin. And after a push from the store itself it
writes a file for each tracking ref, which takes as long as the push. In here the refs have the
remote's names already, one pattern pushes all of them, and nothing is tracked.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from gitstore.backends.disk.files import DIRECTORY_MODE, FILE_MODE
from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.gitcommand import Git
from gitstore.backends.git.layout import StoreLayout

EVERYTHING = "refs/*:refs/*"
"""The refspec that pushes what a view shows, under the names it has there."""

_HEADER = b"# pack-refs with: peeled fully-peeled sorted \n"
# What would make git track what it pushed, or push and delete more than it is told; and includes,
# whose content is in the list already.
_LEFT_OUT = re.compile(r"remote\..*\.(fetch|push|mirror)|include\.path|includeif\..*", re.DOTALL)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\b": "\\b"}


class PushView:
    """The git directory at ``path``; see ``push_view``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def show(self, refs: Mapping[str, str]) -> None:
        """Show exactly these refs from now on: the name on the remote, and a commit's id."""
        names = sorted(refs, key=os.fsencode)
        lines = [b"%b %b\n" % (refs[name].encode(), os.fsencode(name)) for name in names]
        (self.path / "packed-refs").write_bytes(_HEADER + b"".join(lines))


@contextmanager
def push_view(layout: StoreLayout) -> Iterator[PushView]:
    """A view on the objects of a store, with its configuration, that shows no ref yet.

    It is taken away at the end.
    """
    layout.pushes.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    path = layout.pushes / secrets.token_hex(8)
    lock = FileLock(_lock_of(path))
    clear_leftovers(layout)
    with _folder_locked(layout):
        lock.acquire()
    try:
        _make(layout, path)
        yield PushView(path)
    finally:
        _remove(path)
        lock.release()
        lock.close()


def _make(layout: StoreLayout, path: Path) -> None:
    (path / "refs").mkdir(mode=DIRECTORY_MODE, parents=True)
    (path / "objects").symlink_to(layout.objects.resolve(), target_is_directory=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    config = path / "config"
    config.touch(FILE_MODE)  # it may hold passwords, as the store's does
    config.write_bytes(_config(layout.root))


def _config(root: Path) -> bytes:
    """The store's own configuration, without what a view must not know.

    Written anew from git's list of it: there includes stand resolved, which a copy of the file
    would look for beside itself.
    """
    said = Git(root).run("config", "--local", "--includes", "--null", "--list")
    entries = [os.fsdecode(entry).partition("\n") for entry in said.split(b"\0")[:-1]]
    lines = [_setting(*entry) for entry in entries if not _LEFT_OUT.fullmatch(entry[0])]
    return os.fsencode("".join(lines))


def _setting(name: str, separator: str, value: str) -> str:
    section, _, rest = name.partition(".")
    subsection, _, key = rest.rpartition(".")
    header = f'{section} "{_escaped(subsection)}"' if subsection else section
    assigned = f' = "{_escaped(value)}"' if separator else ""  # without a value it means "true"
    return f"[{header}]\n\t{key}{assigned}\n"


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def clear_leftovers(layout: StoreLayout) -> None:
    """Remove views whose makers were killed: a lock dies with its holder."""
    if not layout.pushes.is_dir():
        return
    with _folder_locked(layout):
        for found in layout.pushes.glob("?*.lock"):
            with closing(FileLock(found)) as lock:
                if lock.try_acquire():
                    _remove(found.with_suffix(""))
                    lock.release()


@contextmanager
def _folder_locked(layout: StoreLayout) -> Iterator[None]:
    """Views are made and cleared by one at a time."""
    with closing(FileLock(layout.pushes / "lock")) as folder, folder.held():
        yield


def _remove(path: Path) -> None:
    """Take a view away; its lock, which is held, last."""
    shutil.rmtree(path, ignore_errors=True)
    _lock_of(path).unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
