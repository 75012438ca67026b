"""What a store takes on disk, by part: allocated blocks, so that small files count in full."""

from __future__ import annotations

from pathlib import Path

_BLOCK = 512  # the unit of st_blocks, whatever the file system's own blocks are
PARTS = (
    "packs",
    "pack indexes",
    "loose objects",
    "index.db",
    "journal.db",
    "packed-refs",
    "loose refs",
    "other",
)


def parts(root: Path) -> dict[str, int]:
    """Bytes below ``root``: every part of a store, in the order of ``PARTS``."""
    used = dict.fromkeys(PARTS, 0)
    for path in root.rglob("*"):
        if path.is_file():
            used[_part(path.relative_to(root))] += path.stat().st_blocks * _BLOCK
    return used


def _part(path: Path) -> str:
    top = path.parts[0]
    if top == "objects":
        if path.parts[1] != "pack":
            return "loose objects" if len(path.parts[1]) == 2 else "pack indexes"
        return "packs" if path.suffix == ".pack" else "pack indexes"
    if top == "refs":
        return "loose refs"
    if top == "packed-refs":
        return top
    database = path.name.partition("-")[0]
    return database if database in ("index.db", "journal.db") else "other"
