"""The contract of the filters of ``read_all`` and ``follow``."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from gitstore.core.base import BaseEventStore
from gitstore.core.event import DomainEvent
from gitstore.testing.support import Follower, at, happened, ids

_D_TIME = at(3, microseconds=1)
_TOKYO = timezone(timedelta(hours=9))


def _history() -> list[DomainEvent]:
    def event(
        event_id: str, stream: str, what: str, user: Any, correlation: Any, time: datetime
    ) -> DomainEvent:
        given = {"userId": user, "correlationId": correlation}
        metadata = {key: value for key, value in given.items() if value is not None}
        return DomainEvent(stream, what, None, metadata, event_id, time)

    return [
        event("a", "task-1", "Created", "ann", "c1", at(0)),
        event("b", "task-2", "Created", "bob", "c2", at(1)),
        event("c", "task-1", "Moved", "bob", "c1", at(2)),
        event("d", "session-1", "Started", "ann", "c2", _D_TIME),
        event("e", "task-1", "Moved", None, None, at(1)),  # earlier than those before it
        event("f", "task", "Created", 5, ["c1"], at(4)),  # its whole id is the category
        event("g", "-x", "Noted", "", "", at(5)),  # category, user, correlation: empty texts
    ]


_FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abcdefg"),
    ({"types": "Created"}, "abf"),
    ({"types": ["Created", "Started"]}, "abdf"),
    ({"types": ["Moved", "Nothing"]}, "ce"),
    ({"types": ("Noted",)}, "g"),
    ({"types": "Creat"}, ""),
    ({"types": "created"}, ""),
    ({"types": []}, ""),
    ({"streams": "task-1"}, "ace"),
    ({"streams": ["task-2", "task-1"]}, "abce"),
    ({"streams": "task"}, "f"),
    ({"streams": "TASK-1"}, ""),
    ({"streams": ["none"]}, ""),
    ({"streams": []}, ""),
    ({"categories": "task"}, "abcef"),
    ({"categories": ["session", "task"]}, "abcdef"),
    ({"categories": ""}, "g"),
    ({"categories": "task-1"}, ""),
    ({"categories": []}, ""),
    ({"users": "ann"}, "ad"),
    ({"users": ["ann", "bob"]}, "abcd"),
    ({"users": ""}, "g"),
    ({"users": "5"}, ""),
    ({"users": []}, ""),
    ({"correlations": "c1"}, "ac"),
    ({"correlations": ["c1", "c2"]}, "abcd"),
    ({"correlations": ""}, "g"),
    ({"correlations": []}, ""),
    ({"since": at(1)}, "bcdefg"),
    ({"since": at(1).astimezone(_TOKYO)}, "bcdefg"),
    ({"since": at(1, microseconds=1)}, "cdfg"),
    ({"since": _D_TIME}, "dfg"),
    ({"since": _D_TIME + timedelta(microseconds=1)}, "fg"),
    ({"since": at(9)}, ""),
    ({"until": at(1)}, "a"),
    ({"until": at(1).astimezone(_TOKYO)}, "a"),
    ({"until": _D_TIME}, "abce"),
    ({"until": _D_TIME + timedelta(microseconds=1)}, "abcde"),
    ({"until": at(-1)}, ""),
    ({"since": at(1), "until": at(3)}, "bce"),
    ({"since": at(1), "until": at(1)}, ""),
    ({"since": at(3), "until": at(1)}, ""),
    ({"since": datetime(1, 1, 1, tzinfo=_TOKYO)}, "abcdefg"),
    (
        {"until": datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=9)))},
        "abcdefg",
    ),
    ({"types": "Created", "categories": "task", "users": "bob"}, "b"),
    ({"streams": "task-1", "correlations": "c1", "since": at(1)}, "c"),
    ({"streams": "task-1", "categories": "session"}, ""),
    ({"types": ["Created", "Moved"], "users": ["ann", "bob"], "until": at(2)}, "ab"),
    ({"after_position": 3, "types": ["Moved", "Created"]}, "ef"),
]

_FOLLOWED: list[tuple[dict[str, Any], str]] = [
    ({}, "abcdefg"),
    ({"types": ["Moved", "Noted"]}, "ceg"),
    ({"types": []}, ""),
    ({"streams": ["task", "-x"]}, "fg"),
    ({"categories": "task"}, "abcef"),
    ({"categories": ""}, "g"),
    ({"users": ["ann", ""]}, "adg"),
    ({"correlations": "c1"}, "ac"),
    ({"since": _D_TIME}, "dfg"),
    ({"until": _D_TIME}, "abce"),
    ({"after_position": 3, "since": at(2), "categories": ["task", "session", ""]}, "dfg"),
]

_WINDOWS: list[tuple[dict[str, Any], str]] = [
    ({"types": "Moved", "limit": 1}, "c"),
    ({"users": "bob", "limit": 5}, "bc"),
    ({"types": "Created", "limit": 0}, ""),
    ({"types": "Created", "backwards": True}, "fba"),
    ({"types": "Moved", "limit": 1, "backwards": True}, "e"),
    ({"categories": "task", "limit": 2, "after_position": 1}, "bc"),
    ({"categories": "task", "limit": 2, "after_position": 1, "backwards": True}, "fe"),
    ({"since": at(1), "until": at(4), "backwards": True}, "edcb"),
]


def _name(value: object) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


class FilterContract:
    """Each filter of ``read_all`` and ``follow``, alone and together."""

    @pytest.mark.parametrize(("filters", "expected"), [*_FILTERS, *_WINDOWS], ids=_name)
    def test_read_all_gives_what_passes_every_filter(
        self, store: BaseEventStore, filters: dict[str, Any], expected: str
    ) -> None:
        """A conjunction; each filter one name or several; ``limit`` counts what passed."""
        store.append_many(_history())
        assert "".join(event_id or "" for event_id in ids(store.read_all(**filters))) == expected

    @pytest.mark.parametrize(("filters", "expected"), _FOLLOWED, ids=_name)
    def test_follow_gives_what_passes_every_filter(
        self, store: BaseEventStore, filters: dict[str, Any], expected: str
    ) -> None:
        """The filters of ``read_all``, on what is there and on what comes."""
        *there, last = _history()
        store.append_many(there)
        stop = threading.Event()
        follower = Follower(lambda: store.follow(**filters, stop=stop))
        given = follower.take(len(expected.removesuffix("g")))
        store.append(last)
        if expected:  # what surely passes tells that what came before it was passed over
            passes = next(event for event in [*there, last] if event.id == expected[0])
            store.append(replace(passes, id="z"))
            given += follower.take(len(expected) - len(given) + 1)
            expected += "z"
        stop.set()
        assert "".join(event_id or "" for event_id in ids([*given, *follower.rest()])) == expected

    def test_several_names_may_come_from_an_iterator(self, store: BaseEventStore) -> None:
        """Names are taken from any iterable, once, and kept to the end."""
        store.append_many(_history())
        assert ids(store.read_all(types=iter(["Moved", "Noted"]))) == ["c", "e", "g"]

    def test_an_alias_names_what_it_stands_for(self, store: BaseEventStore) -> None:
        """``SessionFailed``: what failed, found before the limit, and events of that very type."""
        data = {"sessionId": "1", "duration": 1, "toolsUsed": []}
        for n, result in enumerate(("failure", "success", "failure", "success")):
            ended = {**data, "result": result}
            store.append(DomainEvent("session-1", "SessionCompleted", ended, id=f"{result}-{n}"))
        store.append(DomainEvent("session-1", "SessionFailed", None, id="old"))
        store.append(DomainEvent("session-1", "Noted", {"result": "failure"}, id="noted"))
        failed = ["failure-0", "failure-2", "old"]
        assert ids(store.read_all(types="SessionFailed")) == failed
        assert ids(store.read_all(types="SessionFailed", backwards=True, limit=2)) == failed[:0:-1]
        assert ids(store.read_all(types="SessionFailed", limit=1, after_position=1)) == failed[1:2]
        assert ids(store.read_all(types=["SessionFailed", "Noted"])) == [*failed, "noted"]
        assert len(ids(store.read_all(types=["SessionFailed", "SessionCompleted"]))) == 5
        assert [e.id for e in store.get_events_by_type("SessionFailed")] == failed
        stop = threading.Event()
        follower = Follower(lambda: store.follow(types="SessionFailed", stop=stop))
        assert ids(follower.take(3)) == failed
        stop.set()

    @pytest.mark.parametrize("bound", ["since", "until"])
    def test_a_bound_without_a_zone_is_refused(self, store: BaseEventStore, bound: str) -> None:
        """``ValueError``: it would mean another moment on every machine."""
        store.append(happened())
        naive: dict[str, Any] = {bound: datetime(2026, 11, 23)}  # noqa: DTZ001
        stop = threading.Event()
        with pytest.raises(ValueError, match="time zone"):
            list(store.read_all(**naive))
        with pytest.raises(ValueError, match="time zone"):
            next(store.follow(**naive, stop=stop))

    def test_get_events_by_type_refuses_a_naive_since(self, store: BaseEventStore) -> None:
        """``ValueError``, as in ``read_all``."""
        store.append(happened())
        with pytest.raises(ValueError, match="time zone"):
            list(store.get_events_by_type("Happened", datetime(2026, 11, 23)))  # noqa: DTZ001

    def test_a_user_is_the_metadatas_text(self, store: BaseEventStore) -> None:
        """A ``userId`` that is no text is nobody's; hostile names are found by what they are."""
        users: list[Any] = [
            "a <b@c>",
            "a\nb",
            "5",
            5,
            True,
            None,
            ["ann"],
            "é",
            "e\u0301",
            "a" * 300,
        ]
        recorded = [store.append(happened(metadata={"userId": user})) for user in users]
        for user, one in zip(users, recorded, strict=True):
            if isinstance(user, str):
                assert list(store.read_all(users=user)) == [one]
        texts = [user for user in users if isinstance(user, str)]
        assert len(list(store.read_all(users=texts))) == len(texts)

    def test_many_names_at_once(self, store: BaseEventStore) -> None:
        """A filter of thousands of names is a filter like any other."""
        store.append_many(_history())
        names = [f"stream-{n}" for n in range(3_000)]
        assert ids(store.read_all(streams=[*names, "task-2"])) == ["b"]
