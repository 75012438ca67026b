"""``sc-events maintain``: make the store small."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Usage
from gitstore_cli.finding import Place, find_place
from gitstore_cli.stores import as_git_store, existing, say_no_events

if TYPE_CHECKING:
    from gitstore.core.base import BaseEventStore
    from gitstore.core.upkeep import MaintainReport, Occupied

_EXAMPLES = """\b
Examples:
  sc-events maintain
  sc-events maintain --trim
  sc-events maintain --store backup.git -f json

\b
A store that is in use does this by itself when it has more than 40 packs or
1,000 loose objects; `git config gitstore.autoMaintain false` in it says no."""
_NICENESS = 10
_UNITS = ("KB", "MB", "GB", "TB")


@options.command(epilog=_EXAMPLES, short_help="Make the store small; drops nothing.")
@click.option(
    "--trim",
    is_flag=True,
    help="Keep only the newest 10,000 events' bodies twice; older ones are read from git, slower.",
)
@click.option("--auto", is_flag=True, help="Only where much has gathered and nobody else is at it.")
@options.format_option
def command(env: Env, form: str, trim: bool, auto: bool) -> None:
    """Put packs together, pack refs, write a commit-graph, fold logs. Nothing is dropped.

    Beside writers and readers, at any time. Where another one is at it, waits for that.
    """
    from gitstore_cli.render.progress import ProgressBar

    if trim and auto:
        raise Usage("--trim and --auto cannot both be given", hint="Give one of the two.")
    place = find_place(env)
    if place.is_default and place.is_missing:
        say_no_events(env, place)
        return
    if auto and env.lingers:
        os.nice(_NICENESS)
    with existing(env, place) as opened, ProgressBar(env) as bar:
        report = _if_due(place, opened) if auto else opened.maintain(trim=trim, progress=bar)
    if report is not None:
        _write(env, form, report)


def _if_due(place: Place, store: BaseEventStore) -> MaintainReport | None:
    return as_git_store(store).maintain_if_due() if place.is_git else None


def _write(env: Env, form: str, report: MaintainReport) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty

    if form == "table":
        env.answer(_sentence(report.before, report.after))
        return
    answer = {
        "before": _object(report.before),
        "after": _object(report.after),
        "milliseconds": {name: round(1000 * took) for name, took in report.seconds.items()},
    }
    if form == "minimal":
        for name in answer["before"]:
            env.answer(f"{name}\t{answer['before'][name]}\t{answer['after'][name]}")
        return
    env.answer(pretty(answer) if form == "json" else one_line(answer))


def _object(occupied: Occupied) -> dict[str, Any]:
    parts = {"packs": occupied.packs, "loose": occupied.loose}
    return {**{name: n for name, n in parts.items() if n is not None}, "size": occupied.size}


def _sentence(before: Occupied, after: Occupied) -> str:
    parts = []
    if before.packs is not None:
        parts.append(f"packs {before.packs} → {after.packs}")
    if before.loose:
        parts.append(f"loose objects {before.loose} → {after.loose}")
    parts.append(f"{_readable(before.size)} → {_readable(after.size)}")
    return ", ".join(parts)


def _readable(size: int) -> str:
    """Bytes as a person reads them: ``812 KB``, ``1.4 GB``."""
    amount = size / 1000
    for unit in _UNITS:
        if amount < 999.5 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "KB" or amount >= 100 else f"{amount:.1f} {unit}"
