"""The in-process reader: software cards behind the protocol of PC/SC readers, without PC/SC."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cardio.apdu.channel import TransmissionProtocol
from cardio.errors import CardMuteError, CardRemovedError, NoCardError
from cardio.models.readers import EventKind, ReaderEvent, ReaderInfo, ReaderStatus
from cardio.readers.base import Emit, Reader, Watch
from simulators.card.base import AnyCard


class SoftwareConnection:
    """A card that one caller holds; the connection notices when the card is pulled."""

    def __init__(self, reader: SoftwareReader, card: AnyCard, event_counter: int, held: threading.Lock) -> None:
        self._reader = reader
        self._held: threading.Lock | None = held
        self._card = card
        self._event_counter = event_counter
        self.atr = card.atr
        self.protocol = TransmissionProtocol.T0

    def transmit(self, command: bytes) -> bytes:
        if self._reader.event_counter != self._event_counter:
            raise CardRemovedError()
        response = self._card.transmit(command)
        if self._reader.event_counter != self._event_counter:
            raise CardRemovedError()
        return response

    def event_counter(self) -> int:
        return self._reader.event_counter

    def keep_alive(self) -> None:
        if self._reader.event_counter != self._event_counter:
            raise CardRemovedError()

    def close(self, *, reset: bool = False) -> None:
        """Release the card; a second time does nothing, because another caller may hold it by then."""
        held, self._held = self._held, None
        if held is not None:
            if reset:
                self._card.reset()
            held.release()


class SoftwareReader:
    """One slot in this process."""

    simulated = True

    def __init__(self, name: str, card: AnyCard | None = None) -> None:
        self.name = name
        self.event_counter = 0
        self._card: AnyCard | None = None
        self._held = threading.Lock()
        """The lock of the caller that talks to the card.

        Every card has its own, so that a pulled card blocks no caller.
        """
        self._listeners: list[Emit] = []
        if card is not None:
            self.insert(card)

    def insert(self, card: AnyCard) -> None:
        """Insert a card; a card that is there is removed first."""
        if self._card is not None:
            self.remove()
        card.reset()
        self._held = threading.Lock()
        self._card = card
        self.event_counter += 1
        kind = EventKind.CARD_INSERTED if card.atr else EventKind.CARD_MUTE
        self._report(kind, card.atr)

    def remove(self) -> None:
        """Remove the card; without a card nothing happens."""
        if self._card is None:
            return
        self._card = None
        self.event_counter += 1
        self._report(EventKind.CARD_REMOVED, b"")

    @property
    def card(self) -> AnyCard | None:
        """Return the card in the slot; None if it is empty."""
        return self._card

    def info(self) -> ReaderInfo:
        card = self._card
        status = ReaderStatus.EMPTY if card is None else ReaderStatus.CARD if card.atr else ReaderStatus.MUTE
        return ReaderInfo(
            name=self.name,
            simulated=True,
            status=status,
            atr=card.atr.hex().upper() if card is not None and card.atr else None,
            event_counter=self.event_counter,
        )

    def connect(self) -> SoftwareConnection:
        held = self._held
        held.acquire()
        try:
            card, event_counter = self._card, self.event_counter
            if card is None:
                raise NoCardError()
            if not card.atr:
                raise CardMuteError()
            card.reset()
            return SoftwareConnection(self, card, event_counter, held)
        except BaseException:  # after any error the card is not held
            held.release()
            raise

    def listen(self, emit: Emit) -> None:
        """Report this reader and its card to a listener, then every change."""
        emit(self._event(EventKind.READER_ADDED, b""))
        card = self._card
        if card is not None:
            emit(self._event(EventKind.CARD_INSERTED if card.atr else EventKind.CARD_MUTE, card.atr))
        self._listeners.append(emit)

    def stop_listening(self, emit: Emit) -> None:
        self._listeners.remove(emit)

    def _report(self, kind: EventKind, atr: bytes) -> None:
        event = self._event(kind, atr)
        for emit in list(self._listeners):
            emit(event)

    def _event(self, kind: EventKind, atr: bytes) -> ReaderEvent:
        return ReaderEvent(
            kind=kind,
            reader=self.name,
            simulated=True,
            atr=atr.hex().upper() or None,
            event_counter=self.event_counter,
            time=datetime.now(UTC),
        )


class _SoftwareWatch:
    def __init__(self, readers: Iterable[SoftwareReader], emit: Emit) -> None:
        self._readers = list(readers)
        self._emit = emit
        for reader in self._readers:
            reader.listen(emit)

    def stop(self) -> None:
        for reader in self._readers:
            reader.stop_listening(self._emit)


class SoftwareReaders:
    """A set of software readers, as a source like PC/SC."""

    def __init__(self, readers: Iterable[SoftwareReader]) -> None:
        self._readers = list(readers)

    def readers(self) -> Sequence[Reader]:
        return list(self._readers)

    def reader(self, name: str) -> SoftwareReader | None:
        return next((reader for reader in self._readers if reader.name == name), None)

    def watch(self, emit: Emit) -> Watch:
        return _SoftwareWatch(self._readers, emit)
