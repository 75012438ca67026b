"""States of projections, for people and programs; how saved ones stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import array, one_line, pretty
from gitstore_cli.render.moments import local_seconds
from gitstore_cli.render.names import counted
from gitstore_cli.render.table import Column, Table
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.projections import ProjectionStatus, StateCheck

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").fullmatch
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MOST_COLUMNS = 8
_LONG = 20


def write_states(
    env: Env, form: str, states: Mapping[str, Any], position: int, *, alone: bool
) -> None:
    """The states by their projections' names; ``alone``: as JSON, the one state itself."""
    if form == "json":
        env.answer(pretty(next(iter(states.values()), None) if alone else dict(states)))
    elif form == "jsonl":
        for name, state in states.items():
            env.answer(one_line({"projection": name, "position": position, "state": state}))
    elif form == "minimal":
        for name, state in states.items():
            for key, entries in _collections(state):
                for entry, value in entries.items():
                    cells = (name, key, entry, *map(_short, value.values()))
                    env.answer("\t".join(map(printable, cells)))
    else:
        for number, (name, state) in enumerate(states.items()):
            _write_table(env, name, state, gap=number > 0)


def write_checks(env: Env, form: str, checks: Iterable[StateCheck]) -> None:
    """Saved states held against the events."""
    if form in {"json", "jsonl"}:
        _write_objects(env, form, map(_check_object, checks))
        return
    rows = [
        (one.name, _verdict(one), f"{one.position:,}", why)
        for one in checks
        for why in one.differences or (one.problem or "",)
    ]
    titles = (Column("Projection", "bold"), Column("Saved state"), Column("Position", right=True))
    _write_rows(env, form, (*titles, Column("Where", most=200)), rows)


def _verdict(one: StateCheck) -> str:
    if one.problem is not None:
        return "unusable"
    return "same" if one.ok else "differs"


def _check_object(one: StateCheck) -> dict[str, Any]:
    return {
        "projection": one.name,
        "ok": one.ok,
        "position": one.position,
        "differences": list(one.differences),
        "problem": one.problem,
    }


def write_statuses(env: Env, form: str, found: Iterable[ProjectionStatus]) -> None:
    """How saved states stand."""
    if form in {"json", "jsonl"}:
        _write_objects(env, form, map(_status_object, found))
        return
    rows = [
        (
            *(one.name, one.state, f"{one.position:,}", f"{one.lag:,}"),
            *("" if one.saved is None else _cell(one.saved), _remark(one)),
        )
        for one in found
    ]
    columns = (
        Column("Projection", "bold"),
        Column("State", "cyan"),
        Column("Position", right=True),
        Column("Lag", right=True),
        Column("Saved", leaves=1),
        Column("Remark", most=1000),
    )
    _write_rows(env, form, columns, rows)


def _status_object(one: ProjectionStatus) -> dict[str, Any]:
    return {
        "projection": one.name,
        "version": one.version,
        "state": one.state,
        "position": one.position,
        "lag": one.lag,
        "saved": one.saved,
        "building": one.building,
        "stopped": None if one.stopped is None else one.stopped.to_dict(),
        "skipped": list(one.skipped),
    }


def _remark(one: ProjectionStatus) -> str:
    if one.stopped is not None:
        return f"stopped at {one.stopped.place}: {one.stopped.error}"
    if one.building is not None:
        return f"made anew up to {one.building:,}"
    return f"skipped: {len(one.skipped):,}" if one.skipped else ""


def _write_objects(env: Env, form: str, objects: Iterable[Mapping[str, Any]]) -> None:
    if form == "json":
        env.stdout.writelines(array(objects))
    else:
        env.stdout.writelines(one_line(value) + "\n" for value in objects)


def _write_rows(
    env: Env, form: str, columns: tuple[Column, ...], rows: Iterable[tuple[str, ...]]
) -> None:
    if form == "minimal":
        for row in rows:
            env.answer("\t".join(map(printable, row)))
    else:
        Table(env, columns).write(rows)


def _write_table(env: Env, name: str, state: Any, *, gap: bool) -> None:
    """A table for each collection of objects in the state; another state as JSON."""
    collections = _collections(state)
    if gap:
        env.answer("")
    if not collections:
        env.answer(f"{name}:\n{pretty(state)}")
    for key, entries in collections:
        noun = key.removesuffix("s")
        env.answer(printable(f"{name}: {counted(len(entries), noun)}"))
        names = dict.fromkeys(field for entry in entries.values() for field in entry)
        # What repeats the entry's own name says nothing.
        keys = [k for k in names if any(one.get(k) != n for n, one in entries.items())]
        del keys[_MOST_COLUMNS:]
        rows = [
            (entry, *(_cell(value.get(one)) for one in keys)) for entry, value in entries.items()
        ]
        first = Column(_title(noun), "bold", most=40, least=12)
        Table(env, (first, *_columns(keys, rows))).write(rows)


def _columns(keys: list[str], rows: list[tuple[str, ...]]) -> Iterator[Column]:
    """A column a key: long texts give way where it is narrow, and then the last columns."""
    for at, key in enumerate(keys, 1):
        is_long = any(len(row[at]) > _LONG for row in rows)
        is_number = all(row[at].replace(",", "").isdecimal() for row in rows)
        yield Column(
            _title(key),
            right=is_number,
            most=40,
            least=12 if is_long else 0,
            leaves=len(keys) + 1 - at if at > 1 else 0,
        )


def _collections(state: Any) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """The parts of a state that are objects of objects; the first also where it is empty."""
    if not isinstance(state, dict):
        return []
    found = [
        (key, value)
        for key, value in state.items()
        if isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())
    ]
    return found[:1] + [one for one in found[1:] if one[1]]


def _title(key: str) -> str:
    words = _HUMP.sub(" ", key).lower()
    return words[:1].upper() + words[1:]


def _cell(value: Any) -> str:
    """A value for people, in a few characters; times are local."""
    if isinstance(value, str) and _TIME(value):
        return local_seconds(datetime.fromisoformat(value))
    return f"{value:,}" if type(value) is int else _short(value)


def _short(value: Any) -> str:
    """A value in a few characters: how many there are of what has several."""
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return str(len(value))
    return value if isinstance(value, str) else one_line(value)
