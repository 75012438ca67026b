"""The index: the read model of everything in git, derived, and rebuilt when it is lost.

Rows hold the canonical data (up to the spill limit) and metadata, because decoding commits reads
at a sixth of the speed. ``through`` and ``feed`` say how far it goes: every event up to position
``through`` is here, as the feed commit ``feed`` and those below it list them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence, Set

from gitstore.backends.disk.connections import transaction
from gitstore.backends.git.indexfile import NAMES_AT_ONCE, reports_damage
from gitstore.backends.git.indexfilling import IndexFilling
from gitstore.backends.git.indexhistory import IndexHistory
from gitstore.backends.git.indexlists import IndexLists
from gitstore.backends.git.indexreading import IndexReading
from gitstore.backends.git.indexschema import StreamHead, event_values, words_of
from gitstore.backends.git.indexsuperseding import insert, insert_in_turn
from gitstore.backends.git.journalschema import JournalRow


class Index(IndexLists, IndexFilling, IndexReading, IndexHistory):
    """``index.db``: events in, and where streams end; ``indexreading`` gives them out again."""

    @reports_damage
    def add(
        self, rows: Sequence[JournalRow], through: int, feed: str, after: Set[str] | None = None
    ) -> None:
        """Index events that are in git; those that are here already are passed over.

        An event at a version that its stream has reached already says that a rebase took the old
        one's place: see ``indexsuperseding``.

        ``after``: the feed commits the index may stand at, where ``rows`` continue it; ``None``:
        any. Raises ``IndexDamaged`` where it stands elsewhere, or has other events in their place.
        """
        db = self._db()
        with transaction(db):
            if after is not None and self.state()[1] not in after:
                raise sqlite3.DatabaseError("it stands elsewhere than the journal says")
            people = [words_of(row.metadata) for row in rows]
            streams = db.intern_streams({row.stream for row in rows})
            words = db.intern_words({row.type for row in rows}.union(*people) - {None})
            values = [
                event_values(row, streams, words, *who)
                for row, who in zip(rows, people, strict=True)
            ]
            new = rows if insert(db, values) else [rows[n] for n in insert_in_turn(db, values)]
            heads = {row.stream: row for row in new}
            db.executemany(
                "UPDATE streams SET version=?, commit_id=?, date=? WHERE name=? AND version<=?",
                [(r.version, r.commit_id, r.date, r.stream, r.version) for r in heads.values()],
            )
            db.execute("UPDATE state SET through = max(through, ?), feed = ?", (through, feed))
        db.streams.update(streams)
        db.words.update(words)

    @reports_damage
    def head(self, stream: str) -> StreamHead | None:
        """Where the stream ends in git, ``None`` for a stream that is not there."""
        row = (
            self._db()
            .execute("SELECT version, commit_id, date FROM streams WHERE name = ?", (stream,))
            .fetchone()
        )
        return StreamHead(*row) if row and row[0] else None

    @reports_damage
    def heads_of(self, streams: Sequence[str]) -> dict[str, StreamHead]:
        """Where each of these streams ends in git; those that are not there are left out."""
        heads: dict[str, StreamHead] = {}
        for start in range(0, len(streams), NAMES_AT_ONCE):
            some = streams[start : start + NAMES_AT_ONCE]
            rows = self._db().execute(
                "SELECT name, version, commit_id, date FROM streams "
                f"WHERE name IN ({','.join('?' * len(some))}) AND version > 0",
                some,
            )
            heads.update((name, StreamHead(*head)) for name, *head in rows)
        return heads

    def heads(self) -> Iterator[tuple[str, StreamHead]]:
        """All streams and where they end, by name."""
        after = ""
        while True:
            rows = self._heads_page(after)
            for name, version, commit, date in rows:
                yield name, StreamHead(version, commit, date)
            if not rows:
                return
            after = rows[-1][0]

    @reports_damage
    def _heads_page(self, after: str) -> list[tuple[str, int, bytes, int]]:
        return (
            self._db()
            .execute(
                "SELECT name, version, commit_id, date FROM streams "
                "WHERE name > ? AND version > 0 ORDER BY name LIMIT 1000",
                (after,),
            )
            .fetchall()
        )

    @reports_damage
    def streams(self, category: str | None) -> list[str]:
        """The names of all streams, or of one category."""
        where, values = ("", []) if category is None else (" AND category = ?", [category])
        rows = self._db().execute(f"SELECT name FROM streams WHERE version > 0{where}", values)
        return [name for (name,) in rows]

    @reports_damage
    def twin_by_case(self, stream: str) -> str | None:
        """A stream whose name differs from this one in case only."""
        folded = stream.casefold()
        rows = self._db().execute("SELECT name FROM streams")
        return next((n for (n,) in rows if n != stream and n.casefold() == folded), None)

    @reports_damage
    def counts(self) -> tuple[int, int]:
        """``(events, streams)``."""
        db = self._db()
        events = db.execute("SELECT count(*) FROM events").fetchone()[0]
        streams = db.execute("SELECT count(*) FROM streams WHERE version > 0").fetchone()[0]
        return int(events), int(streams)

    @reports_damage
    def commit_at(self, stream: str, version: int) -> bytes | None:
        """The 20 bytes of the commit id of ``stream@version``, without its body; 6 µs."""
        rows = self._db().execute(
            "SELECT commit_id FROM events "
            "WHERE stream = (SELECT id FROM streams WHERE name = ?) AND version = ?",
            (stream, version),
        )
        return next((commit for (commit,) in rows), None)

    @reports_damage
    def drop_bodies(self, after: int, to: int) -> None:
        """Drop data and metadata of ``after < position <= to``: they are in git, and read there."""
        for table in ("events", "superseded"):
            self._db().execute(
                f"UPDATE {table} SET data = NULL, metadata = NULL "
                "WHERE position > ? AND position <= ? AND metadata IS NOT NULL",
                (after, to),
            )
