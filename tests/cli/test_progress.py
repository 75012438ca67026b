"""The progress bar: what it shows when nobody tells it more, and that nothing of it stays."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from gitstore_cli.env import Env
from gitstore_cli.render.progress import ProgressBar

from tests.cli.conftest import Cli, Terminal, eventually, record
from tests.cli.tmux import open_pane
from tests.sync.servers import bare, daemon, hanging, through

TMUX = pytest.mark.skipif(not (shutil.which("tmux") and shutil.which("bash")), reason="no tmux")
PUSH = r"^(Asking \S+ for its refs|Pushing to hub|Writing objects to hub) +[━╸╺ ]*━"


def surroundings(stderr: io.StringIO, term: str = "xterm") -> Env:
    """A run whose messages go to ``stderr``."""
    environ = {"TERM": term, "COLUMNS": "80"}
    return Env(Path(), Path(), io.BytesIO(), io.StringIO(), stderr, environ)


def test_what_was_told_last_is_shown_though_nothing_follows() -> None:
    """After a second: the last, not what was before it; a percentage only of what has a total."""
    stderr = Terminal()
    with ProgressBar(surroundings(stderr)) as bar:
        bar("Reading", 1, 4)
        bar("Waiting for [hub]\x07", 0, 0)
        assert stderr.getvalue() == ""
        eventually(lambda: "Waiting for [hub]\\x07" in stderr.getvalue())
        assert "%" not in stderr.getvalue()
        assert "Reading" not in stderr.getvalue()
        bar("Writing", 1, 4)
        eventually(lambda: " 25%" in stderr.getvalue())
        assert "Waiting" not in stderr.getvalue().rpartition("Writing")[0].rpartition("\r")[2]


def test_a_total_may_become_known_and_unknown() -> None:
    """Of one and the same thing."""
    stderr = Terminal()
    with ProgressBar(surroundings(stderr)) as bar:
        bar("Fetching", 0, 0)
        eventually(lambda: "Fetching" in stderr.getvalue())
        bar("Fetching", 3, 4)
        eventually(lambda: " 75%" in stderr.getvalue())
        bar("Asking", 0, 0)
        bar("Fetching", 4, 4)
        eventually(lambda: "100%" in stderr.getvalue())


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal], ids=["pipe", "dumb"])
def test_nothing_is_shown_where_it_could_not_be_taken_back(stderr: type[io.StringIO]) -> None:
    """Neither off a terminal nor on one that cannot move its cursor; no thread is started."""
    before = threading.active_count()
    written = stderr()
    with ProgressBar(surroundings(written, "dumb")) as bar:
        bar("Reading", 1, 4)
        assert threading.active_count() == before
        time.sleep(1.1)
        bar("Reading", 2, 4)
    assert written.getvalue() == ""


def test_a_bar_that_is_stopped_in_time_never_comes() -> None:
    """Nor does its thread stay; a call after that makes it anew."""
    stderr = Terminal()
    bar = ProgressBar(surroundings(stderr))
    before = threading.active_count()
    with bar:
        bar("Reading", 1, 4)
        bar.stop()
        eventually(lambda: threading.active_count() == before)
        time.sleep(1.1)
        assert stderr.getvalue() == ""
        bar("Writing", 1, 4)
        eventually(lambda: "Writing" in stderr.getvalue())
    eventually(lambda: threading.active_count() == before)


@TMUX
@pytest.mark.parametrize("interrupted", [False, True], ids=["ended", "interrupted"])
def test_a_slow_push_shows_what_it_waits_for(
    cli: Cli, tmp_path: Path, *, interrupted: bool
) -> None:
    """On a line of 80 columns; nothing of it stays, whether the push ends or is ended by Ctrl-C."""
    text = base64.b64encode(os.urandom(300_000)).decode()
    record(cli.default_store, [("task-1", "Noted", {"text": text}, {})])
    bare(tmp_path / "served" / "hub.git")
    with (
        daemon(tmp_path / "served") as url,
        through(url, rate=60_000) as proxy,
        open_pane(cli.cwd, 80, tmp_path / "bytes") as pane,
    ):
        cli.ok("remote", "add", "hub", f"{proxy.url}/hub.git")
        pane.type("sc-events push hub")
        pane.wait_for(PUSH)
        if interrupted:
            pane.press("C-c")
        ended = pane.ended()
        assert pane.ask("cursor_flag") == "1"
    assert ended.code == (130 if interrupted else 0)
    assert not re.search(r"[━╸╺]|Pushing|Writing|Asking", ended.text)
    assert interrupted or "1 event in 1 stream to hub" in ended.text


@TMUX
def test_a_bar_as_wide_as_the_terminal_goes_after_ctrl_c(
    cli: Cli, history: Path, tmp_path: Path
) -> None:
    """Though the terminal writes ^C behind it, which is not to begin a line of its own."""
    shutil.copytree(history, cli.default_store)
    with hanging() as url, open_pane(cli.cwd, 80, tmp_path / "bytes") as pane:
        pane.type(f"sc-events pull {url}/team-of-ada.git")
        pane.wait_for(r"^Asking 127.0.0.1:\d+/team-of-ada.git for its refs [━╸╺ ]*━")
        pane.press("C-c")
        ended = pane.ended()
    assert (ended.code, ended.text.strip()) in [(130, ""), (130, "^C")]
