"""What the library reports through logging, for people: lines on stderr."""

from __future__ import annotations

import logging

from gitstore_cli.env import Env


class _Warnings(logging.Handler):
    def __init__(self, env: Env) -> None:
        super().__init__(logging.WARNING)
        self._env = env

    def emit(self, record: logging.LogRecord) -> None:
        self._env.say(f"{record.levelname.capitalize()}: {record.getMessage()}")


def show_warnings(env: Env) -> None:
    """From now on, show the library's warnings on ``env``'s stderr."""
    logger = logging.getLogger("gitstore")
    logger.handlers = [_Warnings(env)]
    logger.propagate = False
