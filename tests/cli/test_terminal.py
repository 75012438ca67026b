"""What people see and do on a terminal: colours, widths, progress, Ctrl-C, the pager."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.cells import cell_len

import gitstore
from tests.cli.conftest import HISTORY, Cli, record
from tests.cli.golden_cases import WIDE
from tests.cli.test_hostile import HOSTILE
from tests.cli.tmux import Pane, open_pane

pytestmark = [
    pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed"),
    pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed"),
]

LONG = 40_000
"""Events of a file whose import takes longer than the patience before a bar is shown."""
COLOUR = re.compile(r"\x1b\[(?:\d+;)*[39][0-7]m")
OpenPane = Callable[..., Pane]


@pytest.fixture
def open_terminal(cli: Cli, tmp_path: Path) -> Iterator[OpenPane]:
    """A function that opens a terminal so many columns wide, where ``cli`` stands."""
    with ExitStack() as panes:
        yield lambda columns=100: panes.enter_context(
            open_pane(cli.cwd, columns, tmp_path / "bytes")
        )


@pytest.fixture
def pane(open_terminal: OpenPane) -> Pane:
    """A terminal of 100 columns."""
    return open_terminal()


@pytest.fixture
def long_file(cli: Cli) -> str:
    """The name of a file whose import takes its time."""
    with (cli.cwd / "long.jsonl").open("w") as file:
        for number in range(LONG):
            event = {"id": f"l-{number}", "streamId": f"s-{number % 500}", "type": "Noted"}
            file.write(json.dumps(event) + "\n")
    return "long.jsonl"


@pytest.mark.parametrize("command", ["list", "streams"])
def test_tables_have_colours(cli: Cli, pane: Pane, command: str) -> None:
    """Bold titles, cyan types, green times; none of it under NO_COLOR, or in a file."""
    record(cli.default_store, HISTORY)
    shown = pane.run(f"sc-events {command}").styled
    assert re.match(r"(\x1b\[39m)?\x1b\[1m(Position|Stream) ", shown)
    assert re.search(r"\x1b\[(\d+;)*36m(\x1b\[[\d;]*m)*TaskStatusChanged ", shown)
    assert re.search(r"\x1b\[(\d+;)*32m(\x1b\[[\d;]*m)*2026-11-03 ", shown)
    plain = pane.run(f"NO_COLOR=1 sc-events {command}").styled
    assert "TaskStatusChanged" in plain
    assert not COLOUR.search(plain)
    pane.run(f"sc-events {command} -f table > out")
    assert "\x1b" not in (cli.cwd / "out").read_text()


@pytest.mark.parametrize("columns", [100, 80, 50])
@pytest.mark.parametrize("command", ["list", "streams", "follow"])
def test_a_table_fits_the_terminal(
    cli: Cli, open_terminal: OpenPane, command: str, columns: int
) -> None:
    """With characters of two cells too: a row is a line, columns stand below their titles."""
    record(cli.default_store, [*HISTORY, *WIDE])
    pane = open_terminal(columns)
    pane.type(f"sc-events {command} --after 0" if command == "follow" else f"sc-events {command}")
    if command == "follow":
        pane.wait_for("s-.u202ename@1")
        pane.press("C-c")
    titles, *rows = [line for line in pane.ended().lines if line and line != "^C"]
    assert len(rows) == (7 if command == "streams" else 9)
    assert max(map(cell_len, [titles, *rows])) <= columns
    left_to_right = titles.split()
    assert left_to_right[0] == {"streams": "Stream"}.get(
        command, "Time" if columns == 50 else "Position"
    )
    assert {"Event", "Stream"} & set(left_to_right)
    begin = cell_len(titles[: titles.rindex("Last time" if command == "streams" else "Time")])
    for row in rows:
        assert re.match(r"2026-11-\d\d 09:00:00", _from_cell(row, begin)), row


def _from_cell(text: str, cell: int) -> str:
    at = next(at for at in range(len(text)) if cell_len(text[:at]) == cell)
    return text[at:]


def test_times_are_those_of_the_users_zone(cli: Cli, pane: Pane) -> None:
    """Whatever it is; JSON stays in UTC."""
    record(cli.default_store, HISTORY)
    assert "2026-11-01 09:00:00" in pane.run("sc-events list").text
    assert "2026-11-01 03:00:00" in pane.run("TZ=EST5 sc-events list").text
    assert '"2026-11-01T08:00:00.000Z"' in pane.run("sc-events list -f jsonl").text


def test_a_long_import_shows_its_progress(cli: Cli, pane: Pane, long_file: str) -> None:
    """While it lasts: at the end the bar is gone, the summary and the cursor are there."""
    pane.type(f"sc-events import {long_file}")
    pane.wait_for(r"^Recording +[━╸╺]+ +\d+% ")
    done = pane.ended()
    summary = f"Imported {LONG:,} events into 500 streams; 0 already recorded\n"
    assert (done.code, done.text) == (0, summary)
    assert pane.ask("cursor_flag") == "1"


def test_ctrl_c_in_an_import_leaves_what_can_be_run_again(
    cli: Cli, pane: Pane, long_file: str
) -> None:
    """Exit 130 without a word, the bar gone, the store sound; the second run does the rest.

    Its messages go to a file, so that it shows no bar.
    """
    pane.type(f"sc-events import {long_file}")
    pane.wait_for(r"^Recording ")
    pane.press("C-c")
    stopped = pane.ended()
    assert stopped.code == 130
    assert stopped.text.strip() in ("", "^C")
    assert pane.ask("cursor_flag") == "1"
    recorded = _sound(cli.default_store)
    assert 0 < recorded < LONG
    again = pane.run(f"sc-events import {long_file} 2> messages")
    assert again.code == 0
    assert f"Imported {LONG - recorded:,} events " in again.text
    assert f"; {recorded:,} already recorded" in again.text
    assert (cli.cwd / "messages").read_bytes() == b""
    assert _sound(cli.default_store) == LONG


def _sound(where: Path) -> int:
    """The number of events of a store in which nothing is wrong."""
    with gitstore.open_store(where) as store:
        assert store.verify().ok
        return store.last_position()


def test_follow_shows_what_others_record(cli: Cli, pane: Pane) -> None:
    """Within a second; Ctrl-C ends it with 130, and the prompt begins a line."""
    record(cli.default_store, HISTORY)
    pane.type("sc-events follow")
    pane.wait_for("^Position ")
    with gitstore.open_store(cli.default_store) as store:
        for number in range(3):
            store.append(gitstore.DomainEvent("other-1", "Noted", number))
            pane.wait_for(rf"^ +{7 + number}  .* other-1@{number + 1} ", seconds=1)
    pane.press("C-c")
    ended = pane.ended()
    assert ended.code == 130
    assert [line.split()[0] for line in ended.lines] == ["Position", "7", "8", "9", "^C"]


def test_ctrl_c_while_waiting_for_the_first_event(cli: Cli, pane: Pane) -> None:
    """130, and no store is made."""
    pane.type("sc-events follow")
    pane.wait_for("^Waiting for the first event")
    pane.press("C-c")
    waited = pane.ended()
    assert (waited.code, waited.lines[3:]) == (130, ["^C"])
    assert not cli.default_store.exists()


@pytest.fixture
def long_stream(cli: Cli) -> None:
    """A stream in the default store that fills the buffer of a pipe, in whatever format."""
    record(cli.default_store, [("a", "Noted", {"text": "x" * 300}, {})] * 1_000)


@pytest.mark.skipif(not shutil.which("less"), reason="less is not installed")
def test_log_has_a_pager(cli: Cli, pane: Pane) -> None:
    """Git's, in colours; q leaves it with exit 0. What fits the screen needs no key."""
    record(cli.default_store, [("a", "Noted", None, {})] * 20 + [("b", "Noted", None, {})])
    pane.run("export GIT_PAGER=less")
    pane.type("sc-events log a")
    pane.wait_for(r"^:$")
    assert re.search(r"\x1b\[33mcommit [0-9a-f]{40}", pane.screen("-e"))
    assert "Noted a@20" in pane.screen()
    pane.press("q")
    assert pane.ended().code == 0
    short = pane.run("sc-events log b")
    assert (short.code, "Noted b@1" in short.text) == (0, True)


def test_the_pager_is_the_users(cli: Cli, pane: Pane) -> None:
    """As git finds it."""
    record(cli.default_store, HISTORY)
    shown = pane.run("PAGER='sed s/^/paged:/' sc-events log session-1")
    assert shown.code == 0
    assert all(line.startswith("paged:") for line in shown.lines)


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "minimal"])
def test_a_reader_that_has_enough_is_no_error(pane: Pane, long_stream: None, form: str) -> None:
    """``| head -1`` shows one line and nothing of a closed pipe."""
    shown = pane.run(f"sc-events list -f {form} | head -1")
    assert (shown.code, len(shown.lines)) == (0, 1)


def test_events_do_not_drive_the_terminal(cli: Cli, pane: Pane, tmp_path: Path) -> None:
    """Not a byte of what a terminal would obey reaches it, whatever command shows it."""
    name = "s-\u202ename"
    hostile = {HOSTILE: [HOSTILE]}
    event = {"streamId": name, "type": "T\u2066ype", "id": "i", "data": hostile}
    metadata = {"userId": HOSTILE, "correlationId": HOSTILE, HOSTILE: HOSTILE}
    (cli.cwd / "events").write_text(json.dumps({**event, "metadata": metadata}))
    title = pane.ask("pane_title")
    pane.run("sc-events import events")
    for command in ("list", "show i", "streams"):
        for form in ("table", "jsonl"):
            shown = pane.run(f"sc-events {command} -f {form}")
            assert shown.code == 0
            assert "ype" in shown.text
    pane.run("sc-events show i@7; sc-events import events")
    assert pane.ask("pane_title") == title
    sent = (tmp_path / "bytes").read_bytes()
    assert b"T\\u2066ype" in sent
    for obeyed in ("\x1b[2J", "\x1b]0;", "\x07", "\x9b31m", "\u202e", "\u2066", "\u2028", "\x7f"):
        assert obeyed.encode() not in sent
