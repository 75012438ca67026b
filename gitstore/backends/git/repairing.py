"""Repair: what can be rebuilt is rebuilt, what cannot is left for verify to name.

Whatever is written is durable before what it replaces is moved to ``gitstore/salvage``; nothing is
deleted but an index all of which git can give again, and refs to commits that are not here. So a
repair may be killed at any point and begun again, and every event that could be read before it can
be read after it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gitstore.backends.disk.files import DIRECTORY_MODE
from gitstore.backends.git import typeindex
from gitstore.backends.git.checking_files import HEAD, check_frame
from gitstore.backends.git.checking_refs import (
    RefsFound,
    check_format_ref,
    is_sound,
    look_at_refs,
)
from gitstore.backends.git.checking_rows import RowWalk
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.findings import Doubt
from gitstore.backends.git.flushing import Flusher
from gitstore.backends.git.indexfile import IndexDamaged
from gitstore.backends.git.journalschema import JournalRow
from gitstore.backends.git.layout import (
    FEED,
    FORMAT,
    QUARANTINE,
    STREAMS,
    SUPERSEDED,
    StoreLayout,
)
from gitstore.backends.git.objects import Objects
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.rebuilding import rebuild_index
from gitstore.backends.git.recovery import prepare_journal
from gitstore.backends.git.refeeding import mend_feed
from gitstore.backends.git.refs import RefUpdate
from gitstore.backends.git.repository import CONFIG, check_format, format_objects
from gitstore.backends.git.restoring import restore_commits, restore_spilled
from gitstore.backends.git.salvaging import put, salvage_objects, set_aside, write_objects
from gitstore.backends.git.superseding import keep_tips
from gitstore.backends.git.typechecks import check_types, is_of_another_feed
from gitstore.core.errors import EventStoreError
from gitstore.core.findings import silent

_MINIMAL = f"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n{CONFIG}"
_FORMAT_SUBJECT = re.compile(r"gitstore format \d+").fullmatch
_PACKED_HEADER = b"# pack-refs with: peeled fully-peeled sorted "


def repair(parts: Parts) -> list[JournalRow]:
    """Mend everything below the events, then the events; takes the flush lock.

    Gives the rows that a damaged journal gave back: they must be recorded again by the caller,
    nothing else knows them.
    """
    make_openable(parts)
    salvaged = prepare_journal(parts)
    mend_index(parts)
    with parts.flush_lock.held():
        fresh = _fresh(parts)  # what was opened before may still read from packs that are gone
        if is_of_another_feed(fresh) or list(check_types(fresh)):
            typeindex.rebuild(fresh)
        fresh.objects.close()
    return salvaged


def make_openable(parts: Parts) -> None:
    """What must hold before a store can be opened: git's own files, objects, refs, the feed."""
    layout = parts.layout
    _mend_directories(layout)
    with parts.flush_lock.held():
        _mend_frame(layout)
        _mend_refs(layout)
        salvage_objects(layout)
        fresh = _fresh(parts)
        _mend_format(fresh)
        restore_commits(fresh)
        restore_spilled(fresh)
        mend_feed(fresh, look_at_refs(layout))
        _drop_empty_refs(fresh, look_at_refs(layout))
        fresh.objects.close()


def mend_index(parts: Parts) -> None:
    """Rebuild the index where it does not say what git says; takes the flush lock.

    Needs a sound journal, and a feed that can be read.
    """
    with parts.flush_lock.held():
        fresh = _fresh(parts)
        if not _is_index_sound(fresh):
            rebuild_index(fresh)
        _keep_superseded(fresh)
        fresh.objects.close()


def _keep_superseded(parts: Parts) -> None:
    """Refs for the tips that rebases superseded, where they are lost."""
    left: dict[str, list[str]] = {}
    for stream, tip in parts.index.superseded_tips():
        if is_sound(parts.objects, tip):
            left.setdefault(stream, []).append(tip)
    while left:
        keep_tips(parts.refs, {stream: tips.pop(0) for stream, tips in left.items()})
        left = {stream: tips for stream, tips in left.items() if tips}


def _fresh(parts: Parts) -> Parts:
    """The parts with objects that know the packs as they are now."""
    return replace(parts, objects=Objects(parts.layout))


def _mend_directories(layout: StoreLayout) -> None:
    wanted = (layout.packs, layout.stream_refs, layout.root / "refs" / "heads", layout.local)
    for folder in wanted:
        folder.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def _mend_frame(layout: StoreLayout) -> None:
    """HEAD and config, minimal, where git cannot do with what is there."""
    if any(finding.ref == "HEAD" for finding in check_frame(layout)):
        put(layout, layout.root / "HEAD", HEAD)
    if list(check_frame(layout)):
        put(layout, layout.root / "config", _MINIMAL.encode())


def _mend_refs(layout: StoreLayout) -> None:
    """Keep files that are no refs aside; what they should hold is put back later."""
    found = look_at_refs(layout)
    for path in found.odd:
        set_aside(layout, path)
    if found.packed_is_odd:
        # Written over git's own lock, as git does it.
        put(layout, layout.packed_refs, _packed(found), suffix=".lock")


def _packed(found: RefsFound) -> bytes:
    """The readable lines of ``packed-refs``, sorted, each peeled id behind its ref."""
    groups: list[bytes] = []
    for line in found.packed:
        if line.startswith(b"^") and groups:
            groups[-1] += line + b"\n"
        elif not line.startswith((b"#", b"^")):
            groups.append(line + b"\n")
    return b"".join([_PACKED_HEADER + b"\n", *sorted(groups, key=lambda group: group[41:])])


def _mend_format(parts: Parts) -> None:
    """The format's commit and the empty tree, where they are missing; never over another format."""
    if not list(check_format_ref(parts)):
        return
    page = format_objects()
    write_objects(parts.layout, [GitObject.of("tree", b""), *page])
    at = look_at_refs(parts.layout).ids.get(FORMAT)
    subject = _subject_of(parts, at) if at else ""
    if at == page[-1].id or _FORMAT_SUBJECT(subject):
        check_format(parts.layout, parts.refs, parts.objects)  # raises for a newer version's
        return
    if at and subject:
        Flusher(parts).quarantine(FORMAT, at)
    parts.refs.move([RefUpdate(FORMAT, page[-1].id, frozenset({at}))])


def _subject_of(parts: Parts, commit: str) -> str:
    """The first line of a commit's message, empty where the commit is lost."""
    try:
        content = parts.objects.read(commit)
    except EventStoreError:
        return ""
    return content.partition(b"\n\n")[2].partition(b"\n")[0].decode(errors="replace")


def _is_index_sound(parts: Parts) -> bool:
    parts.index.reopen()
    try:
        if parts.index.is_usable():
            parts.index.check(every_index=True)
            walk = RowWalk(parts, silent)
            walk.go()
            walk.finish(_event_refs(parts))
            return True
    except Doubt as doubt:
        # Else it is a ref, which is put back next.
        return doubt.finding.kind == "stream" and doubt.finding.ref is not None
    except IndexDamaged:
        pass
    return False


def _event_refs(parts: Parts) -> dict[str, str]:
    found = look_at_refs(parts.layout)
    return {
        FEED: found.ids.get(FEED, ""),
        **found.under(STREAMS),
        **found.under(SUPERSEDED),
    }


def _drop_empty_refs(parts: Parts, refs: RefsFound) -> None:
    """A kept tip whose commit is not here holds nothing: git calls such a ref broken."""
    empty = [
        RefUpdate(name, None, frozenset({at}))
        for name, at in (refs.under(QUARANTINE) | refs.under(SUPERSEDED)).items()
        if not is_sound(parts.objects, at)
    ]
    if empty:
        parts.refs.move(empty)
