"""Remotes as git's configuration holds them: plain git does with them what we do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import gitstore
from gitstore.backends.git.gitcommand import GitFailed
from gitstore.sync import remotes
from gitstore.sync.checkpoints import checkpoint
from gitstore.sync.remotes import RemoteRefused
from tests.sync.machines import opened
from tests.sync.servers import bare, daemon, git, refs
from tests.sync.support import several


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of twelve events in three streams, closed."""
    where = tmp_path / "events.git"
    with gitstore.open_store(where) as opened:
        opened.append_many(several(12))
    return where


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """An empty bare repository."""
    return bare(tmp_path / "hub.git")


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is called laptop.example.org."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Laptop.example.org")


def settings(repository: Path, name: str = "hub") -> str:
    """All that the configuration says of a remote."""
    return git(repository, "config", "--get-regexp", rf"^remote\.{name}\.")


def test_what_is_written_is_what_the_design_says(store: Path, hub: Path) -> None:
    """To the letter: others read it too, first of all git."""
    assert remotes.add(store, "hub", str(hub)) == "added"
    assert settings(store) == (
        "remote.hub.fetch +refs/streams/*:refs/remotes/hub/streams/*\n"
        "remote.hub.fetch +refs/heads/main*:refs/remotes/hub/main*\n"
        "remote.hub.fetch +refs/notes/types*:refs/remotes/hub/notes/types*\n"
        "remote.hub.fetch +refs/feeds/*:refs/remotes/hub/feeds/*\n"
        "remote.hub.fetch +refs/checkpoints/*:refs/remotes/hub/checkpoints/*\n"
        "remote.hub.push refs/heads/main\n"
        "remote.hub.push refs/streams/*:refs/streams/*\n"
        "remote.hub.push refs/notes/types*:refs/notes/types*\n"
        "remote.hub.push refs/checkpoints/*:refs/checkpoints/*\n"
        "remote.hub.push refs/feed:refs/feeds/laptop\n"
        "remote.hub.tagopt --no-tags\n"
        f"remote.hub.url {hub}\n"
    )
    assert git(store, "config", "gitstore.machine") == "laptop\n"


@pytest.mark.parametrize("served", [False, True], ids=["path", "daemon"])
def test_plain_git_push_and_fetch_move_our_refs(
    store: Path, hub: Path, tmp_path: Path, *, served: bool
) -> None:
    """Every stream, format, type index and checkpoint, and the feed under the machine's name."""
    with opened(store) as events:
        checkpoint(events)
    ours = refs(store)
    assert "refs/checkpoints/laptop" in ours
    there = {
        name if name != "refs/feed" else "refs/feeds/laptop": tip for name, tip in ours.items()
    }
    tracked = {
        f"refs/remotes/hub/{name.removeprefix('refs/').removeprefix('heads/')}": tip
        for name, tip in there.items()
    }
    with daemon(tmp_path) as url:
        remotes.add(store, "hub", f"{url}/hub.git" if served else str(hub))
        git(store, "push", "hub")
        assert refs(hub) == there
        git(store, "fetch", "hub")
        assert refs(store) == {**ours, **tracked}
        git(store, "push", "hub")
    assert refs(store) == {**ours, **tracked}


def test_plain_git_fetch_of_an_empty_remote_succeeds(store: Path, hub: Path) -> None:
    """And a push from a store without events does, too."""
    remotes.add(store, "hub", str(hub))
    before = refs(store)
    git(store, "fetch", "hub")
    assert refs(store) == before
    gitstore.open_store(store.with_name("empty.git")).close()
    remotes.add(store.with_name("empty.git"), "hub", str(hub))
    git(store.with_name("empty.git"), "push", "hub")
    assert set(refs(hub)) == {"refs/feeds/laptop", "refs/heads/main"}


def test_a_fetch_never_moves_a_stream_of_ours(store: Path, hub: Path, tmp_path: Path) -> None:
    """Whatever the remote has; tags are left there."""
    with gitstore.open_store(tmp_path / "other.git") as other:
        other.append_many(several(3))
        other.append(gitstore.DomainEvent("task-0", "Else", {}))
    git(tmp_path / "other.git", "push", hub, "refs/*:refs/*")
    git(hub, "update-ref", "refs/tags/v1", "refs/heads/main")
    remotes.add(store, "hub", str(hub))
    before = refs(store, "refs/streams", "refs/heads", "refs/notes", "refs/feed")
    git(store, "fetch", "hub")
    assert refs(store, "refs/streams", "refs/heads", "refs/notes", "refs/feed") == before
    assert not refs(store, "refs/tags")
    assert len(refs(store, "refs/remotes/hub/streams")) == 3


def test_urls_are_listed_by_name(store: Path, hub: Path) -> None:
    """As git has them; names with dots are names."""
    remotes.add(store, "z.b", "https://ada:s3cret@hub.example/x.git")
    remotes.add(store, "hub", str(hub))
    assert list(remotes.urls(store).items()) == [
        ("hub", str(hub)),
        ("z.b", "https://ada:s3cret@hub.example/x.git"),
    ]


def test_a_path_is_stored_absolute(
    store: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it means the same wherever git is run; also one where nothing is yet."""
    monkeypatch.chdir(tmp_path)
    remotes.add(store, "here", "hub.git")
    remotes.add(store, "later", "./not/../yet.git")
    remotes.add(store, "host", "hub:x.git")
    (tmp_path / "odd:name.git").mkdir()
    remotes.add(store, "odd", "odd:name.git")
    assert remotes.urls(store) == {
        "here": str(hub),
        "host": "hub:x.git",
        "later": str(tmp_path / "yet.git"),
        "odd": str(tmp_path / "odd:name.git"),
    }


def test_adding_again_changes_nothing(store: Path, hub: Path) -> None:
    """The same URL is no mistake; another is, and neither is shown with its password."""
    remotes.add(store, "hub", "https://ada:s3cret@hub.example/x.git")
    before = settings(store)
    assert remotes.add(store, "hub", "https://ada:s3cret@hub.example/x.git") == "unchanged"
    with pytest.raises(RemoteRefused, match="already") as caught:
        remotes.add(store, "hub", str(hub))
    assert "s3cret" not in str(caught.value)
    assert "remote set-url hub URL" in caught.value.hint
    assert settings(store) == before


def test_a_remote_moves_to_another_url(store: Path, hub: Path) -> None:
    """All else that is configured of it, and what was fetched of it, stays."""
    remotes.add(str(store), "hub", str(hub))
    git(store, "push", "hub")
    git(store, "fetch", "hub")
    before, tracked = settings(store), refs(store, "refs/remotes/hub")
    moved = hub.rename(hub.with_name("moved.git"))
    assert remotes.set_url(str(store), "hub", str(moved)) is True
    assert settings(store) == before.replace(str(hub), str(moved))
    assert refs(store, "refs/remotes/hub") == tracked != {}
    assert remotes.set_url(store, "hub", str(moved)) is False


def test_a_remote_moves_only_where_one_can_be(store: Path, hub: Path) -> None:
    """The checks are those of a new remote; what is refused changes nothing."""
    remotes.add(store, "hub", str(hub))
    before = settings(store)
    for name, url, why in (
        ("stick", str(hub), "no remote 'stick'"),
        ("hub", "--upload-pack=x", "no URL"),
        ("hub", str(store), "remote of itself"),
    ):
        with pytest.raises(RemoteRefused, match=why):
            remotes.set_url(store, name, url)
    assert settings(store) == before


def test_a_store_may_be_named_by_a_text(store: Path, hub: Path) -> None:
    """As in ``open_store``; by every function."""
    text = str(store)
    assert remotes.add(text, "hub", str(hub)) == "added"
    remotes.set_machine(text, "tower")
    assert (remotes.machine(text), remotes.urls(text)) == ("tower", {"hub": str(hub)})
    assert remotes.remove(text, "hub") == 0


def test_a_remote_of_plain_git_is_completed(store: Path, hub: Path) -> None:
    """``git remote add`` knows nothing of streams."""
    git(store, "remote", "add", "hub", hub)
    assert remotes.add(store, "hub", str(hub)) == "completed"
    wanted = settings(store)
    remotes.remove(store, "hub")
    remotes.add(store, "hub", str(hub))
    assert sorted(wanted.splitlines()) == sorted(settings(store).splitlines())


STOPPED = """\
import sys
from pathlib import Path
from gitstore.backends.git.gitcommand import Git
from gitstore.sync import remotes

left = int(sys.argv[3])
run = Git.run

def counted(self, *arguments, **more):
    global left
    if "--replace-all" in arguments or "--add" in arguments:
        left -= 1
        if left < 0:
            import os
            os._exit(9)
    return run(self, *arguments, **more)

Git.run = counted
remotes.add(Path(sys.argv[1]), "hub", sys.argv[2])
"""


@pytest.mark.parametrize("steps", range(0, 13, 2))
def test_what_was_killed_half_way_is_completed(store: Path, hub: Path, steps: int) -> None:
    """The remote is there once its URL is, which is written last; again, it is whole."""
    command = [sys.executable, "-c", STOPPED, str(store), str(hub), str(steps)]
    assert subprocess.run(command, check=False).returncode == 9
    assert remotes.urls(store) == {}
    assert remotes.add(store, "hub", str(hub)) == "added"
    first = settings(store)
    assert first.count("fetch ") == first.count("push ") == 5
    assert remotes.add(store, "hub", str(hub)) == "unchanged"


def test_two_at_once_write_no_value_twice(store: Path, hub: Path) -> None:
    """They take turns."""
    names = [f"hub-{n}" for n in range(4)] * 2
    threads = [threading.Thread(target=remotes.add, args=(store, name, str(hub))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in set(names):
        assert len(settings(store, name).splitlines()) == 12


@pytest.mark.parametrize(
    "name", ["", "a/b", "-a", "outside", "outside-2", "a b", "..", "ä", "a.lock", "a" * 101, "a\nb"]
)
def test_a_name_that_does_not_fit_is_refused(store: Path, hub: Path, name: str) -> None:
    """As a remote's and as a machine's; nothing is written."""
    before = (store / "config").read_bytes()
    with pytest.raises(RemoteRefused, match="cannot be the name of a remote"):
        remotes.add(store, name, str(hub))
    with pytest.raises(RemoteRefused, match="cannot be the name of a machine"):
        remotes.set_machine(store, name)
    assert (store / "config").read_bytes() == before


@pytest.mark.parametrize("url", ["", "-oProxyCommand=x", "--upload-pack=x", "a\nb"])
def test_a_url_that_is_none_is_refused(store: Path, url: str) -> None:
    """Least of all one that git would take for an option."""
    before = (store / "config").read_bytes()
    with pytest.raises(RemoteRefused, match="no URL"):
        remotes.add(store, "hub", url)
    assert (store / "config").read_bytes() == before


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/../link.git"])
def test_a_store_is_no_remote_of_itself(store: Path, form: str) -> None:
    """Under none of its names."""
    store.with_name("link.git").symlink_to(store)
    with pytest.raises(RemoteRefused, match="remote of itself"):
        remotes.add(store, "hub", form.format(store))


def test_a_removed_remote_leaves_nothing(store: Path, hub: Path) -> None:
    """Its refs go, from everywhere but our streams; other remotes stay."""
    for name in ("hub", "hub-2"):
        remotes.add(store, name, str(hub))
    git(store, "push", "hub")
    ours = refs(store, "refs/streams", "refs/feed")
    for name in ("hub", "hub-2"):
        git(store, "fetch", name)
    git(store, "pack-refs", "--all")
    git(store, "update-ref", "refs/quarantine/hub/streams/x", "refs/heads/main")
    assert remotes.remove(store, "hub") == len(refs(hub)) + 1
    assert not refs(store, "refs/remotes/hub", "refs/quarantine")
    assert len(refs(store, "refs/remotes/hub-2")) == len(refs(hub))
    assert refs(store, "refs/streams", "refs/feed") == ours
    assert list(remotes.urls(store)) == ["hub-2"]
    with gitstore.open_store(store) as opened:
        assert opened.verify().ok  # type: ignore[attr-defined]


def test_a_remote_that_is_not_there_cannot_be_removed(store: Path, hub: Path) -> None:
    """The hint says which there are."""
    with pytest.raises(RemoteRefused, match="no remote 'hub'") as caught:
        remotes.remove(store, "hub")
    assert "remote add" in caught.value.hint
    remotes.add(store, "stick", str(hub))
    with pytest.raises(RemoteRefused) as caught:
        remotes.remove(store, "hub")
    assert caught.value.hint == "There are: stick."


@pytest.mark.parametrize(
    ("host_name", "expected"),
    [
        ("Laptop.local", "laptop"),
        ("work_box-2", "work_box-2"),
        ("", "machine"),
        ("büro", "b-ro"),
        ("outside", "host-outside"),
        ("-x-", "x"),
        ("a" * 200, "a" * 100),
    ],
)
def test_a_machine_is_called_after_its_host(
    store: Path, monkeypatch: pytest.MonkeyPatch, host_name: str, expected: str
) -> None:
    """As far as that fits into a ref."""
    monkeypatch.setattr(socket, "gethostname", lambda: host_name)
    assert remotes.machine(store) == expected
    remotes.set_machine(store, remotes.machine(store))


def test_the_users_name_for_a_machine_counts(
    store: Path, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all stores of theirs; each keeps it from its first remote on."""
    (tmp_path / "gitconfig").write_text("[gitstore]\n\tmachine = tower\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    remotes.add(store, "hub", str(hub))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert remotes.machine(store) == "tower"
    assert "refs/feed:refs/feeds/tower" in settings(store)


def test_a_name_for_a_machine_that_does_not_fit_is_said_to(store: Path, hub: Path) -> None:
    """Before anything is written that git would stumble over."""
    git(store, "config", "gitstore.machine", "my laptop")
    with pytest.raises(RemoteRefused, match="'my laptop' cannot be the name of a machine"):
        remotes.add(store, "hub", str(hub))
    assert remotes.urls(store) == {}


def test_a_machine_that_is_renamed_is_so_at_all_remotes(store: Path, hub: Path) -> None:
    """The refspecs follow; nothing else of them changes."""
    for name in ("hub", "stick"):
        remotes.add(store, name, str(hub))
    before = {name: settings(store, name) for name in ("hub", "stick")}
    remotes.set_machine(store, "laptop-2")
    assert remotes.machine(store) == "laptop-2"
    for name, text in before.items():
        assert sorted(settings(store, name).splitlines()) == sorted(
            text.replace("feeds/laptop", "feeds/laptop-2").splitlines()
        )


def test_a_configuration_that_is_locked_is_left_alone(store: Path, hub: Path) -> None:
    """By a git that writes it now, or that died; git's own message says which file."""
    (store / "config.lock").touch()
    with pytest.raises(GitFailed, match=r"config"):
        remotes.add(store, "hub", str(hub))
    (store / "config.lock").unlink()
    assert remotes.add(store, "hub", str(hub)) == "added"
