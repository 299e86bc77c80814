"""Debits on the software card and the software PSAM: bytes computed by hand with openssl from the published roots.

DPK1 ``TEST1DDPK1......`` and DTK ``TEST1DDTK.......``, diversified by ``370000sh``, ``370200sx`` and 8684370200000013:
0BA7F0EA8ED69C771C5733C8D1A13948 and DA46EA8C4BD06A1B40029FEB1A20F1C4. Session key of A1B2C3D4, 000C, 0107:
50CAAACC095B9F29; TAC key 9A44756751F09BDF.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cardio.errors import ConfigurationError
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from simulators.sam.psam import SoftwarePsam
from tests.unit.card_helpers import SELECT, card_of, known_random, talk

VERIFY = ("0020000003123456", "9000")
DF04 = ("00A4000002DF04", "610A")
INITIALISE = "B02801011301 00000000 0000000A 00000014 000000009999".replace(" ", "")
STARTED = "00006D60 00000C4E 00005078 2026 000C 01 00 A1B2C3D4"
DEBIT = "B02C01000F 00000107 20151118185001 5C0F7DA6".replace(" ", "")
PROVED = "D287DC40 2183FF90"
"""TAC, MAC2."""
RECORD = "000D 32 000000009999 20151118185001 00000000 0000000A 00000014"
BALANCES = (("B026000104", "00006D60 9000"), ("B026000206", "00000C4E 2026 9000"), ("B026000306", "00005078 2026 9000"))
MOVED = (("B026000104", "00006D60 9000"), ("B026000206", "00000C58 2026 9000"), ("B026000306", "0000508C 2026 9000"))


def purse_of(**quirks: Any) -> SoftwareCard:
    """The card with everything, its purse open."""
    card = card_of("whole", **quirks)
    card.transmit(bytes.fromhex(SELECT))
    talk(card, DF04, VERIFY)
    return card


def test_a_debit_byte_for_byte() -> None:
    card = purse_of()
    talk(
        card,
        *BALANCES,
        (INITIALISE, "6116"),
        ("00C0000016", STARTED + "9000"),
        (DEBIT, "6108"),
        ("00C0000008", PROVED + "9000"),
        *MOVED,
        ("805A000602000D", "6108"),
        ("00C0000008", "2183FF90 D287DC40 9000"),
        ("805A000602000C", "9406"),
        ("00A4000002EF08", "9000"),
        ("00B201041C", RECORD + "9000"),
        (INITIALISE, "6116"),
        ("00C0000016", "00006D60 00000C58 0000508C 2026 000D 01 00 A1B2C3D4 9000"),
    )


def test_the_number_it_began_with_where_cards_note_that() -> None:
    card = purse_of(debit_number="before")
    talk(card, (INITIALISE, "6116"), (DEBIT, "6108"), ("805A000602000D", "9406"), ("805A000602000C", "6108"))
    talk(card, ("00A4000002EF08", "9000"), ("00B201041C", RECORD.replace("000D", "000C", 1) + "9000"))


def test_data_at_once_and_without_a_pin_where_a_card_is_so() -> None:
    card = card_of("whole", data_at_once=True, debits_without_pin=True, transaction_proof=False)
    card.transmit(bytes.fromhex(SELECT))
    card.transmit(bytes.fromhex(DF04[0]))
    talk(card, (INITIALISE + "16", STARTED + "9000"), (DEBIT + "08", PROVED + "9000"), ("805A000602000D", "6D00"))


def test_totals_begin_anew_with_the_year() -> None:
    card = purse_of()
    talk(card, (INITIALISE, "6116"), ("B02C01000F 00000107 20270102030405 2C75562D".replace(" ", ""), "6108"))
    talk(card, ("B026000206", "0000000A 2027 9000"), ("B026000306", "00000014 2027 9000"))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (INITIALISE.replace("1301", "1304", 1), "9403"),
        (INITIALISE.replace("1301 00000000".replace(" ", ""), "1301" + "00006D61"), "9401"),
        (INITIALISE.replace("0000000A00000014", "FFFFFFFF00000014"), "6985"),
        (INITIALISE[:8] + "12" + INITIALISE[10:-2], "6700"),
        (INITIALISE.replace("B0280101", "B0280201"), "6A86"),
        (DEBIT, "6985"),
        ("B026000404", "6A86"),
        ("805A000602000C", "9406"),
        ("805A00020200FF", "6A86"),
    ],
)
def test_what_it_refuses(command: str, answer: str) -> None:
    card = purse_of()
    talk(card, (command, answer), *BALANCES)


def test_nothing_moves_without_the_terminals_mac() -> None:
    card = purse_of()
    talk(card, (INITIALISE, "6116"), (DEBIT[:-2] + "A7", "9302"), (DEBIT, "6985"), *BALANCES)
    talk(card, (INITIALISE, "6116"), ("00B2010400", "6986"), (DEBIT, "6985"), *BALANCES)
    talk(card, (INITIALISE, "6116"), (DEBIT.replace("20151118", "2015111A"), "6A80"), *BALANCES)
    talk(card, (INITIALISE, "6116"))
    card.reset()
    talk(card, (SELECT, "6118"), DF04, (INITIALISE, "6982"), (DEBIT, "6985"), VERIFY, *BALANCES)


def test_what_was_debited_outlives_the_power(tmp_path: Path) -> None:
    found = find_persona("whole")
    memory = tmp_path / "card.json"
    card = found.card(memory, random=known_random)
    card.transmit(bytes.fromhex(SELECT))
    talk(card, DF04, VERIFY, (INITIALISE, "6116"), (DEBIT, "6108"))
    again = found.card(memory, random=known_random)
    again.transmit(bytes.fromhex(SELECT))
    talk(again, DF04, VERIFY, *MOVED, ("00A4000002EF08", "9000"), ("00B201041C", RECORD + "9000"))


def test_a_persona_says_what_is_in_its_purse() -> None:
    found = find_persona("whole")
    wrong = found.model_copy(update={"files": {**found.files, "DF04/EF09": {"personal_account_balance": -1}}})
    with pytest.raises(ConfigurationError) as caught:
        wrong.card()
    assert "DF04/EF09/personal_account_balance" in caught.value.detail_en


# -- PSAM ---------------------------------------------------------------------------------------

BEGIN = "A1B2C3D4 000C 00000000 0000000A 00000014 32 20151118185001 01 00"
CARD, CITY = "8684370200000013", "3337303230307378"


def psam(levels: int | None = None, region: str = "43") -> SoftwarePsam:
    made = SoftwarePsam(transaction_number=0x106, levels=levels, region=region)
    talk_psam(made, ("00A4040006D15600000590", "9000"))
    return made


def talk_psam(card: SoftwarePsam, *exchanges: tuple[str, str]) -> None:
    for command, expected in exchanges:
        assert card.transmit(bytes.fromhex(command)).hex().upper() == expected.replace(" ", ""), command


@pytest.mark.parametrize(
    ("levels", "region", "factors"), [(None, "43", CARD + CITY), (2, "37", CARD + CITY), (1, "370200", CARD)]
)
def test_a_psam_begins_a_debit_and_checks_the_cards_answer(levels: int | None, region: str, factors: str) -> None:
    data = BEGIN.replace(" ", "") + factors
    talk_psam(
        psam(levels, region),
        ("00B0990004", "00000106 9000"),
        ("00B09C0001", "01 9000"),
        (f"80700100{len(data) // 2:02X}{data}", "6108"),
        ("00C0000008", "00000107 5C0F7DA6 9000"),
        ("80720000042183FF91", "9302"),
        ("80720000042183FF90", "6985"),
        ("00B0990004", "00000107 9000"),
    )
    made = psam(levels, region)
    talk_psam(made, (f"80700100{len(data) // 2:02X}{data}", "6108"), ("80720000042183FF90", "9000"))


def test_what_a_psam_refuses() -> None:
    data = (BEGIN + CARD + CITY).replace(" ", "")
    card = psam()
    talk_psam(card, ("8070010008" + data[:16], "6700"), ("807002002C" + data, "6A86"))
    talk_psam(card, ("807001002C" + data.replace("0100" + CARD, "0200" + CARD), "9403"), ("80720000042183FF90", "6985"))
    card.reset()
    talk_psam(card, ("807001002C" + data, "6985"), ("00B0990004", "6A82"))
