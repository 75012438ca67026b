"""The contract of names and metadata: hostile ones are kept exactly, or refused."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.errors import InvalidEvent
from gitstore.core.event import DomainEvent
from gitstore.core.names import category_of
from gitstore.testing.support import (
    MakeStore,
    happened,
    nothing_recorded,
    read_anew,
    same,
    versions,
)

_NFC = unicodedata.normalize("NFC", "task-caf\u00e9")
_NFD = unicodedata.normalize("NFD", _NFC)
_LONG = "task-" + "x" * 294

STREAM_IDS = {
    "slash": "worktree-feature/auth",
    "below": "worktree-feature/auth/x",
    "above": "worktree-feature",
    "a": "a",
    "a-slash-b": "a/b",
    "slash-first": "/a",
    "slash-last": "a/",
    "slashes": "a//b",
    "backslash": "a\\b",
    "dot": ".",
    "dots": "..",
    "dots-inside": "a..b",
    "dot-first": ".a",
    "dot-last": "a.",
    "climbs": "../../etc/passwd",
    "lock": "x.lock",
    "LOCK": "x.LOCK2.lock",
    "lock-inside": "x.lock/y",
    "at": "@",
    "at-brace": "@{",
    "at-brace-inside": "a@{1}",
    "like-a-subject": "a@3 b",
    "like-a-place": "a@3",
    "dash": "-",
    "option": "-x",
    "long-option": "--help",
    "space": "a b",
    "spaces": "a  b   c",
    "no-break-space": "a\u00a0b",
    "percent": "%",
    "percent-encoded": "%2F",
    "percent-hash": "%h" + "0" * 64,
    "glob": "a*b?[c]",
    "revision": "a~1^2:c",
    "HEAD": "HEAD",
    "refs": "refs/streams/a",
    "quotes": "a'b\"c`d",
    "shell": "$(a) && b; c | d > e",
    "sql": "a'; DROP TABLE events; --",
    "like": "a_%",
    "feed": "feed",
    "number": "0",
    "null": "null",
    "emoji": "task-\U0001f680",
    "zero-width": "a\u200bb",
    "right-to-left": "a\u202eb",
    "nfc": _NFC,
    "nfd": _NFD,
    "300": _LONG + "a",
    "300-other": _LONG + "b",
    "1000": "\u00e9" * 1_000,
}

_FORGERY = "x\n\nEvent-Id: forged\nUser-Id: forged"

METADATA: dict[str, Any] = {
    "nothing": {},
    "empty-key": {"": 1},
    "hostile-keys": {"User-Id": "x", "a\nb": 1, "Event-Metadata": "{}", 'q"\\': 2, "\x00": 3},
    "like-columns": {"position": 7, "version": 9, "streamId": "other", "id": "other"},
    "deep": {"a": {"b": [{"c": [[], {}, None]}]}},
    "numbers": {"i": 1, "f": 1.0, "z": -0.0, "big": 2**64 - 1, "small": 5e-324, "t": True},
    "unicode": {"\u2028": "\u2029", "\U0001f600": "\x85\x9b", "nul": "\x00"},
    "forged-trailer": {"traceId": _FORGERY},
    "long-text": {"userId": "u" * 4_000, "correlationId": "c" * 256, "causationId": "d" * 255},
    "60 KB": {"blob": "m" * 60_000},
}
VALUES: dict[str, Any] = {
    "angles": "Ann <ann@example.org>",
    "less": "a<b",
    "only-crud": "<>.,;:'\"",
    "newline": _FORGERY,
    "crlf": "a\r\nb",
    "trailing-newline": "a\n",
    "spaces": " a ",
    "tab": "\ta\t",
    "empty": "",
    "quoted": '"a"',
    "json": '{"a":1}',
    "backslash": "a\\nb",
    "trailer": "User-Id: root",
    "nul": "a\x00b",
    "not-ascii": "\u00e9\U0001f600",
    "null": None,
    "zero": 0,
    "float": 1.0,
    "true": True,
    "list": ["a"],
    "object": {"a": 1},
}
"""Values that ``userId``, ``correlationId`` and ``causationId`` may have."""

_WITH_A_MEANING = ("userId", "correlationId", "causationId")
METADATA |= {name: dict.fromkeys((*_WITH_A_MEANING, "own"), VALUES[name]) for name in VALUES}


class NamesContract:
    """Stream ids, types and event ids: hostile ones are held apart, impossible ones refused."""

    @pytest.mark.parametrize("stream_id", STREAM_IDS.values(), ids=STREAM_IDS)
    def test_a_stream_id_is_kept_as_it_is(
        self, store: BaseEventStore, make_store: MakeStore, stream_id: str
    ) -> None:
        """Any printable text is a stream id, in every way to ask for the stream."""
        recorded = [store.append(happened(stream_id, data=n)) for n in range(2)]
        assert [r.stream_id for r in recorded] == [stream_id] * 2
        assert list(store.read_stream(stream_id)) == recorded
        assert list(store.read_all(streams=stream_id)) == recorded
        assert list(store.read_all(categories=category_of(stream_id))) == recorded
        assert list(store.streams()) == [stream_id]
        assert store.stream_version(stream_id) == 2
        assert read_anew(store, make_store) == recorded

    def test_hostile_stream_ids_live_beside_each_other(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """``a`` beside ``a/b``, NFC beside NFD, long ones that differ at the end: streams apart."""
        names = list(STREAM_IDS.values())
        store.append_many(happened(name, data=name) for name in names)
        for name in names:
            store.append(happened(name, data=name), 1)
        assert list(store.streams()) == sorted(names)
        for name in names:
            assert [e.data for e in store.get_events(name)] == [name, name]
        anew = read_anew(store, make_store)
        assert [r.stream_id for r in anew] == [r.event.data for r in anew] == names * 2
        assert versions(anew) == [1] * len(names) + [2] * len(names)

    @pytest.mark.parametrize(
        "type_name",
        ["T", "task/created", "é", "\U0001f600", "a@3", "%2F", "-x", "..", "x.lock", "T" * 200],
    )
    def test_a_type_is_kept_as_it_is(
        self, store: BaseEventStore, make_store: MakeStore, type_name: str
    ) -> None:
        """Any word of 1 to 200 characters is a type."""
        recorded = store.append(DomainEvent("task-1 x@2", type_name))
        assert recorded.event.type == type_name
        assert list(store.get_events_by_type(type_name)) == [recorded.event]
        assert read_anew(store, make_store) == [recorded]

    @pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
    def test_metadata_is_kept_exactly(
        self, store: BaseEventStore, make_store: MakeStore, metadata: dict[str, Any]
    ) -> None:
        """Whatever JSON object it is, and whatever its values look like."""
        recorded = store.append(happened(metadata=metadata, id="true-id"))
        assert same(recorded.event.metadata, metadata)
        (read,) = read_anew(store, make_store)
        assert same(read.event.metadata, metadata)
        assert (read.event.id, read.event.data) == ("true-id", None)

    def test_hostile_values_stand_alone_too(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """One key with a meaning and no other: the rest is neither made up nor left over."""
        given = [{key: value} for key in _WITH_A_MEANING for value in VALUES.values()]
        store.append_many(happened(metadata=metadata) for metadata in given)
        read = read_anew(store, make_store)
        assert same([recorded.event.metadata for recorded in read], given)
        for recorded, metadata in zip(read, given, strict=True):
            user = metadata.get("userId")
            assert recorded.event.user_id == (user if isinstance(user, str) else None)

    def test_large_metadata_is_kept_or_refused(
        self, store: BaseEventStore, make_store: MakeStore
    ) -> None:
        """70 KB of metadata: recorded exactly, or ``InvalidEvent`` and nothing recorded."""
        metadata = {"userId": "ann", "blob": "m" * 70_000}
        try:
            store.append(happened(metadata=metadata))
        except InvalidEvent:
            assert list(store.read_all()) == []
        else:
            (read,) = read_anew(store, make_store)
            assert read.event.metadata == metadata

    @pytest.mark.parametrize(
        "value",
        [float("nan"), 2**64, (1,), "\ud800", {1: 2}, b"x"],
        ids=["nan", "2**64", "tuple", "surrogate", "int-key", "bytes"],
    )
    def test_metadata_that_json_cannot_hold_is_refused(
        self, store: BaseEventStore, value: Any
    ) -> None:
        """``InvalidEvent``, under a key with a meaning and under any other."""
        for key in ("userId", "own"):
            with nothing_recorded(store), pytest.raises(InvalidEvent):
                store.append(happened(metadata={key: value}))
