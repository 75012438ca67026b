"""Pauses of the search for cycles."""

from __future__ import annotations

import gc

import pytest

from gitstore.core.garbage import uncollected


def test_it_goes_on_after_the_block() -> None:
    """After the outermost."""
    with uncollected():
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    """Which goes on too."""
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()


def test_who_turned_it_off_finds_it_off() -> None:
    """It is the program's own."""
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
