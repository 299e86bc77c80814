"""Desks: one for each reader, with a thread of its own, so that a slow card holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cardio.card import read_card
from cardio.errors import PcscUnavailableError, ReaderBusyError, ReaderNotFoundError
from cardio.filesystem.manners import MannersStore
from cardio.model import CardReading, EventKind, Problem, ReaderEvent, ReaderInfo, ReaderStatus
from cardio.readers.base import Reader, ReaderSource
from service.answers import ReaderList

QUEUE_LIMIT = 4
"""Readings that may wait at one reader; the next is told that the reader is busy."""


class Desk:
    """One reader: what is in it, and the thread that reads it."""

    def __init__(self, reader: Reader, manners: MannersStore) -> None:
        self.reader = reader
        self._manners = manners
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"desk-{reader.name}")
        self._waiting = 0
        self.info = ReaderInfo(
            name=reader.name, simulated=reader.simulated, status=ReaderStatus.EMPTY, atr=None, event_counter=0
        )

    async def read(self, *, supplement: bool) -> CardReading:
        """Who the card in the reader belongs to.

        Raises:
            ReaderBusyError: too many are waiting already.
            CardioError: as `cardio.card.read_card` says.
        """
        if self._waiting >= QUEUE_LIMIT:
            raise ReaderBusyError("读卡请求过多，请稍候", "too many readings are waiting at this reader")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, supplement)
        finally:
            self._waiting -= 1

    def _read(self, supplement: bool) -> CardReading:
        return read_card(self.reader, supplement=supplement, manners=self._manners)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


class Desks:
    """All readers, kept up to date by the watchers' events. Everything here runs on the event loop."""

    def __init__(self, sources: Iterable[ReaderSource], manners: MannersStore) -> None:
        self._sources = list(sources)
        self._manners = manners
        self._desks: dict[str, Desk] = {}
        self._service_down = False

    def take(self, event: ReaderEvent) -> None:
        """Brings the desks up to date with one event."""
        match event.kind:
            case EventKind.SERVICE_DOWN | EventKind.SERVICE_UP:
                self._service_down = event.kind is EventKind.SERVICE_DOWN
            case EventKind.READER_REMOVED if event.reader in self._desks:
                self._desks.pop(event.reader).close()
            case _ if event.reader is not None:
                self._update(event.reader, event)

    def _update(self, name: str, event: ReaderEvent) -> None:
        desk = self._desks.get(name)
        if desk is None:
            reader = self._reader(name)
            desk = self._desks[name] = Desk(reader, self._manners)
        status = {
            EventKind.CARD_INSERTED: ReaderStatus.CARD,
            EventKind.CARD_MUTE: ReaderStatus.MUTE,
        }.get(event.kind, ReaderStatus.EMPTY)
        desk.info = desk.info.model_copy(
            update={"status": status, "atr": event.atr, "event_counter": event.event_counter or 0}
        )

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
            raise PcscUnavailableError()
        if desk is None:
            names = "、".join(self._desks) or "—"
            raise ReaderNotFoundError(f"没有读卡器“{name}”；现有：{names}", f"no reader {name!r}; there are: {names}")
        return desk

    def listing(self) -> ReaderList:
        """What is in every reader, and what keeps others from being listed."""
        problems: Sequence[Problem] = [Problem.of(PcscUnavailableError())] if self._service_down else []
        return ReaderList(readers=tuple(desk.info for desk in self._desks.values()), problems=tuple(problems))

    @property
    def service_down(self) -> bool:
        return self._service_down

    def close(self) -> None:
        for desk in self._desks.values():
            desk.close()
        self._desks.clear()
