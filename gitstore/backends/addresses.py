"""Addresses of stores: ``git:PATH``, ``jsonl:DIR``, ``sqlite:FILE``, ``memory:``, a plain path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["git", "jsonl", "sqlite", "memory"]

DEFAULT_PLACES: dict[Kind, str] = {
    "git": "~/.scopecraft/events.git",
    "jsonl": "~/.scopecraft/events",
    "sqlite": "~/.scopecraft/events.db",
    "memory": "",
}
"""Where a store of each kind is when nobody says where."""
_PREFIX = re.compile(r"([a-z]+):(.*)", re.DOTALL).fullmatch


@dataclass(frozen=True, slots=True)
class Address:
    """A kind of store, and its absolute path; of ``memory:`` the path says nothing."""

    kind: Kind
    path: Path

    def __str__(self) -> str:
        """What ``open_store`` takes: of a git store the path alone."""
        if self.kind == "memory":
            return "memory:"
        return str(self.path) if self.kind == "git" else f"{self.kind}:{self.path}"


def parse_address(
    where: str | os.PathLike[str] | None,
    *,
    base: Path | None = None,
    home: Path | None = None,
) -> Address:
    """The store that ``where`` names; ``None`` is the default git store.

    A kind without a path is the default place of that kind. A path without a kind names what is
    there: an SQLite database is an SQLite store, a directory of date folders a layout; anything
    else, and what is not there yet, a git store. A relative path starts at ``base`` (the current
    directory), a leading ``~`` is ``home``. ``ValueError`` for what names no place.
    """
    text = "git:" if where is None else os.fspath(where)
    match = _PREFIX(text)
    kind, named = (match[1], match[2]) if match else (None, text)
    if not text or kind not in (None, *get_args(Kind)) or (kind == "memory" and named):
        raise ValueError(
            f"{text!r} names no store: give a path, git:PATH, jsonl:DIR, sqlite:FILE or memory:"
        )
    known: Kind | None = kind  # type: ignore[assignment]  # one of them
    if known == "memory":
        return Address(known, Path("/"))
    path = _absolute(named or DEFAULT_PLACES[known or "git"], base or Path.cwd(), home)
    return Address(known or kind_at(path), path)


def kind_at(path: Path) -> Kind:
    """The kind of store that is at ``path``; ``git`` where nothing else can be told."""
    try:
        if path.is_file():
            from gitstore.backends.disk.connections import is_database

            return "sqlite" if is_database(path) else "git"
        if path.is_dir() and not (path / "HEAD").exists():
            from gitstore.backends.jsonl.layoutreading import is_layout

            return "jsonl" if is_layout(path) else "git"
    except OSError:  # opening it will say why it cannot be looked at
        pass
    return "git"


def _absolute(text: str, base: Path, home: Path | None) -> Path:
    if home is not None and (text == "~" or text.startswith("~/")):
        path = home / text[2:]
    else:
        path = Path(text).expanduser()
    return Path(os.path.normpath(base / path))
