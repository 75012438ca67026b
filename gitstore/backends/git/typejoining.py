"""Two stores' type indexes made one, so that both can be pushed to one remote without force.

What joins them is a commit with both as parents, ours first, on a tree that lists all lines of
both. It says of ours how far it goes, so that later events are added to it as ever.
"""

from __future__ import annotations

import logging

from gitstore.backends.git import typeindex
from gitstore.backends.git.commits import GitObject
from gitstore.backends.git.gitcommand import Git, GitFailed, ObjectReader
from gitstore.backends.git.layout import TYPES
from gitstore.backends.git.parts import Parts
from gitstore.backends.git.typechecks import check_types
from gitstore.backends.git.typemerging import careful, check_foreign, lines_to_add
from gitstore.backends.git.typenotes import TypesCommit, decode_types, encode_types
from gitstore.backends.git.typetree import NotesTree
from gitstore.backends.git.typewriting import TypesWriter
from gitstore.core.errors import EventStoreError, StoreCorrupted

_LOG = logging.getLogger("gitstore.types")
_MOST_BYTES = 4_096


class TypesNotInOrder(EventStoreError):
    """Another store's type index is not in the form of FORMAT.md; nothing of it was taken over.

    ``commit``: where its ref stands; ``why``: what is wrong with it.
    """

    hint = (
        "It is derived: repair and push it on the machine that wrote it (`sc-events verify "
        f"--repair`), or delete it on the remote (`git push REMOTE :{TYPES}`) and push again."
    )

    def __init__(self, commit: str, why: str) -> None:
        self.commit = commit
        self.why = why
        super().__init__(f"the type index at {commit} is not in order, it is left as it is: {why}")


def join(parts: Parts, theirs: str | None) -> str | None:
    """Bring our type index up to date, on top of ``theirs``; the flush lock is held.

    ``theirs`` is where a remote's ref stands, ``None`` where it has none; its objects are here.
    Gives the commit to push: ``None`` where there is nothing to say, because theirs lists all of
    ours already, or because there are no events. Our ref then stands on top of theirs too.

    Raises ``TypesNotInOrder`` where theirs is malformed: ours is then up to date, and not joined.
    """
    typeindex.update(parts)
    try:
        return _join(parts, theirs)
    except StoreCorrupted as error:
        assert theirs is not None
        if not list(check_types(parts)):
            raise TypesNotInOrder(theirs, str(error)) from error
        _LOG.warning("the type index is damaged (%s); it is made anew", error)
    typeindex.rebuild(parts)
    try:
        return _join(parts, theirs)
    except StoreCorrupted as error:
        raise TypesNotInOrder(theirs, str(error)) from error


def _join(parts: Parts, theirs: str | None) -> str | None:
    ours = parts.refs.read(TYPES)
    if ours is None or theirs in (None, ours):
        return None if theirs == ours else ours
    assert theirs is not None
    with ObjectReader(parts.layout.root) as reader:
        there = decode_types(reader.read_at_most(_MOST_BYTES, theirs, "commit"))
        if there is None:
            raise StoreCorrupted(f"{theirs} is not the commit of a type index")
        said = decode_types(reader.read(ours))
        if said is None:
            raise StoreCorrupted(f"{TYPES} is at {ours}, which is no type index")
        if not _is_ancestor(parts, theirs, ours):
            said = _join_commits(parts, reader, (ours, said), (theirs, there))
    return None if said.tree == there.tree else parts.refs.read(TYPES)


def _is_ancestor(parts: Parts, one: str, other: str) -> bool:
    try:
        said = Git(parts.layout.root).run("rev-list", "--max-count=1", one, f"^{other}")
    except GitFailed as error:
        raise StoreCorrupted(f"the history of {one} is not here as a whole: {error}") from error
    return not said


def _join_commits(
    parts: Parts,
    reader: ObjectReader,
    ours: tuple[str, TypesCommit],
    theirs: tuple[str, TypesCommit],
) -> TypesCommit:
    """Move our ref to a commit on both; gives what that says."""
    tip, said = ours
    other, there = theirs
    read = careful(reader)
    here, tree = NotesTree(read, said.tree), NotesTree(read, there.tree)
    check_foreign(read, tree, here, parts.objects)
    joined = said._replace(date=typeindex.now(parts), joined=other)
    made: list[TypesCommit] = []

    def commit(root: str) -> GitObject:
        made.append(joined._replace(tree=root))
        return encode_types([tip, other], made[-1])

    with TypesWriter(parts, tip, tree) as writer:
        writer.finish(writer.write(lines_to_add(read, here, tree)), commit)
    return made[-1]
