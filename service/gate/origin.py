"""What an Origin header may look like."""

from __future__ import annotations

import re

_HOST = r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?"
_WEB = re.compile(rf"(https?)://({_HOST}|\[[0-9a-f:.]{{2,45}}\])(:[1-9][0-9]{{0,4}})?")
_SHELL = re.compile(r"([a-z][a-z0-9+.-]{1,30})://([a-z0-9._~-]{0,253})(:[1-9][0-9]{0,4})?")
"""A program that shows pages of its own gives them a scheme of its own: ``app://his``, ``capacitor://localhost``."""
_OF_BROWSERS = frozenset(
    {
        "http", "https", "ws", "wss", "ftp", "ftps", "file", "data", "blob", "about", "javascript", "filesystem",
        "view-source",
    }
)  # fmt: skip
"""Schemes that browsers know: what comes with one of these may be any page's."""
DEFAULT_PORTS = {"http": "80", "https": "443"}
NULL_ORIGINS = frozenset({"null", "file://"})
"""What browsers send for pages from a disk, for sandboxed frames and for much else: any page can have it."""


def is_origin(text: str) -> bool:
    """Return whether it is an origin as browsers write it (RFC 6454 §6.2): of the web, or of a program with its own
    scheme.

    Never ``null``, never ``file://``, never a path.
    """
    found = _WEB.fullmatch(text)
    if found is None:
        shell = _SHELL.fullmatch(text)
        return shell is not None and shell[1] not in _OF_BROWSERS and _is_port(shell[3])
    # A browser leaves the scheme's own port out: written out it is not what a browser sends.
    return _is_port(found[4]) and found[4] != f":{DEFAULT_PORTS[found[1]]}"


def _is_port(written: str | None) -> bool:
    return written is None or int(written[1:]) <= 65535
