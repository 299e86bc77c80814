"""Reading plans: exact bytes by transcript, and the counts that the wire allows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pytest

from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.command import CommandApdu
from cardio.apdu.transcript import Transcript
from cardio.card.reading import build_reading
from cardio.driver.basic_info import basic_string
from cardio.errors import CardBlockedError, CardGarbledError, CardRefusedError, NotASocialSecurityCardError
from cardio.filesystem.basic_read import read_card
from cardio.filesystem.capabilities import FamilyCapabilities
from cardio.filesystem.card_file_system import CardContents
from cardio.models.reading import CardReading
from simulators.personas.persona import Persona, find_persona
from tests.conftest import TODAY

SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
FCI = "6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E"
HUNAN_ATR = bytes.fromhex("3B6D0000 0081314731 8650 4302 00000013")
# The real dump of a test card (card.md §4.4), record by record.
HUNAN_EF05 = [
    "0110430299D156000005000000133A05F2E3",
    "020133",
    "0304322E3000",
    "040C9156000002430200430100D5",
    "050432303132",
    "060432303232",
    "0709423030303030313331",
]
# An invented holder, written by hand: 测试甲, male, 汉, 430200, 1990-01-01.
HOLDER = [
    "0812" + "343339393030313939303031303130303331",
    "091E" + "B2E2CAD4BCD7" + "00" * 24,
    "4E14" + "FF" * 20,
    "0A0131",
    "0B0101",
    "0C03430200",
    "0D0419900101",
]
CLOSED_DF01 = [
    ("00A4000002DF01", "6114"),
    ("00B2012D5B", "6982"),
    ("00B20135AD", "6982"),
    ("00B201550F", "6982"),
]


def answer(contents: CardContents, atr: bytes) -> CardReading:
    return build_reading(contents, reader="r", simulated=True, atr=atr, today=TODAY)


def test_the_real_dump_is_read_exactly() -> None:
    card = Transcript(
        [
            (SELECT, "6118"),
            ("00C0000018", FCI + "9000"),
            ("00B2012D40", "".join(HUNAN_EF05) + "9000"),
            ("00B201355B", "".join(HOLDER) + "9000"),
            *CLOSED_DF01,
        ]
    )
    reading = answer(Channel(card).run(read_card(FamilyCapabilities())), HUNAN_ATR)
    assert card.finished
    c = reading.card
    assert (c.generation, c.algorithm, c.spec_version) == (2, "3DES", "2.0")
    assert c.identification_code == "430299D156000005000000133A05F2E3"
    assert c.region is not None and c.region.code == "430299"
    assert c.card_class is not None and c.card_class.label == "成年人卡"
    assert c.issuer_number == "9156000002430200430100D5"
    assert c.card_number == "B00000131"
    assert c.historical_bytes == "00813147318650430200000013"
    # "2012" and "2022" in ASCII: years only, said and not invented.
    assert (c.issue_date, c.expiry_date) == (None, None)
    assert [(w.code, w.item) for w in reading.warnings] == [
        ("partial-date", "issue_date"),
        ("partial-date", "expiry_date"),
    ]
    assert "2012" in reading.warnings[0].detail
    assert reading.holder is not None and reading.holder.name == "测试甲"
    assert [u.file for u in reading.unread] == ["DF01/EF05", "DF01/EF06", "DF01/EF0A"]
    assert {(u.reason, u.driver_code) for u in reading.unread} == {("needs-pin-or-key", -27010)}


def test_the_eleven_field_sample_is_read_exactly() -> None:
    """The fictional card of driver.md §3, from bytes written by hand."""
    issuer = [
        "0110639900D15600000500BF7C7A48FB4966",
        "020133",
        "0304312E3030",
        "040C" + "FF" * 12,
        "050420101001",
        "060420201001",
        "0709583030303030303139",
    ]
    holder = [
        "0812313131313131313938313031303131313130",
        "091ED5C5C8FD" + "00" * 26,
        "0A0131",
        "0B0101",
        "0C03639900",
        "0D0419810101",
    ]
    card = Transcript(
        [
            (SELECT, "6118"),
            ("00C0000018", FCI + "9000"),
            ("00B2012D40", "".join(issuer) + "9000"),
            ("00B2013545", "".join(holder) + "9000"),
        ]
    )
    contents = Channel(card).run(read_card(FamilyCapabilities(), supplement=False))
    reading = answer(contents, bytes.fromhex("3B6D000000814E43238697159900BF7C7A"))
    assert basic_string(reading, terminal="410100813475", device="终端设备号") == (
        "639900|111111198101011110|X00000019|639900D15600000500BF7C7A48FB4966|张三|"
        "00814E43238697159900BF7C7A|1.00|20101001|20201001|410100813475|终端设备号|"
    )
    assert basic_string(reading).endswith("|20201001|000000000000||")


def learnt(persona: Persona, *, reads: int = 1) -> FamilyCapabilities:
    capabilities = FamilyCapabilities()
    for _ in range(reads):
        run(persona, capabilities, supplement=True)
    return capabilities


class _InProcess:
    protocol = TransmissionProtocol.T0

    def __init__(self, persona: Persona) -> None:
        self.transmit = persona.card().transmit


def run(persona: Persona, capabilities: FamilyCapabilities, *, supplement: bool) -> tuple[CardContents, Counts]:
    channel = Channel(_InProcess(persona))
    contents = channel.run(read_card(capabilities, supplement=supplement))
    return contents, channel.counts


def with_quirks(persona: Persona, **quirks: object) -> Persona:
    return persona.model_copy(update={"quirks": persona.quirks.model_copy(update=quirks)})


ADULT = find_persona("adult")
BY_NUMBER = with_quirks(ADULT, record_modes=frozenset({0, 4}))
SELECTED = with_quirks(ADULT, record_modes=frozenset({0, 4}), sfi=False)


@pytest.mark.parametrize(
    ("persona", "commands", "characters"),
    [(ADULT, 3, 194), (BY_NUMBER, 15, 290), (SELECTED, 17, 310)],
    ids=["all at once", "by SFI", "selected"],
)
def test_a_known_family_costs_no_more_than_the_card_allows(persona: Persona, commands: int, characters: int) -> None:
    _, counts = run(persona, learnt(persona), supplement=False)
    assert counts == Counts(commands, characters, refused=0)


@pytest.mark.parametrize(
    ("persona", "expected"),
    [
        (ADULT, [SELECT, "00B2012D40", "00B201355B"]),
        (
            BY_NUMBER,
            [
                *[SELECT],
                *["00B2012C12", "00B2022C03", "00B2032C06", "00B2042C0E", "00B2052C06", "00B2062C06", "00B2072C0B"],
                *["00B2013414", "00B2023420", "00B2033416", "00B2043403", "00B2053403", "00B2063405", "00B2073406"],
            ],
        ),
        (
            SELECTED,
            [
                *[SELECT, "00A4020002EF05"],
                *["00B2010412", "00B2020403", "00B2030406", "00B204040E", "00B2050406", "00B2060406", "00B207040B"],
                *["00A4020002EF06"],
                *["00B2010414", "00B2020420", "00B2030416", "00B2040403", "00B2050403", "00B2060405", "00B2070406"],
            ],
        ),
    ],
    ids=["all at once", "by SFI", "selected"],
)
def test_the_very_commands(persona: Persona, expected: list[str]) -> None:
    capabilities = learnt(persona)
    sent: list[str] = []
    channel = Channel(_InProcess(persona), trace=lambda exchange: sent.append(exchange.command.hex().upper()))
    channel.run(read_card(capabilities, supplement=False))
    assert sent == expected


def test_the_naive_sequence_costs_32_and_440() -> None:
    """What the figures above are measured against: SELECT with FCI, SELECT EF, Le 00 and 6Cxx each time."""
    channel = Channel(_InProcess(ADULT))
    channel.transmit(CommandApdu.from_bytes(bytes.fromhex(SELECT + "00")))
    for file_id in ("EF05", "EF06"):
        channel.transmit(CommandApdu.from_bytes(bytes.fromhex("00A4000002" + file_id)))
        for number in range(1, 8):
            channel.transmit(CommandApdu(0x00, 0xB2, number, 0x04, expected_length=256))
    assert (channel.counts.commands, channel.counts.characters) == (32, 440)


PERSONAS = [find_persona(name) for name in ("adult", "child", "field", "first-generation", "foreigner", "long-name")]
PERSONAS += [find_persona(name) for name in ("rare-name", "third-closed", "third-generation")]


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda p: p.id)
def test_no_refused_attempt_is_repeated_on_the_next_card(persona: Persona) -> None:
    contents, counts = run(persona, learnt(persona), supplement=True)
    # Whether a card opens its holder's file is asked of each card: one command, and never another card's answer.
    assert counts.refused == (1 if persona.id == "third-closed" else 0)
    first, _ = run(persona, FamilyCapabilities(), supplement=True)
    assert {path: file.records for path, file in contents.files.items() if file.records} == {
        path: file.records for path, file in first.files.items() if file.records
    }


def test_the_fci_is_fetched_once_for_the_algorithm_and_then_remembered() -> None:
    third = find_persona("third-generation")
    capabilities = FamilyCapabilities()
    contents, _ = run(third, capabilities, supplement=False)
    assert (contents.algorithm, capabilities.algorithms) == ("SM4", {3: "SM4"})
    contents, counts = run(third, capabilities, supplement=False)
    assert (contents.algorithm, counts.commands) == ("SM4", 3)


def test_a_family_with_cards_of_two_generations_keeps_an_algorithm_for_each() -> None:
    capabilities = learnt(ADULT)
    third = find_persona("third-generation")
    contents, _ = run(third, capabilities, supplement=False)
    assert contents.algorithm == "SM4"
    assert capabilities.algorithms == {2: "3DES", 3: "SM4"}
    assert run(ADULT, capabilities, supplement=False)[1] == Counts(3, 194, 0)


@pytest.mark.parametrize("status_word", ["6A82", "6D00", "6E00", "6999", "6A86"])
def test_another_card_is_not_a_social_security_card(status_word: str) -> None:
    """Three more ways to the environment are tried, and no more: by file id, EF05 as it stands, and the root."""
    card = Transcript(
        [
            (SELECT, status_word),
            ("00A4000002DDF1", "6A82"),
            ("00A4020002EF05", "6A82"),
            ("00A40000023F00", "6A82"),
        ]
    )
    with pytest.raises(NotASocialSecurityCardError) as caught:
        Channel(card).run(read_card(FamilyCapabilities()))
    assert caught.value.status_word == int(status_word, 16) and card.finished


@pytest.mark.parametrize("status_word", ["6A81", "6283", "9303"])
def test_a_blocked_card_is_said_to_be_blocked(status_word: str) -> None:
    with pytest.raises(CardBlockedError):
        Channel(Transcript([(SELECT, status_word)])).run(read_card(FamilyCapabilities()))


@pytest.mark.parametrize("status_word", ["6F00", "6581", "6985", "6982"])
def test_a_failing_card_is_not_called_another_card(status_word: str) -> None:
    with pytest.raises(CardRefusedError) as caught:
        Channel(Transcript([(SELECT, status_word)])).run(read_card(FamilyCapabilities()))
    assert caught.value.driver_code == -int(status_word, 16)


def test_t1_sends_le_and_gets_the_fci_with_select() -> None:
    issuer, holder = ("00B2012D40", "".join(HUNAN_EF05) + "9000"), ("00B201355B", "".join(HOLDER) + "9000")
    card = Transcript([(SELECT + "00", FCI + "9000"), issuer, holder], TransmissionProtocol.T1)
    Channel(card).run(read_card(FamilyCapabilities(), supplement=False, t1=True))
    assert card.finished


def test_a_card_without_an_fci_uses_what_its_generation_does() -> None:
    issuer, holder = ("00B2012D40", "".join(HUNAN_EF05) + "9000"), ("00B201355B", "".join(HOLDER) + "9000")
    card = Transcript([(SELECT, "9000"), issuer, holder])
    assert Channel(card).run(read_card(FamilyCapabilities(), supplement=False)).algorithm == "3DES"
    assert card.finished


@pytest.mark.parametrize(
    "fci", ["6F7F", "AABB", FCI[:4] + "7F", "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860109"]
)
def test_a_word_on_the_algorithm_that_is_not_understood_is_not_remembered(fci: str) -> None:
    capabilities = FamilyCapabilities()
    card = Transcript(
        [
            (SELECT, f"61{len(fci) // 2:02X}"),
            (f"00C00000{len(fci) // 2:02X}", fci + "9000"),
            ("00B2012D40", "".join(HUNAN_EF05) + "9000"),
            ("00B201355B", "".join(HOLDER) + "9000"),
        ]
    )
    reading = answer(Channel(card).run(read_card(capabilities, supplement=False)), HUNAN_ATR)
    assert reading.card.algorithm is None and capabilities.algorithms == {}
    assert "algorithm" in [warning.code for warning in reading.warnings]


def test_records_that_are_no_records_are_garbled() -> None:
    class Noise:
        protocol = TransmissionProtocol.T0

        def transmit(self, command: bytes) -> bytes:
            return b"\x90\x00" if command[1] == 0xA4 else b"\xaa\xbb\xcc\x90\x00"

    with pytest.raises(CardGarbledError):
        Channel(Noise()).run(read_card(FamilyCapabilities()))


def by_record(records: Iterable[str], sfi: int, status: str = "9000") -> list[tuple[str, str]]:
    p2 = sfi << 3 | 4
    return [
        (f"00B2{number:02X}{p2:02X}{len(record) // 2:02X}", record + status) for number, record in enumerate(records, 1)
    ]


def test_one_record_that_the_card_refuses_spoils_nothing_else() -> None:
    holder = by_record(HOLDER, 6)
    holder[4] = (holder[4][0], "6581")
    known = FamilyCapabilities.model_validate(
        {
            "algorithms": {2: "3DES"},
            "files": {
                "SSSE/EF05": {"reference": "sfi", "addressing": "number"},
                "SSSE/EF06": {"reference": "sfi", "addressing": "number"},
            },
        }
    )
    card = Transcript([(SELECT, "6118"), *by_record(HUNAN_EF05, 5), *holder])
    reading = answer(Channel(card).run(read_card(known, supplement=False)), HUNAN_ATR)
    assert card.finished
    assert reading.holder is not None
    assert reading.holder.name == "测试甲" and reading.holder.ethnic_group is None
    assert reading.holder.birth_date == date(1990, 1, 1)
    assert [(u.file, u.item, u.reason, u.driver_code) for u in reading.unread] == [
        ("SSSE/EF06", "ethnic_group", "card-error", -0x6581)
    ]


def test_what_an_odd_card_lacks_is_still_asked_of_the_next() -> None:
    """A card without a date of birth must not teach that cards have none."""
    odd = BY_NUMBER.model_copy(update={"omit": frozenset({"SSSE/EF06/birth_date", "SSSE/EF06/sex"})})
    capabilities = FamilyCapabilities()
    run(odd, capabilities, supplement=False)
    contents, _ = run(BY_NUMBER, capabilities, supplement=False)
    assert [record.tag for record in contents.files["SSSE/EF06"].records] == [8, 9, 0x4E, 0x0A, 0x0B, 0x0C, 0x0D]


def test_a_holders_file_that_should_be_open_is_tried_on_every_card() -> None:
    """One card that closes it says nothing about the next one of its issuer."""
    odd = with_quirks(ADULT, closed_files=frozenset({"SSSE/EF06"}))
    capabilities = FamilyCapabilities()
    contents, _ = run(odd, capabilities, supplement=False)
    assert contents.files["SSSE/EF06"].closed
    contents, _ = run(ADULT, capabilities, supplement=False)
    assert len(contents.files["SSSE/EF06"].records) == 7


def test_a_name_that_fills_its_field_is_asked_on_even_where_extensions_are_unknown() -> None:
    """By tag: an issuer without 4E so far, then a card whose name does not fit without it."""
    by_tag = with_quirks(find_persona("long-name"), record_modes=frozenset({0}))
    short = by_tag.model_copy(
        update={
            "omit": frozenset({"SSSE/EF06/name_extension"}),
            "files": by_tag.files | {"SSSE/EF06": by_tag.files["SSSE/EF06"] | {"name": "测试"}},
        }
    )
    capabilities = learnt(short)
    reading = answer(run(by_tag, capabilities, supplement=False)[0], by_tag.atr)
    assert reading.holder is not None
    assert reading.holder.name == "测试热合曼·测试艾力·测试逊㐂江·测试"
