"""Every event of ``index.db`` by position, live or superseded: for verify, repair and type index.

Both tables are asked in one statement, whose two halves SQLite merges by position: asked through
the view it would sort each page.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gitstore.backends.git.indexfile import IndexFile, reports_damage

_BETWEEN = "position > ?1 AND position <= ?2"
_RAW = (
    "SELECT position, stream, version, type, time, event_id, commit_id, "
    "(SELECT word FROM words WHERE id = user), user IS NULL, "
    "(SELECT word FROM words WHERE id = correlation), correlation IS NULL, data, metadata, origin"
)
LIVE = f"{_RAW}, NULL, NULL FROM events WHERE"
"""To be followed by a condition; gives what ``raw_page`` gives."""
SUPERSEDED = f"{_RAW}, superseded_by, tip FROM superseded WHERE"
"""The same of what was superseded."""
# Live at a position is, of all rows of that version before it, the last.
_FORK = (
    "SELECT commit_id FROM every_event WHERE stream = ? AND version = ? AND position < ? "
    "ORDER BY position DESC LIMIT 1"
)
_AS_SUPERSEDED = """
SELECT count(*), count(DISTINCT version), ifnull(min(version), 0), ifnull(max(version), 0),
    ifnull(sum(tip IS NOT :tip OR superseded_by IS NOT (
        SELECT min(e.position) FROM every_event e
        WHERE e.event_id = s.event_id AND e.stream = s.stream AND e.position >= :first
    )), 0)
FROM superseded s
WHERE stream = :stream AND version >= :version AND position < :first AND superseded_by >= :first
"""


class Rebase(NamedTuple):
    """A rebase as the feed tells of it.

    ``stream``: its number; ``first``: the position of the rebase's first event, ``version``: of
    that; ``until`` and ``tip``: version and commit (20 bytes) of where the stream ended before.
    """

    stream: int
    first: int
    version: int
    until: int
    tip: bytes


class IndexHistory(IndexFile):
    """``index.db`` with what rebases superseded in its old places."""

    @reports_damage
    def raw_page(self, after: int, to: int, limit: int) -> list[tuple[Any, ...]]:
        """Rows with ``after < position <= to`` as they lie there, by position, unchecked.

        Position, numbers of the stream and (after the version) of the type, time, event id, commit
        id, user and correlation, data, metadata, origin; of one that was superseded by what, and
        its tip.
        """
        rows = self._db().execute(
            f"{LIVE} {_BETWEEN} UNION ALL {SUPERSEDED} {_BETWEEN} ORDER BY position LIMIT ?3",
            (after, to, limit),
        )
        return rows.fetchall()

    @reports_damage
    def superseded_count(self) -> int:
        """How many events rebases have superseded."""
        return int(self._db().execute("SELECT count(*) FROM superseded").fetchone()[0])

    @reports_damage
    def superseded_streams(self) -> int:
        """In how many streams that was."""
        found = self._db().execute("SELECT count(DISTINCT stream) FROM superseded")
        return int(found.fetchone()[0])

    @reports_damage
    def superseded_tips(self) -> list[tuple[str, str]]:
        """Stream and old tip (40 hex digits) of every rebase, the first rebase first."""
        db = self._db()
        rows = db.execute("SELECT stream, tip FROM superseded GROUP BY 1, 2 ORDER BY max(position)")
        return [(db.stream_name(stream), tip.hex()) for stream, tip in rows]

    @reports_damage
    def forks(self) -> dict[int, int]:
        """Of streams that were rebased, by number: the lowest version from which one went."""
        rows = self._db().execute("SELECT stream, min(version) - 1 FROM superseded GROUP BY stream")
        return dict(rows.fetchall())

    @reports_damage
    def fork(self, stream: int, version: int, before: int) -> bytes | None:
        """The commit that was a stream's ``version`` (by number) until position ``before``."""
        found = self._db().execute(_FORK, (stream, version, before)).fetchone()
        return found[0] if found else None

    @reports_damage
    def is_as_superseded(self, rebase: Rebase) -> bool:
        """Whether what a rebase superseded, no less and no more, is noted as the feed has it.

        Each row with the tip of that time, and the position at which its event stands since.
        """
        found = self._db().execute(_AS_SUPERSEDED, rebase._asdict()).fetchone()
        count = rebase.until - rebase.version + 1
        return bool(found == (count, count, rebase.version, rebase.until, 0))
