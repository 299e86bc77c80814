"""Readings that ran out of time: the card's answers are kept, so that the next try starts where the last one ended.

On a slow line (a remote desktop, 0.6 s a command) one reading may be too short for EF05 and EF06. The answers are kept
in memory for one minute, never on a disk, and only for the card that gave them. The card counts as the same if the ATR
and the insertion are the same, and the record with the identification code (卡识别码), read again, is the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.errors import CardGarbledError

KEPT_SECONDS = 60.0
_SELECT, _READ_RECORD = 0xA4, 0xB2
_PRESENTS_NOTHING = frozenset({0x88, 0x84, 0xC0})
"""INTERNAL AUTHENTICATION, GET CHALLENGE, GET RESPONSE: they open no file."""
_ELEMENTARY_FILE = 0xEF
_IDENTIFICATION_CODE = 0x01
_ACCEPTED, _MORE_DATA, _WARNING = (0x90, 0x61), 0x61, 0x62
_ALL = 5
_BY_CONTENT = frozenset({0, 4, 5})
"""The modes of READ RECORD whose answer does not depend on the record that was read last."""
_LASTING = frozenset(
    {
        StatusWord.SUCCESS,
        StatusWord.WRONG_LENGTH,
        StatusWord.COMMAND_INCOMPATIBLE,
        StatusWord.NO_CURRENT_EF,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.FILE_NOT_FOUND,
        StatusWord.RECORD_NOT_FOUND,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
    }
)
"""The answers that a card gives again to the same command. "The file is closed" is not among them."""

Result = TypeVar("Result")
_Key = tuple[bytes, bytes]
"""The selected application or EF, and the command."""


@dataclass(slots=True, repr=False)
class KeptAnswers:
    """The answers of one card to SELECT and READ RECORD in its environment."""

    answers: dict[_Key, ResponseApdu] = field(default_factory=dict)
    grown: int = 0
    """The number of answers that the last try has added."""


def resuming(plan: Flow[Result], kept: KeptAnswers, *, t1: bool = False) -> Flow[Result]:
    """Run a flow, and answer commands in place of the card where its answer of an earlier try is known.

    A kept record is used only after the card has given the record with its identification code once more. A file is
    selected only where something has to be read from it. With T=0 an FCI is not fetched a second time.

    Args:
        plan: the flow to run.
        kept: the answers of the earlier try; the new ones are added.
        t1: the card speaks T=1.
    """
    before, place = dict(kept.answers), _Place()
    kept.answers, kept.grown = {}, 0
    same_card = False
    try:
        command = next(plan)
        while True:
            key = place.key(command)
            known = None if key is None else before.get(key) or before.get(_of_any_length(key))
            if known is not None and place.may_answer(command, known, same_card=same_card):
                response = known
                place.note_skipped_selection(command, response)
            else:
                fci_known = known is not None and command.ins == _SELECT and not t1
                try:
                    if place.owed is not None and place.reads_current_file(command):
                        yield place.owed
                        place.owed = None
                    response = yield replace(command, expected_length=None) if fci_known else command
                except CardGarbledError as error:
                    command = plan.throw(error)
                    continue
                if fci_known and known is not None and response.sw1 in _ACCEPTED:
                    response = known
                if known is not None and _identifies_card(response):
                    same_card = known == response
                    before = before if same_card else {}
                if known is None and key is not None and place.is_lasting(response):
                    kept.grown += 1
                place.sent(command)
            if key is not None and place.is_lasting(response):
                kept.answers[key] = response
                if _is_one_record(command, response):
                    kept.answers[_of_any_length(key)] = response
            place.follow(command, response)
            command = plan.send(response)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        plan.close()
        kept.answers = before | kept.answers


def _identifies_card(response: ResponseApdu) -> bool:
    """Return True if an answer begins with the record of an identification code that is not blank."""
    data = response.data
    return len(data) > 2 and data[0] == _IDENTIFICATION_CODE and len(set(data[2 : 2 + data[1]])) > 1


def _is_one_record(command: CommandApdu, response: ResponseApdu) -> bool:
    """Return True if an answer is one whole record, so that another requested length would return the same."""
    data = response.data
    return command.ins == _READ_RECORD and command.p2 & 0x07 != _ALL and len(data) > 1 and len(data) == 2 + data[1]


def _of_any_length(key: _Key) -> _Key:
    return key[0], key[1][:4]


class _Place:
    """The card's current application and file, and whether the application is the one that was selected first."""

    def __init__(self) -> None:
        self._environment: bytes | None = None
        self._application = b""
        self._file = b""
        self._free = True
        """True while no key and no PIN was presented: then every file that is read is free."""
        self.owed: CommandApdu | None = None
        """The selection of a file that the flow believes to be made, and that was not sent."""

    def key(self, command: CommandApdu) -> _Key | None:
        """Return the key under which an answer is kept; None for a command that must go to the card."""
        if not self._free or (self._environment is not None and self._application != self._environment):
            return None
        if command.ins == _READ_RECORD and command.p2 & 0x07 in _BY_CONTENT:
            return self._file if self.reads_current_file(command) else b"", bytes(command)
        return (self._application, bytes(command)) if command.ins == _SELECT else None

    @staticmethod
    def may_answer(command: CommandApdu, known: ResponseApdu, *, same_card: bool) -> bool:
        """Return True if a kept answer may be used in place of the card's own."""
        if command.ins == _SELECT:
            return _selects_file(command)
        return same_card or not known.data

    @staticmethod
    def is_lasting(response: ResponseApdu) -> bool:
        warning = response.sw1 == _WARNING and bool(response.data)
        return response.status_word in _LASTING or response.sw1 == _MORE_DATA or warning

    @staticmethod
    def reads_current_file(command: CommandApdu) -> bool:
        return command.ins == _READ_RECORD and not command.p2 >> 3

    def note_skipped_selection(self, command: CommandApdu, response: ResponseApdu) -> None:
        """Note that a selection was answered without the card."""
        if command.ins == _SELECT and response.sw1 in _ACCEPTED:
            self.owed = command

    def sent(self, command: CommandApdu) -> None:
        """Note that a command was sent to the card."""
        if command.ins == _SELECT:
            self.owed = None

    def follow(self, command: CommandApdu, response: ResponseApdu) -> None:
        """Note the card's position after a command, or the position it would have if the command had been sent."""
        if command.ins == _READ_RECORD:
            if self._environment is None:
                self._environment = self._application  # the flow has found its environment
        elif command.ins != _SELECT:
            self._free = self._free and command.ins in _PRESENTS_NOTHING
        elif response.sw1 in _ACCEPTED:
            if _selects_file(command):
                self._file = command.data
            else:
                self._application, self._file = command.data, b""


def _selects_file(command: CommandApdu) -> bool:
    return len(command.data) == 2 and command.data[0] == _ELEMENTARY_FILE


@dataclass(slots=True, repr=False)
class _Entry:
    atr: bytes
    event_counter: int
    until: float
    kept: KeptAnswers


class UnfinishedReadings:
    """The kept answers of the card in each reader. Several threads may use it: each has a reader of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_reader: dict[str, _Entry] = {}

    def pop(self, reader: str, atr: bytes, event_counter: Callable[[], int]) -> KeptAnswers:
        """Remove and return the kept answers of the card that is in a reader; return empty ones for any other card.

        Args:
            reader: the name of the reader.
            atr: the card's ATR.
            event_counter: returns the number of the insertion; called only if answers were kept.
        """
        now = self._clock()
        for name in [name for name, entry in list(self._by_reader.items()) if entry.until < now]:
            self._by_reader.pop(name, None)
        entry = self._by_reader.pop(reader, None)
        if entry is None or entry.atr != atr or entry.event_counter != event_counter():
            return KeptAnswers()
        return entry.kept

    def progress(self, reader: str) -> int:
        """Return the number of answers that the last try has added; 0 if another try would not come further."""
        entry = self._by_reader.get(reader)
        return 0 if entry is None else entry.kept.grown

    def keep(self, reader: str, atr: bytes, event_counter: int, kept: KeptAnswers) -> None:
        """Keep the answers that a reading had when its time ran out."""
        self._by_reader[reader] = _Entry(atr, event_counter, self._clock() + KEPT_SECONDS, kept)
