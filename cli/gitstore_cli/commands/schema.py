"""``sc-events schema``: what events of a type carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitstore_cli import options
from gitstore_cli.env import Env
from gitstore_cli.failures import Failure

if TYPE_CHECKING:
    from gitstore.schemas import EventType

_EXAMPLES = """\b
Examples:
  sc-events schema
  sc-events schema TaskCreated
  sc-events schema SessionCompleted --json-schema > SessionCompleted.schema.json

\b
An append of one of these types must fit; other types, and fields that a type
does not name, pass. `sc-events verify --schemas` lists what is recorded and
does not fit."""


@options.command(epilog=_EXAMPLES, short_help="Show what events of a type carry.")
@click.argument("type", metavar="[TYPE]", required=False)
@click.option("--json-schema", is_flag=True, help="As JSON Schema 2020-12.")
@options.format_option
def command(env: Env, form: str, type: str | None, json_schema: bool) -> None:  # noqa: A002
    """List the known types of events; with TYPE, its fields and an example."""
    from gitstore.schemas import SCHEMAS
    from gitstore_cli.render.jsontext import array, one_line, pretty

    if json_schema:
        found = _named(env, type).json_schema() if type else _all_schemas()
        env.answer(one_line(found) if form == "jsonl" else pretty(found))
    elif form in {"json", "jsonl"}:
        if type:
            one = _object(_named(env, type))
            env.answer(pretty(one) if form == "json" else one_line(one))
        elif form == "json":
            env.stdout.writelines(array(map(_object, SCHEMAS.values())))
        else:
            env.stdout.writelines(one_line(_object(one)) + "\n" for one in SCHEMAS.values())
    elif form == "minimal":
        _write_minimal(env, [_named(env, type)] if type else list(SCHEMAS.values()))
    elif type:
        _write_one(env, _named(env, type))
    else:
        _write_all(env)


def _named(env: Env, name: str) -> EventType:
    from difflib import get_close_matches

    from gitstore.core.aliases import ALIASES
    from gitstore.schemas import SCHEMAS

    alias = ALIASES.get(name)
    if alias is not None:
        env.say(f"{name} stands for {alias.type} with {alias.key} {alias.value}.")
        name = alias.type
    if name in SCHEMAS:
        return SCHEMAS[name]
    close = get_close_matches(name, SCHEMAS, 1)
    hint = f"Did you mean `{close[0]}`?" if close else "`sc-events schema` lists those there are."
    raise Failure(f"no schema is known for type {name!r}: any data fits it", hint=hint)


def _all_schemas() -> dict[str, Any]:
    from gitstore.schemas import SCHEMAS

    return {name: one.json_schema() for name, one in SCHEMAS.items()}


def _object(one: EventType) -> dict[str, Any]:
    return {
        "type": one.name,
        "version": one.version,
        "summary": one.summary,
        "fields": [
            {"name": field.name, "required": field.required, "description": field.description}
            for field in one.fields()
        ],
        "example": one.example,
    }


def _write_minimal(env: Env, types: list[EventType]) -> None:
    for one in types:
        fields = (field.name + ("" if field.required else "?") for field in one.fields())
        env.answer(f"{one.name}\t{','.join(fields)}")


def _write_all(env: Env) -> None:
    from gitstore.schemas import SCHEMAS
    from gitstore_cli.render.table import Column, Table

    columns = (Column("Type", "cyan"), Column("What happened", most=200, rest=True))
    Table(env, columns).write((name, _plain(one.summary)) for name, one in SCHEMAS.items())


def _write_one(env: Env, one: EventType) -> None:
    from gitstore_cli.render.jsontext import pretty
    from gitstore_cli.render.table import Column, Table

    env.answer(f"{one.name}: {_plain(one.summary)}\n")
    columns = (Column("Field", "cyan"), Column("Needed"), Column("What it is", most=200, rest=True))
    Table(env, columns).write(
        (field.name, "yes" if field.required else "", _plain(field.description))
        for field in one.fields()
    )
    env.answer(f"\nExample:\n{pretty(one.example)}")


def _plain(text: str) -> str:
    return text.replace("``", "")
