"""The social security card: the object that most people use.

>>> from cardio import read_card                                     # doctest: +SKIP
>>> reading = read_card(reader)                                      # doctest: +SKIP
>>> reading.holder.name                                              # doctest: +SKIP
'测试甲'
"""

from __future__ import annotations

import threading
import time
from datetime import date
from typing import Self

from cardio.answer import make_reading
from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.trace import Trace
from cardio.errors import CardResetError, ReaderBusyError, ReaderTimeoutError
from cardio.filesystem import plan
from cardio.filesystem.manners import MannersStore, family_of
from cardio.model import CardReading
from cardio.readers.base import Connection, Reader
from cardio.readers.deadline import Worker

OPERATION_SECONDS = 9.0
"""How long one reading may take in all; people are told within ten seconds."""
_RESETS_ENDURED = 2


class SocialSecurityCard:
    """A card in a reader, held until closed: use it in a ``with`` statement."""

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        *,
        manners: MannersStore | None = None,
        trace: Trace | None = None,
        seconds: float = OPERATION_SECONDS,
    ) -> None:
        """Args: ``manners`` remembers what kinds of cards allow; by default in the user's cache directory."""
        self._connection = connection
        self._reader = reader
        self._store = MannersStore.in_cache() if manners is None else manners
        self._channel = Channel(connection, trace=trace, seconds=seconds)

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    @property
    def counts(self) -> Counts:
        """What has been sent to the card so far."""
        return self._channel.counts

    def read(self, *, supplement: bool = True, today: date | None = None) -> CardReading:
        """Who the card belongs to, with the card's own data.

        Args:
            supplement: also ask for residence, registration and nationality (DF01), where the card may give them.
            today: the day that age and validity are counted from.

        Raises:
            NotASocialSecurityCardError: it is some other card.
            CardBlockedError: it is blocked.
            CardGarbledError: its answers make no sense.
            CardRemovedError: it was pulled out on the way; nothing is returned then.
        """
        today = today or date.today()
        family = family_of(self.atr)
        manners = self._store.load(family, today)
        contents = self._channel.run(
            plan.read_card(
                manners,
                supplement=supplement,
                t1=self._connection.protocol is TransmissionProtocol.T1,
            )
        )
        self._store.save(family, manners)
        return make_reading(
            contents,
            reader=self._reader.name,
            simulated=self._reader.simulated,
            atr=self.atr,
            today=today,
        )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_card(
    reader: Reader,
    *,
    supplement: bool = True,
    manners: MannersStore | None = None,
    trace: Trace | None = None,
    today: date | None = None,
    seconds: float = OPERATION_SECONDS,
    worker: Worker | None = None,
) -> CardReading:
    """Connects, reads who the card belongs to, and lets the card go.

    A reading that another program's reset interrupts is begun again, since it changes nothing on the card.

    The work is done on another thread, so that a reader that hangs costs ``seconds`` and no more: that of ``worker``,
    or one of its own.

    Raises:
        ReaderBusyError: another program did not let go of the card in time.
        ReaderTimeoutError: the card or the reader took too long.
        CardioError: as `SocialSecurityCard.read` and `Reader.connect` say.
    """
    deadline = time.monotonic() + seconds
    connected = threading.Event()

    def attempt() -> CardReading:
        connection = reader.connect()
        connected.set()
        left = deadline - time.monotonic()
        with SocialSecurityCard(connection, reader, manners=manners, trace=trace, seconds=left) as card:
            return card.read(supplement=supplement, today=today)

    def attempts() -> CardReading:
        for _ in range(_RESETS_ENDURED):
            try:
                return attempt()
            except CardResetError:
                continue
        return attempt()

    mine = worker or Worker()
    try:
        return mine.run_within(seconds, attempts)
    except ReaderTimeoutError as error:
        if connected.is_set():
            raise
        raise ReaderBusyError() from error
    finally:
        if worker is None:
            mine.close()
