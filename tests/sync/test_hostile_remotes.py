"""What a hostile or broken remote may say and give, through real servers: none of it gets out."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from gitstore.sync.cloning import clone
from gitstore.sync.comparing import compare
from gitstore.sync.pulling import pull
from gitstore.sync.pushing import push
from tests.backends.git.witness import assert_sound, git, picture
from tests.sync.peers import machine, note, publish
from tests.sync.servers import LOOPBACK, bare, daemon


@contextmanager
def renaming(url: str, old: bytes, new: bytes) -> Iterator[str]:
    """What is served at ``url``, where one ref has a name that git itself would not let it have."""
    port = int(url.removesuffix("/").rpartition(":")[2])
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        threads: list[threading.Thread] = []
        accepting = threading.Thread(target=_serve, args=(server, port, old, new, threads))
        accepting.start()
        try:
            yield f"git://{LOOPBACK}:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def _serve(
    server: socket.socket, port: int, old: bytes, new: bytes, threads: list[threading.Thread]
) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        backend = socket.create_connection((LOOPBACK, port))
        pumps = [
            threading.Thread(target=_pump, args=(client, backend, b"", b"")),
            threading.Thread(target=_pump, args=(backend, client, old, new)),
        ]
        for pump in pumps:
            pump.start()
        threads += pumps


def _pump(source: socket.socket, sink: socket.socket, old: bytes, new: bytes) -> None:
    with closing(source):
        held = b""
        while chunk := source.recv(65_536):
            held += chunk
            if old:
                held = _renamed(held, old, new)
            sink.sendall(held)
            held = b""
        with suppress(OSError):  # it is gone
            sink.shutdown(socket.SHUT_WR)


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """The pkt-line of the one ref, under its new name."""
    at = data.find(b" " + old + b"\n")
    if at < 44:
        return data
    start = at - 44
    line = data[start + 4 : at] + b" " + new + b"\n"
    return data[:start] + b"%04x" % (len(line) + 4) + line + data[at + len(old) + 2 :]


@pytest.mark.parametrize("how", ["pull", "clone", "push"])
@pytest.mark.parametrize(
    "name",
    [
        b"refs/streams/../../../../shallow",
        b"refs/streams/../../../heads/main",
        b"refs/streams/../../../../../pwned",
        b"refs/feeds/../../../../shallow",
        b"refs/streams/good.lock",
        b"refs/streams/a//b",
        b"refs/streams/" + b"x" * 300,
        b"refs/streams/caf\xe9",
    ],
)
def test_no_name_leads_out_of_where_it_belongs(tmp_path: Path, how: str, name: bytes) -> None:
    """A ref's name is never a way to a file: no file is made, and all else goes on."""
    hub = bare(tmp_path / "served" / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        for stream in ("task-1", "task-evil", "task-2"):
            note(ada, stream)
        publish(ada, hub)
    around = {path.name for path in tmp_path.iterdir()} | {"b.git"}
    with (
        daemon(tmp_path / "served") as url,
        renaming(url, b"refs/streams/task-evil", name) as bad,
    ):
        if how == "clone":
            clone(f"{bad}/hub.git", tmp_path / "b.git")
        else:
            with machine(tmp_path / "b.git", f"{bad}/hub.git") as bob:
                if how == "pull":
                    report = pull(bob, "hub")
                    assert set(report.adoption.adopted) == {"task-1", "task-2"}
                else:
                    note(bob, "task-3")
                    assert set(push(bob, "hub").pushed) == {"task-3"}
    assert {path.name for path in tmp_path.iterdir()} <= around
    assert "shallow" not in picture(tmp_path / "b.git")
    assert_sound(tmp_path / "b.git")


def test_a_shallow_remote_leaves_no_holes(tmp_path: Path) -> None:
    """What is not there as a whole is refused and leaves no trace; a whole one is taken later."""
    hub, served = bare(tmp_path / "hub.git"), tmp_path / "served"
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1", 5)
        note(ada, "task-2")
        publish(ada, hub)
    shallow = [
        "git",
        "clone",
        "--quiet",
        "--mirror",
        "--depth=1",
        "--no-single-branch",
        f"file://{hub}",
    ]
    subprocess.run([*shallow, str(served / "thin.git")], check=True)
    with daemon(served) as url, machine(tmp_path / "b.git", f"{url}/thin.git") as bob:
        report = pull(bob, "hub")
        assert set(report.adoption.refused) == {"refs/streams/task-1"}
        assert set(report.adoption.adopted) == {"task-2"}
        assert pull(bob, str(hub)).adoption.adopted == {"task-1": (0, 5)}
    assert_sound(tmp_path / "b.git")
    git(tmp_path / "b.git", "gc", "--quiet", "--prune=now")


def test_a_clone_leaves_its_source_as_it_is(tmp_path: Path) -> None:
    """Not even the modes of files that others read there are changed."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1", 200)
        publish(ada, hub)
    git(hub, "repack", "-adq")
    before = {path: path.stat()[:4] for path in sorted(hub.rglob("*"))}
    clone(str(hub), tmp_path / "b.git")
    assert {path: path.stat()[:4] for path in sorted(hub.rglob("*"))} == before


def test_a_lock_on_a_remotes_ref_keeps_nothing_out(tmp_path: Path) -> None:
    """Where a remote stands cannot be noted while git holds its ref; its events come in."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada, machine(tmp_path / "b.git", hub) as bob:
        note(ada, "task-1")
        publish(ada, hub)
        folder = tmp_path / "b.git" / "refs" / "remotes" / "hub" / "streams"
        folder.mkdir(parents=True)
        (folder / "task-1.lock").touch()
        report = pull(bob, "hub")
        assert report.adoption.adopted == {"task-1": (0, 1)}
        assert list(report.untracked) == ["refs/remotes/hub/streams/task-1"]
        (folder / "task-1.lock").unlink()
        assert not pull(bob, "hub").untracked
    assert_sound(tmp_path / "b.git")


def test_an_older_look_does_not_move_a_remotes_refs_back(tmp_path: Path) -> None:
    """Of two pulls at once, the one that looked first leaves alone what the other noted since."""
    with machine(tmp_path / "a.git") as ada:
        commits = [recorded.commit or "" for recorded in note(ada, "task-1", 3)]
        ada.flush()
        name = "refs/remotes/hub/streams/task-1"
        ada.exchange.track({name: commits[0]}, {})
        ada.exchange.track({name: commits[2]}, {name: commits[0]})
        ada.exchange.track({name: commits[1]}, {name: commits[0]})
        assert ada.exchange.parts.refs.read(name) == commits[2]


def test_a_path_does_not_let_go_of_what_others_put_here(tmp_path: Path) -> None:
    """What plain git put on our refs stays in quarantine, whatever a pulled path is called."""
    hub = bare(tmp_path / "outside.git")
    with machine(tmp_path / "a.git", hub) as ada:
        (first, *_) = note(ada, "task-1", 2)
        publish(ada, hub)
    with machine(tmp_path / "b.git") as bob:
        kept = "refs/quarantine/outside/streams/task-1"
        pull(bob, str(hub))
        git(tmp_path / "b.git", "update-ref", kept, first.commit or "")
        pull(bob, str(hub))
        assert bob.exchange.parts.refs.read(kept) == first.commit


@pytest.mark.timeout(60)
def test_a_pipe_for_a_ref_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Another repository's odd files are passed over, not opened."""
    hub = bare(tmp_path / "hub.git")
    with machine(tmp_path / "a.git", hub) as ada:
        note(ada, "task-1")
        publish(ada, hub)
        os.mkfifo(hub / "refs" / "streams" / "task-2")
        assert compare(ada, str(hub)).ok
