"""The functions that hold the card in a reader for the time of a piece of work, or read it in one call."""

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
from cardio.security.outcome import reporting_outcome

_RESETS_ENDURED = 2

Result = TypeVar("Result")


def on_card(
    reader: Reader,
    work: Callable[[SocialSecurityCard], Result],
    *,
    capabilities: CapabilityCache | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    credentials: Credentials | None = None,
    seconds: float = WHOLE_CARD_SECONDS,
    worker: Worker | None = None,
    repeat: bool = True,
    confirm: Confirm | None = None,
    watch: CommandWatch | None = None,
) -> Result:
    """Connect, do a piece of work with the card, and release it.

    Work that another program's reset interrupts is started again. It is not if ``repeat`` is off, or if a PIN or a key
    was presented: a change of the card is never made twice, and nothing is presented again automatically.

    The work is done on another thread, so that a reader that hangs costs at most ``seconds``.

    Args:
        reader: the reader with the card.
        work: the work; its result is returned.
        capabilities: the store of learnt capabilities.
        trace: receives every exchange with the card.
        layouts: the layouts to choose from.
        credentials: a SAM and a PIN.
        seconds: the time limit of connecting and working.
        worker: the thread to use; without it the call has one of its own.
        repeat: start again after a reset.
        confirm: called with the mark of the card before any data of its holder is read; an error that it raises ends
            the work.
        watch: limits each command, and shows other threads which command was sent.

    Raises:
        ReaderBusyError: another program did not release the card in time.
        ReaderTimeoutError: the card or the reader took too long; nothing was spent or changed.
        PinOutcomeUnknownError, WriteOutcomeUnknownError: the work ended while it is not known what the card has done.
        CardioError: an error of the work or of `Reader.connect`.
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
                capabilities=capabilities,
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
                    raise  # a PIN, or a key, is not presented again automatically
        return attempt()

    mine = worker or Worker()
    try:
        with reporting_outcome(watch):
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
    capabilities: CapabilityCache | None = None,
    seconds: float = OPERATION_SECONDS,
) -> Reader:
    """Return the reader whose card is meant, where the caller names none: see `cardio.readers.card_choice`.

    If several readers have a card, each card is asked for its kind: three commands for a known family.

    Args:
        readers: the readers of this machine.
        policy: the site's rules for choosing.
        preference: the reader that is preferred.
        capabilities: the store of learnt capabilities.
        seconds: the time limit for each of those cards.

    Raises:
        NoReaderError, NoCardError, SeveralCardsError: as for `choose_card`.
        CardioError: a card beside another could not be asked.
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
                on_card(by_name[name], lambda card: card.layout, capabilities=capabilities, seconds=seconds)
            except NotASocialSecurityCardError:
                ours = False
            except CardioError as error:
                fault = error
            slots[name] = replace(slots[name], ours=ours if fault is None else None, fault=fault)


def _slot(reader: Reader) -> CardSlot:
    info = reader.info()
    occupied = info.status not in (ReaderStatus.EMPTY, ReaderStatus.UNAVAILABLE)
    # A card that another program holds exclusively cannot be read here, so another card is preferred.
    ours = False if info.status is ReaderStatus.IN_USE else None
    return CardSlot(reader.name, occupied, bytes.fromhex(info.atr or ""), ours, simulated=info.simulated)


def read_card(
    reader: Reader,
    *,
    supplement: bool = True,
    capabilities: CapabilityCache | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    credentials: Credentials | None = None,
    today: date | None = None,
    seconds: float = OPERATION_SECONDS,
    worker: Worker | None = None,
) -> CardReading:
    """Return who the card in a reader belongs to: `SocialSecurityCard.read` within `on_card`.

    If the card hangs while the supplement is read, the result has EF05 and EF06.

    Raises:
        CardioError: an error of one of the two.
    """
    cards: list[SocialSecurityCard] = []

    def read(card: SocialSecurityCard) -> CardReading:
        cards.append(card)
        return card.read(supplement=supplement, today=today)

    try:
        return on_card(
            reader,
            read,
            capabilities=capabilities,
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
