"""Work that makes many objects and no cycles, without the search for cycles."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Python's search for cycles pauses for a ``with`` block, in the whole process.

    It goes over all that is alive each time enough was made, a tenth of what a batch of thousands
    of events takes. Where another thread is in such a block too, it may begin again earlier.
    """
    if not gc.isenabled():  # by the program's own wish, or by a block around this one
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
