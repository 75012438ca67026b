"""The git directory that a push sees instead of the store."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gitstore.backends.disk.locks import FileLock
from gitstore.backends.git.layout import StoreLayout
from gitstore.sync.pushview import push_view
from tests.sync.machines import machine, pushed, record
from tests.sync.servers import bare, git, refs


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one event, and a remote."""
    where = machine(tmp_path / "a.git", "laptop", hub=bare(tmp_path / "hub.git"))
    record(where, "task-1")
    return where


def test_a_view_shows_what_it_is_told_and_nothing_else(store: Path) -> None:
    """Git sees exactly these refs, and reads the store's objects through them."""
    tip = refs(store)["refs/streams/task-1"]
    with push_view(StoreLayout(store)) as view:
        assert refs(view.path) == {}
        for shown in ({"refs/feeds/x": tip, "refs/streams/a%2Fb": tip}, {"refs/streams/z": tip}):
            view.show(shown)
            assert refs(view.path) == shown
        assert "task-1@1" in git(view.path, "log", "--format=%s", "refs/streams/z")


def test_a_view_is_gone_afterwards(store: Path) -> None:
    """Nothing is left of it, also after an error; the objects of the store are."""
    layout = StoreLayout(store)
    with pytest.raises(ZeroDivisionError), push_view(layout) as view:
        raise ZeroDivisionError
    assert not view.path.exists()
    assert [path.name for path in layout.pushes.iterdir()] == ["lock"]
    assert git(store, "fsck", "--strict") == ""


def test_views_of_the_dead_are_cleared_and_those_of_the_living_are_not(store: Path) -> None:
    """Who holds the lock is alive; what nobody holds was left by a killed process."""
    layout = StoreLayout(store)
    with push_view(layout) as living:
        other = layout.pushes / "other"
        other.mkdir()
        (other / "objects").symlink_to(layout.objects)
        lock = FileLock(layout.pushes / "other.lock")
        with closing(lock), lock.held(), push_view(layout):
            assert other.exists()
        with push_view(layout):
            assert living.path.exists()
            assert not other.exists()
    assert layout.objects.is_dir()


def test_a_view_has_the_stores_configuration(store: Path) -> None:
    """All of it, whatever its values hold and wherever it is included from; no refspecs."""
    values = {
        "remote.hub.proxy": 'a "quoted"\tvalue with \\ and\nlines # ; ',
        'url.ssh://[::1]/a"b\\.c/.insteadOf': "short:",
        "http.https://host.example/.extraHeader": "X: y",
        "core.sshCommand": "ssh -o 'X Y'",
    }
    for key, value in values.items():
        git(store, "config", key, value)
    (store / "more").mkdir()
    git(store, "config", "include.path", "more/settings")
    git(store, "config", "--file", store / "more" / "settings", "transfer.flag", "included")
    with (store / "config").open("a") as config:
        config.write("[push]\n\tautoSetupRemote\n")
    git(store, "config", "remote.hub.mirror", "true")
    git(store, "config", "remote.hub.receivepack", "other")
    with push_view(StoreLayout(store)) as view:
        for key, value in values.items():
            assert git(view.path, "config", key) == f"{value}\n"
        assert git(view.path, "config", "transfer.flag") == "included\n"
        assert git(view.path, "config", "--type=bool", "push.autoSetupRemote") == "true\n"
        known = git(view.path, "config", "--local", "--name-only", "--list").split()
        about = {key for key in known if key.startswith("remote.hub.")}
        assert about == {
            "remote.hub.url", "remote.hub.tagopt", "remote.hub.proxy", "remote.hub.receivepack",
        }  # fmt: skip
        assert (view.path / "config").stat().st_mode & 0o077 == 0


def test_a_push_url_counts(store: Path, tmp_path: Path) -> None:
    """Where one is configured, be it in an included file, pushes go there."""
    other = bare(tmp_path / "other.git")
    git(store, "config", "include.path", "more")
    git(store, "config", "--file", store / "more", "remote.hub.pushurl", other)
    pushed(store)
    assert "refs/streams/task-1" in refs(other)
    assert refs(tmp_path / "hub.git") == {}


def test_a_relative_url_begins_at_the_store(store: Path, tmp_path: Path) -> None:
    """As for plain git, which is run there."""
    git(store, "config", "remote.hub.url", "../hub.git")
    pushed(store)
    assert "refs/streams/task-1" in refs(tmp_path / "hub.git")
