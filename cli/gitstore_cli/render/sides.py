"""Both sides of one stream after its fork, in each of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import one_line, pretty
from gitstore_cli.render.names import reference, standing
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.core.event import RecordedEvent
    from gitstore.sync.comparing import Compared
    from gitstore.sync.sides import Pair, Sides, Twins

_PREVIEW = 200  # characters of data that half a terminal could show


def write_sides(env: Env, form: str, compared: Compared, sides: Sides | None) -> bool:
    """Write where the stream stands, then what each side has; ``None``: not known without a fetch.

    The forms for programs are written as they are read, but for ``json``. Gives whether an event id
    with two contents was met, which ``minimal`` has not.
    """
    pairs: Iterable[Pair] = sides.pairs() if sides else ()
    met: list[str] = []
    twins = _noting(met, sides.twins() if sides else ())
    if form == "table":
        _write_table(env, compared, pairs, twins)
    elif form == "json":
        versions, contents = map(_pair_object, pairs), map(_twins_object, twins)
        whole = {**compared._asdict(), "versions": list(versions), "twins": list(contents)}
        env.answer(pretty(whole))
    elif form == "jsonl":
        env.answer(one_line(compared._asdict()))
        for value in chain(map(_pair_object, pairs), map(_twins_object, twins)):
            env.answer(one_line(value))
    else:
        for pair in pairs:
            cells = [str(pair.version), *_short(pair.ours), *_short(pair.theirs)]
            env.answer("\t".join(map(printable, cells)))
    return bool(met)


def _noting(met: list[str], twins: Iterable[Twins]) -> Iterator[Twins]:
    for one in twins:
        met[:] = [one.ours.event.id or ""]
        yield one


def _pair_object(pair: Pair) -> dict[str, Any]:
    return {
        "version": pair.version,
        "ours": _event_object(pair.ours, pair.there),
        "theirs": _event_object(pair.theirs, pair.here),
    }


def _event_object(recorded: RecordedEvent | None, same: int | None) -> dict[str, Any] | None:
    """``sameAs``: the version of the same event on the other side, where it has it."""
    if recorded is None:
        return None
    of_both = {} if same is None else {"sameAs": same}
    return {**recorded.event.to_dict(), "commit": recorded.commit, **of_both}


def _twins_object(twins: Twins) -> dict[str, Any]:
    return {
        "eventId": twins.ours.event.id,
        "ours": reference(twins.ours),
        "theirs": reference(twins.theirs),
        "fields": [{"field": field.name, **field.values} for field in twins.fields],
    }


def _short(recorded: RecordedEvent | None) -> tuple[str, str]:
    return ("", "") if recorded is None else (recorded.event.type, recorded.event.id or "")


def _write_table(
    env: Env, compared: Compared, pairs: Iterable[Pair], twins: Iterable[Twins]
) -> None:
    from gitstore_cli.render.table import Column, Table

    def columns(first: Column) -> tuple[Column, ...]:
        sides = ("Here", "There")
        return (first, *(Column(side, most=60, least=20, keeps_end=True) for side in sides))

    env.answer(f"{printable(compared.stream)}: {standing(compared)}")
    lines = chain.from_iterable(map(_pair_rows, pairs))
    Table(env, columns(Column("Version", "bold", right=True))).write(lines)
    for one in twins:
        env.answer(f"\nEvent {printable(one.ours.event.id or '')} has two contents:")
        where = ("event", reference(one.ours), reference(one.theirs))
        fields = ((f.name, *(_value(f.values, s) for s in ("ours", "theirs"))) for f in one.fields)
        first = Column("Field", "cyan", most=40, least=12)
        Table(env, columns(first)).write([where, *fields])


def _value(values: Any, side: str) -> str:
    if side not in values:
        return "—"
    value = values[side]
    return value if isinstance(value, str) else one_line(value)


def _pair_rows(pair: Pair) -> Iterator[tuple[str, str, str]]:
    """The rows of one version: each line of an event beside that of the other."""
    for at, line in enumerate(_LINES):
        ours, theirs = (
            line(event) if event else "—" * (at == 0) for event in (pair.ours, pair.theirs)
        )
        if ours or theirs:
            yield (f"{pair.version}" * (at == 0), ours, theirs)
    if pair.there or pair.here:
        there = f"the same as version {pair.there:,} there" if pair.there else ""
        here = f"the same as version {pair.here:,} here" if pair.here else ""
        yield ("", there, here)


def _time(recorded: RecordedEvent) -> str:
    from gitstore_cli.render.moments import local_seconds

    assert recorded.event.timestamp is not None  # a recorded event has one
    return local_seconds(recorded.event.timestamp)


def _data(recorded: RecordedEvent) -> str:
    data = recorded.event.data
    return "" if data is None else one_line(data)[:_PREVIEW]


_LINES: tuple[Callable[[RecordedEvent], str], ...] = (
    lambda recorded: recorded.event.type,
    _time,
    lambda recorded: recorded.event.id or "",
    _data,
)
