"""``sc-events verify``: is everything what it should be, and can what is not be made good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import DISAGREE, FAILURE, OK, Usage
from gitstore_cli.finding import Place, find_place
from gitstore_cli.stores import check_present, existing, existing_git, reading, say_no_events

if TYPE_CHECKING:
    from gitstore.core.findings import Finding, VerifyReport
    from gitstore.sync.checkpoints import Checked

_MOST_ROWS = 100
_EXAMPLES = """\b
Examples:
  sc-events verify
  sc-events verify --deep
  sc-events verify --repair --store damaged.git
  sc-events verify -f json | jq '.findings[].message'
  sc-events verify --against hub
  sc-events verify --against checkpoints/laptop
  sc-events verify --schemas

\b
Exit codes: 0 no damage, 1 damage that is (still) there. With --against: 0 no
stream lost anything, 3 histories disagree, 1 a bad signature or no checkpoint.
With --schemas: 1 where an event does not fit."""


@options.command(epilog=_EXAMPLES, short_help="Check the whole store; repair what can be.")
@click.option("--repair", is_flag=True, help="Rebuild what can be rebuilt, and look again.")
@click.option("--deep", is_flag=True, help="Spare no time; in git, `git fsck --full --strict` too.")
@click.option(
    "--against",
    multiple=True,
    metavar="REF|REMOTE",
    help="Only hold all streams against this checkpoint, or all of a remote's. May be repeated.",
)
@click.option("--schemas", is_flag=True, help="Only list events whose data does not fit the type.")
@options.timeout_option
@options.format_option
def command(
    env: Env,
    form: str,
    repair: bool,
    deep: bool,
    against: tuple[str, ...],
    schemas: bool,
    timeout: float | None,
) -> int:
    """Check every event and stream, and all that the store keeps them in.

    In git: packs, refs, the feed, the index and the journal. Others may append meanwhile. Damage
    is named, one line each, with the events concerned. Repair deletes nothing: damaged files are
    kept, by git stores in gitstore/salvage inside them.

    With --against: prove that each stream holds what it held when a checkpoint was made. A remote
    is fetched for that, and nothing is taken in.
    """
    from gitstore.core.findings import VerifyReport

    if (against or schemas) and (repair or deep or (against and schemas)):
        name = "--against" if against else "--schemas"
        raise Usage(f"{name} is a check of its own", hint="Run verify twice.")
    if against:
        return _hold_against(env, form, against, timeout)
    if schemas:
        return _hold_against_schemas(env, form)
    place = find_place(env)
    if place.is_default and place.is_missing:
        say_no_events(env, place)
        _write(env, form, VerifyReport((), 0, 0))
        return OK
    report = _report(env, place, repair=repair, deep=deep)
    _write(env, form, report)
    _say(env, report, repair=repair)
    return OK if report.ok else FAILURE


def _hold_against(env: Env, form: str, against: tuple[str, ...], timeout: float | None) -> int:
    from gitstore.sync.checkpoints import check_against
    from gitstore_cli.render.progress import ProgressBar
    from gitstore_cli.render.proofs import say_proof, write_proofs

    place = find_place(env)
    check_present(place)
    checked: list[Checked] = []
    what = "--against proves git commits"
    with existing_git(env, place, what) as store, ProgressBar(env) as bar:
        for named in dict.fromkeys(against):
            checked += check_against(store, named, timeout=timeout, progress=bar)
    code = max(map(_code, checked))
    write_proofs(env, form, checked, ok=code == OK)
    for one in checked:
        say_proof(env, one)
    return code


def _hold_against_schemas(env: Env, form: str) -> int:
    """What was imported or pulled, or recorded before there was a schema, may not fit it."""
    from gitstore.core.findings import Finding, VerifyReport
    from gitstore.schemas import misfits
    from gitstore_cli.render.names import counted, reference
    from gitstore_cli.render.progress import ProgressBar

    with reading(env) as store:
        if store is None:
            _write(env, form, VerifyReport((), 0, 0))
            return OK
        with ProgressBar(env) as progress:
            findings = [
                Finding(
                    "schema",
                    one.message,
                    stream=one.recorded.stream_id,
                    commit=one.recorded.commit,
                    place=reference(one.recorded),
                )
                for one in misfits(store, store.last_position(), progress)
            ]
        known = store.status()
    _write(env, form, VerifyReport(tuple(findings), known.events, known.streams))
    env.say(f"{counted(len(findings), 'event')} whose data does not fit the type")
    return FAILURE if findings else OK


def _code(one: Checked) -> int:
    """What a checkpoint with a bad signature says of the streams, nobody need have said."""
    if one.proof is None or one.proof.signature.state == "bad":
        return FAILURE
    return OK if one.proof.agrees else DISAGREE


def _report(env: Env, place: Place, *, repair: bool, deep: bool) -> VerifyReport:
    from gitstore_cli.library_warnings import show_warnings
    from gitstore_cli.render.progress import ProgressBar

    show_warnings(env)
    with ProgressBar(env) as progress:
        if not place.is_git:
            with existing(env, place) as store:
                return store.verify(repair=repair, deep=deep, progress=progress)
        from gitstore.backends.git.inspecting import inspect

        return inspect(place.address.path, repair=repair, deep=deep, progress=progress)


def _write(env: Env, form: str, report: VerifyReport) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty

    states = [*((f, True) for f in report.repaired), *((f, False) for f in report.findings)]
    if form == "json":
        env.answer(
            pretty(
                {
                    "ok": report.ok,
                    "events": report.events,
                    "streams": report.streams,
                    "superseded": report.superseded,
                    "findings": [_object(finding) for finding in report.findings],
                    "repaired": [_object(finding) for finding in report.repaired],
                }
            )
        )
    elif form == "jsonl":
        for finding, mended in states:
            env.answer(one_line({**_object(finding), "repaired": mended}))
    elif form == "minimal":
        _write_minimal(env, states)
    elif states:
        _write_table(env, states)


def _object(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "ref": finding.ref,
        "stream": finding.stream,
        "commit": finding.commit,
        "place": finding.place,
        "message": finding.message,
        "repairable": finding.repairable,
    }


def _write_minimal(env: Env, states: list[tuple[Finding, bool]]) -> None:
    from gitstore_cli.safe import printable

    for finding, mended in states:
        cells = (_state(finding, mended), finding.kind, _where(finding), finding.message)
        env.answer("\t".join(map(printable, cells)))


def _write_table(env: Env, states: list[tuple[Finding, bool]]) -> None:
    from gitstore_cli.render.table import Column, Table

    columns = (
        Column("State"),
        Column("Kind", "cyan"),
        Column("Where", "bold", most=48, least=12, keeps_end=True),
        Column("What", most=1000),
    )
    shown = states[:_MOST_ROWS]
    rows = ((_state(f, mended), f.kind, _where(f), f.message) for f, mended in shown)
    Table(env, columns).write(rows)
    if len(states) > len(shown):
        env.say(f"… and {len(states) - len(shown):,} more: `-f jsonl` lists all")


def _state(finding: Finding, mended: bool) -> str:
    if mended:
        return "repaired"
    return "note" if finding.kind in {"quarantine", "schema"} else "damage"


def _where(finding: Finding) -> str:
    return finding.place or finding.stream or finding.ref or finding.commit or ""


def _say(env: Env, report: VerifyReport, *, repair: bool) -> None:
    """The sum of it, on stderr: stdout holds the findings and nothing else."""
    from gitstore_cli.render.names import counted

    left = [finding for finding in report.findings if finding.kind != "quarantine"]
    looked = f"{counted(report.events, 'event')} in {counted(report.streams, 'stream')}"
    if report.superseded:
        looked += f", {report.superseded:,} superseded"
    mended = f"{counted(len(report.repaired), 'finding')} repaired, " if report.repaired else ""
    damage = f"{counted(len(left), 'finding')} of damage" if left else "no damage"
    env.say(f"{looked}: {mended}{damage}")
    if len(report.findings) > len(left):
        kept = counted(len(report.findings) - len(left), "foreign tip")
        env.say(f"Note: {kept} in quarantine, which is no damage.")
    if any(finding.repairable for finding in left) and not repair:
        env.say("Hint: sc-events verify --repair")
