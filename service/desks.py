"""All desks, kept up to date by the watchers' events. Everything here runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from cardio.errors import PcscUnavailableError, ReaderError, ReaderNotFoundError
from cardio.filesystem.layout_choice import NATIONAL, LayoutChoice
from cardio.filesystem.manners import MannersStore
from cardio.model import EventKind, Problem, ReaderEvent
from cardio.readers.base import Reader, ReaderSource
from service.answers import ReaderList
from service.audit import Audit
from service.desk import Desk, Surroundings
from service.events import EventHub

_OF_CARDS = (EventKind.CARD_INSERTED, EventKind.CARD_REMOVED, EventKind.CARD_MUTE)


class Desks:
    def __init__(
        self,
        sources: Iterable[ReaderSource],
        manners: MannersStore,
        hub: EventHub,
        layouts: LayoutChoice = NATIONAL,
        audit: Audit | None = None,
    ) -> None:
        self._sources = list(sources)
        self._hub = hub
        self._desks: dict[str, Desk] = {}
        self._service_down = False
        self._why_down: Problem | None = None
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._endings: set[asyncio.Future[None]] = set()
        self._around = Surroundings(manners, layouts, self._stopping, hub, audit or Audit(None))

    def stop(self) -> None:
        """Answers everybody who waits at a desk: the service stops."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    def take(self, event: ReaderEvent) -> None:
        """Brings the desks up to date with what a watcher saw, and tells everybody."""
        session: str | None = None
        match event.kind:
            case EventKind.SERVICE_DOWN | EventKind.SERVICE_UP:
                self._service_down = event.kind is EventKind.SERVICE_DOWN
                self._why_down = event.problem
            case EventKind.READER_REMOVED:
                gone = self._desks.pop(event.reader or "", None)
                if gone is not None:
                    gone.close()
            case _ if event.reader is not None:
                session = self._update(event.reader, event)
        if event.kind is EventKind.CARD_REMOVED and event.reader is not None:
            self._hub.forget_readings(event.reader)
        data = event.model_dump(mode="json", include={"reader", "simulated", "atr", "event_counter"})
        if event.kind in _OF_CARDS:
            data["card_session"] = session
        self._hub.publish(event.kind.value, data, subject=event.reader, time=event.time)

    def _update(self, name: str, event: ReaderEvent) -> str | None:
        """Gives the session that an event is about: of a removed card the one it had."""
        desk = self._desks.get(name)
        if desk is None:
            desk = self._desks[name] = Desk(self._reader(name), self._around)
        before = desk.card_session
        desk.take(event)
        return before if event.kind is EventKind.CARD_REMOVED else desk.card_session

    def _reader(self, name: str) -> Reader:
        for source in self._sources:
            reader = source.reader(name)
            if reader is not None:
                return reader
        raise ReaderNotFoundError()

    def desk(self, name: str) -> Desk:
        """The desk of a reader, by its full name.

        Raises:
            ReaderNotFoundError: there is no such reader now.
            PcscUnavailableError: nor could there be, since PC/SC does not run.
        """
        desk = self._desks.get(name)
        if desk is None and self._service_down:
            raise self.service_fault()
        if desk is None:
            names = list(self._desks)
            raise ReaderNotFoundError(
                f"没有读卡器“{name}”；现有：{'、'.join(names) or '—'}",
                f"no reader {name!r}; there are: {', '.join(names) or '-'}",
            )
        return desk

    def all(self) -> list[Desk]:
        return list(self._desks.values())

    def drop_grant(self, grant: str) -> None:
        """Ends what a grant that is no more has: leases, and cards that are held for it."""
        for desk in self._desks.values():
            if desk.lease.drop_grant(grant):
                self.tell_lease(desk)
            # Also where nothing is held yet: a first step may be waiting for the card.
            ending = asyncio.ensure_future(_end_held(desk, grant))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    def tell_lease(self, desk: Desk) -> None:
        """Tells everybody who has a reader now."""
        shown = desk.shown().lease
        data = {"reader": desk.reader.name, "lease": None if shown is None else shown.model_dump(mode="json")}
        self._hub.publish("lease-changed", data, subject=desk.reader.name)

    def listing(self) -> ReaderList:
        """What is in every reader, and what keeps others from being listed."""
        problems: Sequence[Problem] = [Problem.of(self.service_fault())] if self._service_down else []
        return ReaderList(readers=tuple(desk.shown() for desk in self._desks.values()), problems=tuple(problems))

    def service_fault(self) -> PcscUnavailableError:
        """Why PC/SC cannot be used, as the watcher found: it does not run, or a policy closes it to this user."""
        why = self._why_down
        if why is None:
            return PcscUnavailableError()
        fault = PcscUnavailableError(why.detail, why.detail_en, hresult=int(why.hresult, 16) if why.hresult else None)
        fault.remedy, fault.remedy_en = why.remedy, why.remedy_en
        return fault

    @property
    def service_down(self) -> bool:
        return self._service_down

    def close(self) -> None:
        for desk in self._desks.values():
            desk.stop()
        self._desks.clear()


async def _end_held(desk: Desk, grant: str) -> None:
    with suppress(ReaderError):  # the reader has gone, or the service stops: nothing is held any more
        await desk.end_held(grant)
