"""Slow lines: what was read when time ran out is an answer or is kept, and the next try begins where the last ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from cardio.card.social_security_card import OPERATION_SECONDS, SocialSecurityCard
from cardio.errors import ReaderTimeoutError
from cardio.filesystem.capabilities import CapabilityCache, family_of
from cardio.models.reading import CardReading
from simulators.card.base import AnyCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY


@dataclass(frozen=True)
class Waiting:
    """A line that takes its time, where no clock can be put in place of the real one."""

    seconds: float

    def pass_by(self) -> None:
        threading.Event().wait(self.seconds)

    def then(self, answer: bytes) -> bytes:
        self.pass_by()
        return answer


@dataclass
class Line:
    """A card behind a line on which each command takes its time; its clock is no real one."""

    card: AnyCard
    seconds: float
    now: float = 1000.0
    commands: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    @property
    def atr(self) -> bytes:
        return self.card.atr

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command.hex().upper())
        self.now += self.seconds
        self.answers.append(self.card.transmit(command))
        return self.answers[-1]

    def records(self) -> list[tuple[str, str]]:
        """Each record that was given: the EF that was selected before, and the command."""
        found, file = [], ""
        for command, answer in zip(self.commands, self.answers, strict=True):
            if command.startswith(("00A402", "00A400")):
                file = command[-4:]
            elif command.startswith("00B2") and len(answer) > 2 and answer[-2:] == b"\x90\x00":
                found.append((file, command))
        return found


def line_of(persona: str | Persona, seconds: float = 0.6) -> Line:
    found = find_persona(persona) if isinstance(persona, str) else persona
    return Line(found.card(), seconds)


def read(reader: SoftwareReader, line: Line, store: CapabilityCache, **options: Any) -> CardReading:
    with SocialSecurityCard(reader.connect(), reader, capabilities=store, clock=lambda: line.now) as card:
        return card.read(today=TODAY, **options)


def test_basic_data_do_not_wait_for_the_supplement(store: CapabilityCache) -> None:
    """Seven commands for EF05 and EF06 at 1.2 s: DF01 has no time left, and that is said."""
    line = line_of("child", 1.2)
    started = line.now
    reading = read(SoftwareReader("r", line), line, store)
    assert line.now - started <= OPERATION_SECONDS
    assert reading.holder is not None and reading.holder.name == "测小小"
    late = {unread.file: unread for unread in reading.unread if unread.reason == "out-of-time"}
    assert late and set(late) <= {"DF01/EF05", "DF01/EF06", "DF01/EF0A"}
    assert {unread.driver_code for unread in late.values()} == {-11}
    assert all("再读一次" in unread.remedy for unread in late.values())


def test_what_the_supplement_had_before_its_time_ran_out_is_given() -> None:
    line = line_of("foreigner", 1.4)
    reading = read(SoftwareReader("r", line), line, CapabilityCache(None))
    assert reading.holder is not None and reading.holder.name is not None
    assert [(one.file, one.reason) for one in reading.unread] == [
        ("DF01/EF06", "out-of-time"),
        ("DF01/EF0A", "out-of-time"),
    ]
    assert reading.holder.household_registration is not None or "DF01/EF05" not in [u.file for u in reading.unread]


@pytest.mark.parametrize("seconds", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("persona", ["field", "long-name", "first-generation"])
def test_each_try_comes_further_until_the_card_is_read(persona: str, seconds: float, store: CapabilityCache) -> None:
    """Cards that give one record at a time: fifteen commands and more, where nine seconds are allowed."""
    line = line_of(persona, seconds)
    reader = SoftwareReader("r", line)
    expected = read(SoftwareReader("r", found := line_of(persona, 0)), found, CapabilityCache(None), supplement=False)
    errors: list[ReaderTimeoutError] = []
    for _ in range(24):
        started = line.now
        try:
            reading = read(reader, line, store, supplement=False)
            break
        except ReaderTimeoutError as error:
            errors.append(error)
            assert line.now - started <= OPERATION_SECONDS + seconds
            assert store.unfinished.progress("r") > 0 and "不要取出" in error.remedy
    assert reading.holder == expected.holder and reading.card == expected.card
    assert errors  # one try was not enough
    # A record that was read is not asked for again, but for the one that tells which card it is.
    records = line.records()
    again = {place for place in records if records.count(place) > 1}
    assert len(again) <= 1, again


def test_what_a_slow_card_has_taught_helps_the_next_program(store: CapabilityCache) -> None:
    """Another process has nothing but the file: it does not go through what the card refuses once more."""
    line = line_of("field")
    with pytest.raises(ReaderTimeoutError):
        read(SoftwareReader("r", line), line, store, supplement=False)
    assert store.load(family_of(line.atr), TODAY).files["SSSE/EF05"].addressing == "identifier"
    other = CapabilityCache(store.path)
    begun = len(line.commands)
    with pytest.raises(ReaderTimeoutError):
        read(SoftwareReader("r", line), line, other, supplement=False)
    refused = {"00B2012D40", "00B2010540", "00B2012C12", "00B2012812", "00B2010412"}
    assert refused.isdisjoint(line.commands[begun:]) and refused <= set(line.commands[:begun])


def test_nothing_of_one_card_is_given_for_another(store: CapabilityCache) -> None:
    """Another card in the same reader: even where the insertion is the same, the identification code tells."""
    persona = find_persona("field")
    other = persona.model_copy(
        update={
            "files": persona.files
            | {
                "SSSE/EF05": persona.files["SSSE/EF05"]
                | {"identification_code": "370200D15600000500000088FFFFFFFF", "card_number": "A00000011"},
                "SSSE/EF06": persona.files["SSSE/EF06"] | {"name": "测试换"},
            }
        }
    )
    line = line_of(persona)
    reader = SoftwareReader("r", line)
    with pytest.raises(ReaderTimeoutError):
        read(reader, line, store, supplement=False)
    line.card = other.card()  # neither the reader nor its event counter has noticed
    for _ in range(3):
        try:
            reading = read(reader, line, store, supplement=False)
            break
        except ReaderTimeoutError:
            pass
    assert reading.card.identification_code == "370200D15600000500000088FFFFFFFF"
    assert reading.card.card_number == "A00000011"
    assert reading.holder is not None and reading.holder.name == "测试换"


def test_what_is_kept_ends_with_the_insertion(store: CapabilityCache) -> None:
    line = line_of("field")
    reader = SoftwareReader("r", line)
    with pytest.raises(ReaderTimeoutError):
        read(reader, line, store, supplement=False)
    reader.insert(line)
    begun = len(line.commands)
    with pytest.raises(ReaderTimeoutError):
        read(reader, line, store, supplement=False)
    records = [command for command in line.commands[begun:] if command.startswith("00B2")]
    assert len(records) > 7  # all of EF05 once more


def test_what_is_kept_is_forgotten_after_a_minute(store: CapabilityCache) -> None:
    now = 0.0
    store.unfinished._clock = lambda: now
    line = line_of("field")
    reader = SoftwareReader("r", line)
    with pytest.raises(ReaderTimeoutError):
        read(reader, line, store, supplement=False)
    now = 61.0
    assert store.unfinished.pop("r", line.atr, lambda: reader.event_counter).answers == {}


def test_the_file_of_capabilities_holds_nothing_of_an_unfinished_reading(store: CapabilityCache) -> None:
    line = line_of("field")
    reader = SoftwareReader("r", line)
    with pytest.raises(ReaderTimeoutError):
        read(reader, line, store, supplement=False)
    assert store.path is not None
    kept = store.path.read_text(encoding="utf-8")
    issuer = find_persona("field").files["SSSE/EF05"]
    assert str(issuer["identification_code"]) not in kept and str(issuer["card_number"]) not in kept
