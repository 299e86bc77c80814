"""Holding the card in a reader for as long as a piece of work takes, and reading it in one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar

from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.trace import Trace
from cardio.card.social_security_card import OPERATION_SECONDS, WHOLE_CARD_SECONDS, Confirm, SocialSecurityCard
from cardio.errors import (
    CardioError,
    CardResetError,
    NotASocialSecurityCardError,
    ReaderBusyError,
    ReaderTimeoutError,
)
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.models.readers import ReaderStatus
from cardio.models.reading import CardReading
from cardio.readers.base import Reader, closing_on_error
from cardio.readers.card_choice import CardSlot, Preference, ReaderPolicy, choose_card
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from cardio.security.outcome import telling_outcome

_RESETS_ENDURED = 2

Result = TypeVar("Result")


def on_card(
    reader: Reader,
    work: Callable[[SocialSecurityCard], Result],
    *,
    manners: CapabilityCache | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    credentials: Credentials | None = None,
    seconds: float = WHOLE_CARD_SECONDS,
    worker: Worker | None = None,
    repeat: bool = True,
    confirm: Confirm | None = None,
    watch: CommandWatch | None = None,
) -> Result:
    """Connects, does something with the card, and lets it go.

    Work that another program's reset interrupts is begun again, unless ``repeat`` is off or a PIN or key was presented:
    what changes the card is never done twice, and nothing is presented again by itself.

    ``confirm`` is told which card it is before anything of its holder is read; what it raises ends the work.

    The work is done on another thread, so that a reader that hangs costs ``seconds`` and no more: that of ``worker``,
    or one of its own. ``watch`` limits each command, and knows for other threads what was begun.

    Raises:
        ReaderBusyError: another program did not let go of the card in time.
        ReaderTimeoutError: the card or the reader took too long; nothing was spent or changed.
        PinOutcomeUnknownError, WriteOutcomeUnknownError: the work ended where it is not known what the card has done.
        CardioError: as the work and `Reader.connect` say.
    """
    watch = watch or CommandWatch()
    deadline = time.monotonic() + seconds
    connected, presented = threading.Event(), threading.Event()

    def attempt() -> Result:
        connection = reader.connect()
        connected.set()
        left = deadline - time.monotonic()
        with closing_on_error(connection):
            held = SocialSecurityCard(
                connection,
                reader,
                manners=manners,
                trace=trace,
                layouts=layouts,
                credentials=credentials,
                seconds=left,
                confirm=confirm,
                watch=watch,
            )
        with held as card:
            try:
                return work(card)
            finally:
                if card.has_presented:
                    presented.set()

    def attempts() -> Result:
        for _ in range(_RESETS_ENDURED if repeat else 0):
            try:
                return attempt()
            except CardResetError:
                if presented.is_set():
                    raise  # a PIN, or a key, is not presented again by itself
        return attempt()

    mine = worker or Worker()
    try:
        with telling_outcome(watch):
            return mine.run_watched(seconds, attempts, watch)
    except ReaderTimeoutError as error:
        if connected.is_set():
            raise
        raise ReaderBusyError() from error
    finally:
        if worker is None:
            mine.close()


def find_card(
    readers: Sequence[Reader],
    policy: ReaderPolicy | None = None,
    preference: Preference | None = None,
    *,
    manners: CapabilityCache | None = None,
    seconds: float = OPERATION_SECONDS,
) -> Reader:
    """The reader whose card is meant, where nothing names one: see `cardio.readers.card_choice`.

    Where several readers have a card, each card is asked what it is: three commands on a family that is known.

    Args:
        seconds: how long each of those cards may take to say what it is.

    Raises:
        NoReaderError, NoCardError, SeveralCardsError: as `choose_card` says.
        CardioError: why a card beside another did not say what it is.
    """
    by_name = {reader.name: reader for reader in readers}
    slots = {name: _slot(reader) for name, reader in by_name.items()}
    while True:
        choice = choose_card(list(slots.values()), policy or ReaderPolicy(), preference)
        if choice.reader is not None:
            return by_name[choice.reader]
        for name in choice.ask:
            ours, fault = True, None
            try:
                on_card(by_name[name], lambda card: card.layout, manners=manners, seconds=seconds)
            except NotASocialSecurityCardError:
                ours = False
            except CardioError as error:
                fault = error
            slots[name] = replace(slots[name], ours=ours if fault is None else None, fault=fault)


def _slot(reader: Reader) -> CardSlot:
    info = reader.info()
    occupied = info.status not in (ReaderStatus.EMPTY, ReaderStatus.UNAVAILABLE)
    # A card that another program holds for itself cannot be read here: it gives way.
    ours = False if info.status is ReaderStatus.IN_USE else None
    return CardSlot(reader.name, occupied, bytes.fromhex(info.atr or ""), ours, simulated=info.simulated)


def read_card(
    reader: Reader,
    *,
    supplement: bool = True,
    manners: CapabilityCache | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    credentials: Credentials | None = None,
    today: date | None = None,
    seconds: float = OPERATION_SECONDS,
    worker: Worker | None = None,
) -> CardReading:
    """Return who the card in a reader belongs to: `SocialSecurityCard.read` by way of `on_card`.

    A card that hangs while the supplement is read has given EF05 and EF06: that is an answer.

    Raises:
        CardioError: as those two say.
    """
    cards: list[SocialSecurityCard] = []

    def read(card: SocialSecurityCard) -> CardReading:
        cards.append(card)
        return card.read(supplement=supplement, today=today)

    try:
        return on_card(
            reader,
            read,
            manners=manners,
            trace=trace,
            layouts=layouts,
            credentials=credentials,
            seconds=seconds,
            worker=worker,
        )
    except ReaderTimeoutError:
        reading = cards[-1].reading_cut_short(today=today) if cards else None
        if reading is None:
            raise
        return reading
