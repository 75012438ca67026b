"""``sc-events checkpoint`` and ``verify --against``: exit codes, and what goes together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.sync.proofs import Keys, forged, put, read, replayed
from tests.sync.servers import git, refs

LAPTOP = "refs/checkpoints/laptop"


@pytest.fixture
def store(history: Path, tmp_path: Path, cli: Cli) -> Path:
    """A store of six events in four streams, of a machine called laptop."""
    copy = tmp_path / "copy.git"
    shutil.copytree(history, copy)
    cli.ok("remote", "machine", "laptop", "--store", copy)
    return copy


def test_the_answer_says_what_stands_on_the_ref(cli: Cli, store: Path) -> None:
    """With its counts, and whether it was made now."""
    made = cli.ok("checkpoint", "--store", store, "-f", "json").json
    assert made["commit"] == refs(store)[LAPTOP]
    assert (made["ref"], made["streams"], made["events"], made["new"]) == (LAPTOP, 4, 6, True)
    again = cli.ok("checkpoint", "--store", store, terminal=True)
    assert again.err == "Nothing has changed since that checkpoint.\n"


def test_a_bad_signature_is_a_failure_whatever_the_streams(
    cli: Cli, store: Path, tmp_path: Path
) -> None:
    """Exit 1: nobody vouches for what it says; unverifiable is 0, with why."""
    keys = Keys(tmp_path)
    key = keys.make("ada")
    keys.sign_with(store, key)
    cli.ok("checkpoint", "--sign", "--store", store)
    ran = cli.ok("verify", "--against", "laptop", "--store", store)
    assert "unverifiable signature: gpg.ssh.allowedSignersFile is not configured" in ran.err
    keys.allow(store, ada=key)
    assert "good signature by ada@example.org" in cli.ok(
        "verify", "--against", "laptop", "--store", store
    ).err  # fmt: skip
    content = git(store, "cat-file", "commit", LAPTOP).replace(", 6 events", ", 7 events")
    bad = put(store, content.encode())
    ran = cli("verify", "--against", bad, "--store", store, "-f", "json")
    assert ran.code == 1
    assert ran.json["ok"] is False
    assert ran.json["checkpoints"][0]["signature"]["state"] == "bad"


def test_what_cannot_be_compared_is_not_called_untouched(cli: Cli, store: Path) -> None:
    """Anybody can write an event that names an origin: it is no proof, and that is said."""
    ref = "refs/streams/task-AUTH-001"
    tip = refs(store)[ref]
    old = "1" * 40
    later = replayed(store, read(store, tip), tip, event_id="later", origin=old)
    git(store, "update-ref", ref, later)
    cli.ok("list", "--store", store)
    named = forged(store, {"task-AUTH-001": old})
    ran = cli.ok("verify", "--against", named, "--store", store)
    assert "1 stream: 1 unverifiable; not all of them could be compared" in ran.err
    assert "rewritten" not in ran.err


def test_several_are_held_against_at_once(cli: Cli, store: Path) -> None:
    """The exit code is that of the one that disagrees; each is told of."""
    cli.ok("checkpoint", "--store", store)
    wrong = forged(store, {"task-AUTH-001": "1" * 40, "gone": "2" * 40})
    ran = cli("verify", "--against", "laptop", "--against", wrong, "--store", store)
    assert ran.code == 3
    ours, theirs = ran.jsonl
    assert (ours["agrees"], theirs["agrees"]) == (True, False)
    assert theirs["summary"] == {"missing": 1, "lost": 1}
    assert {one["stream"] for one in theirs["findings"]} == {"gone", "task-AUTH-001"}


@pytest.mark.parametrize("more", ["--repair", "--deep"])
def test_it_is_a_check_of_its_own(cli: Cli, store: Path, more: str) -> None:
    """A usage error beside what checks the store itself."""
    assert cli("verify", "--against", "laptop", more, "--store", store).code == 2


def test_what_a_checkpoint_says_cannot_drive_a_terminal(cli: Cli, store: Path) -> None:
    """Names that no stream has are shown, and nothing more."""
    wrong = forged(store, {"a\x1b[31m": "1" * 40})
    for form in ("table", "minimal", "json", "jsonl"):
        ran = cli("verify", "--against", wrong, "--store", store, "-f", form, terminal=True)
        assert ran.code == 3
        assert "\x1b" not in ran.out + ran.err
