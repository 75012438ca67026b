"""The public surface: the names, their signatures, their words, and what they cost to import."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import pytest

import gitstore

NAMES = {
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "BaseEventStore",
    "Capabilities",
    "Checkpoint",
    "DomainEvent",
    "DuplicateEventId",
    "EventStore",
    "EventStoreError",
    "ExpectedVersion",
    "FlushFailed",
    "ForeignCheckpoint",
    "InvalidEvent",
    "PartialDuplicate",
    "RecordedEvent",
    "StaleCheckpoint",
    "StoreCorrupted",
    "StoreNotFound",
    "StoreUnavailable",
    "UnsupportedFormat",
    "WrongExpectedVersion",
    "__version__",
    "open_store",
}

# Name, default: in this order by place; after "*" by name only.
READ_ALL = (
    "after_position=0, types=None, streams=None, categories=None, since=None, until=None, "
    "limit=None, backwards=False, *, users=None, correlations=None, "
    "superseded=False"
)
SIGNATURES = {
    "DomainEvent": "stream_id, type, data=None, metadata=None, id=None, timestamp=None, "
    "version=None",
    "RecordedEvent": "event, position, commit=None, replaces=None, superseded_by=None",
    "Checkpoint": "store_id, epoch, position",
    "Checkpoint.after": "self, recorded, *, superseded=False",
    "Checkpoint.to_dict": "self",
    "Checkpoint.from_dict": "given",
    "Capabilities": "durable, multi_process, commits, rebases=False",
    "open_store": "where=None, *, create=True, flush='background', validate=True",
    "EventStore.append": "self, event, expected_version=<Expectation.ANY: 'any'>",
    "EventStore.append_many": "self, events, expected_versions=None",
    "EventStore.read_stream": "self, stream_id, after_version=0, to_version=None, limit=None, "
    "backwards=False",
    "EventStore.read_all": f"self, {READ_ALL}",
    "EventStore.follow": "self, "
    + READ_ALL.replace("limit=None, backwards=False, ", "").replace(
        "superseded", "stop=None, superseded"
    ),
    "EventStore.streams": "self, category=None",
    "EventStore.subscribe": "self, handler",
    "EventStore.close": "self",
    "BaseEventStore.get_events": "self, stream_id, from_version=None",
    "BaseEventStore.get_events_by_type": "self, type, since=None",
    "BaseEventStore.stream_version": "self, stream_id",
    "BaseEventStore.find_event": "self, event_id",
    "BaseEventStore.last_position": "self",
    "BaseEventStore.checkpoint": "self",
    "BaseEventStore.resume": "self, checkpoint, *, superseded=False",
    "DomainEvent.from_dict": "given",
    "DomainEvent.from_json": "text",
    "DomainEvent.to_dict": "self",
    "DomainEvent.to_json": "self",
}


def _public(name: str) -> Any:
    value: Any = gitstore
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _words(function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    bare = [parameter.replace(annotation=parameter.empty) for parameter in
            signature.parameters.values()]  # fmt: skip
    return str(inspect.Signature(bare)).strip("()")


def _methods(kind: type) -> Iterator[str]:
    for name, value in inspect.getmembers(kind):
        if not name.startswith("_") and (callable(value) or isinstance(value, property)):
            yield name


def _python(code: str) -> str:
    """What a new interpreter prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_the_names_are_fixed() -> None:
    """Each there, and no other; what ``from gitstore import *`` gives."""
    assert set(gitstore.__all__) == NAMES
    assert len(gitstore.__all__) == len(NAMES)
    assert {name for name in dir(gitstore) if not name.startswith("_")} == NAMES - {"__version__"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_is_imported_when_it_is_used(name: str) -> None:
    """In a new interpreter, first of all."""
    assert _python(f"from gitstore import {name} as it; print(it is not None)") == "True"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = gitstore.nothing_like_it


@pytest.mark.parametrize(("name", "words"), SIGNATURES.items(), ids=SIGNATURES)
def test_a_signature_is_kept(name: str, words: str) -> None:
    """Names, order, defaults, and what is given by name only."""
    assert _words(_public(name)) == words


def test_the_protocol_has_eight_methods() -> None:
    """What a backend writes; the rest is built on it once."""
    assert set(_methods(gitstore.EventStore)) == {
        "append",
        "append_many",
        "read_stream",
        "read_all",
        "follow",
        "streams",
        "subscribe",
        "close",
    }


def test_a_backend_without_all_eight_is_none() -> None:
    """A method that was forgotten is missed when the store is made, not when it is called."""
    methods = {name: lambda self: None for name in _methods(gitstore.EventStore)}
    assert type("Whole", (gitstore.BaseEventStore,), methods)()
    for forgotten in methods:
        rest = {name: method for name, method in methods.items() if name != forgotten}
        with pytest.raises(TypeError, match=forgotten):
            type("Partial", (gitstore.BaseEventStore,), rest)()


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__", "ExpectedVersion"}))
def test_every_public_name_is_documented(name: str) -> None:
    """Classes and functions, and each public method and property of a class."""
    value = _public(name)
    kind = type(value) if isinstance(value, Enum) else value
    assert inspect.getdoc(kind)
    if isinstance(kind, type):
        for method in _methods(kind):
            assert inspect.getdoc(getattr(kind, method)), f"{name}.{method} has no words"


@pytest.mark.parametrize("name", sorted(n for n in NAMES if n[0].isupper() and not n.isupper()))
def test_errors_and_values_are_found_where_they_say(name: str) -> None:
    """A public class pickles under its own module: its home is importable."""
    value = _public(name)
    if isinstance(value, type):
        assert getattr(sys.modules[value.__module__], name) is value


def test_every_error_is_public() -> None:
    """Who catches an error can name it."""
    errors = {
        error
        for error in gitstore.EventStoreError.__subclasses__()
        if error.__module__.startswith("gitstore.core")
    }
    assert {error.__name__ for error in errors} <= NAMES
    assert all(_public(error.__name__) is error for error in errors)


def test_the_import_costs_nothing() -> None:
    """No library is loaded until something of it is needed: a command line starts in ms."""
    heavy = ("pygit2", "git", "rich", "click", "sqlite3", "orjson", "importlib.metadata")
    code = f"import sys, gitstore; print([m for m in {heavy} if m in sys.modules])"
    assert _python(code) == "[]"


def test_an_error_costs_no_backend() -> None:
    """Catching and versions need neither git nor JSON."""
    code = (
        "import sys; from gitstore import EventStoreError, ANY, __version__;"
        "print([m for m in ('pygit2', 'sqlite3', 'orjson') if m in sys.modules])"
    )
    assert _python(code) == "[]"


def test_memory_needs_no_git() -> None:
    """The memory store loads neither pygit2 nor SQLite."""
    code = (
        "import sys, gitstore;"
        "gitstore.open_store('memory:').append(gitstore.DomainEvent('a', 'T'));"
        "print([m for m in ('pygit2', 'sqlite3', 'git') if m in sys.modules])"
    )
    assert _python(code) == "[]"


def test_the_version_is_the_packages() -> None:
    """One place says it."""
    assert _python("import importlib.metadata as m; print(m.version('scopecraft-events'))") == (
        gitstore.__version__
    )


def test_the_example_of_the_package_runs() -> None:
    """What ``help(gitstore)`` shows first is true."""
    result = doctest.testmod(gitstore)
    assert result.attempted >= 3
    assert result.failed == 0
