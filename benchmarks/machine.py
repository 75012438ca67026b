"""What the figures depend on: versions, processor, file system."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

_LIBRARIES = ("orjson", "pygit2", "eventsourcing", "GitPython", "click")


def versions() -> dict[str, str]:
    """Of Python, git, SQLite, this project and every library that is measured."""
    import gitstore  # noqa: PLC0415 - a local name keeps the module free of the package

    git = subprocess.run(("git", "--version"), capture_output=True, text=True, check=True)
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "python": platform.python_version(),
        "git": git.stdout.split()[2],
        "sqlite": sqlite3.sqlite_version,
        "gitstore": gitstore.__version__,
        **libraries,
    }


def machine(directory: Path) -> dict[str, Any]:
    """Processor, cores, memory, kernel, and the file system below ``directory``."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory": _field(Path("/proc/meminfo"), "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": file_system(directory),
        "load": os.getloadavg(),
    }


def file_system(directory: Path) -> str:
    """Its type, such as ``ext4``; ``unknown`` where the system does not list its mounts."""
    try:
        mounts = Path("/proc/mounts").read_text()
    except OSError:
        return "unknown"
    place = directory.resolve()
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        _, mount, found, *_ = line.split()
        if place.is_relative_to(mount) and len(mount) > best:
            best, kind = len(mount), found
    return kind


def _field(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
