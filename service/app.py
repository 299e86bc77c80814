"""The application: routes over desks and events, behind the gate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from cardio.errors import CardioError, UsageError
from cardio.filesystem.layout_choice import LayoutChoice
from cardio.filesystem.manners import MannersStore
from cardio.model import ReaderEvent
from cardio.readers.base import ReaderSource
from service.description import describe_truly
from service.desks import Desks
from service.events import EventHub
from service.gate import REQUEST_ID, Gate, GateRules, problem_response
from service.routes import events, files, health, pin, readers, verification
from service.routes.simulator import simulator_router
from service.security import BridgeSecurity
from service.simulated import SimulatedReaders

WEB = Path(__file__).parent / "web"
_log = logging.getLogger("cardio.service")


class NotFoundError(CardioError):
    code = "not-found"
    title = "没有这个地址"
    title_en = "There is no such address"
    remedy = "请查看 /openapi.json 中的接口。"
    remedy_en = "See the interface in /openapi.json."
    status = 404


class WrongMethodError(NotFoundError):
    code = "wrong-method"
    title = "该地址不支持此方法"
    title_en = "This address does not take this method"
    status = 405


class InternalError(CardioError):
    code = "internal"
    title = "服务内部错误"
    title_en = "The service has failed inside"
    status = 500


def create_app(
    sources: Sequence[ReaderSource],
    *,
    manners: MannersStore | None = None,
    layouts: LayoutChoice | None = None,
    simulated: SimulatedReaders | None = None,
    security: BridgeSecurity | None = None,
) -> FastAPI:
    """The bridge without its gate: for `gated`, and for tests that measure it."""
    manners = MannersStore.in_cache() if manners is None else manners
    layouts = LayoutChoice.at_hand() if layouts is None else layouts
    for problem in layouts.problems:
        _log.warning("a layout is left out: %s", problem.detail_en)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        app.state.loop = loop
        hub = app.state.hub = EventHub()
        app.state.security = security or BridgeSecurity()
        desks = app.state.desks = Desks(sources, manners, layouts)

        def take(event: ReaderEvent) -> None:
            desks.take(event)
            hub.publish(event)

        def take_soon(event: ReaderEvent) -> None:
            loop.call_soon_threadsafe(take, event)

        watches = [source.watch(take_soon) for source in sources]
        try:
            yield
        finally:
            hub.close()
            desks.stop()
            for watch in watches:
                await loop.run_in_executor(None, watch.stop)
            desks.close()

    app = FastAPI(
        title="cardio",
        summary="社会保障卡本地读卡服务 / Local bridge to China's social security card",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redirect_slashes=False,
        redoc_url=None,
    )
    app.include_router(health.router)
    app.include_router(readers.router)
    app.include_router(files.router)
    app.include_router(pin.router)
    app.include_router(verification.router)
    app.include_router(events.router)
    if simulated is not None:
        app.include_router(simulator_router(simulated))
    _add_pages(app)
    _add_error_handlers(app)
    describe_truly(app)
    return app


def gated(app: ASGIApp, rules: GateRules) -> Gate:
    """The bridge as it is served."""
    return Gate(app, rules)


def _add_pages(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=WEB), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")


def _add_error_handlers(app: FastAPI) -> None:
    def request_id(request: Request) -> str | None:
        return getattr(request.state, REQUEST_ID, None)

    @app.exception_handler(CardioError)
    async def known(request: Request, error: CardioError) -> Response:
        return problem_response(error, request_id(request))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        error_found = UsageError(f"参数 {place} 不正确（{first['msg']}）", f"{place}: {first['msg']}")
        return problem_response(error_found, request_id(request))

    @app.exception_handler(HTTPException)
    async def by_framework(request: Request, error: HTTPException) -> Response:
        kind = {404: NotFoundError, 405: WrongMethodError}.get(error.status_code)
        if kind is not None:
            return problem_response(kind(), request_id(request))
        return problem_response(UsageError(str(error.detail), str(error.detail)), request_id(request))

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        # The log gets the kind and the place; a message could carry what was read from a card.
        _log.error("request %s failed: %s", request_id(request), type(error).__name__)
        return problem_response(InternalError(), request_id(request))
