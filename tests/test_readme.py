"""The README's commands are run, and print what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import gitstore

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# What differs from run to run: ids, times, and the width a terminal gives to a table.
VARYING = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\b[0-9a-f]{40}\b", "<commit>"),
    (r"(?<=  )[0-9a-f]{7}\b", "<short>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z| [+-]\d{4})?", "<time>"),
)


def marked(name: str) -> str:
    """The one command of the block behind ``<!-- name -->``."""
    block = README.split(f"<!-- {name} -->\n```sh\n")[1].split("```")[0]
    return block.strip()


def same_every_time(text: str) -> str:
    """The text with what varies replaced."""
    for pattern, stands_for in VARYING:
        text = re.sub(pattern, stands_for, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def sessions() -> list[tuple[str, str]]:
    """Every ``$ command`` of the README's consoles, with what it shows."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_the_first_command_installs_and_does_the_main_job(tmp_path: Path) -> None:
    """On a machine with Python and git only, one command ends at the `git log` of a stream."""
    source = tmp_path / "source"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "results")
    shutil.copytree(ROOT, source, ignore=unwanted)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", marked("install command")],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    )
    assert "TaskCreated task-AUTH-001@1" in done.stdout
    assert '"title":"Sign in"' in done.stdout


def test_the_first_screens_console_prints_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `$ command`, on a terminal of 110 columns, prints what stands below it."""
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    for command, expected in sessions():
        if command.startswith("sc-events follow"):
            continue  # does not end; see the next test
        shown = on_a_terminal(command)
        assert same_every_time(shown) == same_every_time(expected), command


def test_follow_gives_the_line_the_readme_shows(tmp_path: Path) -> None:
    """`follow -f jsonl --after N` gives one whole event a line, with position and commit."""
    line = next(output for command, output in sessions() if "follow" in command)
    environment = {**os.environ, "HOME": str(tmp_path)}
    task = '"taskId":"AUTH-001"'
    events = [
        ["Noted"],
        [
            "TaskStatusChanged",
            "--data",
            f'{{{task},"oldStatus":"todo","newStatus":"in_progress"}}',
        ],
    ]
    for event in events:
        run = [sys.executable, "-m", "gitstore_cli", "append", "task-AUTH-001", *event]
        subprocess.run([*run, "--user", "ada"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "gitstore_cli", "follow", "-f", "jsonl", "--after", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = process.stdout.readline()
        process.terminate()
    assert same_every_time(shown) == same_every_time(line)


def test_the_python_example_runs(tmp_path: Path) -> None:
    """The README's Python is no pseudo-code."""
    code = README.split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    task = {"taskId": "AUTH-001", "title": "Sign in", "workflowState": "backlog"}
    assert done.stdout.splitlines()[1:] == ["task-AUTH-001 7 1", f"1 {task}"]


def test_the_test_of_the_readme_passes(tmp_path: Path) -> None:
    """The README's given / when / then is a test that pytest runs; broken, it fails."""
    code = README.split("```python\n")[2].split("```")[0]
    for number, text in enumerate((code, code.replace('{"after": 1}', '{"after": 2}'))):
        (tmp_path / "test_it.py").write_text(text)
        run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == number, done.stdout
    assert "event 1 has another data" in done.stdout


def test_the_projection_of_the_readme_runs(tmp_path: Path) -> None:
    """As a module that a store's configuration names."""
    code = README.split("```python\n")[3].split("```")[0]
    (tmp_path / "opentasks.py").write_text(code)
    setup, replay = README.split("```python\n")[3].split("```sh\n")[1].split("```")[0].splitlines()
    task = {"taskId": "1", "title": "Ship", "workflowState": "backlog"}
    store = tmp_path / ".scopecraft" / "events.git"
    store.parent.mkdir()
    with gitstore.open_store(store) as opened:
        opened.append(gitstore.DomainEvent("task-1", "TaskCreated", task))
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}{os.pathsep}{environment['PATH']}"
    for command in (setup, f"{replay} -f json"):
        run = ["bash", "-c", command]
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"1": "Ship"}


def test_two_machines_see_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop, a desktop and a hub: each command prints what stands below it."""
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    section = README.split("## Two machines\n")[1].split("\n## ")[0]
    hub = tmp_path / "srv" / "hub.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(hub)], check=True)
    machines = {name: tmp_path / "home" / name for name in ("ada", "bob")}
    for home in machines.values():
        home.mkdir(parents=True)
        (home / ".gitconfig").write_text("")
    monkeypatch.setenv("HOME", str(machines["ada"]))
    for kind in ("TaskOpened", "TaskDescribed"):
        on_a_terminal(f"sc-events append task-AUTH-001 {kind} > /dev/null")
    on_a_terminal("sc-events remote machine laptop")
    blocks = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    for name, block in zip(("ada", "bob", "ada", "ada", "bob"), blocks, strict=True):
        monkeypatch.setenv("HOME", str(machines[name]))
        for part in block.split("$ ")[1:]:
            command, _, expected = part.partition("\n")
            shown = on_a_terminal(command.replace("/srv/", f"{tmp_path}/srv/"))
            shown = shown.replace(str(tmp_path), "")
            assert same_every_time(shown) == same_every_time(expected), command


def test_a_shortened_history_shows_as_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed checkpoint, a hub that somebody shortens, and a new clone of it."""
    scripts = sysconfig.get_path("scripts")
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    hub, key = tmp_path / "srv" / "hub.git", tmp_path / "key"
    make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    for command in (["git", "init", "--quiet", "--bare", str(hub)], make_key):
        subprocess.run(command, check=True)
    (tmp_path / "allowed").write_text(f"ada@example.org {key.with_suffix('.pub').read_text()}")
    (tmp_path / "gitconfig").write_text(
        f"[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}.pub\n"
        f'[gpg "ssh"]\n\tallowedSignersFile = {tmp_path}/allowed\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    section = README.split("## Prove that nothing was rewritten\n")[1].split("\n## ")[0]
    for name, block in zip(("ada", "bob"), section.split("```text\n")[1:], strict=True):
        monkeypatch.setenv("HOME", str(tmp_path / "home" / name))
        (tmp_path / "home" / name).mkdir(parents=True)
        if name == "ada":
            for stream in ("task-AUTH-001", "task-AUTH-001", "task-AUTH-001", "task-UI-002"):
                on_a_terminal(f"sc-events append {stream} Noted")
            on_a_terminal(f"sc-events remote machine laptop; sc-events remote add hub {hub}")
        for part in block.split("```")[0].split("$ ")[1:]:
            command, _, expected = part.partition("\n")
            shown = on_a_terminal(command.replace("/srv/", f"{tmp_path}/srv/"))
            both = (same_every_time(text) for text in (shown.replace(str(tmp_path), ""), expected))
            assert len({re.sub(r"\b[0-9a-f]{7}\b|SHA256:\S+", "<id>", t) for t in both}) == 1, shown
        stream = "refs/streams/task-AUTH-001"
        subprocess.run(["git", f"--git-dir={hub}", "update-ref", stream, f"{stream}~"], check=True)


def test_ci_takes_the_test_command_from_the_readme() -> None:
    """`.ci/run` runs what the README tells a newcomer to run."""
    assert marked("test command").endswith("pytest -q -n 2")
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text()


def on_a_terminal(command: str) -> str:
    """What a command shows on a pseudo-terminal of 110 columns without colours."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    environment = {
        **os.environ,
        "TERM": "dumb",
        "COLUMNS": "110",
        "GIT_PAGER": "cat",
        "NO_COLOR": "1",
    }
    with subprocess.Popen(
        ["bash", "-c", command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # the terminal's other side is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
        process.wait()
    os.close(ours)
    return b"".join(chunks).decode().replace("\r\n", "\n")
