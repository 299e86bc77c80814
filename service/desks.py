"""Desks: one for each reader, with a thread of its own, so that a slow card holds up nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from cardio.card import OPERATION_SECONDS, WHOLE_CARD_SECONDS, SocialSecurityCard
from cardio.errors import PcscUnavailableError, ReaderBusyError, ReaderError, ReaderNotFoundError
from cardio.filesystem.layout_choice import NATIONAL, LayoutChoice
from cardio.filesystem.manners import MannersStore
from cardio.holding import on_card
from cardio.model import CardReading, EventKind, Problem, ReaderEvent, ReaderInfo, ReaderStatus
from cardio.readers.base import Reader, ReaderSource
from cardio.readers.deadline import Worker
from cardio.security.credentials import Credentials
from service.answers import ReaderList

Result = TypeVar("Result")
_LEAST_SECONDS = 0.5
QUEUE_LIMIT = 4
"""Readings that may wait at one reader; the next is told that the reader is busy."""


class StoppingError(ReaderError):
    code = "stopping"
    title = "读卡服务正在停止"
    title_en = "The card service is stopping"
    remedy = "请在服务重新启动后再读。"
    remedy_en = "Read again when the service has started again."


class _Line:
    """The thread of a desk, the worker it reads with, and those who wait for it."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"desk-{name}")
        self.worker = Worker()
        self.waiting = 0

    def close(self) -> None:
        """Those who wait are still served."""
        self.thread.submit(self.worker.close)
        self.thread.shutdown(wait=False)


class Desk:
    """One reader: what is in it, and the thread that reads it."""

    def __init__(
        self, reader: Reader, manners: MannersStore, layouts: LayoutChoice, stopping: asyncio.Future[None]
    ) -> None:
        self.reader = reader
        self._manners = manners
        self._layouts = layouts
        self._stopping = stopping
        self._line = _Line(reader.name)
        self.info = ReaderInfo(
            name=reader.name, simulated=reader.simulated, status=ReaderStatus.EMPTY, atr=None, event_counter=0
        )

    async def read(self, *, supplement: bool, credentials: Credentials | None = None) -> CardReading:
        """Who the card in the reader belongs to, within the time of one reading, waiting included.

        Raises:
            CardioError: as `do` says.
        """
        return await self.do(
            lambda card: card.read(supplement=supplement), seconds=OPERATION_SECONDS, credentials=credentials
        )

    async def do(
        self,
        work: Callable[[SocialSecurityCard], Result],
        *,
        seconds: float = WHOLE_CARD_SECONDS,
        credentials: Credentials | None = None,
        repeat: bool = True,
    ) -> Result:
        """Does something with the card in the reader, within so many seconds, waiting included.

        Args:
            credentials: what closed files are opened with.
            repeat: after another program's reset, begin again; never for what changes the card or sends a PIN.

        Raises:
            ReaderBusyError: too many are waiting already, or those before took all the time.
            StoppingError: the service stops.
            CardioError: as `cardio.holding.on_card` says.
        """
        line = self._line
        if line.waiting >= QUEUE_LIMIT:
            raise ReaderBusyError("读卡请求过多，请稍候", "too many readings are waiting at this reader")
        line.waiting += 1
        try:
            deadline = time.monotonic() + seconds

            def attempt() -> Result:
                return self._do(line.worker, work, deadline, credentials, repeat)

            reading = asyncio.wrap_future(line.thread.submit(attempt))
            ends: set[asyncio.Future[Any]] = {reading, self._stopping}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                raise StoppingError()
            return reading.result()
        finally:
            line.waiting -= 1

    def _do(
        self,
        worker: Worker,
        work: Callable[[SocialSecurityCard], Result],
        deadline: float,
        credentials: Credentials | None,
        repeat: bool,
    ) -> Result:
        left = deadline - time.monotonic()
        if left < _LEAST_SECONDS:
            raise ReaderBusyError("前面的读卡占用了读卡器，请重试", "the readings before took all the time")
        return on_card(
            self.reader,
            work,
            manners=self._manners,
            layouts=self._layouts,
            credentials=credentials,
            seconds=left,
            worker=worker,
            repeat=repeat,
        )

    def renew(self) -> None:
        """Another card, another thread: one that hangs with the last card holds up nobody."""
        if self._line.waiting:
            self._line.close()
            self._line = _Line(self.reader.name)

    def close(self) -> None:
        """Those who wait are answered by the reader itself: it has gone."""
        self._line.close()


class Desks:
    """All readers, kept up to date by the watchers' events. Everything here runs on the event loop."""

    def __init__(
        self, sources: Iterable[ReaderSource], manners: MannersStore, layouts: LayoutChoice = NATIONAL
    ) -> None:
        self._sources = list(sources)
        self._manners = manners
        self._layouts = layouts
        self._desks: dict[str, Desk] = {}
        self._service_down = False
        self._stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Answers everybody who waits at a desk: the service stops."""
        if not self._stopping.done():
            self._stopping.set_result(None)

    def take(self, event: ReaderEvent) -> None:
        """Brings the desks up to date with one event."""
        match event.kind:
            case EventKind.SERVICE_DOWN | EventKind.SERVICE_UP:
                self._service_down = event.kind is EventKind.SERVICE_DOWN
            case EventKind.READER_REMOVED:
                gone = self._desks.pop(event.reader or "", None)
                if gone is not None:
                    gone.close()
            case _ if event.reader is not None:
                self._update(event.reader, event)

    def _update(self, name: str, event: ReaderEvent) -> None:
        desk = self._desks.get(name)
        if desk is None:
            reader = self._reader(name)
            desk = self._desks[name] = Desk(reader, self._manners, self._layouts, self._stopping)
        if event.kind in (EventKind.CARD_INSERTED, EventKind.CARD_REMOVED, EventKind.CARD_MUTE):
            desk.renew()
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
            names = list(self._desks)
            raise ReaderNotFoundError(
                f"没有读卡器“{name}”；现有：{'、'.join(names) or '—'}",
                f"no reader {name!r}; there are: {', '.join(names) or '-'}",
            )
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
