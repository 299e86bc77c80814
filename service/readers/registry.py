"""All desks, kept up to date by the watchers' events. Everything here runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from cardio.apdu.command_watch import COMMAND_SECONDS
from cardio.errors import (
    PcscNotInstalledError,
    PcscSupportMissingError,
    PcscUnavailableError,
    ReaderError,
    ReaderNotFoundError,
    ReaderWatchError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import NATIONAL, LayoutChoice
from cardio.models.problem import Problem
from cardio.models.readers import EventKind, ReaderEvent
from cardio.readers.base import Reader, ReaderSource
from cardio.readers.card_choice import ReaderPolicy
from cardio.readers.policy_settings import MEMORY_SECONDS
from cardio.readers.supervision import Supervisor
from service.audit.recorder import AuditRecorder
from service.events.hub import EventHub
from service.readers.managed_reader import ManagedReader, ReaderDependencies
from service.readers.schemas import ReaderList, ServiceState
from service.readers.shown_reader import ShownReader

_SAID_BY_CODE = (PcscNotInstalledError, PcscSupportMissingError, ReaderWatchError)
_OF_CARDS = (EventKind.CARD_INSERTED, EventKind.CARD_REMOVED, EventKind.CARD_MUTE)


class ReaderRegistry:
    def __init__(
        self,
        sources: Iterable[ReaderSource],
        manners: CapabilityCache,
        hub: EventHub,
        layouts: LayoutChoice = NATIONAL,
        audit: AuditRecorder | None = None,
        supervisor: Supervisor | None = None,
        policy: ReaderPolicy | None = None,
        *,
        manners_of_simulated: CapabilityCache | None = None,
        command_seconds: float = COMMAND_SECONDS,
        memory_seconds: float = MEMORY_SECONDS,
    ) -> None:
        """Args:
        manners_of_simulated: what cards in simulated readers have taught; the others' without it.
        command_seconds: how long a card may take for one command.
        memory_seconds: how long a reading is answered again while its card stays in.
        """
        self._sources = list(sources)
        self.policy = policy or ReaderPolicy()
        self._hub = hub
        self._desks: dict[str, ManagedReader] = {}
        self._shown: dict[tuple[int, str], str] = {}
        """Under which name each source's reader is shown: its own, unless another source has a reader of that name."""
        self._down: dict[int, Problem | None] = {}
        """The sources whose service is down, and why."""
        self._service_told = False
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endings: set[asyncio.Future[None]] = set()
        self._around = ReaderDependencies(
            manners, layouts, self._stopping, hub, audit or AuditRecorder(None), supervisor or Supervisor(),
            self._swapped, command_seconds, memory_seconds,
        )  # fmt: skip
        self._around_simulated = replace(self._around, manners=manners_of_simulated or manners)

    def stop(self) -> None:
        """Answers everybody who waits at a desk: the service stops."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    def take(self, event: ReaderEvent, source: ReaderSource | None = None) -> None:
        """Brings the desks up to date with what a watcher saw, and tells everybody.

        Args:
            source: where the event comes from; may be left out where there is one source only.

        Raises:
            Exception: the source fails where it is asked for the reader that it has told of.
        """
        number = 0 if source is None else self._number(source)
        if event.reader is not None:
            event = event.model_copy(update={"reader": self._shown_name(number, event.reader)})
        session: str | None = None
        match event.kind:
            case EventKind.SERVICE_DOWN:
                self._service_told = True
                self._down[number] = event.problem
            case EventKind.SERVICE_UP:
                self._service_told = True
                self._down.pop(number, None)
            case EventKind.READER_REMOVED:
                gone = self._desks.pop(event.reader or "", None)
                if gone is not None:
                    gone.close()
                self._shown = {key: name for key, name in self._shown.items() if name != event.reader}
            case _ if event.reader is not None:
                session = self._update(event.reader, event)
        self._publish(event, session)

    def forget(self, source: ReaderSource) -> None:
        """Takes a source's readers away: its watch has ended, and a new one tells of them again."""
        number = self._number(source)
        self._down.pop(number, None)
        for own, name in [(own, name) for (of, own), name in self._shown.items() if of == number]:
            del self._shown[number, own]
            desk = self._desks.pop(name, None)
            if desk is not None:
                left = ReaderEvent(
                    kind=EventKind.READER_REMOVED, reader=name, simulated=desk.reader.simulated, time=datetime.now(UTC)
                )
                if desk.card_session is not None:
                    self._publish(left.model_copy(update={"kind": EventKind.CARD_REMOVED}), desk.card_session)
                desk.close()
                self._publish(left, None)

    def _swapped(self, desk: ManagedReader, atr: bytes) -> None:
        """Tells of a swap that PC/SC has not noticed: another card answers than the session stands for."""
        for kind in (EventKind.CARD_REMOVED, EventKind.CARD_INSERTED):
            event = ReaderEvent(
                kind=kind,
                reader=desk.reader.name,
                simulated=desk.reader.simulated,
                atr=atr.hex().upper() or None if kind is EventKind.CARD_INSERTED else None,
                event_counter=desk.info.event_counter,
                time=datetime.now(UTC),
            )
            self._publish(event, self._update(desk.reader.name, event))

    def _publish(self, event: ReaderEvent, session: str | None) -> None:
        if event.kind is EventKind.CARD_REMOVED and event.reader is not None:
            self._hub.forget_readings(event.reader)
        data = event.model_dump(mode="json", include={"reader", "simulated", "atr", "event_counter"})
        if event.reader is not None:
            data["counts"] = event.reader in self.counting()
        if event.kind in _OF_CARDS:
            data["card_session"] = session
        self._hub.publish(event.kind.value, data, subject=event.reader, time=event.time)

    def _number(self, source: ReaderSource) -> int:
        return next(number for number, one in enumerate(self._sources) if one is source)

    def _shown_name(self, number: int, own: str) -> str:
        """The name that a source's reader has here. Two readers never share one."""
        name = self._shown.get((number, own))
        if name is None:
            taken = set(self._shown.values())
            names = (own, *(f"{own} ({again})" for again in range(2, len(taken) + 3)))
            name = self._shown[number, own] = next(one for one in names if one not in taken)
        return name

    def _update(self, name: str, event: ReaderEvent) -> str | None:
        """Gives the session that an event is about: of a removed card the one it had."""
        desk = self._desks.get(name)
        if desk is None:
            reader = self._reader(name)
            if reader is None:
                return None  # it has gone already; its removal is told next
            desk = self._desks[name] = ManagedReader(
                reader, self._around_simulated if reader.simulated else self._around
            )
        before = desk.card_session
        desk.take(event)
        return before if event.kind is EventKind.CARD_REMOVED else desk.card_session

    def _reader(self, name: str) -> Reader | None:
        """The reader that is shown under a name, from the source that has told of it and from no other."""
        number, own = next(key for key, shown in self._shown.items() if shown == name)
        reader = self._sources[number].reader(own)
        return reader if own == name or reader is None else ShownReader(name, reader)

    def desk(self, name: str) -> ManagedReader:
        """The desk of a reader, by its full name.

        Raises:
            ReaderNotFoundError: there is no such reader now.
            PcscUnavailableError: nor could there be, since PC/SC does not run.
        """
        desk = self._desks.get(name)
        if desk is None and self.service_down:
            raise self.service_fault()
        if desk is None:
            names = list(self._desks)
            raise ReaderNotFoundError(
                f"没有读卡器“{name}”；现有：{'、'.join(names) or '—'}",
                f"no reader {name!r}; there are: {', '.join(names) or '-'}",
            )
        return desk

    def all(self) -> list[ManagedReader]:
        return list(self._desks.values())

    def drop_grant(self, grant: str) -> None:
        """Ends what a grant that is no more has: leases, and cards that are held for it."""
        for desk in self._desks.values():
            if desk.lease.drop_grant(grant):
                self.tell_lease(desk)
            # Also where nothing is held yet: a first step may be waiting for the card.
            ending = asyncio.ensure_future(self.end_held(desk, grant))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def end_held(self, desk: ManagedReader, grant: str) -> None:
        """Lets go what a caller has at one desk; a reader that has gone, or a service that stops, holds nothing."""
        with self._around.supervisor.guard("card-let-go"), suppress(ReaderError):
            await desk.end_held(grant)

    def tell_lease(self, desk: ManagedReader) -> None:
        """Tells everybody who has a reader now."""
        shown = desk.shown(counts=True).lease
        data = {"reader": desk.reader.name, "lease": None if shown is None else shown.model_dump(mode="json")}
        self._hub.publish("lease-changed", data, subject=desk.reader.name)

    def counting(self) -> list[str]:
        """The readers that a patient's card may be in."""
        simulated = {name for name, desk in self._desks.items() if desk.reader.simulated}
        return self.policy.counting(list(self._desks), simulated)

    def missing(self) -> list[str]:
        """Return what the settings call a reader, and no reader that is there now is called."""
        return self.policy.missing(list(self._desks))

    def listing(self) -> ReaderList:
        """Return what is in every reader, and what keeps others from being listed."""
        problems: Sequence[Problem] = [Problem.of(self.service_fault())] if self.service_down else []
        counting = self.counting()
        shown = tuple(desk.shown(counts=name in counting) for name, desk in self._desks.items())
        return ReaderList(readers=shown, problems=tuple(problems))

    def service_fault(self) -> ReaderError:
        """Return why PC/SC cannot be used, as the watcher found: it does not run, or a policy closes it
        to this user.
        """
        why = next((problem for problem in self._down.values() if problem is not None), None)
        if why is None:
            return PcscUnavailableError()
        kind = next((kind for kind in _SAID_BY_CODE if kind.code == why.code), PcscUnavailableError)
        fault = kind(why.detail, why.detail_en, hresult=int(why.hresult, 16) if why.hresult else None)
        fault.remedy, fault.remedy_en = why.remedy, why.remedy_en
        return fault

    @property
    def service_down(self) -> bool:
        return bool(self._down)

    @property
    def service_state(self) -> ServiceState:
        """``up`` or ``down`` as the watcher has told; ``off`` where PC/SC is left out, and before its first word."""
        return "off" if not self._service_told else "down" if self._down else "up"

    def close(self) -> None:
        for desk in self._desks.values():
            desk.stop()
        self._desks.clear()
