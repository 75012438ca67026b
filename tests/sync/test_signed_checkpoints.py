"""Signed checkpoints: with real keys, through git, in the words git has for them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from gitstore.backends.git.signing import Signature, SigningFailed
from gitstore.sync.checkpoints import check_against, checkpoint
from tests.sync.machines import machine, opened, record
from tests.sync.proofs import Keys, put
from tests.sync.servers import git, refs
from tests.sync.transports import configure

LAPTOP = "refs/checkpoints/laptop"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Where keys are made."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return Keys(folder)


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    """A store of two events."""
    where = machine(tmp_path / "a store: laptop.git", "laptop")
    record(where, "task-1", "task-2")
    return where


@pytest.fixture
def ada(laptop: Path, keys: Keys) -> Path:
    """Her key, with which git signs in the store."""
    key = keys.make("ada")
    keys.sign_with(laptop, key)
    return key


def signed(where: Path) -> str:
    """A signed checkpoint; gives its commit."""
    with opened(where) as store:
        made = checkpoint(store, signed=True)
    assert made.said.is_signed
    return made.commit


def signature(where: Path, named: str = LAPTOP) -> Signature:
    """What is said of a checkpoint's signature; the streams agree."""
    with opened(where) as store:
        (one,) = check_against(store, named)
    assert one.proof is not None, one.why
    assert one.proof.agrees
    return one.proof.signature


def fingerprint(key: Path) -> str:
    """As ssh-keygen gives it."""
    command = ["ssh-keygen", "-l", "-f", str(key)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def test_git_itself_verifies_what_was_signed(laptop: Path, keys: Keys, ada: Path) -> None:
    """It is a commit like any other signed one, and but for that the unsigned one."""
    with opened(laptop) as store:
        plain = checkpoint(store)
    commit = signed(laptop)
    keys.allow(laptop, ada=ada)
    git(laptop, "verify-commit", commit)
    assert git(laptop, "log", "-1", "--format=%G? %GS", commit) == "G ada@example.org\n"
    assert git(laptop, "rev-parse", f"{commit}~", f"{commit}^{{tree}}").split() == [
        plain.commit,
        plain.said.tree,
    ]
    git(laptop, "fsck", "--full", "--strict")


def test_an_unsigned_one_is_signed_when_asked_and_then_stands(laptop: Path, ada: Path) -> None:
    """Though nothing has changed; and the signed one serves who does not ask."""
    with opened(laptop) as store:
        first = checkpoint(store)
        second = checkpoint(store, signed=True)
        assert (second.is_new, second.changed, second.said.tree) == (True, 0, first.said.tree)
        for ask in (True, False):
            again = checkpoint(store, signed=ask)
            assert (again.is_new, again.commit) == (False, second.commit)


def test_a_signature_by_a_known_key_is_good(laptop: Path, keys: Keys, ada: Path) -> None:
    """With who it is by, and which key."""
    signed(laptop)
    keys.allow(laptop, ada=ada)
    assert signature(laptop) == Signature("good", "ada@example.org", fingerprint(ada))


def test_without_allowed_signers_nobody_can_tell(laptop: Path, ada: Path) -> None:
    """Unverifiable, never invalid; whoever it is by, and whatever was changed."""
    commit = signed(laptop)
    why = "gpg.ssh.allowedSignersFile is not configured"
    assert signature(laptop) == Signature("unverifiable", why=why)
    assert signature(laptop, tampered(laptop, commit)).state == "unverifiable"


def test_a_key_that_is_nobodys_is_unverifiable(laptop: Path, keys: Keys, ada: Path) -> None:
    """The file is named in which it is not."""
    signed(laptop)
    keys.allow(laptop, eve=keys.make("eve"))
    found = signature(laptop)
    assert (found.state, found.signer, found.key) == ("unverifiable", "", fingerprint(ada))
    assert found.why.endswith("allowed has no such key")


def test_a_signature_of_something_else_is_bad(laptop: Path, keys: Keys, ada: Path) -> None:
    """One letter of the message is enough."""
    commit = signed(laptop)
    keys.allow(laptop, ada=ada)
    found = signature(laptop, tampered(laptop, commit))
    assert found.state == "bad"
    assert "incorrect signature" in found.why


def test_an_unsigned_one_is_that(laptop: Path, keys: Keys, ada: Path) -> None:
    """Whatever is configured."""
    keys.allow(laptop, ada=ada)
    with opened(laptop) as store:
        checkpoint(store)
    assert signature(laptop) == Signature("unsigned")


def test_what_is_no_signature_at_all_is_not_good(laptop: Path, keys: Keys, ada: Path) -> None:
    """Neither noise nor a kind that git does not know."""
    commit = signed(laptop)
    keys.allow(laptop, ada=ada)
    content = git(laptop, "cat-file", "commit", commit).encode()
    for old, new in ((b"BEGIN SSH", b"BEGIN XYZ"), (b"\n U1NIU0", b"\n AAAAAA")):
        found = signature(laptop, put(laptop, content.replace(old, new)))
        assert found.state in {"bad", "unverifiable"}
        assert found.why


@pytest.mark.parametrize("missing", ["everything", "key", "file", "program"])
def test_where_git_cannot_sign_nothing_is_written(
    laptop: Path, keys: Keys, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's own words and how to configure it; no object, no ref, nothing aside."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "aside"))
    (tmp_path / "aside").mkdir()
    if missing == "everything":
        git(laptop, "config", "gpg.program", tmp_path / "no-gpg")
    if missing != "everything":
        git(laptop, "config", "gpg.format", "ssh")
    if missing == "file":
        git(laptop, "config", "user.signingKey", tmp_path / "gone.pub")
    if missing == "program":
        git(laptop, "config", "user.signingKey", keys.make("ada"))
        git(laptop, "config", "gpg.ssh.program", tmp_path / "gone")
    before = refs(laptop), git(laptop, "count-objects", "-v")
    with opened(laptop) as store, pytest.raises(SigningFailed, match="git could not sign") as told:
        checkpoint(store, signed=True)
    assert "git config --global user.signingKey" in told.value.hint
    assert (refs(laptop), git(laptop, "count-objects", "-v")) == before
    assert not list((tmp_path / "aside").iterdir())


def test_the_users_own_configuration_counts(
    laptop: Path, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The global one too; but not what would change a commit, or how it is shown."""
    key = keys.make("ada")
    settings = (
        f"[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}\n\tname = Ada\n"
        "[i18n]\n\tcommitEncoding = latin1\n\tlogOutputEncoding = latin1\n"
        "[log]\n\tshowSignature = true\n\tdate = relative\n[commit]\n\tgpgSign = true\n"
    )
    configure(tmp_path, monkeypatch, settings)
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Somebody")
    commit = signed(laptop)
    content = git(laptop, "cat-file", "commit", commit)
    assert "encoding" not in content
    assert content.count("scopecraft <events@scopecraft.invalid>") == 2
    keys.allow(laptop, ada=key)
    assert signature(laptop).state == "good"


def tampered(where: Path, commit: str) -> str:
    """The same signed checkpoint, but for the count of events."""
    content = git(where, "cat-file", "commit", commit).encode()
    assert b", 2 events\n" in content
    return put(where, content.replace(b", 2 events\n", b", 3 events\n"))
