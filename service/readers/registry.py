"""All readers of the bridge, kept up to date by the watchers' events. Everything here runs on the event loop."""

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
        capabilities: CapabilityCache,
        hub: EventHub,
        layouts: LayoutChoice = NATIONAL,
        audit: AuditRecorder | None = None,
        supervisor: Supervisor | None = None,
        policy: ReaderPolicy | None = None,
        *,
        simulated_capabilities: CapabilityCache | None = None,
        command_seconds: float = COMMAND_SECONDS,
        memory_seconds: float = MEMORY_SECONDS,
    ) -> None:
        """Prepare an empty list of readers.

        Args:
            sources: the sources of readers.
            capabilities: the cache of what was learned about card families.
            hub: the hub of the events.
            layouts: the choice of card layouts.
            audit: the recorder of what is done with cards.
            supervisor: the supervisor of threads and tasks.
            policy: the choice of readers and of cards.
            simulated_capabilities: the cache for cards in simulated readers; by default the same cache.
            command_seconds: the longest time that a card may take for one command.
            memory_seconds: the time for which a reading is answered again while its card stays in.
        """
        self._sources = list(sources)
        self.policy = policy or ReaderPolicy()
        self._hub = hub
        self._managed: dict[str, ManagedReader] = {}
        self._shown: dict[tuple[int, str], str] = {}
        """The name under which each source's reader is shown.

        It is the reader's own name, unless another source has a reader of that name.
        """
        self._down: dict[int, Problem | None] = {}
        """The sources whose service is down, each with the reason."""
        self._service_told = False
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endings: set[asyncio.Future[None]] = set()
        self._around = ReaderDependencies(
            capabilities, layouts, self._stopping, hub, audit or AuditRecorder(None), supervisor or Supervisor(),
            self._swapped, command_seconds, memory_seconds,
        )  # fmt: skip
        self._around_simulated = replace(self._around, capabilities=simulated_capabilities or capabilities)

    def stop(self) -> None:
        """Answer all calls that wait at a reader, because the service stops."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    def handle(self, event: ReaderEvent, source: ReaderSource | None = None) -> None:
        """Update the readers with an event of a watcher, and publish it.

        Args:
            event: the event.
            source: the source of the event; may be omitted if there is only one source.

        Raises:
            Exception: the source fails when it is asked for the reader that it has reported.
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
                gone = self._managed.pop(event.reader or "", None)
                if gone is not None:
                    gone.close()
                self._shown = {key: name for key, name in self._shown.items() if name != event.reader}
            case _ if event.reader is not None:
                session = self._update(event.reader, event)
        self._publish(event, session)

    def forget(self, source: ReaderSource) -> None:
        """Remove a source's readers: its watch has ended, and a new watch reports them again."""
        number = self._number(source)
        self._down.pop(number, None)
        for own, name in [(own, name) for (of, own), name in self._shown.items() if of == number]:
            del self._shown[number, own]
            managed = self._managed.pop(name, None)
            if managed is not None:
                left = ReaderEvent(
                    kind=EventKind.READER_REMOVED,
                    reader=name,
                    simulated=managed.reader.simulated,
                    time=datetime.now(UTC),
                )
                if managed.card_session is not None:
                    self._publish(left.model_copy(update={"kind": EventKind.CARD_REMOVED}), managed.card_session)
                managed.close()
                self._publish(left, None)

    def _swapped(self, managed: ManagedReader, atr: bytes) -> None:
        """Publish a swap that PC/SC has not noticed: another card answers than the session stands for."""
        for kind in (EventKind.CARD_REMOVED, EventKind.CARD_INSERTED):
            event = ReaderEvent(
                kind=kind,
                reader=managed.reader.name,
                simulated=managed.reader.simulated,
                atr=atr.hex().upper() or None if kind is EventKind.CARD_INSERTED else None,
                event_counter=managed.info.event_counter,
                time=datetime.now(UTC),
            )
            self._publish(event, self._update(managed.reader.name, event))

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
        """Return the name under which a source's reader is shown. Two readers never share one name."""
        name = self._shown.get((number, own))
        if name is None:
            taken = set(self._shown.values())
            names = (own, *(f"{own} ({again})" for again in range(2, len(taken) + 3)))
            name = self._shown[number, own] = next(one for one in names if one not in taken)
        return name

    def _update(self, name: str, event: ReaderEvent) -> str | None:
        """Update the reader of an event; return the card session of the event.

        For a removed card it is the session that ended.
        """
        managed = self._managed.get(name)
        if managed is None:
            reader = self._reader(name)
            if reader is None:
                return None  # it has gone already; its removal is reported next
            managed = self._managed[name] = ManagedReader(
                reader, self._around_simulated if reader.simulated else self._around
            )
        before = managed.card_session
        managed.handle(event)
        return before if event.kind is EventKind.CARD_REMOVED else managed.card_session

    def _reader(self, name: str) -> Reader | None:
        """Return the reader that is shown under a name, from the source that has reported it and from no other."""
        number, own = next(key for key, shown in self._shown.items() if shown == name)
        reader = self._sources[number].reader(own)
        return reader if own == name or reader is None else ShownReader(name, reader)

    def managed(self, name: str) -> ManagedReader:
        """Return a reader by its full name.

        Raises:
            ReaderNotFoundError: there is no such reader now.
            PcscUnavailableError: there cannot be one, because PC/SC does not run.
        """
        managed = self._managed.get(name)
        if managed is None and self.service_down:
            raise self.service_fault()
        if managed is None:
            names = list(self._managed)
            raise ReaderNotFoundError(
                f"没有读卡器“{name}”；现有：{'、'.join(names) or '—'}",
                f"no reader {name!r}; there are: {', '.join(names) or '-'}",
            )
        return managed

    def all(self) -> list[ManagedReader]:
        return list(self._managed.values())

    def drop_grant(self, grant: str) -> None:
        """End the leases of a grant that was revoked, and release the cards that are held for it."""
        for managed in self._managed.values():
            if managed.lease.drop_grant(grant):
                self.publish_lease(managed)
            # Also if nothing is held yet: a first step may be waiting for the card.
            ending = asyncio.ensure_future(self.release_held(managed, grant))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def release_held(self, managed: ManagedReader, grant: str) -> None:
        """Release what a caller holds at one reader. A reader that has gone, or a service that stops, holds nothing."""
        with self._around.supervisor.guard("card-let-go"), suppress(ReaderError):
            await managed.release_held(grant)

    def publish_lease(self, managed: ManagedReader) -> None:
        """Publish the current lease of a reader."""
        shown = managed.describe(counts=True).lease
        data = {"reader": managed.reader.name, "lease": None if shown is None else shown.model_dump(mode="json")}
        self._hub.publish("lease-changed", data, subject=managed.reader.name)

    def counting(self) -> list[str]:
        """Return the readers that a patient's card may be in."""
        simulated = {name for name, managed in self._managed.items() if managed.reader.simulated}
        return self.policy.counting(list(self._managed), simulated)

    def missing(self) -> list[str]:
        """Return the names of readers in the settings that no present reader has."""
        return self.policy.missing(list(self._managed))

    def listing(self) -> ReaderList:
        """Return the state of every reader, and the problems that keep others from being listed."""
        problems: Sequence[Problem] = [Problem.of(self.service_fault())] if self.service_down else []
        counting = self.counting()
        shown = tuple(managed.describe(counts=name in counting) for name, managed in self._managed.items())
        return ReaderList(readers=shown, problems=tuple(problems))

    def service_fault(self) -> ReaderError:
        """Return the reason why PC/SC cannot be used, as the watcher found it.

        PC/SC does not run, or a policy denies it to this user.
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
        """Return ``up`` or ``down`` as the watcher has reported.

        It is ``off`` if PC/SC is not used, and before the first report.
        """
        return "off" if not self._service_told else "down" if self._down else "up"

    def close(self) -> None:
        for managed in self._managed.values():
            managed.stop()
        self._managed.clear()
