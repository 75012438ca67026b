"""``open_store``: from a place to a store."""

from __future__ import annotations

import pytest

from gitstore import open_store


@pytest.mark.parametrize("where", ["", "svn:events", "memory:events"])
def test_what_names_no_store_is_refused(where: str) -> None:
    """A kind of store that is not there is no path, and nothing is no place."""
    with pytest.raises(ValueError, match="names no store"):
        open_store(where)
