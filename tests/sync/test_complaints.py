"""What git says when a remote fails, as it was seen, and what becomes of it.

Most of it is provoked in ``test_transport``; here is what loopback does not say.
"""

from __future__ import annotations

import pytest

from gitstore.sync.complaints import explain, redacted

READ = (
    "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access"
)
SAID = {
    "ownership": ("fatal: detected dubious ownership in repository at '/x'", "another user"),
    "host key": (f"Host key verification failed.\r\n{READ}", "key of that host"),
    "public key": (f"ada@hub: Permission denied (publickey).\r\n{READ}", "who you are"),
    "not found by ssh": (f"ERROR: Repository not found.\n{READ}", "no git repository"),
    "no route": (f"ssh: connect to host hub port 22: No route to host\n{READ}", "from here"),
    "offline": ("ssh: Could not resolve hostname hub: Name or service not known", "no host"),
    "timed out": ("fatal: unable to connect to hub: Connection timed out", "from here"),
    "read only": ("error: unable to create temporary file: Permission denied", "permission"),
    "disk full": ("remote: fatal: write error: No space left on device", "no space"),
    "reset": ("fatal: read error: Connection reset by peer", "broke off"),
    "nothing": ("", "broke off"),
    "only that it failed": (READ, "broke off"),
    "something new": ("warning: odd\nfatal: the moon is full\nhint: wait", "the moon is full"),
    "no fatal": ("remote: closed on Sundays", "remote: closed on Sundays"),
}  # fmt: skip


@pytest.mark.parametrize("what", SAID)
def test_what_git_says_has_a_cause_and_a_hint(what: str) -> None:
    """One that is known, or git's own words where it is not."""
    said, cause = SAID[what]
    found = explain(said)
    assert cause in found.cause
    assert found.hint.endswith(".")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ada:s3cret@hub.example/x.git", "https://***@hub.example/x.git"),
        ("https://t0ken@hub.example/x.git", "https://***@hub.example/x.git"),
        ("ssh://git@hub.example/x.git", "ssh://git@hub.example/x.git"),
        ("ssh://git:s3cret@hub.example/x.git", "ssh://git:***@hub.example/x.git"),
        ("https://hub.example/@x.git", "https://hub.example/@x.git"),
        ("https://ada:s3@cret@hub.example/x.git", "https://***@hub.example/x.git"),
        ("ada@hub.example:x.git", "ada@hub.example:x.git"),
        ("/srv/a:b@c.git", "/srv/a:b@c.git"),
        ("fatal: 'http://a:b@h/x' and 'http://c:d@h/y'", "fatal: 'http://***@h/x' and 'http://***@h/y'"),
    ],
)  # fmt: skip
def test_urls_are_shown_without_their_secrets(url: str, shown: str) -> None:
    """Over HTTP the user may be the secret, as tokens are given; with ssh only a password is."""
    assert redacted(url) == shown
