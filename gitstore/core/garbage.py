"""Work that makes many objects and no cycles, without the search for cycles."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

_is_paused = False


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Python's search for cycles pauses for a ``with`` block, in the whole process.

    It goes over all that is alive each time enough was made, a tenth of what a batch of thousands
    of events takes. Where another thread is in such a block too, it may begin again earlier.
    """
    global _is_paused  # noqa: PLW0603 - as the search itself, of the whole process
    if not gc.isenabled():  # by the program's own wish, or by a block around this one
        yield
        return
    _is_paused = True
    try:
        gc.disable()
        yield
    finally:
        gc.enable()
        _is_paused = False


def _after_fork_in_child() -> None:
    if _is_paused:  # by a thread that this process does not have
        gc.enable()


os.register_at_fork(after_in_child=_after_fork_in_child)
