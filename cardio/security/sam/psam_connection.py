"""The connection to a PSAM card that other programs use too: it starts from a known selection, and serves one card
only.

Another program's selection stays after it has ended, and the card may be reset or replaced between two uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cardio.apdu.channel import Channel
from cardio.apdu.command import CommandApdu
from cardio.apdu.command_watch import COMMAND_SECONDS, CommandWatch
from cardio.apdu.response import ResponseApdu
from cardio.apdu.trace import Trace
from cardio.errors import CardChangedError, CardError, CardResetError, ReaderError, ReaderTimeoutError
from cardio.readers.base import Connection, Reader
from cardio.readers.worker import Worker
from cardio.security.errors import NoSamError, SamError, SamFailedError

CONNECT_SECONDS = 3.0
"""The time that a slot may keep a caller waiting, in seconds: another program may hold it without end."""
_SECONDS = 20.0
_SELECTED = (0x90, 0x61)
"""SW1 of a successful SELECT, with its FCI fetched or not."""
_GONE = frozenset({"card-removed", "card-changed", "no-card", "reader-gone", "card-mute", "pcsc-unavailable"})
"""The errors after which the card in the slot must be taken for another one than at `connect`."""
_FAILED = frozenset({"reader-timeout", "card-garbled", "card-mute", "card-reset"})
"""The errors of a card that is in the slot."""

Result = TypeVar("Result")


class PsamConnection:
    """One PSAM card in its slot. Its errors are SamErrors: they say nothing about the card at the counter."""

    def __init__(self, reader: Reader, trace: Trace | None = None) -> None:
        """Power the card and hold it.

        Raises:
            NoSamError, SamFailedError: the slot, or the card in it, is not available.
        """
        self._reader = reader
        self._trace = trace
        self._lost: SamError | None = None
        """The reason why the card cannot be used any more: the card of `connect` was removed, or it hangs."""
        self._worker = Worker()
        """The thread that sends each command: a PSAM card that hangs costs its caller only one command's time."""
        self._hangs = False
        self._connection: Connection = self.guarded(reader.connect)
        self._event_counter = self.guarded(self._count_or_close)

    def _count_or_close(self) -> int:
        try:
            return self._connection.event_counter()
        except (CardError, ReaderError):
            self._connection.close()
            raise

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    @property
    def simulated(self) -> bool:
        return self._reader.simulated

    def close(self) -> None:
        self._worker.close()
        if not self._hangs:  # else the thread that hangs closes the connection when it returns
            self._connection.close()

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """Send one command, within `guarded` or `from_known_place`."""
        # Each command has a channel of its own, because the deadline starts when the channel is created.
        watch = CommandWatch(COMMAND_SECONDS)
        channel = Channel(self._connection, trace=self._trace, seconds=_SECONDS, watch=watch)
        try:
            return self._worker.run_watched(
                _SECONDS, lambda: channel.transmit(command), watch, if_given_up=self._connection.close
            )
        except ReaderTimeoutError:
            self._hangs = not self._worker.has_thread
            raise

    def select(self, ways: Iterable[CommandApdu]) -> bool:
        """Return True if the card accepts one of these SELECTs."""
        return any(self.transmit(way).sw1 in _SELECTED for way in ways)

    def guarded(self, work: Callable[[], Result]) -> Result:
        """Run a piece of work with the card.

        Raises:
            SamError: its reader or the card failed.
        """
        try:
            return work()
        except (CardError, ReaderError) as error:
            fault = _fault_of(error)
            if error.code in _GONE or self._hangs:
                self._lost = fault
            raise fault from error

    def require_same_card(self) -> None:
        """Check that the card in the slot is the one of `connect`.

        Raises:
            SamError: it was removed; another card's data must not be used in its place.
        """
        if self._lost is not None:
            raise self._lost
        self.guarded(self._compare)

    def from_known_place(self, work: Callable[[], Result]) -> Result:
        """Run a piece of work that begins with a SELECT; run it once more if another program has reset the card.

        Raises:
            SamError: as for `guarded` and `require_same_card`.
        """
        self.require_same_card()

        def try_twice() -> Result:
            try:
                return work()
            except CardResetError:
                self._connect_again()
                return work()

        return self.guarded(try_twice)

    def _compare(self) -> None:
        if self._connection.event_counter() != self._event_counter:
            raise CardChangedError("PSAM 卡已被取出或更换", "the PSAM card was taken out, or replaced")

    def _connect_again(self) -> None:
        """Connect again after a reset by another program. If it is the same card, only its state was lost."""
        self._connection.close()
        granted: list[Connection] = []

        def connect() -> Connection:
            granted.append(self._reader.connect())
            return granted[0]

        try:
            with Worker() as worker:
                self._connection = worker.run_within(
                    CONNECT_SECONDS, connect, if_given_up=lambda: granted[0].close() if granted else None
                )
        except (CardError, ReaderError) as error:
            self._lost = _fault_of(error)
            raise
        self._compare()


def _fault_of(error: CardError | ReaderError) -> SamError:
    kind = SamFailedError if error.code in _FAILED else NoSamError
    return kind(f"PSAM 卡槽：{error.detail}", f"PSAM slot: {error.detail_en}", hresult=error.hresult)
