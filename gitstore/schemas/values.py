"""The values of Scopecraft's fields, and every form in which its files have written them.

Scopecraft reads any label, alias or emoji form and writes the canonical name. So an event that is
appended has the canonical name, and who reads old histories asks ``canonical_status`` and its kin.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

WorkflowState = Literal["backlog", "current", "archive"]
"""The folder a task's file lies in."""
TaskStatus = Literal["todo", "in_progress", "done", "blocked", "reviewing", "archived"]
Priority = Literal["highest", "high", "medium", "low"]
Result = Literal["success", "failure"]

# "closed" stands for done and for archived in Scopecraft, where the later entry wins by accident:
# a task that somebody closed is done.
_STATUS_ALIASES = {
    "todo": "to do, new, open, created, planned, ready, pending",
    "in_progress": "in progress, wip, working, active, started, ongoing",
    "done": "complete, completed, finished, closed, resolved",
    "blocked": "stuck, waiting, on hold, paused",
    "reviewing": "review, in review, checking",
    "archived": "archive, obsolete, deprecated",
}
_PRIORITY_ALIASES = {
    "highest": "critical, urgent, blocker, p0, p1",
    "high": "important, p2",
    "medium": "normal, default, p3",
    "low": "minor, trivial, p4",
}
# A label may begin with an emoji; between words stand spaces, hyphens or underscores.
_DECORATION = re.compile(r"^[^\w]+|[^\w]+$")
_GAP = re.compile(r"[\s_-]+")


def _by_form(names: tuple[str, ...], aliases: dict[str, str]) -> dict[str, str]:
    forms = {alias: name for name, listed in aliases.items() for alias in listed.split(", ")}
    return {**forms, **{_plain(name): name for name in names}}


def _plain(text: str) -> str:
    return _GAP.sub(" ", _DECORATION.sub("", text)).lower()


_STATUSES = _by_form(get_args(TaskStatus), _STATUS_ALIASES)
_PRIORITIES = _by_form(get_args(Priority), _PRIORITY_ALIASES)


def canonical_status(text: str) -> str:
    """The canonical name of a task's status in any known form, such as ``"🔵 In Progress"``.

    What is no known form is given as it is: an old history may say what it likes.
    """
    return _STATUSES.get(_plain(text), text)


def canonical_priority(text: str) -> str:
    """The canonical name of a priority in any known form, such as ``"P0"``; else as it is."""
    return _PRIORITIES.get(_plain(text), text)
