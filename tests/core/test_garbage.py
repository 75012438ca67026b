"""Pauses of the search for cycles."""

from __future__ import annotations

import gc
import os

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


def test_a_child_has_its_search_whoever_made_it() -> None:
    """The thread that would begin it again is not in a forked process."""
    with uncollected():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
