"""``packed-refs`` taken as a whole says what a reader of its lines would."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.backends.git.layout import StoreLayout
from gitstore.backends.git.packedrefs import PackedRefs, packed_content
from gitstore.backends.git.refs import Refs
from gitstore.core.errors import StoreCorrupted
from tests.backends.git.witness import filled, git

HEADER = "# pack-refs with: peeled fully-peeled sorted \n"
names = st.text(st.sampled_from("ab/-ü日%"), min_size=1, max_size=4).map("refs/{}".format)
ids = st.integers(0, 16**40 - 1).map("{:040x}".format)
entries = st.dictionaries(names, st.tuples(ids, st.none() | ids), max_size=20)


def content(refs: dict[str, tuple[str, str | None]]) -> bytes:
    """The file with these refs, each with what a tag is peeled to."""
    lines = [
        f"{at} {name}\n" + (f"^{peeled}\n" if peeled else "")
        for name, (at, peeled) in sorted(refs.items())
    ]
    return "".join([HEADER, *lines]).encode()


@given(refs=entries, prefix=names, ends=st.booleans())
def test_what_it_says(refs: dict[str, tuple[str, str | None]], prefix: str, ends: bool) -> None:
    """One ref, all below a prefix, and all lines; with or without a last line end."""
    text = content(refs)
    packed = PackedRefs(text if ends else text.removesuffix(b"\n"))
    for _ in range(3):  # first by searching, then from what was taken apart
        for name in [*refs, prefix, "refs", "a"]:
            assert packed.get(name) == refs.get(name, (None,))[0]
    below = {name: at for name, (at, _) in refs.items() if name.startswith(prefix)}
    assert packed.under(prefix) == below
    assert packed.under("") == {name: at for name, (at, _) in refs.items()}
    assert packed_content(packed.lines()) == text


@pytest.mark.parametrize(
    "line", ["nonsense", "0" * 39 + " refs/a", "0" * 40, "^" + "0" * 40, "0" * 40 + " "]
)
@pytest.mark.parametrize("before", ["", HEADER, f"{'1' * 40} refs/a\n^{'2' * 40}\n"])
def test_a_line_that_is_no_ref(line: str, before: str) -> None:
    """Is named, wherever it stands."""
    with pytest.raises(StoreCorrupted, match="packed-refs has a line that is no ref"):
        PackedRefs(f"{before}{line}\n{'1' * 40} refs/b\n".encode())


def test_remarks_and_empty_lines() -> None:
    """Are passed over."""
    packed = PackedRefs(f"# one\n# two\n\n{'1' * 40} refs/a\n\n# three\n".encode())
    assert packed.under("") == {"refs/a": "1" * 40}
    assert PackedRefs().under("") == PackedRefs(b"\n").under("refs/") == {}


def test_the_last_of_two_counts() -> None:
    """A name that stands twice, which git does not write, is where it stands last."""
    packed = PackedRefs(f"{'1' * 40} refs/a\n{'2' * 40} refs/a\n".encode())
    assert packed.get("refs/a") == packed.under("refs/")["refs/a"] == "2" * 40


def test_as_git_packs_them(tmp_path: Path) -> None:
    """Of a store that git packed, and then with one ref that moved since."""
    store = tmp_path / "events.git"
    filled(store)
    git(store, "pack-refs", "--all")
    git(store, "update-ref", "refs/streams/task-1", "refs/streams/task-2")
    listed = git(store, "for-each-ref", "--format=%(refname) %(objectname)", "refs/streams")
    found = Refs(StoreLayout(store)).under("refs/streams/")
    assert [f"{name} {at}" for name, at in found.items()] == listed.splitlines()
