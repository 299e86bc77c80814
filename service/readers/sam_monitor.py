"""The state of the PSAM card and the HSM: checked from time to time, and published when it changes. No key is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

from cardio.errors import ReaderNotFoundError
from cardio.models.base import FrozenModel
from cardio.readers.base import choose_name
from service.events.hub import EventHub
from service.readers.registry import ReaderRegistry

SECONDS = 30.0
_LINE_SECONDS = 3.0


class SamState(FrozenModel):
    """The state ``none`` if none is configured, else ``up``, ``down``, or ``unknown`` before the first check."""

    state: Literal["none", "unknown", "up", "down"]
    place: str | None = None


class SamWatch:
    """The watch over the PSAM card and the HSM. It runs on the event loop."""

    def __init__(self, places: Sequence[str], registry: ReaderRegistry, hub: EventHub) -> None:
        """Prepare the watch.

        Args:
            places: the places of the settings: ``psam:READER``, ``hsm:URL``.
            desks: the readers of the bridge.
            hub: the hub of the events.
        """
        self._places: dict[str, list[str]] = {}
        for place in filter(None, places):
            kind, _, where = place.partition(":")
            self._places.setdefault(kind, []).append(where)
        self._registry = registry
        self._hub = hub
        self.states = {
            kind: SamState(state="unknown" if kind in self._places else "none", place=self._shown(kind))
            for kind in ("psam", "hsm")
        }

    async def run(self) -> None:
        """Check the states again and again until the task is cancelled."""
        if not {"psam", "hsm"} & self._places.keys():
            return
        while True:
            try:
                await self.check()
            except Exception:  # any error: the last known state is not valid any more
                self._forget()
                raise
            await asyncio.sleep(SECONDS)

    def _forget(self) -> None:
        for kind in self._places.keys() & self.states.keys():
            self.states[kind] = SamState(state="unknown", place=self._shown(kind))

    async def check(self) -> None:
        if "psam" in self._places:
            self._note("psam", up=any(map(self._has_psam, self._places["psam"])))
        if "hsm" in self._places:
            self._note("hsm", up=any([await _answers(url) for url in self._places["hsm"]]))

    def check_psam(self) -> None:
        """Check the PSAM again, because a reader has changed and may be the PSAM's."""
        if "psam" in self._places:
            self._note("psam", up=any(map(self._has_psam, self._places["psam"])))

    def _has_psam(self, wanted: str) -> bool:
        """Return True if the reader that would be used for the PSAM has a card."""
        by_name = {
            managed.reader.name: managed
            for managed in self._registry.all()
            if not (wanted.isdecimal() and managed.info.simulated)
        }
        occupied = {name for name, managed in by_name.items() if managed.card_session is not None}
        try:
            return choose_name(list(by_name), wanted, occupied.__contains__) in occupied
        except ReaderNotFoundError:  # AmbiguousReaderError too
            return False

    def _note(self, kind: str, *, up: bool) -> None:
        state = "up" if up else "down"
        if self.states[kind].state != state:
            self.states[kind] = SamState(state=state, place=self._shown(kind))
            self._hub.publish(f"sam-{state}", {"kind": kind, "place": self._shown(kind)})

    def _shown(self, kind: str) -> str | None:
        """Return the places without anything secret that an address may contain: names, passwords, keys."""
        return ", ".join(map(_without_secrets, self._places.get(kind, []))) or None


def _without_secrets(place: str) -> str:
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


async def _answers(url: str) -> bool:
    """Return True if a service accepts connections at an HSM's address."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_LINE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
