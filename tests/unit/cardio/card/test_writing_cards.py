"""Writing: expected records by hand from V2.0, only what is needed is sent, and nothing is half written."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardChangedError, CardioError, CardRemovedError, NotWrittenError, UsageError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.errors import MacRefusedError, WriteOutcomeUnknownError
from cardio.security.pin.pin import Pin
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.terminal import MacStart, TerminalSettings
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

SAM = SoftSam(KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys))))


class Ready:
    def open(self) -> SoftSam:
        return SAM


class Between:
    """A card, and an attacker on its line."""

    def __init__(self, card: SoftwareCard, meddle: Callable[[bytes, Callable[[bytes], bytes]], bytes] | None = None):
        self.card = card
        self.atr = card.atr
        self.meddle = meddle
        self.writes: list[str] = []

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[1] in (0xDC, 0xE2, 0xD6):
            self.writes.append(command[:4].hex().upper())
        return self.card.transmit(command) if self.meddle is None else self.meddle(command, self.card.transmit)


def card_of(persona: str = "personalised", **quirks: Any) -> SoftwareCard:
    found = find_persona(persona)
    return found.model_copy(update={"quirks": found.quirks.model_copy(update=quirks)}).card()


def held(line: Between, **settings: Any) -> SocialSecurityCard:
    reader = SoftwareReader("r", line)
    credentials = Credentials(sam=Ready(), settings=TerminalSettings(**settings))
    return SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials)


def record(card: SoftwareCard, path: str, number: int) -> str:
    """What the card has in its memory, whatever it says."""
    file = next(file for application in card.applications for file in application.by_id.values() if file.path == path)
    return file.records[number - 1].hex().upper()


@pytest.mark.parametrize(
    ("path", "values", "number", "expected"),
    [
        # DF01/EF06 record 2, tag 24, cn 3; record 3, tag 28, an 15 filled with 00.
        ("DF01/EF06", {"residence_region": "370203"}, 2, "2403370203"),
        ("DF01/EF06", {"28": "13800000000"}, 3, "280F" + "3133383030303030303030" + "00" * 4),
        # 测试路1号 in GBK: B2E2 CAD4 C2B7 31 BAC5, in 80 bytes.
        ("DF01/EF06", {"residence": "测试路1号"}, 1, "2350" + "B2E2CAD4C2B731BAC5" + "00" * 71),
        ("DF01/EF06", {"contact_name": ""}, 4, "2C32" + "00" * 50),
        # DF02/EF06: dates cn 4, type and form in one field of five characters, where only the form changes.
        ("DF02/EF06", {"employment_registration_date": "2026-11-24"}, 1, "4C0420261124"),
        ("DF02/EF06", {"4C": "20261124"}, 1, "4C0420261124"),
        ("DF02/EF06", {"employment_registration": "10022"}, 2, "4B053130303232"),
    ],
)
def test_a_record_becomes_what_v2_0_says(path: str, values: Mapping[str, str], number: int, expected: str) -> None:
    line = Between(card_of())
    with held(line) as card:
        written = card.write(card.prepare(path, values))
    assert [one.outcome for one in written.records] == ["written"]
    assert record(line.card, path, number) == expected and len(line.writes) == 1
    assert line.writes[0].startswith("04DC")  # with a MAC


def test_one_item_inside_another_leaves_the_rest() -> None:
    line = Between(card_of())
    before = record(line.card, "DF01/EF15", 3)
    with held(line) as card:
        card.write(card.prepare("DF01/EF15", {"degree[2].degree_code": "401"}))
    after = record(line.card, "DF01/EF15", 3)
    # 40 34, then 57 03 and three characters: 401 is 343031.
    assert after[:14] == "4034" + "5703" + "343031" and after[14:] == before[14:]


def test_what_stands_there_already_is_not_sent() -> None:
    line = Between(card_of())
    with held(line) as card:
        change = card.prepare("DF01/EF06", {"residence_region": "370202", "contact_name": "测试丙"})
        written = card.write(change)
    assert [one.outcome for one in written.records] == ["unchanged", "written"] and len(line.writes) == 1


def test_a_cyclic_file_gets_a_new_record_before_the_others() -> None:
    line = Between(card_of())
    oldest = record(line.card, "DF02/EF07", 1)
    with held(line) as card:
        card.write(card.prepare("DF02/EF07", {"occupation": "6070101", "employed_from": "2026-01-01"}))
    assert record(line.card, "DF02/EF07", 1) == "36303730313031" + "20260101" + "FF" * 4 + "00" * 70
    assert record(line.card, "DF02/EF07", 2) == oldest and line.writes == ["04DC013C"]


def test_a_photo_goes_out_in_blocks() -> None:
    line = Between(card_of())
    content = bytes(range(256)) * 3
    with held(line) as card:
        card.write(card.prepare("SSSE/EF08", content))
    assert len(line.writes) == 4096 // 0x80 and line.writes[:2] == ["04D60000", "04D60080"]
    stored = next(file for file in line.card.applications[0].by_id.values() if file.path == "SSSE/EF08").content
    assert bytes(stored) == content.ljust(4096, b"\x00")


@pytest.mark.parametrize("persona", ["personalised", "third-sm4"])
@pytest.mark.parametrize(
    ("quirks", "settings"),
    [
        ({"secure_messaging": "required"}, {}),
        ({"secure_messaging": "absent"}, {"mac": False}),
        ({"mac_initial_value": "challenge"}, {"mac_start": MacStart.CHALLENGE}),
        ({"record_modes": frozenset({0})}, {}),
        ({"sfi": False}, {}),
    ],
)
def test_cards_differ_and_are_written_all_the_same(
    persona: str, quirks: dict[str, Any], settings: dict[str, Any]
) -> None:
    line = Between(card_of(persona, **quirks))
    with held(line, **settings) as card:
        card.write(card.prepare("DF01/EF05", {"household_type": "20"}))
    assert record(line.card, "DF01/EF05", 1) == "20023230"


def test_a_mac_of_the_other_kind_is_refused_and_nothing_changes() -> None:
    line = Between(card_of(mac_initial_value="challenge"))
    before = record(line.card, "DF01/EF05", 1)
    with held(line) as card, pytest.raises(MacRefusedError) as caught:
        card.write(card.prepare("DF01/EF05", {"household_type": "20"}))
    assert caught.value.driver_code == -27016 and record(line.card, "DF01/EF05", 1) == before


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_answer_that_never_comes_is_unknown_and_the_record_is_old_or_new(carried_out: bool) -> None:
    def lose(command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        if command[1] != 0xDC:
            return card(command)
        if carried_out:
            card(command)
        raise CardRemovedError()

    line = Between(card_of(), lose)
    before = record(line.card, "DF01/EF05", 1)
    with held(line) as card, pytest.raises(WriteOutcomeUnknownError):
        card.write(card.prepare("DF01/EF05", {"household_type": "20"}))
    assert record(line.card, "DF01/EF05", 1) == ("20023230" if carried_out else before)
    assert len(line.writes) == 1


def test_what_is_read_back_otherwise_is_told() -> None:
    changed = False

    def forget(command: bytes, card: Callable[[bytes], bytes]) -> bytes:
        nonlocal changed
        answer = card(command)
        if command[1] == 0xDC:
            changed = True
        return answer[:-3] + b"?" + answer[-2:] if changed and command[1] == 0xB2 else answer

    with held(Between(card_of(), forget)) as card, pytest.raises(NotWrittenError):
        card.write(card.prepare("DF01/EF05", {"household_type": "20"}))


def test_another_card_or_another_content_is_not_written_to() -> None:
    line = Between(card_of())
    with held(line) as card:
        change = card.prepare("DF01/EF05", {"household_type": "20"})
    other = Between(card_of("third-sm4"))
    with held(other) as card, pytest.raises(CardChangedError):
        card.write(change)
    file = next(file for file in line.card.applications[1].by_id.values() if file.path == "DF01/EF05")
    file.records[0] = bytes.fromhex("20023530")
    with held(line) as card, pytest.raises(CardChangedError):
        card.write(change)
    assert line.writes == other.writes == []


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("DF01/EF06", {"residence_region": "999999"}),
        ("DF01/EF06", {"residence": "路" * 41}),
        ("DF01/EF06", {"residence": "a\u202eb"}),
        ("DF01/EF06", {"residence": "a\nb"}),
        ("DF01/EF06", {"no_such_item": "1"}),
        ("DF01/EF06", {"residence[2]": "1"}),
        ("DF01/EF06", {"../residence": "1"}),
        ("DF02/EF06", {"employment_registration_date": "2026-02-30"}),
        ("SSSE/EF06", {"social_security_number": "119900197708090028"}),
        ("DF01/EF06", {}),
        ("SSSE/EF08", {"content": "00"}),
        ("SSSE/EF08", bytes(4097)),
        ("DF01/EF06", b"bytes"),
        ("DF01/EF99", {"residence": "1"}),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(path: str, values: Mapping[str, str] | bytes) -> None:
    line = Between(card_of())
    with held(line) as card, pytest.raises(UsageError):
        card.write(card.prepare(path, values))
    assert line.writes == []


def test_a_pin_reads_and_does_not_write() -> None:
    line = Between(card_of())
    reader = SoftwareReader("r", line)
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=Credentials(pin=Pin("123456"))
    ) as card:
        with pytest.raises(CardioError) as caught:
            card.prepare("DF01/EF06", {"residence": "x"})
    assert caught.value.driver_code == -2201 and line.writes == []


def test_what_the_card_keeps_itself_nobody_writes() -> None:
    with held(Between(card_of())) as card, pytest.raises(CardioError) as caught:
        card.prepare("DF04/EF08", {"transaction_type": "1"})
    assert caught.value.code == "access-not-granted"
