"""The software PSAM by itself: its files, its environments, what it computes, what it refuses.

The expected bytes are openssl's. A card's key comes from the root by province, city and card, each step with a key K
and a factor F, whose complement is N (for the eight bytes of STK single DES of F alone):
    printf F N | xxd -r -p | openssl enc -des-ede -nopad -K K | xxd -p          (SM4: -sm4-ecb)
TEST1DRKSSSE.... so becomes D8EF49EADD97AAE4D819964A89041C3D, and from RANDOM, enciphered with it, 78BBCD9E0565C7F8.
"""

import pytest

from simulators.readers.software_reader import SoftwareReader
from simulators.sam.psam import SoftwarePsam

SX1 = "7378312E73682EC9E7BBE1B1A3D5CF"
SX2 = "7378322E73682EC9E7BBE1B1A3D5CF"
SX3 = "7378332E73682EC9E7BBE1B1A3D5CF"
SELECT_SX1 = "00A404000F" + SX1
SELECT_SX3 = "00A404000F" + SX3
SELECT_APPLICATION = "00A4040006D15600000590"
CARD = "8684430154455354"
CITY = "3433303130307378"  # 430100sx
PROVINCE = "3433303030307368"  # 430000sh
RANDOM = "1122334455667788"
ZEROS = "0000000000000000"
SOURCE = "0102030405060708"
# printf 0102030405060708 | xxd -r -p | openssl enc -des-ecb -nopad -K 78BBCD9E0565C7F8
#   -provider legacy -provider default | xxd -p
CRYPTOGRAM = "150B18D7C1763B69"
RKSSSE = "BFDE670A20" + CARD + CITY + PROVINCE + RANDOM
STK = "BFDE660920" + CARD + CITY + PROVINCE + RANDOM


class Psam:
    """A software PSAM that takes and gives hex."""

    def __init__(self, **settings: object) -> None:
        self.card = SoftwarePsam(**settings)  # type: ignore[arg-type]

    def __call__(self, command: str) -> str:
        return self.card.transmit(bytes.fromhex(command)).hex().upper()

    def selected(self, command: str = SELECT_SX1) -> "Psam":
        assert self(command) == "9000"
        return self


def test_a_psam_goes_into_a_reader() -> None:
    reader = SoftwareReader("PSAM", SoftwarePsam())
    connection = reader.connect()

    assert connection.atr.hex().upper() == "3B6D000054455354205053414D20303031"  # TEST PSAM 001
    assert connection.transmit(bytes.fromhex("00B0960006")).hex() == "0000000099999000"


def test_historical_bytes_are_in_the_atr() -> None:
    historical_bytes = bytes(range(13))

    assert Psam(historical_bytes=historical_bytes).card.atr == bytes.fromhex("3B6D0000") + historical_bytes


class TestFiles:
    def test_terminal_number(self) -> None:
        assert Psam()("00B0960006") == "0000000099999000"
        assert Psam(terminal_number="430100000017")("00B0960006") == "4301000000179000"

    def test_card_number(self) -> None:
        assert Psam()("00B095000A") == "000099990000000000019000"
        assert Psam(card_number="12345678901234567890")("00B095000A") == "123456789012345678909000"

    def test_parts_and_all(self) -> None:
        assert Psam()("00B0960402") == "99999000"
        assert Psam()("00B0960000") == "0000000099999000"

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("00B0960010", "6C06"),
            ("00B0960404", "6C02"),
            ("00B0960601", "6B00"),
            ("00B0970006", "6A82"),
            ("00B0000006", "6A86"),
            ("00B0B60006", "6A86"),
            ("00B09600", "6700"),
            ("00B096000600", "6700"),
        ],
    )
    def test_refusals(self, command: str, answer: str) -> None:
        assert Psam()(command) == answer

    def test_they_are_the_mfs(self) -> None:
        psam = Psam().selected()

        assert psam("00B0960006") == "6A82"
        assert psam("00A40000023F00") == "9000"
        assert psam("00B0960006") == "0000000099999000"


class TestSelect:
    @pytest.mark.parametrize(
        "command",
        [SELECT_SX1, SELECT_SX1 + "00", SELECT_APPLICATION, SELECT_APPLICATION + "00", "00A4000002DF01"],
    )
    def test_what_computes_with_3des(self, command: str) -> None:
        psam = Psam().selected(command)

        assert psam(RKSSSE) == "9000"
        assert psam("80FA000008" + SOURCE) == "6108"

    def test_only_the_algorithms_that_it_has(self) -> None:
        assert Psam()(SELECT_SX3) == "6A82"
        assert Psam(algorithms=("3DES", "SM4"))(SELECT_SX3) == "9000"
        only_sm4 = Psam(algorithms=("SM4",))
        assert [only_sm4(one) for one in (SELECT_SX3, SELECT_SX1, SELECT_APPLICATION, "00A4000002DF01")] == [
            "9000",
            "6A82",
            "6A82",
            "6A82",
        ]

    def test_ssf33_is_not_published(self) -> None:
        assert Psam(algorithms=("3DES", "SM4"))("00A404000F" + SX2) == "6A82"

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("00A4040005A000000333", "6A82"),
            ("00A4000002DF02", "6A82"),
            ("00A4030002DF01", "6A86"),
            ("00A4000102DF01", "6A86"),
            ("00A40400", "6700"),
            ("00A4000003DF0100", "6700"),
            ("00A4040010" + SX1, "6700"),
            ("00A404000E" + SX1 + "00", "6700"),
        ],
    )
    def test_refusals(self, command: str, answer: str) -> None:
        assert Psam()(command) == answer

    def test_a_selection_that_fails_changes_nothing(self) -> None:
        psam = Psam().selected()
        psam(RKSSSE)
        psam("00A4000002DF02")

        assert psam("80FA000008" + SOURCE) == "6108"


class TestCryptogram:
    @pytest.mark.parametrize(
        ("settings", "command"),
        [
            ({}, "BFDE670A20" + CARD + CITY + PROVINCE + RANDOM),
            ({"levels": 2}, "BFDE470A18" + CARD + CITY + RANDOM),
            ({"levels": 2, "region": "43"}, "BFDE470A18" + CARD + CITY + RANDOM + "00"),
            ({"levels": 1, "region": "430100"}, "BFDE270A10" + CARD + RANDOM),
        ],
    )
    def test_whatever_the_level_of_the_root_the_cards_key_is_the_same(
        self, settings: dict[str, object], command: str
    ) -> None:
        psam = Psam(**settings).selected()

        assert psam(command) == "9000"
        assert psam("80FA000008" + SOURCE) == "6108"
        assert psam("00C0000008") == CRYPTOGRAM + "9000"

    def test_another_provinces_psam_has_other_keys(self) -> None:
        psam = Psam(levels=2, region="44").selected()
        psam("BFDE470A18" + CARD + CITY + RANDOM)
        psam("80FA000008" + SOURCE)

        answer = psam("00C0000008")
        assert answer[16:] == "9000"
        assert answer[:16] != CRYPTOGRAM

    def test_the_second_group_of_keys(self) -> None:
        # as above, from TEST2DRKSSSE....
        psam = Psam(version=2).selected()
        psam(RKSSSE)
        psam("80FA000008" + SOURCE)

        assert psam("00C0000008") == "4EA49559DB61BDE39000"

    def test_several_blocks(self) -> None:
        psam = Psam().selected()
        psam(RKSSSE)

        assert psam("80FA000010" + SOURCE + RANDOM) == "6110"
        assert psam("00C0000010") == CRYPTOGRAM + "DEBADB67369E8092" + "9000"

    @pytest.mark.parametrize(
        ("settings", "command"),
        [
            ({}, "BFDE670A28" + CARD + CITY + PROVINCE + RANDOM + ZEROS),
            ({"levels": 2}, "BFDE470A20" + CARD + CITY + RANDOM + ZEROS),
            ({"levels": 1, "region": "430100"}, "BFDE270A18" + CARD + RANDOM + ZEROS),
        ],
    )
    def test_sm4(self, settings: dict[str, object], command: str) -> None:
        # TEST1SRKSSSE.... becomes E049D1A3FF156A03E06A0C7A060B3C91, with RANDOM 5A14BC6FA2EA544CF173CDD0AE1ABFAE;
        # printf 01020304050607080000000000000000 | xxd -r -p | openssl enc -sm4-ecb -nopad -K 5A14… | xxd -p
        psam = Psam(algorithms=("SM4",), **settings).selected(SELECT_SX3)

        assert psam(command) == "9000"
        assert psam("80FA000010" + SOURCE + ZEROS) == "6110"
        assert psam("00C0000010") == "19A46CA52500472D581AA132784EA6DA9000"


class TestMac:
    def test_single_des(self) -> None:
        # TEST1DTK becomes 7D7B3F7E92E6FEEC, with RANDOM E491B81EE038DAE8;
        # printf 8424000004800000 | xxd -r -p | openssl enc -des-cbc -nopad -K E491B81EE038DAE8 -iv 0000000000000000
        #   -provider legacy -provider default | xxd -p
        psam = Psam().selected()

        assert psam(STK) == "9000"
        assert psam("80FA050010" + ZEROS + "8424000004800000") == "6104"
        assert psam("00C0000004") == "97918F799000"

    def test_an_initial_value(self) -> None:
        # the same with -iv 1234567800000000
        psam = Psam().selected()
        psam(STK)
        psam("80FA050010" + "1234567800000000" + "8424000004800000")

        assert psam("00C0000004") == "B86B3AAE9000"

    def test_several_blocks(self) -> None:
        # the same, of 842400010CB73FF68803DC35D3800000; the last block begins with these
        psam = Psam().selected()
        psam(STK)
        psam("80FA050018" + ZEROS + "842400010CB73FF68803DC35D3800000")

        assert psam("00C0000004") == "85CDBABB9000"

    def test_sm4(self) -> None:
        # openssl enc -sm4-cbc -nopad gives B260ECA5 728D513A 8B68DDC1 B004F886, which are XORed
        psam = Psam(algorithms=("SM4",)).selected(SELECT_SX3)
        assert psam("BFDE660928" + CARD + CITY + PROVINCE + RANDOM + ZEROS) == "9000"

        assert psam("80FA050020" + ZEROS * 2 + "8424000004" + "80".ljust(22, "0")) == "6104"
        assert psam("00C0000004") == "FB8198D89000"

    def test_a_key_of_one_group_is_the_same_in_every_psam(self) -> None:
        psam = Psam(version=2).selected()
        psam(STK)
        psam("80FA050010" + ZEROS + "8424000004800000")

        assert psam("00C0000004") == "97918F799000"


class TestRefusals:
    def test_before_an_environment_is_selected(self) -> None:
        assert Psam()(RKSSSE) == "6985"
        assert Psam()("80FA000008" + SOURCE) == "6985"
        assert Psam().selected("00A40000023F00")(RKSSSE) == "6985"

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("BFDE67FF20" + CARD + CITY + PROVINCE + RANDOM, "6A88"),  # no such index
            ("BFDE680A20" + CARD + CITY + PROVINCE + RANDOM, "6A88"),  # no such type at this index
            ("BFDE470A18" + CARD + CITY + RANDOM, "6985"),
            ("BFDE270A10" + CARD + RANDOM, "6985"),
            ("BFDE070A08" + RANDOM, "6985"),
            ("BFDE870A28" + CARD + CARD + CITY + PROVINCE + RANDOM, "6985"),
            ("BFDE670A18" + CARD + CITY + RANDOM, "6700"),
            ("BFDE670A28" + CARD + CITY + PROVINCE + RANDOM + ZEROS, "6700"),
            ("BFDE670A20" + CARD + CITY + PROVINCE, "6700"),
            ("BFDE670A", "6700"),
        ],
    )
    def test_derivation(self, command: str, answer: str) -> None:
        assert Psam(levels=3).selected()(command) == answer

    def test_without_levels_it_answers_for_any_province(self) -> None:
        psam = Psam()
        of_nation = psam.selected()(RKSSSE), psam("80FA000008" + SOURCE), psam("00C0000008")
        of_province = psam("BFDE470A18" + CARD + CITY + RANDOM), psam("80FA000008" + SOURCE), psam("00C0000008")
        assert of_nation == of_province and of_nation[0] == "9000"

    def test_the_levels_of_a_provinces_and_a_citys_key(self) -> None:
        assert Psam(levels=2).selected()(RKSSSE) == "6985"
        assert Psam(levels=1, region="430100").selected()("BFDE470A18" + CARD + CITY + RANDOM) == "6985"

    def test_sm4_needs_a_whole_block_of_random(self) -> None:
        psam = Psam(algorithms=("SM4",)).selected(SELECT_SX3)

        assert psam(RKSSSE) == "6700"

    def test_a_key_that_it_was_not_given(self) -> None:
        psam = Psam(keys=["STK"]).selected()

        assert psam(RKSSSE) == "6A88"
        assert psam(STK) == "9000"

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("80FA000007" + SOURCE[:14], "6700"),
            ("80FA000000", "6700"),
            ("80FA0000", "6700"),
            ("80FA000008" + SOURCE[:14], "6700"),
            ("80FA050008" + ZEROS, "6700"),
            ("80FA05000D" + ZEROS + "8424000004", "6700"),
            ("80FA010008" + SOURCE, "6A86"),
            ("80FA000108" + SOURCE, "6A86"),
        ],
    )
    def test_computation(self, command: str, answer: str) -> None:
        psam = Psam().selected()
        psam(RKSSSE)

        assert psam(command) == answer

    def test_sm4_computes_over_its_own_blocks(self) -> None:
        psam = Psam(algorithms=("SM4",)).selected(SELECT_SX3)
        psam("BFDE670A28" + CARD + CITY + PROVINCE + RANDOM + ZEROS)

        assert psam("80FA000008" + SOURCE) == "6700"
        assert psam("80FA050018" + ZEROS * 3) == "6700"

    @pytest.mark.parametrize(
        "losing",
        [
            SELECT_SX1,
            SELECT_APPLICATION,
            "00A40000023F00",
            "BFDE67FF20" + CARD + CITY + PROVINCE + RANDOM,
        ],
    )
    def test_the_process_key_is_lost(self, losing: str) -> None:
        psam = Psam().selected()
        psam(RKSSSE)
        psam(losing)

        assert psam("80FA000008" + SOURCE) == "6985"

    def test_a_reset_takes_environment_and_process_key(self) -> None:
        psam = Psam().selected()
        psam(RKSSSE)
        psam("80FA000008" + SOURCE)
        psam.card.reset()

        assert psam("00C0000008") == "6985"
        assert psam("80FA000008" + SOURCE) == "6985"
        assert psam(RKSSSE) == "6985"

    @pytest.mark.parametrize(
        ("command", "answer"),
        [
            ("00B201040A", "6D00"),
            ("80FB000008" + SOURCE, "6D00"),
            ("0484000008", "6E00"),
            ("00A4", "6700"),
            ("", "6700"),
        ],
    )
    def test_other_commands(self, command: str, answer: str) -> None:
        assert Psam().selected()(command) == answer


class TestGetResponse:
    def waiting(self) -> Psam:
        psam = Psam().selected()
        psam(RKSSSE)
        psam("80FA000008" + SOURCE)
        return psam

    def test_a_wrong_length_is_told_and_loses_nothing(self) -> None:
        psam = self.waiting()

        assert psam("00C0000010") == "6C08"
        assert psam("00C0000000") == "6C08"
        assert psam("00C00000") == "6C08"
        assert psam("00C0010008") == "6A86"
        assert psam("00C0000008") == CRYPTOGRAM + "9000"

    def test_in_parts_and_once(self) -> None:
        psam = self.waiting()

        assert psam("00C0000003") == CRYPTOGRAM[:6] + "6105"
        assert psam("00C0000005") == CRYPTOGRAM[6:] + "9000"
        assert psam("00C0000008") == "6985"

    def test_another_command_loses_the_answer(self) -> None:
        psam = self.waiting()
        psam("00B0960006")

        assert psam("00C0000008") == "6985"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keys": ["RKSSSE", "NONE"]}, "no PSAM holds NONE"),
        ({"keys": ["DTK"]}, "no PSAM holds DTK"),
        ({"algorithms": ("SSF33",)}, "SSF33 is not published"),
        ({"levels": 0}, "levels are"),
        ({"levels": 4}, "levels are"),
        ({"levels": 2, "region": "430100"}, "levels are"),
        ({"levels": 1}, "levels are"),
        ({"terminal_number": "00000000999"}, "twelve digits"),
        ({"terminal_number": "00000000999A"}, "twelve digits"),
        ({"card_number": "1"}, "twenty"),
        ({"historical_bytes": bytes(12)}, "thirteen"),
        ({"version": 0}, "versions from 1"),
    ],
)
def test_a_psam_that_cannot_be(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Psam(**settings)
