"""The basic reading of a card: the answer for the caller, and the events for all followers of the reader."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cardio.card.social_security_card import OPERATION_SECONDS, SocialSecurityCard
from cardio.errors import CardioError, ReaderTimeoutError
from cardio.models.problem import Problem
from cardio.models.reading import CardReading
from cardio.security.credentials import Credentials
from service.audit.recorder import CardUse
from service.events.hub import CARD_READ, READ_FINISHED
from service.gate.context import RequestContext
from service.readers.managed_reader import ManagedReader


async def read_basic(
    reader: ManagedReader,
    context: RequestContext,
    *,
    supplement: bool,
    credentials: Credentials | None = None,
    fresh: bool = True,
) -> ReadAnswer:
    """Read the basic information of the card in a reader, within the time limit of one reading, waiting included.

    Followers of the events get the basic information as soon as it is read, and the end of the reading.

    Args:
        reader: the reader with the card.
        context: the caller's request.
        supplement: True to read also what DF01 adds.
        credentials: the keys and the PIN that open closed files.
        fresh: True to ask the card even if nothing says that it has changed since it was read.

    Raises:
        CardioError: the errors of `ManagedReader.run`.
    """
    if not fresh:
        reader.check(context)
        found = reader.memory.find(reader.card_session, supplement=supplement)
        if found is not None and await reader.is_unchanged():
            reader.audit.note_remembered(context, reader.reader.name, found.card_session, found.reading.proof)
            return ReadAnswer(found.reading, found.card_session, found.read_at)
    return await _BasicReading(reader, supplement=supplement).run(context, credentials)


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """A reading with the data that its answer carries."""

    reading: CardReading
    card_session: str | None
    """None for a card so new that it has no session yet."""
    read_at: datetime


class _BasicReading:
    """One reading of a card."""

    def __init__(self, reader: ManagedReader, *, supplement: bool) -> None:
        self._reader = reader
        self._supplement = supplement
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._use = CardUse()

    async def run(self, context: RequestContext, credentials: Credentials | None) -> ReadAnswer:
        asked_of = self._reader.card_session
        uses = self._reader.memory.uses + 1
        try:
            reading, session = await self._reader.run(
                self._read, context, seconds=OPERATION_SECONDS, credentials=credentials, card_use=self._use
            )
        except CardioError as error:
            cut_short = self._cut_short() if isinstance(error, ReaderTimeoutError) else None
            if cut_short is None:
                # The card may have left, and the next one may be inserted: this was not the next one's reading.
                failed = asked_of if self._use.card is None else self._reader.session_of(self._use)
                self._publish_end(error.code, None, failed, Problem.of(error))
                raise
            reading, session = cut_short, self._reader.session_of(self._use)
        else:
            cut_short = None
        answer = ReadAnswer(reading, session, datetime.now(UTC))
        if cut_short is None and session is not None and session == self._reader.card_session:
            self._reader.memory.keep(reading, session, supplement=self._supplement, uses=uses, read_at=answer.read_at)
        self._publish_end("ok", reading, session)
        return answer

    def _read(self, card: SocialSecurityCard) -> CardReading:
        """Read the card; runs on the card's thread."""
        counter = self._use.event_counter

        def publish(basic: CardReading) -> None:
            self._loop.call_soon_threadsafe(self._publish_basic, basic, counter)

        return card.read(supplement=self._supplement, on_basic=publish if self._supplement else None)

    def _cut_short(self) -> CardReading | None:
        """Return the part that was read before the card stopped answering in its supplement.

        Returns:
            None if the card has left.
        """
        card = self._use.card
        still_in = card is not None and self._use.event_counter == self._reader.info.event_counter
        return card.reading_cut_short() if still_in and card is not None else None

    def _publish_basic(self, reading: CardReading, counter: int | None) -> None:
        # A card may be read before the watcher has reported it. Events about it are sent only after that report.
        session = self._reader.session_at(counter)
        if session is not None:
            name = self._reader.reader.name
            data = {"reader": name, "card_session": session}
            self._reader.hub.publish(CARD_READ, data, subject=name, reading=reading)

    def _publish_end(
        self, outcome: str, reading: CardReading | None, session: str | None, problem: Problem | None = None
    ) -> None:
        name = self._reader.reader.name
        data = {
            "reader": name,
            "card_session": session,
            "outcome": outcome,
            "milliseconds": round((time.monotonic() - self._started) * 1000),
        }
        still_in = session is not None and session == self._reader.card_session
        kept = reading if still_in else None
        self._reader.hub.publish(READ_FINISHED, data, subject=name, reading=kept, problem=problem)
