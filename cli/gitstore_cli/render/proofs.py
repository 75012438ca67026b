"""What came of holding the store against checkpoints: rows, JSON, and the sum of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gitstore_cli.env import Env
from gitstore_cli.render.jsontext import one_line, pretty
from gitstore_cli.safe import printable

if TYPE_CHECKING:
    from gitstore.backends.git.proving import Finding, Proof
    from gitstore.backends.git.signing import Signature
    from gitstore.sync.checkpoints import Checked

_MOST_ROWS = 100


def write_proofs(env: Env, form: str, checked: Sequence[Checked], *, ok: bool) -> None:
    """Answer with what is to be told of each checkpoint; in a table, the streams alone."""
    if form == "json":
        env.answer(pretty({"ok": ok, "checkpoints": [_object(one) for one in checked]}))
    elif form == "jsonl":
        for one in checked:
            env.answer(one_line(_object(one)))
    elif form == "minimal":
        _write_minimal(env, checked)
    else:
        _write_table(env, [found for one in checked if one.proof for found in one.proof.findings])


def say_proof(env: Env, one: Checked) -> None:
    """Say on stderr which checkpoint it was, who signed it, and how the streams stand to it."""
    from datetime import UTC, datetime

    from gitstore_cli.render.moments import local_seconds
    from gitstore_cli.render.names import SHORT_COMMIT, counted

    proof = one.proof
    if proof is None:
        env.say(f"Warning: {one.ref} could not be used: {one.why}")
        return
    made = local_seconds(datetime.fromtimestamp(proof.said.date, UTC))
    env.say(f"{one.ref} ({one.commit[:SHORT_COMMIT]}), {made}: {_signed(proof.signature)}")
    states = ", ".join(
        f"{count:,} {'stand' if state == 'stands' else state}"
        for state, count in proof.summary.items()
    )
    told = counted(proof.said.streams, "stream")
    env.say(f"{told}: {states or 'nothing to check'}; {_verdict(proof)}")


def _verdict(proof: Proof) -> str:
    if not proof.agrees:
        return "histories disagree"
    if "unverifiable" in proof.summary:
        return "not all of them could be compared"
    return "nothing was rewritten"


def _signed(signature: Signature) -> str:
    if signature.state == "unsigned":
        return "not signed"
    who = f" by {signature.signer}" if signature.signer else ""
    key = f" ({signature.key})" if signature.key else ""
    why = f": {signature.why}" if signature.why else ""
    return f"{signature.state} signature{who}{key}{why}"


def _object(one: Checked) -> dict[str, Any]:
    base = {"ref": one.ref, "commit": one.commit}
    return base | (_proven(one.proof) if one.proof else {"error": one.why})


def _proven(proof: Proof) -> dict[str, Any]:
    from datetime import UTC, datetime

    from gitstore.core.timestamps import format_timestamp

    return {
        "machine": proof.said.machine,
        "time": format_timestamp(datetime.fromtimestamp(proof.said.date, UTC)),
        "store": proof.said.store,
        "position": proof.said.position,
        "streams": proof.said.streams,
        "signature": proof.signature._asdict(),
        "agrees": proof.agrees,
        "summary": proof.summary,
        "findings": [found._asdict() for found in proof.findings],
    }


def _write_minimal(env: Env, checked: Sequence[Checked]) -> None:
    """A line a checkpoint, then one a stream that is not simply as it was."""
    for one in checked:
        state = one.proof.signature.state if one.proof else "unusable"
        env.answer("\t".join(map(printable, (state, one.ref, one.commit, one.why))))
        for found in one.proof.findings if one.proof else ():
            cells = (found.state, found.stream, found.commit, found.message)
            env.answer("\t".join(map(printable, cells)))


def _write_table(env: Env, findings: Sequence[Finding]) -> None:
    from gitstore_cli.render.table import Column, Table

    if not findings:
        return
    columns = (
        Column("State"),
        Column("Stream", "bold", most=48, least=12, keeps_end=True),
        Column("What", most=1000),
    )
    shown = findings[:_MOST_ROWS]
    Table(env, columns).write((f.state, f.stream, f.message) for f in shown)
    if len(findings) > len(shown):
        env.say(f"… and {len(findings) - len(shown):,} more: `-f jsonl` lists all")
