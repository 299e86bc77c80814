"""The parts of one bridge, typed: routes and the server find them on the application."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from cardio.readers.supervision import Supervisor
from cardio.security.key_memory import KeyMemory
from service.audit.recorder import AuditRecorder
from service.debits.provider import JournalProvider
from service.debits.service import DebitService
from service.driver.calls import DriverService
from service.driver.conversation import LoopPulse
from service.driver.listening import DialectPorts
from service.events.hub import EventHub
from service.gate.connection_places import ConnectionPlaces
from service.gate.policy import Access
from service.observability.metrics import Metrics
from service.questions.book import QuestionBook
from service.readers.registry import ReaderRegistry
from service.readers.sam_monitor import SamWatch
from service.security import SecurityContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningBridge:
    """The parts that exist between the start of the application and its stop."""

    loop: asyncio.AbstractEventLoop
    started: float
    """The time of the start by the monotonic clock, in seconds."""
    pulse: LoopPulse
    hub: EventHub
    registry: ReaderRegistry
    key_memories: Sequence[KeyMemory]
    questions: QuestionBook
    debits: DebitService
    driver: DriverService
    sam_watch: SamWatch


@dataclass(slots=True, kw_only=True)
class BridgeState:
    """The parts that exist as soon as the application is made."""

    supervisor: Supervisor
    metrics: Metrics
    audit: AuditRecorder
    journal: JournalProvider
    security: SecurityContext
    dialect_ports: DialectPorts
    has_simulated: bool
    auto_read: bool
    gate: Access | None = None
    """The gate; None if an application is measured without its gate."""
    connection_places: ConnectionPlaces | None = None
    run: RunningBridge | None = None

    @property
    def access(self) -> Access:
        """Return the gate's access.

        Raises:
            RuntimeError: the application has no gate.
        """
        if self.gate is None:
            raise RuntimeError("the application has no gate: `BridgeServer` gives it one")
        return self.gate

    @property
    def running(self) -> RunningBridge:
        """Return the running parts.

        Raises:
            RuntimeError: the application was not started, or is stopped.
        """
        if self.run is None:
            raise RuntimeError("the application is not running")
        return self.run


def state_of(app: FastAPI) -> BridgeState:
    """Return the bridge of an application."""
    state: BridgeState = app.state.bridge
    return state
