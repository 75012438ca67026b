"""Remotes on loopback, and what can be wrong with them: they hang, break off, are slow, refuse.

The servers are real: ``git daemon``, and smart HTTP through ``git http-backend``.

Each is a context manager that gives a URL for a directory of bare repositories: append
``/name.git``. What it starts has ended when it is left.
"""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
_CHUNK = 65_536


def git(repository: Path, *arguments: object, given: bytes = b"") -> str:
    """What plain git says in a repository."""
    command = ["git", f"--git-dir={repository}", *map(str, arguments)]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode()


def bare(where: Path) -> Path:
    """An empty bare repository, as a host makes it."""
    command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(where)]
    subprocess.run(command, check=True)
    return where


def refs(repository: Path, *patterns: str) -> dict[str, str]:
    """All refs of a repository, or those below some prefixes."""
    lines = git(repository, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    return dict(line.split(" ") for line in lines.splitlines())  # type: ignore[misc]  # two each


def hook(repository: Path, name: str, script: str) -> None:
    """Give a repository a hook, a shell script."""
    path = repository / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def processes_with(text: str) -> list[str]:
    """The processes whose command line or environment holds ``text``; the dead are not told of."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if text.encode() in told and int(folder.name) != os.getpid():
                found.append(told.decode(errors="replace").replace("\0", " ")[:200])
    return found


def end(process: subprocess.Popen[Any]) -> None:
    """End a process with its children, by their numbers."""
    told = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    parents = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
    family = [process.pid]
    for member in family:
        family += [pid for pid, parent in parents if parent == member]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    process.communicate()


@contextmanager
def daemon(base: Path, *, receive_pack: bool = True) -> Iterator[str]:
    """``git daemon``, which takes pushes from anybody."""
    for _ in range(5):  # another process may take the port that was free a moment ago
        with closing(socket.create_server((LOOPBACK, 0))) as probe:
            port = probe.getsockname()[1]
        serving = _start_daemon(base, port, receive_pack=receive_pack)
        if _answers(port, serving):
            break
        end(serving)
    try:
        yield f"git://{LOOPBACK}:{port}"
    finally:
        end(serving)


def _start_daemon(base: Path, port: int, *, receive_pack: bool) -> subprocess.Popen[bytes]:
    command = [
        str(_exec_path() / "git-daemon"),
        *("--export-all", f"--base-path={base}", f"--listen={LOOPBACK}", f"--port={port}"),
        *("--reuseaddr", "--informative-errors", "--log-destination=none"),
        f"--{'enable' if receive_pack else 'disable'}=receive-pack",
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _exec_path() -> Path:
    """Where git keeps its programs; ``git NAME`` would be a process in front of each."""
    told = subprocess.run(["git", "--exec-path"], check=True, capture_output=True, text=True)
    return Path(told.stdout.strip())


def _answers(port: int, serving: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 10
    while serving.poll() is None and time.monotonic() < until:
        with suppress(ConnectionRefusedError), socket.create_connection((LOOPBACK, port)):
            return True
        time.sleep(0.01)
    return False


@contextmanager
def http(
    base: Path, *, receive_pack: bool = True, status: int = 200, password: str | None = None
) -> Iterator[str]:
    """Smart HTTP through ``git http-backend``.

    ``status``: answer everything with that one instead; ``password``: that of the user ``ada``.
    """
    backend = _Backend(base, receive_pack=receive_pack, status=status, password=password)
    with _Server(backend) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}"
        finally:
            backend.end()
            server.shutdown()
            serving.join()


@dataclass
class _Backend:
    base: Path
    receive_pack: bool
    status: int
    password: str | None
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)

    def refusal(self, authorization: str | None) -> int | None:
        if self.status != 200:
            return self.status
        wanted = f"ada:{self.password}".encode()
        if self.password and authorization != f"Basic {base64.b64encode(wanted).decode()}":
            return 401
        return None

    def start(self, given: IO[bytes], variables: dict[str, str]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.base),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": str(self.receive_pack).lower(),
            **variables,
        }
        command = [str(_exec_path() / "git-http-backend")]
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.running.add(process)
        return process

    def end(self) -> None:
        for process in list(self.running):
            if process.poll() is None:
                process.kill()  # its thread collects it


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that leaving waits for what still runs

    def __init__(self, backend: _Backend) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.backend = backend


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing of what is asked."""

    def _answer(self) -> None:
        with tempfile.TemporaryFile() as body, suppress(ConnectionError):
            self._receive(body)
            refusal = self.server.backend.refusal(self.headers.get("Authorization"))
            if refusal is None:
                self._run(body)
            else:
                self._refuse(refusal)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="tests"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _receive(self, body: IO[bytes]) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            body.write(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        body.seek(0)

    def _run(self, body: IO[bytes]) -> None:
        process = self.server.backend.start(body, self._variables(body))
        assert isinstance(process.stdout, io.BufferedReader)
        try:
            with process.stdout as answer:
                self._pass_on(answer)
        finally:
            process.kill()  # nobody listens any more, or it has ended
            process.wait()

    def _variables(self, body: IO[bytes]) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(os.fstat(body.fileno()).st_size),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": LOOPBACK,
        }

    def _pass_on(self, answer: io.BufferedReader) -> None:
        status, headers = 200, []
        while line := answer.readline().decode().strip():
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while some := answer.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(some), some))
        self.wfile.write(b"0\r\n\r\n")


@contextmanager
def hanging(scheme: str = "git") -> Iterator[str]:
    """Takes every connection, and never says a word."""
    with closing(socket.create_server((LOOPBACK, 0), backlog=16)) as server:
        yield f"{scheme}://{LOOPBACK}:{server.getsockname()[1]}"


@contextmanager
def through(
    url: str,
    *,
    down: int | None = None,
    up: int | None = None,
    stall: bool = False,
    rate: int | None = None,
) -> Iterator[Proxy]:
    """What is served at ``url``, through a line that is not sound.

    After ``down`` bytes from the server, or ``up`` bytes to it, in one connection, the line is cut,
    or with ``stall`` goes silent; ``rate``: no more bytes a second than that, each way.
    """
    target = urlsplit(url)
    assert target.port
    with closing(socket.create_server((LOOPBACK, 0))) as server:
        mine = f"{target.scheme}://{LOOPBACK}:{server.getsockname()[1]}"
        proxy = Proxy(mine, (LOOPBACK, target.port), (down, up), stall=stall, rate=rate)
        accepting = threading.Thread(target=proxy.accept, args=(server,))
        accepting.start()
        try:
            yield proxy
        finally:
            proxy.over.set()
            server.shutdown(socket.SHUT_RDWR)
            proxy.cut()
            accepting.join()
            proxy.close()


@dataclass
class Proxy:
    """A line to a server. ``carried``: bytes from the server and to it, so far.

    ``limits``: of these, in one connection, after which it is cut or stalls.
    """

    url: str
    target: tuple[str, int]
    limits: tuple[int | None, int | None]
    stall: bool
    rate: int | None
    carried: list[int] = field(default_factory=lambda: [0, 0])
    over: threading.Event = field(default_factory=threading.Event)
    pumps: list[threading.Thread] = field(default_factory=list)
    _ends: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Cut every connection there is."""
        for each in self._ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Wait for what still runs, and close all."""
        for pump in self.pumps:
            pump.join()
        for each in self._ends:
            each.close()

    def accept(self, server: socket.socket) -> None:
        """Carry every connection, until the server's socket is shut down."""
        while not self.over.is_set():
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(self.target)
            self._ends += [near, far]
            for way, (source, sink) in enumerate([(far, near), (near, far)]):
                pump = threading.Thread(target=self._carry, args=(way, source, sink))
                self.pumps.append(pump)
                pump.start()

    def _carry(self, way: int, source: socket.socket, sink: socket.socket) -> None:
        left = self.limits[way]
        with suppress(OSError):
            most = _CHUNK // 8 if self.rate else _CHUNK
            while left != 0 and (some := source.recv(min(most, left or most))):
                sink.sendall(some)
                self.carried[way] += len(some)
                left = None if left is None else left - len(some)
                if self.rate:
                    self.over.wait(len(some) / self.rate)
            if left == 0:
                if self.stall:
                    self.over.wait()
                source.shutdown(socket.SHUT_RDWR)
                sink.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
