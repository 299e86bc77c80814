"""The bridge's own pages and their files, and the worker that keeps them in the browser."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from service.gate.policy import KEEPER
from service.http.errors import NotFoundError
from service.routes import doorway, page_keeper
from service.routes.dependencies import AccessOf
from service.routes.page_keeper import PAGES, WEB

_DAY = 86_400
"""The seconds for which a browser need not ask again for the worker; browsers ask once a day all the same."""


def add_own_pages(app: FastAPI) -> None:
    """Add the pages, their files and the worker."""
    # Read from disk now, because later this would run on the event loop.
    page_keeper.load()
    doorway.load()
    app.mount("/static", StaticFiles(directory=WEB), name="static")

    def add(path: str, file: Path) -> None:
        async def page(request: Request, access: AccessOf) -> Response:
            if access.pages.is_left(request.headers["host"]):
                return doorway.way_to_pages(path, request, access)
            return FileResponse(file)

        app.add_api_route(path, page, include_in_schema=False, methods=["GET", "HEAD"])

    for path, name in PAGES.items():
        add(path, WEB / name)

    async def keeper(request: Request, access: AccessOf) -> Response:
        host = request.headers["host"]
        at_doorway = access.pages.is_doorway(host)
        # A browser that asks for an older worker has it, and keeps it.
        is_newest = str(request.url).endswith(page_keeper.keeper_path(access, at_doorway=at_doorway))
        if not is_newest or (access.pages.is_left(host) and not at_doorway):
            raise NotFoundError()
        text = page_keeper.script(access, at_doorway=at_doorway)
        return Response(text, media_type="text/javascript", headers={"cache-control": f"max-age={_DAY}"})

    app.add_api_route(KEEPER, keeper, include_in_schema=False, methods=["GET"])
