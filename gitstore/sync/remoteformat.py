"""Whether what lies at a remote is an event store of this format, or nothing yet."""

from __future__ import annotations

from collections.abc import Mapping

from gitstore.backends.git.exchanging import Exchange
from gitstore.backends.git.layout import FORMAT, tracked
from gitstore.backends.git.repository import check_format_commit, format_objects
from gitstore.core.errors import UnsupportedFormat
from gitstore.sync.transport import Transport

_FOREIGN = ("refs/heads/", "refs/tags/")
_HINT = "Give the URL of an event store, or of an empty repository (`git init --bare PATH`)."


def check(exchange: Exchange, remote: str, transport: Transport, theirs: Mapping[str, str]) -> bool:
    """Whether a store is there; ``False`` where the repository is ours to fill.

    ``theirs``: its refs; those that are no store's are left alone. Raises ``UnsupportedFormat``
    for a store of another format, and for a repository that is none. A format commit that is not
    known here (another release may word it anew) is fetched and tracked.
    """
    tip = theirs.get(FORMAT)
    if tip is None:
        if any(name.startswith(_FOREIGN) for name in theirs):
            raise UnsupportedFormat(
                f"remote {transport.name!r} is a git repository, but no event store: "
                f"it has no {FORMAT}",
                hint=_HINT,
            )
        return False
    where = f"remote {transport.name!r}"
    if tip == format_objects()[-1].id:
        return True
    if exchange.parts.objects.holds(tip):
        check_format_commit(where, exchange.parts.objects.read(tip))
        return True
    with exchange.incoming() as incoming:
        transport.fetch([FORMAT], incoming.path)
        check_format_commit(where, incoming.objects.read(tip))
        incoming.keep()
        exchange.track({tracked(remote, FORMAT): tip})
    return True
