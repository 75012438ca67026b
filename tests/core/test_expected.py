"""Expected versions: what a caller believes, and whether it holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitstore.core.errors import InvalidEvent, WrongExpectedVersion
from gitstore.core.expected import ANY, NO_STREAM, STREAM_EXISTS, check_expected, exact_version


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_law_a_number_holds_for_itself_alone(expected: int, actual: int) -> None:
    """The stream's version, and no other."""
    if expected == actual:
        check_expected("s", expected, actual)
    else:
        with pytest.raises(WrongExpectedVersion):
            check_expected("s", expected, actual)


@pytest.mark.parametrize(
    ("expected", "holds_for"),
    [(ANY, {0, 1, 5}), (NO_STREAM, {0}), (STREAM_EXISTS, {1, 5}), (0, {0}), (1, {1}), (5, {5})],
    ids=str,
)
def test_what_each_expectation_holds_for(expected: Any, holds_for: set[int]) -> None:
    """``NO_STREAM`` is the number 0; ``STREAM_EXISTS`` any other; ``ANY`` all."""
    held = set()
    for actual in (0, 1, 5):
        try:
            check_expected("task-1", expected, actual)
            held.add(actual)
        except WrongExpectedVersion as error:
            facts = (error.stream_id, error.expected, error.actual)
            if facts != ("task-1", expected, actual):
                pytest.fail(f"the error's facts are {facts}")
    assert held == holds_for


@pytest.mark.parametrize(
    ("expected", "exact"),
    [(ANY, None), (STREAM_EXISTS, None), (NO_STREAM, 0), (0, 0), (7, 7)],
    ids=str,
)
def test_the_one_version_of_an_expectation(expected: Any, exact: int | None) -> None:
    """Some expectations stand for one version, some for several."""
    assert exact_version(expected) == exact


@pytest.mark.parametrize("expected", [True, False, -1, "3", 1.0, None, "any"], ids=repr)
def test_what_is_no_expected_version(expected: Any) -> None:
    """``InvalidEvent``: ``False`` is not 0, and ``None`` is not ``ANY``."""
    with pytest.raises(InvalidEvent):
        exact_version(expected)
    with pytest.raises(InvalidEvent):
        check_expected("s", expected, 0)


@pytest.mark.parametrize(
    ("expected", "word"), [(ANY, "any"), (NO_STREAM, "no stream"), (STREAM_EXISTS, "stream exists")]
)
def test_expectations_read_as_words(expected: object, word: str) -> None:
    """Messages show them as a person says them."""
    assert str(expected) == word
