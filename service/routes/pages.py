"""The bridge's own pages, and the worker that keeps them in the browser.

The worker (a service worker, W3C) answers for the pages from then on. A page that is reloaded while another program has
the bridge's port is still the bridge's, and tells what it finds there.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache, lru_cache
from html import escape
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

from service.gate.page_addresses import PageAddresses
from service.gate.page_headers import page_headers
from service.gate.policy import KEEPER, Access
from service.http.errors import NotFoundError
from service.routes.dependencies import AccessOf

WEB = Path(__file__).parents[1] / "web"
PAGES = {"/": "index.html", "/kiosk": "kiosk.html", "/developer": "developer.html", "/pair": "pair.html"}
_KEEPER_TEXT = WEB / "keeper" / "page-keeper.js"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""What a page is made of. A system's own table of types can be wrong."""
_DAY = 86_400
"""Seconds for which a browser does not ask again for the worker; browsers ask once a day all the same."""


def add_own_pages(app: FastAPI) -> None:
    """Adds the pages, their files and the worker."""
    # From disk now, and not on the event loop.
    _files()
    _template()
    app.mount("/static", StaticFiles(directory=WEB), name="static")

    def add(path: str, file: Path) -> None:
        async def page(request: Request, access: AccessOf) -> Response:
            if access.pages.is_left(request.headers["host"]):
                return _way_to(access.pages.origin + path, request)
            return FileResponse(file)

        app.add_api_route(path, page, include_in_schema=False, methods=["GET", "HEAD"])

    for path, name in PAGES.items():
        add(path, WEB / name)

    async def keeper(request: Request, access: AccessOf) -> Response:
        if access.pages.is_left(request.headers["host"]):
            raise NotFoundError()
        headers = {"cache-control": f"max-age={_DAY}"}
        return Response(_script(access.pages), media_type="text/javascript", headers=headers)

    app.add_api_route(KEEPER, keeper, include_in_schema=False, methods=["GET"])


def _way_to(address: str, request: Request) -> Response:
    """Lead the browser to where the pages are, so that no other site's page can learn the address.

    A redirect would tell it: a policy that forbids the address reports it (Content Security Policy 3, §5.3).

    Raises:
        NotFoundError: no window asks, but a frame or another part of a page.
    """
    if request.headers.get("sec-fetch-dest", "document") != "document":
        raise NotFoundError()
    place = escape(f"{address}?{request.url.query}" if request.url.query else address)
    text = f'<!doctype html><meta charset=utf-8><title>读卡台</title><p><a href="{place}">读卡台 / Card Counter</a>'
    return HTMLResponse(text, headers={"refresh": f"0; url={place}"})


def keeper_path(access: Access) -> str:
    """Return where the worker is that keeps these very pages: another one after every change of them."""
    return f"{KEEPER}?{hashlib.sha256(_script(access.pages)).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def _script(pages: PageAddresses) -> bytes:
    kept = {"headers": page_headers(pages), "files": _files()}
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
        if file.suffix in _TYPES and file != _KEEPER_TEXT
    }
