"""A projection with the state it goes on from, which is read when somebody first needs it."""

from __future__ import annotations

from gitstore.core.canonical import JSON
from gitstore.projections.projection import Factory, Projection, checked
from gitstore.projections.stateform import decode_state, encode_state


class CannotRestore(Exception):
    """The projection refuses its saved state; the text says why."""


class Held:
    """A projection, and the JSON of its state as long as that is known.

    A process that has nothing new to handle never reads a state, however large.
    """

    def __init__(self, factory: Factory, body: bytes | None = None) -> None:
        self._projection = checked(factory)
        self._body = body
        self._is_ready = body is None

    def projection(self) -> Projection:
        """The projection, with its state; ``CannotRestore``."""
        if not self._is_ready:
            assert self._body is not None  # or it were ready
            try:
                self._projection.restore(decode_state(self._body))
            except Exception as error:  # code of its own, whatever it raises
                raise CannotRestore(repr(error)) from error
            self._is_ready = True
        return self._projection

    def changes(self) -> Projection:
        """The projection, which is about to handle an event; ``CannotRestore``."""
        projection = self.projection()
        self._body = None
        return projection

    def body(self) -> bytes:
        """The JSON of its state; ``ValueError`` where that is none, and what its code raises."""
        if self._body is None:
            self._body = encode_state(self.state())
        return self._body

    def state(self) -> JSON:
        """Its state."""
        return self.projection().state()
