"""Expected versions: what a caller believes about a stream before it appends."""

from __future__ import annotations

from enum import Enum
from typing import Final

from gitstore.core.errors import InvalidEvent, WrongExpectedVersion


class Expectation(Enum):
    """The expectations that are no number."""

    ANY = "any"
    NO_STREAM = "no stream"
    STREAM_EXISTS = "stream exists"

    def __str__(self) -> str:
        return self.value


ANY: Final = Expectation.ANY
"""No belief: append wherever the stream is."""
NO_STREAM: Final = Expectation.NO_STREAM
"""The stream has no event yet; the same as the number 0."""
STREAM_EXISTS: Final = Expectation.STREAM_EXISTS
"""The stream has at least one event."""

ExpectedVersion = Expectation | int
"""``ANY``, ``NO_STREAM``, ``STREAM_EXISTS``, or the stream's version (0: no stream)."""


def exact_version(expected: ExpectedVersion) -> int | None:
    """The one version ``expected`` stands for, or ``None`` where several would do.

    Raises ``InvalidEvent`` for what is no expected version (``True``, ``-1``, ``"3"``).
    """
    if expected is NO_STREAM:
        return 0
    if isinstance(expected, Expectation):
        return None
    if type(expected) is int and expected >= 0:
        return expected
    raise InvalidEvent(
        f"{expected!r} is no expected version",
        hint="Use ANY, NO_STREAM, STREAM_EXISTS or a whole number from 0.",
    )


def check_expected(stream_id: str, expected: ExpectedVersion, actual: int) -> None:
    """Raise ``WrongExpectedVersion`` unless a stream at ``actual`` (0: none) meets ``expected``."""
    exact = exact_version(expected)
    missing = expected is STREAM_EXISTS and actual == 0
    if missing or (exact is not None and exact != actual):
        raise WrongExpectedVersion(stream_id, expected, actual)
