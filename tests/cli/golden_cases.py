"""What each command shows: the cases behind ``golden/``. How to add one: see ``test_golden``."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cli.conftest import HISTORY, Recorded

WIDE: list[Recorded] = [
    (
        "task-001-日本語の長いストリーム名前です",
        "タスク作成しました",
        {"title": "日本語"},
        {"userId": "ユーザー名前長い"},
    ),
    (
        "task-a-name-that-does-not-fit-into-any-table-at-all-007",
        "TaskStatusChangedInAVeryLongWayIndeed",
        {"newStatus": "done"},
        {"userId": "somebody-long@example.org", "traceId": "4bf9"},
    ),
    (
        "s-\u202ename",
        "T\u2066ype",
        "\x1b[2J\x1b]0;title\x07 \x9b31m \r\n",
        {"userId": "\x1b[31mred"},
    ),
]
"""Names too long for tables, characters of two cells, and text that would drive a terminal."""

_SESSION = {"sessionId": "abc"}
WORK: list[Recorded] = [
    (
        "task-AUTH-001",
        "TaskCreated",
        {"taskId": "AUTH-001", "title": "Sign in", "workflowState": "backlog"},
        {"userId": "ada"},
    ),
    (
        "worktree-task/AUTH-001",
        "WorktreeCreated",
        {"branch": "task/AUTH-001", "path": "/srv/shop.worktrees/AUTH-001", "taskId": "AUTH-001"},
        {},
    ),
    (
        "session-abc",
        "SessionQueued",
        {**_SESSION, "taskId": "AUTH-001", "mode": "autonomous", "priority": "high"},
        {},
    ),
    ("session-abc", "SessionStarted", {**_SESSION, "environment": {"type": "docker"}}, {}),
    (
        "task-AUTH-001",
        "TaskStatusChanged",
        {"taskId": "AUTH-001", "oldStatus": "todo", "newStatus": "in_progress"},
        {"userId": "ada"},
    ),
    (
        "session-abc",
        "SessionCompleted",
        {**_SESSION, "result": "failure", "duration": 61000, "toolsUsed": ["Edit"]},
        {},
    ),
    (
        "session-def",
        "SessionQueued",
        {"sessionId": "def", "taskId": "AUTH-001", "mode": "autonomous", "priority": "high"},
        {},
    ),
]
"""A task, its worktree, a session that failed and one that waits; their data fits the types."""

STORES: dict[str, list[Recorded]] = {
    "nothing": [],
    "history": HISTORY,
    "wide": WIDE,
    "work": WORK,
}
"""What stands in the default store before a case; with ``nothing`` there is no store."""


def _line(stream: str, version: int, event_id: str) -> str:
    return (
        f'{{"id":"{event_id}","streamId":"{stream}","type":"Noted","version":{version},'
        '"timestamp":"2026-11-20T08:00:00.000Z","data":{"n":1},"metadata":{"userId":"eve"}}\n'
    )


FILES = {
    "data.json": '{"title": "From a file"}\n',
    "more.jsonl": _line("note-1", 1, "n-1") + _line("note-1", 2, "n-2") + _line("note-2", 1, "n-3"),
    "gap.jsonl": _line("note-1", 1, "n-1") + _line("note-1", 3, "n-2"),
    "broken.jsonl": _line("note-1", 1, "n-1") + '{"streamId": 7, "type": "Noted"}\n',
    "other.jsonl": _line("session-1", 1, "n-1"),
}
"""The files in the current directory of every case."""


@dataclass(frozen=True)
class Case:
    """Command lines that are run one after the other, and what stands there before.

    - ``name``: ``<command>.<case>``, the golden file without its ``.txt``; for what concerns no
      command, ``sc-events.<case>``.
    - ``lines``: as one types them. ``sc-events …`` runs on a terminal of 100 columns; with
      ``| cat`` at the end in a pipe, with ``< FILE`` reading that file, with ``NAME=value`` in
      front in that environment. Any other line is one for the shell.
    - ``store``: one of ``STORES``.
    - ``interrupt_after``: Ctrl-C when so many lines have come; for commands without an end.
    """

    name: str
    lines: tuple[str, ...]
    store: str = "history"
    interrupt_after: int = 0


def case(name: str, *lines: str, store: str = "history", interrupt_after: int = 0) -> Case:
    """A ``Case`` whose lines are not wrapped up."""
    return Case(name, lines, store, interrupt_after)


_HUB = ("git init --quiet --bare hub.git", "sc-events remote add hub hub.git | cat")
_FIXED = "--id n-1 --time 2026-11-20T08:00:00Z"
_APPEND = f"sc-events append task-1 TaskOpened {_FIXED}"
_AT = "--time 2026-11-20T08:00:00Z"
_CHECKPOINT = ("sc-events remote machine laptop", "sc-events checkpoint -f minimal")
_TWO_SIDES = (
    "cp -r ~/.scopecraft/events.git other.git",
    f"""sc-events append task-AUTH-001 Renamed --id n-1 {_AT} --data '{{"title": "Sign in"}}'""",
    f"sc-events append task-AUTH-001 TaskClosed --id n-2 {_AT}",
    f"sc-events append note-here Noted --id n-3 {_AT}",
    (
        f"sc-events append task-AUTH-001 Renamed --id n-1 {_AT} --store other.git "
        """--data '{"title": "Log in", "n": 1}'"""
    ),
    f"sc-events append session-there Started --id n-4 {_AT} --store other.git",
)
"""A store beside the default one, each with events that the other lacks."""

_ELSEWHERE = (
    "sc-events clone hub.git copy.git",
    f"sc-events append task-AUTH-001 TaskDone --store copy.git {_FIXED}",
    "sc-events append task-9 TaskOpened --store copy.git --id n-2 --time 2026-11-20T09:00:00Z",
    "git --git-dir copy.git push --quiet origin 'refs/streams/*:refs/streams/*'",
    "sc-events append task-AUTH-001 TaskRetitled --id n-3 --time 2026-11-20T10:00:00Z",
)
"""A clone of that hub recorded two events and pushed them; here one was recorded since."""

_FORKED = (
    *_HUB,
    "sc-events push -f minimal",
    *_ELSEWHERE,
    "sc-events append session-1 Noted --id n-4 --time 2026-11-20T11:00:00Z",
    "sc-events append session-1 Noted --id n-5 --time 2026-11-20T11:00:00Z --store copy.git",
    "sc-events append session-1 Noted --id n-4 --time 2026-11-20T11:00:00Z --store copy.git",
    "git --git-dir copy.git push --quiet origin 'refs/streams/*:refs/streams/*'",
)
"""Two streams that went on differently there; of one, theirs has what was recorded here."""
_REBASED = (
    *_HUB,
    "sc-events push | cat",
    *_ELSEWHERE,
    "sc-events pull --rebase | cat",
)
"""The event that was recorded here since stands after theirs now."""

CASES = [
    case("sc-events.help", "sc-events --help"),
    case("sc-events.version", "sc-events --version"),
    case("sc-events.no-command", "sc-events"),
    case("sc-events.errors", "sc-events lst", "sc-events frobnicate"),
    case("init.help", "sc-events init --help"),
    case("init.terminal", "sc-events init", "sc-events init", store="nothing"),
    case(
        "init.pipe",
        "sc-events init | cat",
        "sc-events init --store team.git | cat",
        store="nothing",
    ),
    case("init.elsewhere", "sc-events init --store team.git", store="nothing"),
    case(
        "init.project",
        "git init --quiet .",
        "sc-events init --project",
        "sc-events status | cat",
        "git config scopecraft.events",
        store="nothing",
    ),
    case("init.errors", "sc-events init --project", "sc-events init --store data.json"),
    case("status.help", "sc-events status --help"),
    case("status.terminal", "sc-events status"),
    case("status.json", "sc-events status -f json"),
    case("status.jsonl", "sc-events status | cat"),
    case("status.minimal", "sc-events status -f minimal"),
    case(
        "status.why",
        "SCOPECRAFT_EVENTS_STORE=~/.scopecraft/events.git sc-events status",
        "sc-events status --store ~/.scopecraft/events.git",
    ),
    case("status.empty", "sc-events status", "sc-events status -f json", store="nothing"),
    case(
        "status.errors",
        "sc-events status --store missing.git",
        "SCOPECRAFT_EVENTS_STORE=missing.git sc-events status",
        "sc-events status --store data.json",
        "sc-events status -f xml",
    ),
    case("append.help", "sc-events append --help"),
    case("append.terminal", _APPEND, store="nothing"),
    case("append.json", f'{_APPEND} --user ada --data \'{{"title": "Ship it"}}\' -f json'),
    case("append.jsonl", f"{_APPEND} --data-file data.json | cat"),
    case("append.minimal", f"{_APPEND} --user ada -f minimal"),
    case(
        "append.again",
        f"{_APPEND} --expect none",
        f"{_APPEND} --expect none",
        f"sc-events append task-1 TaskClosed {_FIXED}",
    ),
    case(
        "append.far-ahead",
        "sc-events append task-1 TaskOpened --id n-1 --time 2030-01-01T00:00:00Z",
    ),
    case(
        "append.errors",
        "sc-events append",
        "sc-events append task-1 TaskOpened --expect soon",
        "sc-events append task-AUTH-001 TaskNoted --expect 7",
        "sc-events append task-AUTH-001 TaskOpened --expect none",
        "sc-events append task-1 TaskOpened --data 1 --data-file data.json",
        "sc-events append task-1 TaskOpened --data-file missing.json",
        "sc-events append task-1 TaskOpened --metadata 1",
        """sc-events append task-1 TaskOpened --user ada --metadata '{"userId": "bob"}'""",
        "sc-events append task-1 TaskOpened --time yesterday",
        "sc-events append task-1 'Task Created'",
    ),
    case(
        "append.schema",
        """sc-events append task-1 TaskCreated --data '{"title": "Sign in"}'""",
        """sc-events append task-1 TaskCreated --data '{"title": "Sign in"}' --no-validate """
        f"{_FIXED}",
        """sc-events append session-1 SessionFailed --data '{"sessionId": "1", "duration": 5, """
        f"""\"toolsUsed\": []}}' --id n-2 {_AT}""",
        """sc-events append session-1 SessionFailed --data '{"result": "success"}'""",
        store="nothing",
    ),
    case("schema.help", "sc-events schema --help"),
    case("schema.list", "sc-events schema", "sc-events schema -f minimal"),
    case("schema.type", "sc-events schema TaskUpdated", "sc-events schema SessionFailed | cat"),
    case("schema.json-schema", "sc-events schema TaskMoved --json-schema"),
    case("schema.errors", "sc-events schema TaskCreate", "sc-events schema Noted"),
    case("replay.help", "sc-events replay --help"),
    case("replay.terminal", "sc-events replay", store="work"),
    case(
        "replay.formats",
        "sc-events replay -p TaskBoard -f json",
        "sc-events replay --projection task-board -p activesessions -f json",
        "sc-events replay | cat",
        "sc-events replay -f minimal",
        store="work",
    ),
    case(
        "replay.as-of",
        "sc-events replay -p TaskBoard --as-of 4",
        "sc-events replay -p TaskBoard --as-of 2026-11-04",
        "sc-events replay -p ActiveSessions --as-of 2026-11-05T08:00:00Z",
        "sc-events replay -p TaskBoard --from 2026-11-05 --to 2026-11-06",
        store="work",
    ),
    case(
        "replay.check",
        "sc-events replay -p TaskBoard --check",
        "sc-events projections update TaskBoard -f minimal",
        "sc-events replay -p TaskBoard --check",
        "sc-events replay -p TaskBoard --check -f json",
        store="work",
    ),
    case("replay.empty", "sc-events replay", "sc-events replay -f json", store="nothing"),
    case(
        "replay.errors",
        "sc-events replay -p Board",
        "sc-events replay --as-of soon",
        "sc-events replay --from 2026-11-05 --to 2026-11-04",
        "sc-events replay --check --as-of 3",
        "sc-events replay --store missing.git",
    ),
    case("projections.help", "sc-events projections --help", "sc-events projections skip --help"),
    case(
        "projections.terminal",
        "sc-events projections",
        "sc-events projections update",
        f"sc-events append task-AUTH-001 Noted {_FIXED}",
        "sc-events projections status TaskBoard",
        "sc-events projections rebuild TaskBoard",
        "sc-events projections reset TaskBoard",
        "sc-events projections status TaskBoard WorktreeMap",
        store="work",
    ),
    case(
        "projections.formats",
        "sc-events projections status TaskBoard -f json",
        "sc-events projections status TaskBoard | cat",
        "sc-events projections status TaskBoard -f minimal",
        store="work",
    ),
    case("projections.empty", "sc-events projections", store="nothing"),
    case(
        "projections.errors",
        "sc-events projections status Board",
        "sc-events projections skip TaskBoard",
        "sc-events projections reset",
        "git --git-dir ~/.scopecraft/events.git config gitstore.projections no.such.module",
        "sc-events projections",
        store="work",
    ),
    case("import.help", "sc-events import --help"),
    case("import.terminal", "sc-events import more.jsonl", "sc-events import more.jsonl"),
    case("import.pipe", "sc-events import - < more.jsonl | cat", store="nothing"),
    case("import.json", "sc-events import more.jsonl -f json"),
    case("import.minimal", "sc-events import more.jsonl -f minimal"),
    case(
        "import.dry-run", "sc-events import more.jsonl --dry-run", "sc-events list", store="nothing"
    ),
    case("import.renumber", "sc-events import gap.jsonl --renumber", "sc-events list --last 2"),
    case(
        "import.keep-going",
        "sc-events import broken.jsonl gap.jsonl --keep-going",
        "sc-events import broken.jsonl gap.jsonl --keep-going -f json",
    ),
    case(
        "import.errors",
        "sc-events import",
        "sc-events import missing.jsonl",
        "sc-events import .",
        "sc-events import - -",
        "sc-events import broken.jsonl",
        "sc-events import gap.jsonl",
        "sc-events import other.jsonl",
    ),
    case("list.help", "sc-events list --help"),
    case("list.terminal", "sc-events list"),
    case("list.narrow", "COLUMNS=80 sc-events list", "COLUMNS=50 sc-events list"),
    case(
        "list.wide",
        "sc-events list",
        "COLUMNS=50 sc-events list",
        "COLUMNS=200 sc-events list",
        store="wide",
    ),
    case("list.json", "sc-events list --last 2 -f json"),
    case("list.jsonl", "sc-events list | cat"),
    case("list.minimal", "sc-events list -f minimal"),
    case(
        "list.hostile",
        "sc-events list --last 1 -f json",
        "sc-events list --last 1 -f jsonl",
        "sc-events list --last 1 -f minimal",
        store="wide",
    ),
    case(
        "list.filters",
        "sc-events list --type TaskCreated -f minimal",
        "sc-events list --category task --user bob -f minimal",
        "sc-events list --since 2026-11-02 --until 2026-11-03 -f minimal",
        "sc-events list --correlation c1 --reverse --limit 1 -f minimal",
        "sc-events list --after 5 -f minimal",
    ),
    case(
        "list.no-match",
        "sc-events list --type Nope",
        "sc-events list --type Nope -f json",
        "sc-events list --type Nope | cat",
    ),
    case(
        "list.empty",
        "sc-events list",
        "sc-events list -f json",
        "sc-events list | cat",
        store="nothing",
    ),
    case(
        "list.errors",
        "sc-events list --store missing.git",
        "sc-events list --since soon",
        "sc-events list --since 2026-11-03 --until 2026-11-01",
        "sc-events list --last 1 --limit 1",
        "sc-events list --last -1",
        "sc-events list -f xml",
        "sc-events list more",
    ),
    case(
        "list.superseded",
        *_REBASED,
        "sc-events list --stream task-AUTH-001",
        "sc-events list --superseded",
        "COLUMNS=72 sc-events list --superseded",
        "sc-events list --superseded --type TaskRenamed -f json",
        "sc-events list --superseded -f minimal",
        "sc-events list --superseded --last 1 | cat",
        "sc-events list --superseded --type Nope",
    ),
    case("show.help", "sc-events show --help"),
    case(
        "show.rebased",
        *_REBASED,
        "sc-events show n-3",
        "sc-events show n-3 -f json",
        "sc-events show n-3 | cat",
        "sc-events show 17712fb",
        "sc-events show n-3 -f minimal",
    ),
    case("show.terminal", "sc-events show task-AUTH-001@2", "sc-events show id-4"),
    case(
        "show.wide",
        "sc-events show id-1",
        "sc-events show id-2",
        "sc-events show id-3",
        store="wide",
    ),
    case("show.json", "sc-events show id-3 -f json"),
    case("show.jsonl", "sc-events show id-3 | cat"),
    case("show.minimal", "sc-events show id-3 -f minimal"),
    case("show.empty", "sc-events show id-1", store="nothing"),
    case(
        "show.errors",
        "sc-events show",
        "sc-events show nope",
        "sc-events show task-AUTH-001@9",
        "sc-events show task-AUTH-001",
    ),
    case("streams.help", "sc-events streams --help"),
    case("streams.terminal", "sc-events streams", "sc-events streams --category session"),
    case("streams.narrow", "COLUMNS=50 sc-events streams"),
    case("streams.wide", "sc-events streams", "COLUMNS=50 sc-events streams", store="wide"),
    case("streams.json", "sc-events streams -f json"),
    case("streams.jsonl", "sc-events streams | cat"),
    case("streams.minimal", "sc-events streams -f minimal"),
    case(
        "streams.no-match",
        "sc-events streams --category nope",
        "sc-events streams --category nope -f json",
    ),
    case("streams.empty", "sc-events streams", "sc-events streams -f json", store="nothing"),
    case("streams.errors", "sc-events streams --store missing.git"),
    case("log.help", "sc-events log --help"),
    case("log.pipe", "sc-events log task-AUTH-001 | cat"),
    case(
        "log.options",
        "sc-events log task-AUTH-001 --format=event -1 | cat",
        "sc-events log worktree-feature/auth --format=%s | cat",
    ),
    case("log.empty", "sc-events log task-1 | cat", store="nothing"),
    case(
        "log.errors",
        "sc-events log | cat",
        "sc-events log nope | cat",
        "sc-events log task-1 --store missing.git | cat",
    ),
    case("follow.help", "sc-events follow --help"),
    case("follow.jsonl", "sc-events follow --after 4 | cat", interrupt_after=2),
    case("follow.table", "sc-events follow --last 2 -f table | cat", interrupt_after=3),
    case(
        "follow.json",
        "sc-events follow --category session --after 0 -f json | cat",
        interrupt_after=15,
    ),
    case("follow.minimal", "sc-events follow --after 0 -f minimal | cat", interrupt_after=6),
    case(
        "follow.rebased",
        *_REBASED,
        "sc-events follow --last 3 -f table | cat",
        interrupt_after=4,
    ),
    case("follow.empty", "sc-events follow | cat", store="nothing", interrupt_after=3),
    case(
        "follow.errors",
        "sc-events follow --last x | cat",
        "sc-events follow --store missing.git | cat",
    ),
    case("export.help", "sc-events export --help"),
    case("export.terminal", "sc-events export", "sc-events export -o history.jsonl"),
    case("export.filtered", "sc-events export --type TaskCreated | cat"),
    case("export.cloudevents", "sc-events export -f cloudevents | cat"),
    case(
        "export.layout",
        "sc-events export --layout files",
        "sc-events export --layout files | cat",
        "find files -type f -name '*.*' | sort",
        "cat files/indexes/by-stream.idx",
        "sc-events import files --store copy.git",
    ),
    case("export.empty", "sc-events export", store="nothing"),
    case(
        "export.errors",
        "sc-events export --follow",
        "sc-events export -o a.jsonl --layout files",
        "sc-events export --layout .",
        "sc-events export -o missing/a.jsonl",
        "sc-events export --layout files -f cloudevents",
    ),
    case(
        "import.cloudevents",
        "sc-events export -f cloudevents -o events.json",
        "sc-events import events.json --store copy.git",
        "sc-events import events.json -f cloudevents --store copy.git",
        "sc-events import more.jsonl -f cloudevents --store copy.git",
    ),
    case("verify.help", "sc-events verify --help"),
    case("verify.terminal", "sc-events verify", "sc-events verify --deep"),
    case(
        "verify.formats",
        "sc-events verify -f json",
        "sc-events verify | cat",
        "sc-events verify -f minimal",
    ),
    case("verify.rebased", *_REBASED, "sc-events verify", "sc-events verify -f json"),
    case("verify.empty", "sc-events verify", store="nothing"),
    case("verify.schemas", "sc-events verify --schemas", "sc-events verify --schemas -f json"),
    case("verify.fits", "sc-events verify --schemas", store="work"),
    case(
        "verify.damage",
        "python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "db.execute(sys.argv[2])' ~/.scopecraft/events.git/gitstore/index.db "
        '"UPDATE events SET time = 7 WHERE position = 2"',
        "sc-events verify",
        "sc-events verify -f json",
        "sc-events verify --repair",
        "sc-events verify",
    ),
    case(
        "verify.errors",
        "sc-events verify --store missing.git",
        "sc-events verify --against laptop",
        "sc-events verify --against laptop --deep",
    ),
    case(
        "verify.against",
        *_CHECKPOINT,
        "sc-events verify --against laptop",
        f"{_APPEND} | cat",
        "sc-events verify --against laptop",
        "sc-events verify --against laptop -f json",
        "sc-events verify --against laptop | cat",
        "sc-events verify --against laptop -f minimal",
    ),
    case(
        "verify.rewritten",
        *_CHECKPOINT,
        *_HUB,
        "sc-events push | cat",
        "git --git-dir=hub.git update-ref refs/streams/task-AUTH-001 refs/streams/task-AUTH-001~1",
        "git --git-dir=hub.git update-ref -d refs/streams/session-1",
        "sc-events clone hub.git copy.git | cat",
        "sc-events verify --store copy.git --against origin",
        "sc-events verify --store copy.git --against origin -f minimal",
        "sc-events verify --store copy.git --against heads/main",
    ),
    case("checkpoint.help", "sc-events checkpoint --help"),
    case(
        "checkpoint.terminal",
        "sc-events remote machine laptop",
        "sc-events checkpoint",
        "sc-events checkpoint",
        f"{_APPEND} | cat",
        "sc-events checkpoint",
        "git --git-dir ~/.scopecraft/events.git diff --name-only refs/checkpoints/laptop~ "
        "refs/checkpoints/laptop",
    ),
    case(
        "checkpoint.formats",
        "sc-events remote machine laptop",
        "sc-events checkpoint -f json",
        "sc-events checkpoint | cat",
        f"{_APPEND} | cat",
        "sc-events checkpoint -f minimal",
    ),
    case("checkpoint.empty", "sc-events checkpoint", store="nothing"),
    case(
        "checkpoint.errors",
        "git --git-dir ~/.scopecraft/events.git config gpg.format ssh",
        "sc-events checkpoint --sign",
        "sc-events checkpoint --store missing.git",
    ),
    case("push.help", "sc-events push --help"),
    case(
        "push.checkpoint",
        *_HUB,
        "sc-events push | cat",
        "sc-events remote machine laptop",
        "sc-events checkpoint",
        "sc-events push",
        "sc-events push",
    ),
    case(
        "push.terminal",
        *_HUB,
        "sc-events push",
        "sc-events push",
        _APPEND,
        "sc-events push",
        "git --git-dir=hub.git log --format=%s refs/streams/task-1",
    ),
    case(
        "push.formats",
        *_HUB,
        "sc-events remote machine laptop | cat",
        "sc-events push -f json",
        _APPEND,
        "sc-events push | cat",
        "sc-events push -f minimal",
    ),
    case(
        "push.diverged",
        *_HUB,
        "sc-events push -f minimal",
        "cp -r ~/.scopecraft/events.git other.git",
        f"sc-events --store other.git append task-AUTH-001 Noted {_FIXED}",
        f"sc-events --store other.git append session-1 Noted {_FIXED.replace('n-1', 'n-2')}",
        "git --git-dir=other.git push --quiet hub 'refs/streams/*:refs/streams/*'",
        f"sc-events append task-AUTH-001 Noted {_FIXED.replace('n-1', 'n-3')}",
        f"{_APPEND.replace('n-1', 'n-4')}",
        "sc-events push",
        "sc-events push | cat",
    ),
    case(
        "push.errors",
        "sc-events push",
        *_HUB,
        "sc-events push nowhere",
        "sc-events push --timeout 0",
        "rm -r hub.git",
        "sc-events push",
        "git init --quiet hub.git",
        "sc-events remote add other elsewhere.git | cat",
        "sc-events push",
    ),
    case("push.empty", "sc-events push", store="nothing"),
    case("copy.help", "sc-events copy --help"),
    case(
        "copy.terminal",
        "sc-events copy ~/.scopecraft/events.git sqlite:copy.db",
        "sc-events copy ~/.scopecraft/events.git sqlite:copy.db",
        "sc-events list --last 2 --store sqlite:copy.db",
        "sc-events copy sqlite:copy.db again.git -f json",
    ),
    case(
        "copy.errors",
        "sc-events copy ~/.scopecraft/events.git memory:",
        "sc-events copy ~/.scopecraft/events.git ~/.scopecraft/events.git",
        "sc-events copy missing.git copy.git",
        "sc-events copy jsonl:events copy.git",
    ),
    case("maintain.help", "sc-events maintain --help"),
    case("maintain.terminal", "sc-events maintain", "sc-events maintain --auto"),
    case("maintain.formats", "sc-events maintain -f json", "sc-events maintain | cat"),
    case("maintain.empty", "sc-events maintain", store="nothing"),
    case(
        "remote.help",
        "sc-events remote --help",
        "sc-events remote add --help",
        "sc-events remote list --help",
        "sc-events remote set-url --help",
        "sc-events remote remove --help",
        "sc-events remote machine --help",
    ),
    case(
        "remote.terminal",
        "sc-events remote",
        "sc-events remote machine laptop",
        "sc-events remote add hub ssh://hub.example/events.git",
        "sc-events remote add work https://ada:s3cret@work.example/events.git",
        "sc-events remote add work https://ada:s3cret@work.example/events.git",
        "sc-events remote",
        "COLUMNS=40 sc-events remote list",
        "sc-events remote set-url hub https://ada:s3cret@hub.example/events.git",
        "sc-events remote set-url hub https://ada:s3cret@hub.example/events.git",
        "sc-events remote remove hub",
    ),
    case(
        "remote.path",
        "git init --quiet --bare hub.git",
        "sc-events remote add hub hub.git",
        "git --git-dir ~/.scopecraft/events.git push --quiet hub && "
        "git --git-dir ~/.scopecraft/events.git fetch --quiet hub",
        "sc-events remote set-url hub ~/moved.git",
        "sc-events remote remove hub",
        "sc-events remote add stick ~/stick.git",
    ),
    case(
        "remote.formats",
        "sc-events remote machine laptop | cat",
        "sc-events remote add hub ssh://hub.example/events.git | cat",
        "sc-events remote -f json",
        "sc-events remote | cat",
        "sc-events remote list | cat",
        "sc-events remote -f minimal",
        "sc-events remote remove hub | cat",
        "sc-events remote -f json",
    ),
    case(
        "remote.empty",
        "sc-events remote",
        "sc-events remote | cat",
        "sc-events remote list -f json",
        "sc-events remote set-url hub hub.git",
        "sc-events remote remove hub",
        "sc-events remote machine",
        store="nothing",
    ),
    case(
        "remote.first",
        "sc-events remote add hub ssh://hub.example/events.git",
        "git --git-dir ~/.scopecraft/events.git config remote.hub.url",
        store="nothing",
    ),
    case(
        "remote.errors",
        "sc-events remote add hub",
        "sc-events remote add hub ~/.scopecraft/events.git",
        "sc-events remote add team/hub ssh://hub.example/events.git",
        "sc-events remote add hub ssh://hub.example/events.git",
        "sc-events remote add hub ssh://hub.example/other.git",
        "sc-events remote set-url hub ~/.scopecraft/events.git",
        "sc-events remote set-url stick ssh://hub.example/other.git",
        "sc-events remote remove stick",
        "sc-events remote machine 'my laptop'",
        "sc-events remote frobnicate",
        "sc-events remote --store missing.git",
    ),
    case("clone.help", "sc-events clone --help"),
    case(
        "clone.terminal",
        *_HUB,
        "sc-events push",
        "sc-events clone hub.git copy.git",
        "sc-events list --store copy.git --last 2",
    ),
    case(
        "clone.formats", *_HUB, "sc-events push | cat", "sc-events clone hub.git copy.git -f json"
    ),
    case(
        "clone.errors",
        "git init --quiet --bare hub.git",
        "sc-events clone hub.git",
        "sc-events clone hub.git empty.git",
        "sc-events clone gone.git copy.git",
        "sc-events clone .git copy.git",
        "sc-events clone",
    ),
    case("pull.help", "sc-events pull --help"),
    case(
        "pull.terminal",
        *_HUB,
        "sc-events pull",
        "sc-events push",
        *_ELSEWHERE,
        "sc-events pull",
        "sc-events pull hub",
    ),
    case(
        "pull.formats",
        *_HUB,
        "sc-events push | cat",
        *_ELSEWHERE,
        "sc-events pull -f json",
        "sc-events pull | cat",
        "sc-events pull -f minimal",
    ),
    case(
        "pull.bundle",
        *_HUB,
        "sc-events push | cat",
        *_ELSEWHERE,
        "git --git-dir copy.git bundle create --quiet news.bundle --all",
        "sc-events pull news.bundle",
    ),
    case(
        "pull.rebase",
        *_FORKED,
        "sc-events pull --rebase --dry-run",
        "COLUMNS=60 sc-events pull --rebase --dry-run",
        "sc-events pull --rebase --stream session-1",
        "sc-events pull --rebase",
        "sc-events pull --rebase",
        "sc-events push",
        "git --git-dir hub.git log -1 --format=%B refs/streams/task-AUTH-001",
    ),
    case(
        "pull.rebase-formats",
        *_FORKED,
        "sc-events pull --dry-run -f json",
        "sc-events pull --rebase --dry-run -f json",
        "sc-events pull --rebase --dry-run | cat",
        "sc-events pull --rebase -f minimal",
    ),
    case(
        "pull.rebase-conflict",
        *_TWO_SIDES,
        "sc-events pull other.git --rebase",
        "sc-events pull other.git --rebase | cat",
    ),
    case(
        "pull.rebase-kept",
        "cp -r ~/.scopecraft/events.git other.git",
        *(
            f"sc-events append session-1 Noted --id {i} {_AT}{store}"
            for store, ids in (("", ("n-1", "n-2")), (" --store other.git", ("n-2", "n-1")))
            for i in ids
        ),
        "sc-events compare other.git --stream session-1",
        "cp -r ~/.scopecraft/events.git mine.git",
        "sc-events pull mine.git --rebase --store other.git",
        "sc-events pull other.git --rebase",
        "sc-events pull other.git --rebase --stream session-1",
    ),
    case("pull.empty", "sc-events pull", store="nothing"),
    case(
        "pull.errors",
        "sc-events pull",
        "sc-events remote add hub gone.git",
        "sc-events pull",
        "sc-events pull hbu",
        "sc-events pull data.json",
        "sc-events pull --timeout soon",
        "sc-events pull --stream task-AUTH-001",
        "git init --quiet --bare gone.git",
        "sc-events push | cat",
        "sc-events pull --rebase --stream task-AUTH-001 --stream task-AUTH-009",
    ),
    case("compare.help", "sc-events compare --help"),
    case(
        "compare.terminal",
        *_TWO_SIDES,
        "sc-events compare other.git",
        "sc-events compare other.git --only-different",
        "COLUMNS=50 sc-events compare other.git --only-different",
    ),
    case(
        "compare.formats",
        *_TWO_SIDES,
        "sc-events compare other.git --only-different -f json",
        "sc-events compare other.git --only-different | cat",
        "sc-events compare other.git --only-different -f minimal",
    ),
    case(
        "compare.stream",
        *_TWO_SIDES,
        "sc-events compare other.git --stream task-AUTH-001",
        "COLUMNS=80 sc-events compare other.git --stream task-AUTH-001",
        "sc-events compare other.git --stream task-AUTH-001 -f minimal",
    ),
    case(
        "compare.remote",
        *_TWO_SIDES,
        "sc-events remote add hub other.git",
        "sc-events status -f minimal",
        "sc-events compare --only-different",
        "sc-events compare --only-different --fetch",
    ),
    case("compare.empty", "sc-events compare", store="nothing"),
    case(
        "compare.errors",
        "sc-events compare",
        "sc-events compare nope.git",
        "sc-events compare data.json/x",
        "sc-events compare .",
        "sc-events compare --store missing.git",
    ),
]
