"""The form of an Origin header."""

from __future__ import annotations

import re

_HOST = r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?"
_WEB = re.compile(rf"(https?)://({_HOST}|\[[0-9a-f:.]{{2,45}}\])(:[1-9][0-9]{{0,4}})?")
_SHELL = re.compile(r"([a-z][a-z0-9+.-]{1,30})://([a-z0-9._~-]{0,253})(:[1-9][0-9]{0,4})?")
"""The origin of a program that shows its own pages under its own scheme.

Examples are ``app://his`` and ``capacitor://localhost``.
"""
_OF_BROWSERS = frozenset(
    {
        "http", "https", "ws", "wss", "ftp", "ftps", "file", "data", "blob", "about", "javascript", "filesystem",
        "view-source",
    }
)  # fmt: skip
"""Schemes that browsers know: an origin with one of these can be any page's."""
DEFAULT_PORTS = {"http": "80", "https": "443"}
NULL_ORIGINS = frozenset({"null", "file://"})
"""The origins that browsers send for pages from a disk, for sandboxed frames and for many other cases.

Any page can have one of them.
"""


def is_origin(text: str) -> bool:
    """Return True if the text is an origin as browsers write it (RFC 6454 §6.2).

    It is an origin of the web or of a program with its own scheme. ``null``, ``file://`` and an origin with a path are
    never accepted.
    """
    found = _WEB.fullmatch(text)
    if found is None:
        shell = _SHELL.fullmatch(text)
        return shell is not None and shell[1] not in _OF_BROWSERS and _is_port(shell[3])
    # A browser leaves out the scheme's default port, so an origin with it does not come from a browser.
    return _is_port(found[4]) and found[4] != f":{DEFAULT_PORTS[found[1]]}"


def _is_port(written: str | None) -> bool:
    return written is None or int(written[1:]) <= 65535
