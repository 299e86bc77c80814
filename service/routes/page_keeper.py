"""The worker that keeps the bridge's own pages in the browser, and the doorways at the addresses that people type.

The worker (a service worker, W3C) answers for the pages from then on. A page that is reloaded while another program has
the bridge's port is still the bridge's page, and reports that program.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from pathlib import Path

from service.gate.page_addresses import PageAddresses
from service.gate.page_headers import page_headers
from service.gate.policy import KEEPER, Access

WEB = Path(__file__).parents[1] / "web"
PAGES = {"/": "index.html", "/kiosk": "kiosk.html", "/developer": "developer.html", "/pair": "pair.html"}
DOORWAY = WEB / "doorway.html"
_NOT_KEPT = WEB / "worker"
"""The folder of files that only the bridge delivers.

They are the worker itself, and the script that makes the browser keep it at a doorway.
"""
_KEEPER_TEXT = _NOT_KEPT / "page-keeper.js"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""The types of the files of a page. A system's own table of types can be wrong."""
_DIGITS = 16
"""The number of digits of the worker's hash in its address."""


def load() -> None:
    """Read the files from disk now, before a request needs them."""
    _files()
    _template()


def keeper_path(access: Access, *, at_doorway: bool = False) -> str:
    """Return the path of the worker that keeps the present pages; it differs after every change of them.

    Args:
        access: the access with the pages' addresses.
        at_doorway: True for the worker of the addresses that people type.
    """
    return f"{KEEPER}?{digest(access, at_doorway=at_doorway)[:_DIGITS]}"


def digest(access: Access, *, at_doorway: bool) -> str:
    """Return the SHA-256 of a worker's text in hex."""
    return hashlib.sha256(_script(access.pages, at_doorway)).hexdigest()


def script(access: Access, *, at_doorway: bool) -> bytes:
    """Return a worker's text, with all files that it keeps."""
    return _script(access.pages, at_doorway)


@lru_cache(maxsize=2)
def _script(pages: PageAddresses, at_doorway: bool) -> bytes:
    files = _files()
    if at_doorway:
        files = files | dict.fromkeys(PAGES, files[f"/static/{DOORWAY.name}"])
    kept = {"headers": page_headers(pages, at_own=not at_doorway), "files": files}
    return f"const KEPT = {json.dumps(kept, ensure_ascii=False)};\n{_template()}".encode()


@cache
def _template() -> str:
    return _KEEPER_TEXT.read_text(encoding="utf-8")


@cache
def _files() -> dict[str, dict[str, str]]:
    """Return the type and the text of each file of a page, by the path of its address."""
    files = {f"/static/{file.relative_to(WEB).as_posix()}": file for file in sorted(WEB.rglob("*"))}
    files |= {path: WEB / name for path, name in PAGES.items()}
    return {
        path: {"type": f"{_TYPES[file.suffix]}; charset=utf-8", "text": file.read_text(encoding="utf-8")}
        for path, file in files.items()
        if file.suffix in _TYPES and file.parent != _NOT_KEPT
    }
