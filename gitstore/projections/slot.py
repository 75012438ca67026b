"""What is saved of one projection: the state that is served, and one that is being made anew."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from gitstore.core.timestamps import format_timestamp
from gitstore.projections.held import Held
from gitstore.projections.stateform import Header, StateDamaged, decode, decode_header, encode
from gitstore.projections.states import States

_LOG = logging.getLogger("gitstore.projections")
_NEXT = ".next"
Saving = Literal["saved", "overtaken", "failed"]
"""What became of a state that was to be saved."""


class Slot:
    """The places of one projection's saved states.

    ``notes``: sentences about states that could not be used or saved; ``unsaved``: why the last
    one could not. No method raises for a damaged state, or for what the projection's own code does
    with one.
    """

    def __init__(self, name: str, version: int, states: States) -> None:
        self._name = name
        self._version = version
        self._states = states
        self.notes: list[str] = []
        self.unsaved: str | None = None

    def load(self, *, building: bool = False) -> tuple[Header, bytes] | None:
        """What is served, or what is being made, and the JSON of its state.

        ``None`` where there is none that can be used.
        """
        content = self._states.read(self._key(building=building))
        if content is None:
            return None
        try:
            header, body = decode(content)
            if header.name != self._name:
                raise StateDamaged(f"it is of {header.name}")
            if header.version != self._version:
                raise StateDamaged(
                    f"version {header.version} of it made it, and this is version {self._version}"
                )
        except StateDamaged as error:
            self.say(f"the saved state of {self._name} is not used: {error}")
            return None
        return header, body

    def header(self, *, building: bool = False) -> Header | None:
        """What is known of a saved state, of whatever version; ``None`` without a sound one."""
        content = self._states.read(self._key(building=building))
        try:
            return None if content is None else decode_header(content)
        except StateDamaged:
            return None

    def begun(self, served: str) -> Header | None:
        """What is known of a state that is being made anew, in place of the build ``served``.

        ``None`` where there is none, or it is the one that is served, or other code began it.
        """
        header = self.header(building=True)
        is_it = header and header.version == self._version and header.build != served
        return header if is_it else None

    def is_there(self) -> bool:
        """Whether anything is saved to be served, in whatever state."""
        return self._states.read(self._key(building=False)) is not None

    def save(self, header: Header, held: Held, *, building: bool) -> Saving:
        """Save a state with its checkpoint; ``building``: beside the one that is served.

        ``"overtaken"``: it was not, since another process has saved another build of it, or has
        come further with this one. ``"failed"``: its own code gives no JSON.
        """
        content = self._encoded(header, held)
        if content is None:
            return "failed"
        with self._states.held():
            there = None if building else self.header()
            if there is not None and _is_better(there, header):
                return "overtaken"
            self._states.write(self._key(building=building), content)
        return "saved"

    def swap(self, header: Header, held: Held) -> bool:
        """Save a state that has caught up in the place of the one that was served."""
        content = self._encoded(header, held)
        if content is None:
            return False
        with self._states.held():
            self._states.write(self._key(building=False), content)
            self._states.remove(self._key(building=True))
        return True

    def say(self, note: str) -> None:
        """Note something of which the user should know, once."""
        if note not in self.notes:
            self.notes.append(note)
            _LOG.warning("%s", note)

    def _encoded(self, header: Header, held: Held) -> bytes | None:
        saved = format_timestamp(datetime.now(UTC))
        try:
            content = encode(replace(header, saved=saved), held.body())
        except Exception as error:  # noqa: BLE001 - its state is made by code of its own
            self.unsaved = str(error)
            self.say(f"{self._name} cannot be saved: {error}")
            return None
        self.unsaved = None
        return content

    def _key(self, *, building: bool) -> str:
        return f"{self._name}{_NEXT}" if building else self._name


def forget(name: str, states: States) -> None:
    """Remove what is saved of the projection of this name, of whatever version."""
    with states.held():
        for key in (name, f"{name}{_NEXT}"):
            states.remove(key)


def _is_better(there: Header, ours: Header) -> bool:
    """Whether what is saved there is not to be replaced by ours."""
    if there.version != ours.version:
        return there.version > ours.version
    if there.checkpoint.store_id != ours.checkpoint.store_id:
        return False
    if there.build != ours.build:
        return True
    return _place(there) > _place(ours)


def _place(header: Header) -> tuple[int, int]:
    """How far a state has come."""
    return header.checkpoint.epoch, header.checkpoint.position
