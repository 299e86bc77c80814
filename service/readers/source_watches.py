"""The watches over all sources of readers. A watch that fails is restarted and does not affect other sources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from cardio.models.readers import ReaderEvent
from cardio.readers.base import ReaderSource, Watch
from cardio.readers.supervision import Supervisor

EventHandler = Callable[[ReaderEvent, ReaderSource], None]


class SourceWatches:
    """The watches over the sources. They run on the event loop."""

    def __init__(
        self,
        sources: Sequence[ReaderSource],
        handle: EventHandler,
        forget: Callable[[ReaderSource], None],
        supervisor: Supervisor,
    ) -> None:
        """Prepare the watches.

        Args:
            sources: the sources of readers.
            handle: the function for every event, with the source that it comes from.
            forget: the function that is called when the watch of a source has ended; a new watch reports all its
                readers again.
            supervisor: the supervisor that restarts a failed watch.
        """
        self._sources = sources
        self._handle = handle
        self._forget = forget
        self._supervisor = supervisor
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all watches; return when each source has reported its readers, or has failed."""
        tried = []
        for number, source in enumerate(self._sources):
            first_try = asyncio.Event()
            tried.append(first_try.wait())
            name = f"watch-{number}-{type(source).__name__}"
            self._tasks.append(asyncio.create_task(self._keep(name, source, first_try)))
        await asyncio.gather(*tried)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, name: str, source: ReaderSource, tried: asyncio.Event) -> None:
        async def watch() -> None:
            try:
                await self._watch(name, source, tried)
            finally:
                tried.set()

        await self._supervisor.keep_task(name, watch)

    async def _watch(self, name: str, source: ReaderSource, tried: asyncio.Event) -> None:
        """Watch one source until this is cancelled.

        Raises:
            Exception: an event could not be handled.
        """
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()

        def handle(event: ReaderEvent) -> None:
            if failed.done():
                return
            try:
                self._handle(event, source)
            except Exception as error:  # the known state is wrong now: the source must report everything again
                failed.set_exception(error)

        def emit(event: ReaderEvent) -> None:
            loop.call_soon_threadsafe(handle, event)

        watching: Watch | None = None
        try:
            watching = source.watch(emit)
            loop.call_soon(tried.set)  # after the events that were reported already
            await failed
        finally:
            failed.cancel()  # later events of a failed watch are ignored
            if watching is not None:
                with self._supervisor.guard(name):
                    await loop.run_in_executor(None, watching.stop)
            with self._supervisor.guard(name):
                self._forget(source)
