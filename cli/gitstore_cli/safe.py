"""Text of events made safe for terminals: it can neither drive one nor reorder what is read."""

from __future__ import annotations

import re

# C0, DEL and C1 (U+009B starts an escape sequence), line and paragraph separators, marks and
# overrides of direction, invisible tags and annotations, lone surrogates.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_unsafe = re.compile(f"[{_UNSAFE}]")
_unsafe_in_json = re.compile(f"[{_UNSAFE.removeprefix(chr(0) + '-' + chr(31))}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    r"""``text`` on one line, with ``\n``, ``\x1b`` or ``\u202e`` for what a terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return _unsafe.sub(_escape, text)


def printable_lines(text: str) -> str:
    """``printable`` for each of the lines of a message."""
    return "\n".join(printable(line) for line in text.split("\n"))


def safe_json(text: str) -> str:
    r"""JSON text with the same value, where ``\u009b`` stands for what a terminal would obey.

    JSON itself escapes C0 characters, so those found here are its own line ends.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return _unsafe_in_json.sub(_escape_json, text)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if code < 0x100:
        return _SHORT.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
