"""The answer at addresses where the bridge's pages are not: it leads to them.

At the addresses that people type or bookmark, 127.0.0.1 and localhost, the browser gets a doorway to keep (入口页). The
doorway asks the bridge for a proof each time before it leads on, and so reports another program that has the port.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from service.gate.policy import Access
from service.http.errors import NotFoundError
from service.routes.dependencies import peer_of
from service.routes.page_keeper import WEB, digest, keeper_path

_PLANT = WEB / "worker" / "plant-doorway.js"
_PATIENCE = 10
"""Seconds after which a browser is led on that runs no script."""


def way_to_pages(path: str, request: Request, access: Access) -> Response:
    """Lead the browser to the pages in such a way that no other site's page can learn their address.

    A redirect would reveal the address: a policy that forbids it reports it (Content Security Policy 3, §5.3).

    Raises:
        NotFoundError: no window asks, but a frame or another part of a page.
        WrongOriginError: another user asks (`Access.check_may_be_led`).
    """
    if request.headers.get("sec-fetch-dest", "document") != "document":
        raise NotFoundError()
    peer = peer_of(request)
    access.check_may_be_led(peer)
    address = f"{access.pages.origin}{path}"
    place = f"{address}?{request.url.query}" if request.url.query else address
    plants = access.pages.is_doorway(request.headers["host"]) and peer.is_believed
    text = f"""<!doctype html><html lang=zh-CN><meta charset=utf-8><title>读卡台 · cardio</title>
<link rel=icon href="/static/icon.svg">
{_planting(access) if plants else ""}<p><a href="{escape(place)}">读卡台 / Card Counter</a>"""
    return HTMLResponse(text, headers={"refresh": f"{_PATIENCE if plants else 0}; url={place}"})


def _planting(access: Access) -> str:
    """Return the part that makes the browser keep the doorway.

    All of it is in this one answer, or fixed by a hash in it: other parts may reach the browser over a connection to
    another program.
    """
    name = access.sessions.new_doorway()
    given = {
        "grant": name,
        "recall": access.sessions.recall_key(name),
        "keeper": keeper_path(access, at_doorway=True),
        "digest": digest(access, at_doorway=True),
        "pages": access.pages.origin,
        "language": access.page_memory.language,
    }
    return f"""<meta name=doorway content="{escape(json.dumps(given))}">
<script type=module src="/static/{_PLANT.relative_to(WEB).as_posix()}" integrity="{_integrity()}"></script>
"""


@cache
def _integrity() -> str:
    """Return the hash of the script in the form of Subresource Integrity (W3C)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_PLANT.read_bytes()).digest()).decode()


def load() -> None:
    """Read the files from disk now, before a request needs them."""
    _integrity()
