"""Fetches that were killed: what they left among the store's packs goes, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitstore.backends.git.incoming import clear_leftovers
from gitstore.backends.git.layout import StoreLayout

NAME = "00ff00ff00ff00ff"
MARK = b"gitstore incoming %b\n" % NAME.encode()
PACK = f"pack-{'a' * 40}"


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    """A store in which a fetch died that had a pack to bring in."""
    layout = StoreLayout(tmp_path)
    layout.packs.mkdir(parents=True)
    dead = StoreLayout(layout.incoming / NAME)
    dead.packs.mkdir(parents=True)
    (dead.packs / f"{PACK}.pack").touch()
    return layout


@pytest.mark.parametrize("length", range(len(MARK) + 1))
def test_a_keep_that_was_cut_short_goes(layout: StoreLayout, length: int) -> None:
    """At any byte, as may happen where a file system has no links."""
    keep = layout.packs / f"{PACK}.keep"
    keep.write_bytes(MARK[:length])
    clear_leftovers(layout)
    assert not keep.exists()
    assert not any(layout.incoming.iterdir())


@pytest.mark.parametrize("content", [b"", b"gitstore inc", b"mine"])
def test_the_keep_of_a_pack_that_is_there_stays(layout: StoreLayout, content: bytes) -> None:
    """Somebody else keeps it."""
    keep = layout.packs / f"{PACK}.keep"
    keep.write_bytes(content)
    keep.with_suffix(".idx").touch()
    clear_leftovers(layout)
    assert keep.read_bytes() == content


def test_the_keep_of_another_pack_stays(layout: StoreLayout) -> None:
    """The dead fetch did not bring that in."""
    keep = layout.packs / f"pack-{'b' * 40}.keep"
    keep.write_bytes(b"gitstore inc")
    clear_leftovers(layout)
    assert keep.exists()
