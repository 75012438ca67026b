"""``sc-events checkpoint``: say for good where all streams stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.finding import find_place
from gitstore_cli.stores import existing_git, say_no_events

if TYPE_CHECKING:
    from gitstore.backends.git.checkpointing import Made

_EXAMPLES = """\b
Examples:
  sc-events checkpoint
  sc-events checkpoint --sign && sc-events push
  sc-events verify --against checkpoints/laptop
  git log refs/checkpoints/laptop
  git diff --name-only refs/checkpoints/laptop~ refs/checkpoints/laptop

\b
To sign with your ssh key, once:
  git config --global gpg.format ssh
  git config --global user.signingKey ~/.ssh/id_ed25519.pub"""


@options.command(epilog=_EXAMPLES, short_help="Say for good where all streams stand.")
@click.option("--sign", is_flag=True, help="Have git sign it, with the key it is configured with.")
@options.format_option
def command(env: Env, form: str, sign: bool) -> None:
    """Commit the last commit of every stream on refs/checkpoints/MACHINE.

    A commit names all that came before it, so whoever has the checkpoint can prove later that
    nothing was rewritten or left out: `sc-events verify --against`. Push brings it to a remote.
    """
    from gitstore.sync.checkpoints import checkpoint

    place = find_place(env)
    if place.is_default and place.is_missing:
        say_no_events(env, place)
        return
    with existing_git(env, place, "a checkpoint names git commits") as store:
        made = checkpoint(store, signed=sign)
    _write(env, form, made)


def _write(env: Env, form: str, made: Made) -> None:
    from gitstore_cli.render.jsontext import one_line, pretty

    answer = _object(made)
    if form == "table":
        _write_sentence(env, made)
    elif form == "minimal":
        env.answer("\t".join(str(answer[key]) for key in ("ref", "commit", "streams", "changed")))
    else:
        env.answer(pretty(answer) if form == "json" else one_line(answer))


def _object(made: Made) -> dict[str, Any]:
    return {
        "ref": made.ref,
        "commit": made.commit,
        "machine": made.said.machine,
        "streams": made.said.streams,
        "events": made.said.events,
        "position": made.said.position,
        "changed": made.changed,
        "signed": made.said.is_signed,
        "new": made.is_new,
    }


def _write_sentence(env: Env, made: Made) -> None:
    from gitstore_cli.render.names import SHORT_COMMIT, counted

    place = f"{made.ref} is at {made.commit[:SHORT_COMMIT]}"
    held = f"{counted(made.said.streams, 'stream')}, {counted(made.said.events, 'event')}"
    signed = "signed" if made.said.is_signed else "not signed"
    if made.is_new:
        env.answer(f"✓ {place}: {held}, {made.changed:,} changed, {signed}")
    else:
        env.answer(f"{place}: {held}, {signed}")
        env.say("Nothing has changed since that checkpoint.")
