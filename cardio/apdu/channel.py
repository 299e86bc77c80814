"""The channel: it sends commands, follows ``61xx`` and ``6Cxx`` within limits, counts, and traces."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol, TypeVar

from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.commands import get_response
from cardio.apdu.effect import CommandEffect
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.apdu.timing import t0_characters
from cardio.apdu.trace import Exchange, Trace, without_pin
from cardio.errors import CardGarbledError, ReaderTimeoutError, UsageError

GET_RESPONSE_LIMIT = 32
"""The limit of GET RESPONSE rounds after one command."""
NONSENSE_LIMIT = 8
"""The limit of malformed answers in one flow."""
DATA_LIMIT = 65536
"""The limit of data bytes after one command."""

_USUAL_AFTER = 3
"""The number of commands after which their usual duration on this line is known."""


class TransmissionProtocol(Enum):
    T0 = "T=0"
    T1 = "T=1"


class Transport(Protocol):
    """The interface that carries commands: a PC/SC connection, a software card, a transcript."""

    @property
    def protocol(self) -> TransmissionProtocol: ...

    def transmit(self, command: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of what the channel has sent so far."""

    commands: int = 0
    """The commands that crossed the wire, GET RESPONSE and repeats included."""
    characters: int = 0
    """The T=0 characters of those commands and their answers (see `cardio.apdu.timing`)."""
    refused: int = 0
    """The commands that the card answered with neither 9000, 61xx nor a warning."""


Result = TypeVar("Result")
Flow = Generator[CommandApdu, ResponseApdu, Result]
"""A command sequence without any transport: it yields commands, receives answers, and returns a result."""


class Channel:
    """The channel to one card."""

    def __init__(
        self,
        transport: Transport,
        *,
        trace: Trace | None = None,
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        watch: CommandWatch | None = None,
    ) -> None:
        """Set up; the time starts now.

        Args:
            transport: carries the commands.
            trace: receives every exchange.
            seconds: the time limit of all commands together.
            clock: the clock that the seconds are counted by.
            watch: called for every command, for a thread that may have to give the work up.
        """
        self.watch = watch or CommandWatch()
        self._transport = transport
        self._trace = trace
        self._clock = clock
        self._deadline = clock() + seconds
        self._commands = self._characters = self._refused = 0
        self._spent = 0.0
        """The seconds that the commands so far have taken."""

    @property
    def counts(self) -> Counts:
        return Counts(self._commands, self._characters, self._refused)

    def run(self, plan: Flow[Result]) -> Result:
        """Run a flow to its end and return its result.

        A malformed answer is thrown into the flow, which may continue with another command. A card that gives too many
        malformed answers ends the flow.
        """
        nonsense = 0
        try:
            command = next(plan)
            while True:
                try:
                    response = self.transmit(command)
                except CardGarbledError as error:
                    nonsense += 1
                    if nonsense > NONSENSE_LIMIT:
                        raise
                    command = plan.throw(error)
                else:
                    command = plan.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            # A flow may hold something while it waits for an answer.
            plan.close()

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """Send one command and return the whole answer.

        More data (``61xx``) is fetched only for a command that expects data. ``6Cxx`` is followed once. A command that
        is marked `once` is never retried, and an error of its GET RESPONSE is not reported as its own status. A command
        whose effect the caller has set is not retried either: some cards carry it out and then correct Le.

        Raises:
            CardGarbledError: an answer is malformed, or never ends.
            ReaderTimeoutError: the channel's time is over, or the work was given up.
        """
        response = self._exchange(command)
        if response.sw1 == 0x6C and command.expected_length is not None and command.may_be_repeated:
            corrected = response.sw2 or SHORT_MAXIMUM
            if corrected == command.expected_length:
                raise CardGarbledError("卡片反复要求同一长度", "the card refuses the length that it asked for")
            response = self._exchange(command.with_expected_length(corrected))
            if response.sw1 == 0x6C:
                raise CardGarbledError("卡片不断更改长度", "the card keeps changing the length")
        if response.sw1 == 0x61 and command.expected_length is not None:
            fetched = self._fetch(response, command.effect)
            if command.once and fetched.status_word != StatusWord.SUCCESS:
                # The refusal is that of GET RESPONSE. The outcome of the command itself could not be fetched.
                raise CardGarbledError("卡片没有给出应答", "the card does not give its answer")
            return fetched
        return response

    def _fetch(self, response: ResponseApdu, effect: CommandEffect) -> ResponseApdu:
        """Send GET RESPONSE until nothing is left. One wrong length is corrected, and every round must bring data.

        Args:
            response: the answer that announces more data.
            effect: the effect of the command that is answered; without the answer the outcome of that command is not
                known.
        """
        data = bytearray(response.data)
        asked, corrected = response.sw2 or SHORT_MAXIMUM, False
        for _ in range(GET_RESPONSE_LIMIT):
            response = self._exchange(replace(get_response(asked), known_effect=effect), fetches=True)
            announced = response.sw2 or SHORT_MAXIMUM
            if response.sw1 == 0x6C and not corrected and announced != asked:
                asked, corrected = announced, True
                continue
            data += response.data
            if response.sw1 == 0x6C or len(data) > DATA_LIMIT or (not response.data and response.sw1 in (0x61, 0x90)):
                break
            if response.sw1 != 0x61:
                return ResponseApdu(bytes(data), response.status_word)
            asked = announced
        raise CardGarbledError("卡片持续返回数据，读取已中止", "the card's answer never ends")

    def _exchange(self, command: CommandApdu, *, fetches: bool = False) -> ResponseApdu:
        started = self._clock()
        # A command whose answer would probably be too late is not sent: so there is time to return what has been read.
        if started + self._usual_seconds() >= self._deadline:
            raise ReaderTimeoutError()
        raw_command = bytes(self._for_protocol(command))
        raw_response = self._watched(command, raw_command, fetches)
        seconds = self._clock() - started
        self._spent += seconds
        if self._trace is not None:
            self._trace(Exchange(without_pin(raw_command), raw_response, seconds))
        response = ResponseApdu.from_bytes(raw_response)
        if len(response.data) > DATA_LIMIT:
            raise CardGarbledError("卡片的应答过长", "the card's answer is longer than any command may ask for")
        self._commands += 1
        self._characters += t0_characters(len(command.data), len(response.data))
        self._refused += response.sw1 not in (0x90, 0x61, 0x62)
        return response

    def _watched(self, command: CommandApdu, raw_command: bytes, fetches: bool) -> bytes:
        raw_response: bytes | None = None
        self.watch.begin(command.effect, fetches=fetches)
        try:
            raw_response = self._transport.transmit(raw_command)
        finally:
            self.watch.end(raw_response)
        return raw_response

    def _usual_seconds(self) -> float:
        """Return the average duration of a command in seconds; 0 while there are too few commands."""
        return self._spent / self._commands if self._commands >= _USUAL_AFTER else 0.0

    def _for_protocol(self, command: CommandApdu) -> CommandApdu:
        """Return the command for the protocol. T=0 carries data in one direction only: a case 4 command is sent without
        Le (ISO 7816-3 §12.2).
        """
        if self._transport.protocol is not TransmissionProtocol.T0 or command.case != 4:
            return command
        if command.extended and len(command.data) >= SHORT_MAXIMUM:
            raise UsageError("T=0 不支持扩展长度命令", "T=0 does not carry commands of extended length")
        return replace(command, expected_length=None, extended=False)
