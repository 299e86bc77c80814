"""The application: the routes over readers and events, behind the gate."""

from __future__ import annotations

import asyncio
import linecache
import logging
import mimetypes
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from cardio.apdu.command_watch import COMMAND_SECONDS
from cardio.config.validation import in_chinese
from cardio.debits.limits import DebitLimits
from cardio.driver.basic_info import BasicLayout
from cardio.driver.return_codes import driver_codes
from cardio.errors import CardioError, UsageError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import EventKind, ReaderEvent
from cardio.readers.base import ReaderSource
from cardio.readers.card_choice import ReaderPolicy
from cardio.readers.policy_settings import MEMORY_SECONDS
from cardio.readers.supervision import Supervisor
from cardio.security.key_memory import KeyMemory
from service.audit.recorder import AuditRecorder
from service.debits.provider import JournalProvider
from service.debits.service import DebitService
from service.driver import sockets
from service.driver.calls import DriverService
from service.driver.conversation import LoopPulse
from service.driver.listening import DialectPorts
from service.events.hub import READ_FINISHED, EventHub
from service.gate.connection_places import ConnectionLimits
from service.gate.context import RequestContext
from service.gate.policy import Access
from service.gate.receipt import RECEIPT
from service.http.errors import InternalError, NotFoundError, WrongMethodError
from service.http.problem import problem_response
from service.http.request_state import REQUEST_ID
from service.observability.metrics import Metrics
from service.questions.book import QuestionBook
from service.readers.basic_reading import read_basic
from service.readers.card_selection import CardSelection
from service.readers.registry import ReaderRegistry
from service.readers.sam_monitor import SamWatch
from service.readers.schemas import VERSION
from service.readers.simulated import SimulatedReaders
from service.readers.source_watches import SourceWatches
from service.routes import apdu as commands
from service.routes import (
    debits,
    driver,
    events,
    files,
    health,
    hello,
    keys,
    leases,
    page_sessions,
    pairing,
    pin,
    questions,
    readers,
    simulator,
    status,
    verification,
)
from service.routes import journal as journal_routes
from service.routes import openapi as description
from service.routes import pages as own_pages
from service.security import SecurityContext
from service.state import BridgeState, RunningBridge

_ROUTES = (
    health, hello, pairing, page_sessions, status, readers, leases, commands, files, pin, verification, events, driver,
    debits, journal_routes, questions, keys,
)  # fmt: skip
_log = logging.getLogger("cardio.service")


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """The options of a site."""

    auto_read: bool = False
    """True to read a card as soon as it is inserted."""
    dialect_layout: BasicLayout = "11"
    device_number: str = ""
    """The 终端设备号 of the national interface; empty for each reader's own."""
    reader_policy: ReaderPolicy = field(default_factory=ReaderPolicy)
    """The readers that count, and the one that is contactless."""
    command_seconds: float = COMMAND_SECONDS
    """The longest time that a card may take for one command."""
    memory_seconds: float = MEMORY_SECONDS
    """The time for which a reading is answered again while its card stays in."""
    debit_limits: DebitLimits = field(default_factory=DebitLimits)
    """The limits of an order."""


def create_app(
    sources: Sequence[ReaderSource],
    *,
    capabilities: CapabilityCache | None = None,
    layouts: LayoutChoice | None = None,
    simulated: SimulatedReaders | None = None,
    security: SecurityContext | None = None,
    site_options: SiteOptions | None = None,
    journal: JournalProvider | None = None,
    audit: AuditRecorder | None = None,
    dialect_ports: DialectPorts | None = None,
    supervisor: Supervisor | None = None,
) -> FastAPI:
    """Return the bridge without its gate: `BridgeServer` puts it behind one; tests that measure it do so too."""
    of_simulated = CapabilityCache.in_cache(simulated=True) if capabilities is None else capabilities
    capabilities = CapabilityCache.in_cache() if capabilities is None else capabilities
    layouts = LayoutChoice.installed() if layouts is None else layouts
    security = security or SecurityContext()
    site_options = site_options or SiteOptions()
    journal = journal or JournalProvider(None)
    audit = audit or AuditRecorder(None)
    supervisor = supervisor or Supervisor()
    for problem in layouts.problems:
        _log.warning("a layout is left out: %s", problem.detail_en)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_unhandled_logger(supervisor))
        hub = EventHub()
        hub.on_published.append(_metrics_listener(state.metrics))
        registry = ReaderRegistry(
            sources, capabilities, hub, layouts, audit, supervisor, site_options.reader_policy,
            simulated_capabilities=of_simulated, command_seconds=site_options.command_seconds,
            memory_seconds=site_options.memory_seconds,
        )  # fmt: skip
        of_files = (KeyMemory.of_store(capabilities), KeyMemory.of_store(of_simulated, simulated=True))
        debits = DebitService(journal, security, supervisor, site_options.debit_limits)
        questions = QuestionBook(hub, page=_counter_page(state.gate))
        number = site_options.device_number
        sam_watch = SamWatch(security.sam_places, registry, hub)
        running = state.run = RunningBridge(
            loop=loop,
            started=time.monotonic(),
            pulse=LoopPulse(),
            hub=hub,
            registry=registry,
            key_memories=tuple(dict.fromkeys(memory or security.guard.keys for memory in of_files)),
            debits=debits,
            questions=questions,
            driver=DriverService(registry, security, debits, questions, CardSelection(registry), device_number=number),
            sam_watch=sam_watch,
        )
        await asyncio.to_thread(_recover_after_crash, journal)
        if state.gate is not None:
            state.gate.grants.on_revoked.append(registry.drop_grant)
            state.gate.grants.on_revoked.append(questions.drop_grant)
        audit.note(RequestContext(action="bridge-started", target=VERSION))

        readings: set[asyncio.Task[None]] = set()

        def on_event(event: ReaderEvent, source: ReaderSource) -> None:
            registry.handle(event, source)
            sam_watch.check_psam()

        def read_at_once(kind: str, data: Mapping[str, Any]) -> None:
            if kind == EventKind.CARD_INSERTED and data["reader"] in registry.counting():
                reading = asyncio.ensure_future(_read_at_once(registry, data["reader"], security, supervisor))
                readings.add(reading)
                reading.add_done_callback(readings.discard)

        if site_options.auto_read:
            hub.on_published.append(read_at_once)
        watches = SourceWatches(sources, on_event, registry.forget, supervisor)
        await watches.start()
        for name in registry.missing():
            _log.warning("the settings name a reader that is not there: %s", name)
        looking = asyncio.ensure_future(supervisor.keep_task("sam-watch", sam_watch.run))
        try:
            yield
        finally:
            looking.cancel()
            hub.close()
            registry.stop()
            await watches.stop()
            registry.close()
            await running.debits.receipts.written()
            await asyncio.to_thread(journal.close)
            await asyncio.to_thread(audit.close, RequestContext(action="bridge-stopped"))

    app = FastAPI(
        title="cardio",
        summary="社会保障卡本地读卡服务 / Local bridge to China's social security card",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None,
        redirect_slashes=False,
        redoc_url=None,
    )
    audit.supervisor = supervisor
    state = app.state.bridge = BridgeState(
        supervisor=supervisor,
        metrics=Metrics(),
        audit=audit,
        journal=journal,
        security=security,
        dialect_ports=dialect_ports or DialectPorts({}, lambda port: []),
        has_simulated=simulated is not None,
        auto_read=site_options.auto_read,
    )
    for one in _ROUTES:
        # As they were made when their modules were imported: `include_router` would make each of them again.
        app.router.routes.extend(one.router.routes)
    app.include_router(sockets.dialect_router(site_options.dialect_layout, lambda: _dialect_host(state)))
    if simulated is not None:
        app.include_router(simulator.simulator_router(simulated))
    own_pages.add_own_pages(app)
    _add_error_handlers(app)
    description.install_openapi(app)
    _load_what_is_needed_once()
    return app


def _load_what_is_needed_once() -> None:
    """Read the files from disk now that otherwise would be read at their first use, on the event loop."""
    for module in (*_ROUTES, own_pages, simulator, sockets, description):
        linecache.getlines(str(module.__file__))  # FastAPI looks up where each route is defined at its first call
    linecache.getlines(__file__)
    if not mimetypes.inited:
        mimetypes.init()
    driver_codes()
    datetime.strptime("2000", "%Y")  # imports a module
    _ = anyio.open_file  # likewise


def _dialect_host(state: BridgeState) -> sockets.DialectHost:
    running, most = state.running, state.connection_places
    return sockets.DialectHost(
        running.driver, running.registry, state.supervisor, running.pulse, state.access.rate,
        ConnectionLimits().in_all if most is None else most.limits.in_all,
    )  # fmt: skip


def _counter_page(access: Access | None) -> str:
    """Return the address of the counter's page for people."""
    return "" if access is None else f"{access.scheme}://127.0.0.1:{access.port}/"


def _unhandled_logger(supervisor: Supervisor) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return the handler of errors that escaped from a callback or a task.

    asyncio would print their message, and with it data that were read from a card.
    """

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        supervisor.note("event-loop", error if isinstance(error, BaseException) else RuntimeError())

    return note


async def _read_at_once(
    registry: ReaderRegistry, reader: str, security: SecurityContext, supervisor: Supervisor
) -> None:
    """Read a card that was just inserted. The followers of the events get the result, or the reason of a failure."""
    with supervisor.guard("auto-read"), suppress(CardioError):
        managed = registry.managed(reader)
        credentials = security.for_reader(simulated=managed.reader.simulated).for_reading("local")
        await read_basic(managed, RequestContext(action="auto-read"), supplement=True, credentials=credentials)


def _recover_after_crash(journal: JournalProvider) -> None:
    """Correct the journal after a crash, before any call needs it; without a journal readings go on."""
    if journal.exists:
        try:
            journal.open()
        except CardioError as error:
            _log.warning("no debits: %s", error.detail_en)


def _metrics_listener(metrics: Metrics) -> Callable[[str, Mapping[str, Any]], None]:
    def published(kind: str, data: Mapping[str, Any]) -> None:
        metrics.event(kind)
        if kind == READ_FINISHED:
            metrics.card_read(data["outcome"], data["milliseconds"])

    return published


def _add_error_handlers(app: FastAPI) -> None:
    def request_id(request: Request) -> str | None:
        return getattr(request.state, REQUEST_ID, None)

    @app.exception_handler(CardioError)
    async def known(request: Request, error: CardioError) -> Response:
        return problem_response(error, request_id(request))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        # The name of an unknown field is any text of the caller, so it stays out of answers.
        known = first["loc"][:-1] if first["type"] == "extra_forbidden" else first["loc"]
        place = ".".join(str(part) for part in known)
        error_found = UsageError(f"参数 {place} 不正确：{in_chinese(first)}", f"{place}: {first['msg']}")
        return problem_response(error_found, request_id(request))

    @app.exception_handler(HTTPException)
    async def by_framework(request: Request, error: HTTPException) -> Response:
        kind = {404: NotFoundError, 405: WrongMethodError}.get(error.status_code)
        if kind is not None:
            return problem_response(kind(), request_id(request))
        return problem_response(UsageError(str(error.detail), str(error.detail)), request_id(request))

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        # The log gets the class and the place; a message could contain data that were read from a card.
        _log.error("request %s failed: %s", request_id(request), type(error).__name__)
        if (receipt := getattr(request.state, RECEIPT, None)) is not None:
            receipt.conclude(handed_over=False)  # the caller gets an error, not the result of the route
        return problem_response(InternalError(), request_id(request))
