"""Names: streams, categories, event types and ids, and their form in refs and file names."""

from __future__ import annotations

import hashlib
import re

from gitstore.core.errors import InvalidEvent

MAX_NAME = 1_000
"""Most characters of a stream id."""
MAX_TYPE = 200
"""Most characters of an event type."""
MAX_EVENT_ID = 200
"""Most characters of an event id."""
MAX_ENCODED = 200
"""Most bytes of an encoded name; a longer one is hashed (file systems hold 255)."""

# C0 and C1 controls, line and paragraph separators, lone surrogates: what would break a line of
# `git log` or cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search
_WHITE_SPACE = re.compile(r"\s").search
_EVENT_ID = re.compile(r"[!-~](?:[ -~]*[!-~])?").fullmatch
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_+=,@][A-Za-z0-9_+=,@-]*").fullmatch
# What git (gitrevisions, check-ref-format) or a file system cannot hold, and % itself.
_RESERVED = frozenset(b"/\\:?*[~^ %\x7f") | frozenset(range(32)) | frozenset(range(128, 256))


def category_of(stream_id: str) -> str:
    """The stream id up to its first ``-``, the whole id where there is none."""
    return stream_id.partition("-")[0]


def check_stream_id(stream_id: str) -> None:
    """``InvalidEvent`` unless 1 to 1,000 characters, no controls, no white space at the ends."""
    if not isinstance(stream_id, str) or not stream_id:
        raise InvalidEvent(f"{stream_id!r} is no stream id: it must be a text that is not empty")
    if len(stream_id) > MAX_NAME:
        raise InvalidEvent(f"stream id {stream_id[:40]!r}… is longer than {MAX_NAME} characters")
    if _UNPRINTABLE(stream_id) or stream_id != stream_id.strip():
        raise InvalidEvent(
            f"stream id {stream_id!r} has control characters, or white space at an end",
            hint="Use printable characters, such as task-AUTH-001 or worktree-feature/auth.",
        )


def check_type(name: str) -> None:
    """``InvalidEvent`` unless 1 to 200 characters without white space or controls."""
    if not isinstance(name, str) or not name:
        raise InvalidEvent(f"{name!r} is no event type: it must be a text that is not empty")
    if len(name) > MAX_TYPE:
        raise InvalidEvent(f"event type {name[:40]!r}… is longer than {MAX_TYPE} characters")
    if _UNPRINTABLE(name) or _WHITE_SPACE(name):
        raise InvalidEvent(
            f"event type {name!r} has white space or control characters",
            hint="Use one word, such as TaskCreated.",
        )


def check_event_id(event_id: str) -> None:
    """``InvalidEvent`` unless 1 to 200 printable ASCII characters, no space at the ends."""
    fits = isinstance(event_id, str) and len(event_id) <= MAX_EVENT_ID and _EVENT_ID(event_id)
    if not fits:
        raise InvalidEvent(
            f"{event_id!r:.80} is no event id",
            hint="Use 1 to 200 printable ASCII characters, such as a UUID, or give no id.",
        )


def encode_name(name: str) -> str:
    """A name as one component of a ref or file path; reversible unless it had to be hashed.

    Percent-encoded (upper-case hex): the bytes git or a file system cannot hold, the ``@`` of
    ``@{``, a leading ``-``, dots at the ends or after a dot, the dot of a final ``.lock``. Names
    whose form is longer than 200 bytes become ``%h`` and their SHA-256, which no encoding can
    equal because ``%`` is always ``%25``.
    """
    if _PLAIN_NAME(name) and len(name) <= MAX_ENCODED:
        return name
    raw = name.encode()
    last = len(raw) - 1
    lock_dot = last - 4 if raw[-5:].lower() == b".lock" else -1
    parts = []
    for at, byte in enumerate(raw):
        if byte in _RESERVED or _needs_escape(raw, at, last, lock_dot):
            parts.append(f"%{byte:02X}")
        else:
            parts.append(chr(byte))
    encoded = "".join(parts)
    if len(encoded) <= MAX_ENCODED:
        return encoded
    return "%h" + hashlib.sha256(raw).hexdigest()


def decode_name(encoded: str) -> str | None:
    """The name that ``encode_name`` gave this form; ``None`` for a hash or a foreign form."""
    try:
        form = encoded.encode(errors="surrogateescape")
        name = re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), form).decode()
    except UnicodeError:
        return None
    return name if name and encode_name(name) == encoded else None


def is_hashed(encoded: str) -> bool:
    """Whether this form is a hash, so that the name stands only in the events themselves."""
    return re.fullmatch(r"%h[0-9a-f]{64}", encoded) is not None


def is_encoded(leaf: str) -> bool:
    """Whether this is what ``encode_name`` gives some name: safe as a component of a ref."""
    return decode_name(leaf) is not None or is_hashed(leaf)


def _needs_escape(raw: bytes, at: int, last: int, lock_dot: int) -> bool:
    byte = raw[at]
    if byte == 0x2E:  # .
        return at in (0, last, lock_dot) or raw[at - 1] == 0x2E
    if byte == 0x2D:  # -
        return at == 0
    return byte == 0x40 and at < last and raw[at + 1] == 0x7B  # @{
