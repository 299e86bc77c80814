"""The worker that keeps the bridge's own pages in the browser, and at the addresses that people type the way to them.

The worker (a service worker, W3C) answers for the pages from then on. A page that is reloaded while another program has
the bridge's port is still the bridge's, and tells what it finds there.
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
"""What is fetched from the bridge alone: the worker itself, and what has the browser keep it at a doorway."""
_KEEPER_TEXT = _NOT_KEPT / "page-keeper.js"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""What a page is made of. A system's own table of types can be wrong."""
_DIGITS = 16
"""Of the worker's hash in its address."""


def load() -> None:
    """Read from disk now what will be given later."""
    _files()
    _template()


def keeper_path(access: Access, *, at_doorway: bool = False) -> str:
    """Return where the worker is that keeps these very pages: another one after every change of them.

    Args:
        at_doorway: the worker for the addresses that people type.
    """
    return f"{KEEPER}?{digest(access, at_doorway=at_doorway)[:_DIGITS]}"


def digest(access: Access, *, at_doorway: bool) -> str:
    """Return the SHA-256 of a worker's text; hex."""
    return hashlib.sha256(_script(access.pages, at_doorway)).hexdigest()


def script(access: Access, *, at_doorway: bool) -> bytes:
    """Return a worker's text, with all that it keeps."""
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
    """The type and the text of each file that a page is made of, by the path of its address."""
    files = {f"/static/{file.relative_to(WEB).as_posix()}": file for file in sorted(WEB.rglob("*"))}
    files |= {path: WEB / name for path, name in PAGES.items()}
    return {
        path: {"type": f"{_TYPES[file.suffix]}; charset=utf-8", "text": file.read_text(encoding="utf-8")}
        for path, file in files.items()
        if file.suffix in _TYPES and file.parent != _NOT_KEPT
    }
