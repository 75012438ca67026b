"""Opening the store that is meant, for reading or for writing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gitstore_cli.env import Env
from gitstore_cli.failures import Failure
from gitstore_cli.finding import Place, find_place

if TYPE_CHECKING:
    from gitstore.backends.git.store import GitEventStore
    from gitstore.core.base import BaseEventStore

FIRST_EVENT = """sc-events append note-1 Noted --data '{"text": "Ship it"}'"""
"""How to record an event, for people who have none."""


@contextmanager
def writing(env: Env, *, validate: bool = True) -> Iterator[BaseEventStore]:
    """The store, made where there is none; closed at the end, so that all is in its place."""
    place = find_place(env)
    with tended(env, place), made(env, place, validate=validate) as store:
        yield store


@contextmanager
def tended(env: Env, place: Place) -> Iterator[None]:
    """Once the block has closed the store: have it maintained if due, by a process left behind.

    Only a store of git needs that.
    """
    yield
    if not (env.lingers and place.is_git):
        return
    import os
    import sys

    from gitstore.backends.git.layout import StoreLayout
    from gitstore.backends.git.maintaining import is_due

    if is_due(StoreLayout(place.address.path)):
        command = [sys.executable, "-m", "gitstore_cli", "--store", place.where]
        nowhere = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
        os.posix_spawn(
            sys.executable,
            [*command, "maintain", "--auto"],
            os.environ,
            file_actions=nowhere,
            setsid=True,
        )


@contextmanager
def reading(env: Env, form: str | None = None) -> Iterator[BaseEventStore | None]:
    """The store, or ``None`` where only the default one is missing, which is said.

    ``form``: the format of the answer; an empty list is a JSON answer too.
    """
    place = find_place(env)
    if place.is_default and place.is_missing:
        say_no_events(env, place)
        if form == "json":
            env.answer("[]")
        yield None
        return
    with existing(env, place) as store:
        yield store


def holding(env: Env, wanted: str) -> BaseEventStore:
    """The store in which ``wanted``, such as a stream, must be; ``Failure`` where there is none."""
    place = find_place(env)
    if place.is_default and place.is_missing:
        raise Failure(
            f"there is no {wanted}, and no events yet", hint=f"Record one with `{FIRST_EVENT}`"
        )
    return existing(env, place)


def existing(env: Env, place: Place) -> BaseEventStore:
    """The store at ``place``; ``StoreNotFound`` where there is none."""
    return _open(env, place, create=False)


def made(env: Env, place: Place, *, validate: bool = True) -> BaseEventStore:
    """The store at ``place``, new where there is none; ``validate``: see ``open_store``."""
    return _open(env, place, create=True, validate=validate)


def _open(env: Env, place: Place, *, create: bool, validate: bool = True) -> BaseEventStore:
    from gitstore.backends.opening import open_store
    from gitstore_cli.library_warnings import show_warnings

    show_warnings(env)
    return open_store(place.where, create=create, validate=validate)


def check_present(place: Place) -> None:
    """Raise where the default store is missing: there is nothing to exchange with others yet."""
    if place.is_default and place.is_missing:
        raise Failure(
            f"there is no store yet at {place.where}",
            hint="`sc-events clone URL` makes one from a remote, `sc-events init` an empty one.",
        )


def say_no_events(env: Env, place: Place) -> None:
    """Say that the store is not there yet, and how to begin."""
    env.say(f"No events yet: there is no store at {place.where}.")
    env.say(f"Hint: Record one with `{FIRST_EVENT}`")


def check_git(place: Place, what: str, *, instead: str = "") -> None:
    """``Failure`` unless the store is one of git, for ``what`` only those have commits for.

    ``what`` such as ``"log shows git commits"``; ``instead``: a sentence that says how to get at
    the same in another way.
    """
    if place.is_git:
        return
    copied = f"`sc-events copy {shlex.quote(place.where)} NEW.git` makes a git store of it."
    if place.address.kind == "memory":
        copied = "Name a git store with --store PATH."
    raise Failure(f"{what}, and {place.where} has none", hint=f"{instead} {copied}".strip())


def existing_git(env: Env, place: Place, what: str, *, instead: str = "") -> GitEventStore:
    """``existing``, of a store that must be one of git: see ``check_git``."""
    check_git(place, what, instead=instead)
    return as_git_store(existing(env, place))


def as_git_store(store: BaseEventStore) -> GitEventStore:
    """``store``, which is known to be one of git."""
    from gitstore.backends.git.store import GitEventStore

    assert isinstance(store, GitEventStore)
    return store
