"""FORMAT.md held against the library, a second implementation of it, plain git and GitPython."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import git as gitpython
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitstore import DomainEvent, StoreCorrupted, UnsupportedFormat, open_store
from gitstore.backends.git.commits import (
    MAX_DATE,
    EventCommit,
    GitObject,
    MalformedCommit,
    check_canonical,
    check_follows,
    committer_date,
    decode_commit,
    encode_commit,
    object_id,
    spill_line,
)
from gitstore.backends.git.feed import FeedEntry, decode_feed, encode_beginning, encode_feed
from gitstore.backends.git.packs import PackBuilder
from gitstore.backends.git.repository import format_objects
from gitstore.core import canonical
from gitstore.core.timestamps import to_microseconds
from gitstore.testing.strategies import (
    json_objects,
    json_values,
    stream_ids,
    text,
    types,
    whole_events,
)
from tests.backends.git import format_witness as witness
from tests.backends.git.witness import git

VECTORS = json.loads((Path(__file__).parents[2] / "vectors.json").read_text())
COMMITS = {v["commit"]: v for stream in VECTORS["streams"] for v in stream["events"]}

# Commits of events


_HOSTILE = st.sampled_from("<>\n\r\0\x7f\x85\u2028\"'\\ .,:;@-é😀ab")
users = st.text(_HOSTILE, max_size=8) | text | st.integers(250, 260).map("u".__mul__) | json_values
metadata = st.builds(
    lambda extra, ids: extra | ids,
    json_objects,
    st.fixed_dictionaries(
        {}, optional={"userId": users, "correlationId": users, "causationId": users}
    ),
)
data = json_values | st.integers(8_180, 8_200).map("x".__mul__)
commit_ids = st.text("0123456789abcdef", min_size=40, max_size=40)


@st.composite
def events(draw: st.DrawFn) -> tuple[witness.Event, str | None, int]:
    """An event with hostile parts, its parent and the parent's committer date."""
    event = draw(whole_events).to_dict()
    event |= {"data": draw(data), "metadata": draw(metadata)}
    if draw(st.booleans()):
        return event | {"version": 1}, None, 0
    event["version"] = max(2, event["version"])
    return event, draw(commit_ids), draw(st.integers(0, MAX_DATE))


def event_commit(given: witness.Event, parent: str | None, parent_date: int) -> EventCommit:
    """An interface event as the library's encoder takes it."""
    event = DomainEvent.from_dict(given)
    assert event.id is not None
    assert event.timestamp is not None
    assert event.version is not None
    time = to_microseconds(event.timestamp)
    return EventCommit(
        event.stream_id,
        event.type,
        event.version,
        time,
        event.id,
        event.metadata,
        parent,
        committer_date(time, parent_date),
    )


@given(events())
def test_law_the_witness_makes_the_same_objects(case: tuple[Any, str | None, int]) -> None:
    """Library and witness make the same commit, tree and blob of any event."""
    given_event = case[0]
    objects = encode_commit(event_commit(*case), canonical.encode(given_event["data"]))
    theirs = witness.encode(*case)
    assert objects[-1] == GitObject("commit", theirs.id, theirs.commit)
    spilled = [] if theirs.blob is None else [theirs.blob, theirs.tree]
    assert [item.content for item in objects[:-1]] == spilled


@given(events())
def test_law_decoding_undoes_encoding(case: tuple[Any, str | None, int]) -> None:
    """Library and witness read from a commit the event it was made of, and find it canonical."""
    given_event, _, parent_date = case
    event, line = event_commit(*case), canonical.encode(given_event["data"])
    *spilled, commit = encode_commit(event, line)
    found = decode_commit(commit.content)
    assert found[:8] == event[:8]
    if spilled:
        place = (spilled[1].id, None, len(line), hashlib.sha256(line).hexdigest())
        assert found[8:12] == place
    else:
        assert found.data == line
    check_canonical(commit.id, found, line)
    check_follows(found, parent_date)
    blob = spilled[0].content if spilled else None
    again = witness.decode(commit.content, blob, parent_date)
    assert canonical.encode(again) == canonical.encode(given_event)


@given(events(), st.data())
def test_law_both_refuse_the_same_commits(
    case: tuple[Any, str | None, int], choice: st.DataObject
) -> None:
    """With a byte changed, lost or added a commit is an event to both readers, or to none."""
    made = witness.encode(*case)
    at = choice.draw(st.integers(0, len(made.commit) - 1))
    new = choice.draw(st.binary(max_size=1) | st.sampled_from([b"\n", b" ", b"0", b"@"]))
    changed = made.commit[:at] + new + made.commit[at + choice.draw(st.integers(0, 1)) :]
    assert is_event(read, changed, made.blob) == is_event(witness.decode, changed, made.blob)


def is_event(reader: Callable[[bytes, bytes | None], object], *given: Any) -> bool:
    """Whether a reader takes a commit for an event."""
    try:
        reader(*given)
    except (MalformedCommit, UnsupportedFormat, witness.RefusedError):
        return False
    return True


def read(content: bytes, blob: bytes | None = None) -> EventCommit:
    """The event of a commit that is checked as far as it can be without its parent."""
    event = decode_commit(content)
    line = blob if event.data is None else event.data
    if line is None:
        raise MalformedCommit("no blob")
    check_canonical(object_id(b"commit", content), event, line)
    return event


PARENT = "1" * 40
EVENT = {
    "id": "e-2",
    "streamId": "task-1",
    "type": "Noted",
    "version": 2,
    "timestamp": "2026-11-23T08:00:00.120Z",
    "data": {"a": 1, "b": [1.5, "x"]},
    "metadata": {"userId": "ada", "correlationId": "c", "trace": "t", "z": 1},
}
VALID = witness.encode(EVENT, PARENT, 5).commit
SPILLED = witness.encode(EVENT | {"data": "x" * 9_000}, PARENT, 5)

VARIANTS = {
    "other key order": (b'{"a":1,"b":[1.5,"x"]}', b'{"b":[1.5,"x"],"a":1}'),
    "extra space in data": (b'{"a":1', b'{"a": 1'),
    "a key twice": (b'{"a":1', b'{"a":1,"a":1'),
    "a float's other form": (b"1.5", b"1.50"),
    "an exponent": (b"1.5", b"15e-1"),
    "an integer of 65 bits": (b'"a":1', b'"a":18446744073709551616'),
    "an escape too many": (b'"x"', b'"\\u0078"'),
    "a lone surrogate": (b'"x"', b'"\\ud800"'),
    "NaN": (b"1.5", b"NaN"),
    "no JSON": (b'{"a":1', b'{"a":'),
    "no UTF-8 in data": (b'"x"', b'"\xff"'),
    "data on two lines": (b'{"a":1,', b'{"a":1,\n'),
    "no data": (b'{"a":1,"b":[1.5,"x"]}', b""),
    "the spill line without a tree": (
        b'{"a":1,"b":[1.5,"x"]}',
        spill_line(canonical.encode(EVENT["data"])),
    ),
    "a tree without the spill line": (witness.EMPTY_TREE.encode(), b"2" * 40),
    "missing newline at the end": (b'{"trace":"t","z":1}\n', b'{"trace":"t","z":1}'),
    "newline too many at the end": (b'{"trace":"t","z":1}\n', b'{"trace":"t","z":1}\n\n'),
    "carriage returns": (b"@2\n\n", b"@2\r\n\r\n"),
    "missing empty line": (b"@2\n\n", b"@2\n"),
    "empty line too many": (b"@2\n\n", b"@2\n\n\n"),
    "a part too many": (b"\n\nEvent-Id", b"\n\nprose\n\nEvent-Id"),
    "space after the subject": (b"@2\n", b"@2 \n"),
    "space before the stream": (b"Noted task", b"Noted  task"),
    "a version with a zero before it": (b"@2\n", b"@02\n"),
    "version 0": (b"@2\n", b"@0\n"),
    "a version over the limit": (b"@2\n", b"@9223372036854775808\n"),
    "a version of 5,000 digits": (b"@2\n", b"@" + b"1" * 5_000 + b"\n"),
    "no version": (b"@2\n", b"\n"),
    "no UTF-8 in the subject": (b"Noted task", b"Noted \xff"),
    "a control in the stream": (b"Noted task", b"Noted \x85".decode("latin-1").encode()),
    "a type of 201 characters": (b"Noted task", b"N" * 201 + b" task"),
    "other committer": (b"committer scopecraft <events@", b"committer scopecraft <other@"),
    "other author": (b"author ada", b"author eve"),
    "other author's address": (b"<ada@", b"<eve@"),
    "encoding header": (b"+0000\n\nNoted", b"+0000\nencoding ISO-8859-1\n\nNoted"),
    "gpgsig header": (b"+0000\n\nNoted", b"+0000\ngpgsig -----BEGIN\n .\n -----END\n\nNoted"),
    "merge parents": (b"\nauthor", b"\nparent " + b"3" * 40 + b"\nauthor"),
    "author's zone": (b"+0000\ncommitter", b"+0100\ncommitter"),
    "committer's zone": (b"+0000\n\n", b"+0100\n\n"),
    "negative zero zone": (b"+0000\n\n", b"-0000\n\n"),
    "wrong author date": (b"1795420800 +0000\ncommitter", b"1795420801 +0000\ncommitter"),
    "a committer date before the author's": (b"1795420800 +0000\n\n", b"1795420799 +0000\n\n"),
    "a date of 5,000 digits": (b"1795420800 +0000\n\n", b"1" * 5_000 + b" +0000\n\n"),
    "a date with a zero before it": (b"1795420800 +0000\n\n", b"01795420800 +0000\n\n"),
    "upper-case tree": (b"tree 4b825dc6", b"tree 4B825DC6"),
    "no tree": (b"tree " + witness.EMPTY_TREE.encode() + b"\n", b""),
    "time without decimals": (b"08:00:00.120Z", b"08:00:00Z"),
    "time with six decimals too many": (b"08:00:00.120Z", b"08:00:00.120000Z"),
    "time in another zone": (b"08:00:00.120Z", b"08:00:00.120+00:00"),
    "no time": (b"Event-Time: 2026-11-23T08:00:00.120Z\n", b""),
    "a date that is none": (b"2026-11-23T", b"2026-13-23T"),
    "id with a space at its end": (b"Event-Id: e-2\n", b"Event-Id: e-2 \n"),
    "id beyond ASCII": (b"Event-Id: e-2\n", "Event-Id: é\n".encode()),
    "id of 201 characters": (b"Event-Id: e-2\n", b"Event-Id: " + b"e" * 201 + b"\n"),
    "a trailer twice": (b"User-Id: ada\n", b"User-Id: ada\nUser-Id: ada\n"),
    "the id twice": (b"User-Id: ada\n", b"Event-Id: e-2\nUser-Id: ada\n"),
    "trailers in another order": (
        b"User-Id: ada\nCorrelation-Id: c\n",
        b"Correlation-Id: c\nUser-Id: ada\n",
    ),
    "id and time in another order": (
        b"Event-Id: e-2\nEvent-Time: 2026-11-23T08:00:00.120Z\n",
        b"Event-Time: 2026-11-23T08:00:00.120Z\nEvent-Id: e-2\n",
    ),
    "a trailer in lower case": (b"User-Id: ada", b"user_id: ada"),
    "a quote too many": (b"User-Id: ada", b'User-Id: "ada"'),
    "a quoted number": (b"Correlation-Id: c", b'Correlation-Id: "'),
    "no space after the colon": (b"User-Id: ada", b"User-Id:ada"),
    "an id among the metadata": (b'{"trace"', b'{"causationId":"d","trace"'),
    "metadata in another order": (b'{"trace":"t","z":1}', b'{"z":1,"trace":"t"}'),
    "metadata that is no object": (b'{"trace":"t","z":1}', b'["trace"]'),
    "metadata over the limit": (b'"trace":"t"', b'"trace":"' + b"t" * 65_536 + b'"'),
    "no metadata, and said so": (b'{"trace":"t","z":1}', b"{}"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_of_a_commit_is_refused(name: str) -> None:
    """What differs from the canonical bytes is no event, neither to us nor to the witness."""
    assert read(VALID).event_id == "e-2"
    old, new = VARIANTS[name]
    assert VALID.count(old) == 1
    variant = VALID.replace(old, new)
    with pytest.raises(MalformedCommit):
        read(variant)
    with pytest.raises(witness.RefusedError):
        witness.decode(variant, None, 5)


SPILLED_VARIANTS = {
    "another size": (b"data.json 9002 bytes", b"data.json 9003 bytes"),
    "a size with a zero before it": (b"data.json 9002 bytes", b"data.json 09002 bytes"),
    "a size of 5,000 digits": (b"data.json 9002", b"data.json " + b"1" * 5_000),
    "the empty tree": (SPILLED.commit[5:45], witness.EMPTY_TREE.encode()),
    "another digest": (b"sha256:", b"sha256:0"),
}


@pytest.mark.parametrize("name", SPILLED_VARIANTS)
def test_a_variant_of_a_spilled_commit_is_refused(name: str) -> None:
    """A spill line that is not exactly that of the blob is no event."""
    assert read(SPILLED.commit, SPILLED.blob).size == 9_002
    variant = SPILLED.commit.replace(*SPILLED_VARIANTS[name])
    assert variant != SPILLED.commit
    with pytest.raises(MalformedCommit):
        read(variant, SPILLED.blob)
    with pytest.raises(witness.RefusedError):
        witness.decode(variant, SPILLED.blob, 5)


def test_small_data_may_not_be_spilled() -> None:
    """Data of 8,192 bytes or less has one form, and a blob is not it."""
    line = canonical.encode(EVENT["data"])
    tree = b"100644 data.json\0" + bytes.fromhex(object_id(b"blob", line))
    commit = VALID.replace(witness.EMPTY_TREE.encode(), object_id(b"tree", tree).encode())
    spilled = commit.replace(line, spill_line(line))
    assert decode_commit(spilled).size == len(line)
    with pytest.raises(MalformedCommit):
        read(spilled, line)
    with pytest.raises(witness.RefusedError):
        witness.decode(spilled, line, 5)


@pytest.mark.parametrize("before", [b"Event-Id", b"Event-Time", b"User-Id", b"Event-Metadata", b""])
@pytest.mark.parametrize("trailer", [b"Event-Signature: x\n", b"X: \n", b"Schema-2: {}\n"])
def test_an_unknown_trailer_is_of_a_newer_version(before: bytes, trailer: bytes) -> None:
    """Wherever it stands: the reader is told to upgrade, and not that anything is damaged."""
    newer = (
        VALID.replace(before + b": ", trailer + before + b": ", 1) if before else VALID + trailer
    )
    with pytest.raises(UnsupportedFormat, match="does not know"):
        decode_commit(newer)
    with pytest.raises(witness.NewerError):
        witness.decode(newer, None, 5)


@pytest.mark.parametrize("parent_date", [0, 1795420800, 1795420801, MAX_DATE])
def test_the_committer_date_follows_the_parent(parent_date: int) -> None:
    """It is the larger of the event's and the parent's, and nothing else."""
    commit = witness.encode(EVENT, PARENT, parent_date).commit
    check_follows(read(commit), parent_date)
    later = commit.replace(b" +0000\n\n", b"0 +0000\n\n")
    with pytest.raises(MalformedCommit):
        check_follows(read(later), parent_date)


def test_a_first_event_has_its_own_date() -> None:
    """Without a parent nothing but the event's time gives the committer date."""
    first = witness.encode(EVENT | {"version": 1}).commit
    assert read(first).date == 1795420800
    with pytest.raises(MalformedCommit):
        read(first.replace(b"1795420800 +0000\n\n", b"1795420801 +0000\n\n"))


def _next(parent: str, date: int, **changes: Any) -> bytes:
    event = EVENT | {"streamId": "task-1", "version": 2, "id": "e-new"} | changes
    return witness.encode(event, parent, date).commit


FOREIGN: dict[str, Callable[[str, int], bytes]] = {
    "a later date": lambda parent, date: _next(parent, date + 10**9),
    "the subject of another stream": lambda parent, date: _next(parent, date, streamId="task-2"),
    "a version left out": lambda parent, date: _next(parent, date, version=3),
    "an id that is recorded": lambda parent, date: _next(parent, date, id="e-1"),
    "another parent": lambda _, date: _next(PARENT, date),
    "the first of another history": lambda _, date: (
        witness.encode(EVENT | {"version": 1, "id": "other"}).commit
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_ref_with_a_commit_of_another_place_is_not_adopted(name: str, tmp_path: Path) -> None:
    """Canonical in itself is not enough: a tip that does not continue the stream is set aside."""
    path = tmp_path / "events.git"
    with open_store(path) as store:
        recorded = store.append(DomainEvent.from_dict(EVENT | {"id": "e-1", "version": 1}))
    assert recorded.commit is not None
    content = FOREIGN[name](recorded.commit, 1795420800)
    read(content)
    _put(path, content)
    with open_store(path) as store:
        assert store.stream_version("task-1") == 1
        assert git(path, "rev-parse", "refs/streams/task-1").strip() == recorded.commit
        report = store.verify()
        assert report.ok, report.findings
        assert [finding.kind for finding in report.findings] == ["quarantine"]


def test_a_ref_with_the_next_event_is_adopted(tmp_path: Path) -> None:
    """What another implementation appends by the page is an event of the store."""
    path = tmp_path / "events.git"
    with open_store(path) as store:
        recorded = store.append(DomainEvent.from_dict(EVENT | {"id": "e-1", "version": 1}))
    assert recorded.commit is not None
    _put(path, _next(recorded.commit, 1795420800))
    with open_store(path) as store:
        found = store.find_event("e-new")
        assert found is not None
        assert (found.version, found.position) == (2, 2)
        assert store.verify().findings == ()


def test_verify_finds_a_wrong_committer_date(tmp_path: Path) -> None:
    """Also where a feed lists the commit, so that a store takes it for its own."""
    path = tmp_path / "events.git"
    with open_store(path) as store:
        recorded = store.append(DomainEvent.from_dict(EVENT | {"id": "e-1", "version": 1}))
    assert recorded.commit is not None
    commit = _put(path, _next(recorded.commit, 1795420801))
    above = git(path, "rev-parse", "refs/feed").strip()
    listed = encode_feed(above, 0, [FeedEntry(2, "Noted", "task-1", 2, commit)])
    _put(path, listed.content, "refs/feed")
    shutil.rmtree(path / "gitstore")
    (path / "gitstore").mkdir()
    with open_store(path) as store:
        assert store.stream_version("task-1") == 2
        findings = store.verify().findings
    assert [(finding.kind, finding.commit) for finding in findings] == [("stream", commit)]
    assert "committer date" in findings[0].message


def _put(path: Path, content: bytes, ref: str = "refs/streams/task-1") -> str:
    command = ["git", f"--git-dir={path}", "hash-object", "-w", "-t", "commit", "--stdin"]
    made = subprocess.run(command, input=content, capture_output=True, check=True)
    commit = made.stdout.decode().strip()
    git(path, "update-ref", ref, commit)
    return commit


# The vectors, as plain git and GitPython see them


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a store of all vectors lies, closed and verified."""
    path = tmp_path_factory.mktemp("format") / "events.git"
    with open_store(path) as store:
        for stream in VECTORS["streams"]:
            events = [witness.expand(vector["event"]) for vector in stream["events"]]
            store.append_history(list(map(DomainEvent.from_dict, events)))
        store.flush()
        report = store.verify()
        assert report.ok, report.findings
    return path


def raw_parts(commit: str) -> tuple[witness.Encoded, list[str]]:
    """A vector's objects, and the parts of its commit: headers, subject, data, trailers."""
    vector = COMMITS[commit]
    parent = COMMITS.get(vector["parent"], {"committerDate": 0})
    made = witness.encode(
        witness.expand(vector["event"]), vector["parent"], parent["committerDate"]
    )
    return made, made.commit.decode().split("\n\n")


def log(path: Path, form: str) -> dict[str, str]:
    """``git log --format`` of each vector's commit."""
    command = ["log", "--no-walk=unsorted", "-z", f"--format=%H {form}", *COMMITS]
    lines = git(path, *command).rstrip("\0").split("\0")
    return dict(line.split(" ", 1) for line in lines)


def test_git_fsck_accepts_the_vectors(vectors: Path) -> None:
    """``git fsck --strict`` has nothing to say about any object or ref of the store."""
    assert git(vectors, "fsck", "--strict", "--full") == ""
    assert set(COMMITS) <= set(git(vectors, "rev-list", "--all").split())


def test_git_log_shows_what_the_page_says(vectors: Path) -> None:
    """Author, dates, committer, subject and tree, as ``git log`` prints them."""
    shown = log(vectors, "%an <%ae> %at|%cn <%ce> %ct|%T|%P|%e|%G?|%s")
    for commit, vector in COMMITS.items():
        made, (headers, subject, _, _) = raw_parts(commit)
        author = headers.split("\nauthor ")[1].split(" +0000\n")[0]
        committer = f"{witness.COMMITTER} {vector['committerDate']}"
        tree = witness.object_id("tree", made.tree)
        expected = [author, committer, tree, vector["parent"] or "", "", "N", subject]
        assert shown[commit] == "|".join(expected)


def test_git_reads_the_trailers(vectors: Path) -> None:
    """Git's own trailer parser finds exactly ours, in all of the vectors, hostile ones too."""
    shown = log(vectors, "%(trailers:only)")
    ids = log(vectors, "%(trailers:key=Event-Id,valueonly)")
    for commit, vector in COMMITS.items():
        _, (_, _, _, trailers) = raw_parts(commit)
        assert shown[commit] == trailers
        assert ids[commit] == witness.expand(vector["event"]["id"]) + "\n"


def test_gitpython_reads_the_vectors(vectors: Path) -> None:
    """A git library that is not ours finds the same message, people, dates and data."""
    with gitpython.Repo(vectors) as repository:
        for commit, vector in COMMITS.items():
            made, (headers, *_) = raw_parts(commit)
            found = repository.commit(commit)
            message = found.message
            assert isinstance(message, str)
            assert message.encode() == made.commit.partition(b"\n\n")[2]
            author = f"{found.author.name} <{found.author.email}> {found.authored_date} +0000"
            assert headers.split("\nauthor ")[1].split("\n")[0] == author
            assert found.committed_date == vector["committerDate"]
            parents = [vector["parent"]] if vector["parent"] else []
            assert [parent.hexsha for parent in found.parents] == parents
            blobs = {blob.name: blob.data_stream.read() for blob in found.tree.blobs}
            assert blobs == ({} if made.blob is None else {"data.json": made.blob})


def test_the_format_commit_is_the_same_in_every_store(vectors: Path, tmp_path: Path) -> None:
    """``refs/heads/main`` depends on nothing but the release, and says the format's number."""
    with open_store(tmp_path / "events.git"):
        pass
    commits = {
        git(path, "rev-parse", "refs/heads/main").strip()
        for path in (vectors, tmp_path / "events.git")
    }
    assert commits == {format_objects()[-1].id}
    assert git(vectors, "log", "--format=%s", "main") == "gitstore format 1\n"
    assert git(vectors, "ls-tree", "--name-only", "main") == "FORMAT.md\nREADME.md\n"
    assert git(vectors, "show", "main:FORMAT.md").startswith("# The format of an event store")


# The feed


entries = st.lists(
    st.builds(FeedEntry, st.just(1), types, stream_ids, st.integers(1, 10**18), commit_ids),
    min_size=1,
    max_size=5,
)


@given(entries, st.integers(1, 10**12), st.integers(0, MAX_DATE))
def test_law_the_feed_is_that_of_the_witness(
    listed: list[FeedEntry], first: int, date: int
) -> None:
    """A feed commit has the witness's message, and reading it gives what was listed."""
    listed = [
        FeedEntry(first + at, e.type, e.stream_id, e.version, e.commit)
        for at, e in enumerate(listed)
    ]
    made = encode_feed(PARENT, date, listed)
    rows = [(e.position, e.type, e.stream_id, e.version, e.commit) for e in listed]
    who = f"{witness.COMMITTER} {date} +0000"
    headers = f"tree {witness.EMPTY_TREE}\nparent {PARENT}\nauthor {who}\ncommitter {who}\n\n"
    assert made.content == (headers + witness.feed_message(rows)).encode()
    found = decode_feed(made.content)
    assert (found.parent, found.date, found.entries) == (PARENT, date, tuple(listed))


def test_the_feed_begins_with_the_store() -> None:
    """Its first commit has no parent and names the store."""
    root = encode_beginning(None, 7, "some-id")
    assert root.content.endswith(b" 7 +0000\n\nfeed some-id\n")
    found = decode_feed(root.content)
    assert (found.parent, found.store_id, found.entries) == (None, "some-id", ())


FEED = encode_feed(
    PARENT, 7, [FeedEntry(n, "Noted", "a@3 b", n, f"{n:040x}") for n in (11, 12, 13)]
).content
FEED_VARIANTS = {
    "a line less": (b"13 Noted a@3 b@13 %040x\n" % 13, b""),
    "a line twice": (b"12 Noted", b"12 Noted a@3 b@12 %040x\n12 Noted" % 12),
    "a torn line": (b"%040x\n" % 13, b"%020x\n" % 13),
    "no end": (b"%040x\n" % 13, b"%040x" % 13),
    "a foreign line": (b"12 Noted", b"prose\n12 Noted"),
    "an empty line": (b"12 Noted", b"\n12 Noted"),
    "a position with a zero before it": (b"\n12 Noted", b"\n012 Noted"),
    "other digits": (b"\n12 Noted", "\n1٢ Noted".encode()),
    "a position of 5,000 digits": (b"\n12 Noted", b"\n" + b"1" * 5_000 + b" Noted"),
    "no UTF-8": (b"12 Noted", b"12 \xff"),
    "a subject of other events": (b"11..13", b"11..14"),
    "a subject of fewer events": (b"3 events", b"2 events"),
    "prose for a subject": (b"3 events, 11..13", b"Merge branch"),
    "a tree": (witness.EMPTY_TREE.encode(), b"2" * 40),
    "no parent": (b"parent " + PARENT.encode() + b"\n", b""),
    "two parents": (b"\nauthor", b"\nparent " + PARENT.encode() + b"\nauthor"),
    "a signature": (b"+0000\n\n", b"+0000\ngpgsig x\n\n"),
}


@pytest.mark.parametrize("name", FEED_VARIANTS)
def test_a_torn_or_foreign_feed_is_refused(name: str) -> None:
    """A feed commit that is not in its form is damage, and is said to be."""
    assert len(decode_feed(FEED).entries) == 3
    variant = FEED.replace(*FEED_VARIANTS[name])
    assert variant != FEED
    with pytest.raises(StoreCorrupted):
        decode_feed(variant)


def test_a_foreign_commit_on_the_feed_is_set_aside(tmp_path: Path) -> None:
    """Who moves ``refs/feed`` harms no append: the tip is quarantined, and the feed goes on."""
    path = tmp_path / "events.git"
    with open_store(path, flush="append") as store:
        first = store.append(DomainEvent("task-1", "Noted"))
        git(path, "update-ref", "refs/feed", str(first.commit))
        store.append(DomainEvent("task-1", "Noted"))
        report = store.verify()
    assert report.ok, report.findings
    subjects = git(path, "log", "--format=%s", "refs/feed").splitlines()
    assert subjects[:2] == ["1 event, 2", "1 event, 1"]


# Packs


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty bare repository, for packs."""
    path = tmp_path_factory.mktemp("packs") / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", "--template=", str(path)], check=True)
    (path / "objects" / "pack").mkdir(exist_ok=True)
    return path


def check_pack(bare: Path, objects: list[GitObject]) -> None:
    """Write a pack, let git check pack and index, and read every object back."""
    builder = PackBuilder()
    builder.add(objects)
    pack = builder.write(bare / "objects" / "pack").with_suffix(".pack")
    own_index = pack.with_suffix(".idx").read_bytes()
    git(bare, "verify-pack", str(pack.with_suffix(".idx")))
    git(bare, "index-pack", "--verify", str(pack))
    again = bare / "again.idx"
    git(bare, "index-pack", "-o", str(again), str(pack))
    assert again.read_bytes() == own_index
    again.unlink()
    command = ["git", f"--git-dir={bare}", "cat-file", "--batch"]
    wanted = "".join(f"{item.id}\n" for item in objects).encode()
    shown = subprocess.run(command, input=wanted, capture_output=True, check=True).stdout
    assert shown == b"".join(
        b"%b %b %d\n%b\n" % (item.id.encode(), item.kind.encode(), len(item.content), item.content)
        for item in objects
    )
    for path in pack.parent.glob(f"{pack.stem}.*"):
        path.unlink()


@given(st.lists(st.binary(max_size=300) | st.integers(0, 200_000).map(bytes), max_size=40))
@settings(max_examples=15)
def test_law_git_accepts_any_pack(bare: Path, contents: list[bytes]) -> None:
    """Git finds pack and index sound, makes the same index itself, and reads the objects."""
    check_pack(bare, [GitObject.of("blob", content) for content in contents])


def test_git_accepts_a_pack_of_events(bare: Path) -> None:
    """Commits, trees and blobs of all vectors in one pack."""
    objects = [GitObject.of("tree", b"")]
    for commit in COMMITS:
        made, _ = raw_parts(commit)
        if made.blob is not None:
            objects += [GitObject.of("blob", made.blob), GitObject.of("tree", made.tree)]
        objects.append(GitObject.of("commit", made.commit))
    check_pack(bare, objects)


def test_git_accepts_a_pack_of_20_megabytes(bare: Path) -> None:
    """An object of 20 MB that does not compress, one that does, and small ones around them."""
    large = random.Random(20).randbytes(20_000_000)
    contents = [b"", large, b"x" * 20_000_000, *(b"%d" % n for n in range(500))]
    check_pack(bare, [GitObject.of("blob", content) for content in contents])


def test_git_accepts_a_pack_of_nothing(bare: Path) -> None:
    """A pack without objects is a pack."""
    check_pack(bare, [])


@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=20))
@settings(max_examples=10)
def test_law_ids_are_those_of_git(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    """An object's id is what ``git hash-object`` says."""
    folder = tmp_path_factory.mktemp("blobs")
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    paths = "".join(f"{folder / str(number)}\n" for number in range(len(contents)))
    command = ["git", "hash-object", "--no-filters", "--stdin-paths"]
    shown = subprocess.run(command, input=paths, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [object_id(b"blob", content) for content in contents]


def test_commit_ids_are_those_of_git(bare: Path) -> None:
    """Also for commits and trees, which git parses and checks first."""
    for kind, content in (("commit", VALID), ("commit", SPILLED.commit), ("tree", SPILLED.tree)):
        command = ["git", f"--git-dir={bare}", "hash-object", "-t", kind, "--stdin"]
        shown = subprocess.run(command, input=content, capture_output=True, check=True)
        assert shown.stdout.decode().strip() == object_id(kind.encode(), content)
