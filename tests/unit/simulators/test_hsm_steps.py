"""What the software authority computes between driver steps: whole strings, and what it refuses.

The expected bytes are openssl's: the keys go down as tests/unit/simulators/test_psam_card.py tells, for the card below.
"""

import pytest

from simulators.sam.hsm_driver_steps import general_step_1_to_2, pin_step_2_to_3, read_step_1_to_2

CITY = "430100"
HISTORICAL_BYTES = "0081544C968684430154455354"
CARD = "430100D15600000554455354FFFFFFFF"
RANDOM = "1122334455667788"
ANOTHER = "8877665544332211"
SOURCE = "0102030405060708"
BEGINNING = f"{CITY}|{HISTORICAL_BYTES}|"
PAIRS = f"{ANOTHER}|{SOURCE}|{RANDOM}|{SOURCE}|"
# TEST1DIRK....... becomes C3DA35734B1F721D67FDF88B0024EA2C; printf 8877665544332211 | xxd -r -p | openssl enc -des-ede
# -nopad -K that; with its eight bytes as -K: printf 0102030405060708 | xxd -r -p | openssl enc -des-ecb -nopad
# -provider legacy -provider default. RKSSSE likewise, with the other random.
INTERNAL = "FC712D08CF850F96" + SOURCE
EXTERNAL = "150B18D7C1763B69" + SOURCE
# openssl enc -sm4-ecb -nopad, randoms and source with eight zeros after them, the halves of the result XORed
SM4_INTERNAL = "030438C983D42E17" + SOURCE
SM4_EXTERNAL = "41BECD975D4EE1F7" + SOURCE


class TestRead:
    def test_a_card_that_wants_both_proofs(self) -> None:
        assert read_step_1_to_2(f"{BEGINNING}01|{CARD}|{PAIRS}") == f"{INTERNAL}|{EXTERNAL}|"

    def test_with_a_terminal_number(self) -> None:
        assert read_step_1_to_2(f"{BEGINNING}01|{CARD}|{PAIRS}000000009999|") == f"{INTERNAL}|{EXTERNAL}|"

    def test_an_older_card_wants_one(self) -> None:
        assert read_step_1_to_2(f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|||") == f"{INTERNAL}|"
        assert read_step_1_to_2(f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|||000000009999|") == f"{INTERNAL}|"

    def test_sm4(self) -> None:
        assert read_step_1_to_2(f"{BEGINNING}03|{CARD}|{PAIRS}") == f"{SM4_INTERNAL}|{SM4_EXTERNAL}|"

    @pytest.mark.parametrize(
        ("step_1", "said"),
        [
            ("", "8 fields are needed, not 0"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|", "8 fields are needed, not 6"),
            (f"{BEGINNING}01|{CARD}|{PAIRS}000000009999|x|", "9 fields are needed, not 10"),
            (f"{BEGINNING}01|{CARD}|{PAIRS}"[:-1], "a bar closes each field"),
            (f"43010|{HISTORICAL_BYTES}|01|{CARD}|{PAIRS}", "发卡地区行政区划代码"),
            (f"{CITY}|{HISTORICAL_BYTES[2:]}|01|{CARD}|{PAIRS}", "卡复位信息"),
            (f"{BEGINNING}04|{CARD}|{PAIRS}", "算法标识 is not"),
            (f"{BEGINNING}02|{CARD}|{PAIRS}", "SSF33"),
            (f"{BEGINNING}01|{CARD[:-1]}G|{PAIRS}", "卡识别码"),
            (f"{BEGINNING}01|110000{CARD[6:]}|{PAIRS}", "卡识别码 110000.* is not of 430100"),
            (f"{BEGINNING}01|{CARD}||{SOURCE}|||", "内部认证过程因子"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE[2:]}|||", "内部认证原始信息"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|{RANDOM[2:]}|{SOURCE}|", "外部认证过程因子 is not"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|{RANDOM}|x|", "外部认证原始信息 is not"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}|{RANDOM}||", "one is empty"),
            (f"{BEGINNING}01|{CARD}|{ANOTHER}|{SOURCE}||{SOURCE}|", "one is empty"),
            (f"{BEGINNING}01|{CARD}|{PAIRS}9999|", "终端编号"),
        ],
    )
    def test_refusals(self, step_1: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            read_step_1_to_2(step_1)


class TestGeneral:
    def test_the_key_is_found_by_its_address(self) -> None:
        answer = general_step_1_to_2(f"01|004C0A|{RANDOM}|{SOURCE}|", HISTORICAL_BYTES, CITY)

        assert answer == EXTERNAL
        # the same from TEST1DPUK.......
        assert (
            general_step_1_to_2(f"01|009010|{RANDOM}|{SOURCE}|", HISTORICAL_BYTES, CITY) == "DD1CE56B1ACEE004" + SOURCE
        )

    def test_sm4(self) -> None:
        # from TEST1SUKSSSE....
        answer = general_step_1_to_2(f"03|009412|{RANDOM}|{SOURCE}|", HISTORICAL_BYTES, CITY)

        assert answer == "DC9DCC3E0132CB15" + SOURCE

    def test_only_the_last_eight_historical_bytes_count(self) -> None:
        other = "FFFFFFFFFF" + HISTORICAL_BYTES[10:]

        assert general_step_1_to_2(f"01|004c0a|{RANDOM}|{SOURCE}|", other, CITY) == EXTERNAL

    @pytest.mark.parametrize(
        ("step_1", "said"),
        [
            (f"01|004C0A|{RANDOM}|{SOURCE}", "a bar closes each field"),
            (f"01|004C0A|{RANDOM}|", "4 fields are needed, not 3"),
            (f"1|004C0A|{RANDOM}|{SOURCE}|", "算法标识 is not"),
            (f"02|004C0A|{RANDOM}|{SOURCE}|", "SSF33"),
            (f"01|004C|{RANDOM}|{SOURCE}|", "密钥地址 is not"),
            (f"01|004C0B|{RANDOM}|{SOURCE}|", "密钥地址 004C0B is no key's"),
            (f"01|000000|{RANDOM}|{SOURCE}|", "密钥地址 000000 is no key's"),
            (f"01|004C0A|{RANDOM[1:]}|{SOURCE}|", "随机数1"),
            (f"01|004C0A|{RANDOM}|{SOURCE[:-1]}x|", "随机数2"),
        ],
    )
    def test_refusals(self, step_1: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            general_step_1_to_2(step_1, HISTORICAL_BYTES, CITY)

    @pytest.mark.parametrize(
        ("historical_bytes", "city", "said"),
        [(HISTORICAL_BYTES[2:], CITY, "卡复位信息"), (HISTORICAL_BYTES, "4301", "城市码")],
    )
    def test_the_card_is_checked(self, historical_bytes: str, city: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            general_step_1_to_2(f"01|004C0A|{RANDOM}|{SOURCE}|", historical_bytes, city)
        with pytest.raises(ValueError, match=said):
            pin_step_2_to_3(f"01|017309|{RANDOM}|8424000004||", historical_bytes, city)


class TestPin:
    """TEST1DTK becomes 7D7B3F7E92E6FEEC, with RANDOM the process key E491B81EE038DAE8."""

    def test_unblock(self) -> None:
        # printf 8424000004800000 | xxd -r -p | openssl enc -des-cbc -nopad -K E491B81EE038DAE8 -iv 0000000000000000
        #   -provider legacy -provider default: four bytes of it
        command = pin_step_2_to_3(f"01|017309|{RANDOM}|8424000004||", HISTORICAL_BYTES, CITY)

        assert command == "842400000497918F79"

    def test_reload(self) -> None:
        # -des-ecb of 0312345680000000, and -des-cbc of 842400010C, that, 800000: four bytes of the last block
        command = pin_step_2_to_3(f"01|017309|{RANDOM}|842400010C|123456|", HISTORICAL_BYTES, CITY)

        assert command == "842400010C" + "B73FF68803DC35D3" + "85CDBABB"

    def test_an_odd_number_of_digits(self) -> None:
        # of 0312345F80000000
        command = pin_step_2_to_3(f"01|017309|{RANDOM}|842400010C|12345|", HISTORICAL_BYTES, CITY)

        assert command == "842400010C" + "411289FCC10B1B87" + "31E020E6"

    def test_sm4_unblock(self) -> None:
        # -sm4-cbc of 84240000048000…, sixteen bytes: B260ECA5 728D513A 8B68DDC1 B004F886, XORed
        command = pin_step_2_to_3(f"03|017309|{RANDOM}|8424000004||", HISTORICAL_BYTES, CITY)

        assert command == "8424000004FB8198D8"

    def test_sm4_reload(self) -> None:
        # -sm4-ecb of 031234568000…; the last block's four words XORed
        command = pin_step_2_to_3(f"03|017309|{RANDOM}|8424000114|123456|", HISTORICAL_BYTES, CITY)

        assert command == "8424000114" + "C44D450736AEDDE0C238A60B68F835BE" + "01D5387A"

    @pytest.mark.parametrize(
        ("step_2", "said"),
        [
            (f"01|017309|{RANDOM}|8424000004|", "5 fields are needed, not 4"),
            (f"01|017309|{RANDOM}|842400010C|123456", "a bar closes each field"),
            (f"02|017309|{RANDOM}|8424000004||", "SSF33"),
            (f"01|009010|{RANDOM}|8424000004||", "密钥地址 009010 is PUK, but STK"),
            (f"01|FFFFFF|{RANDOM}|8424000004||", "is no key's"),
            (f"01|017309|{RANDOM[:8]}|8424000004||", "过程因子"),
            (f"01|017309|{RANDOM}|84240000||", "命令头 is not"),
            (f"01|017309|{RANDOM}|8424000204||", "neither unblocks nor reloads"),
            (f"01|017309|{RANDOM}|8418000004||", "neither unblocks nor reloads"),
            (f"01|017309|{RANDOM}|8424000005||", "wrong length; there are 4"),
            (f"01|017309|{RANDOM}|8424000114|123456|", "wrong length; there are 12"),
            (f"03|017309|{RANDOM}|842400010C|123456|", "wrong length; there are 20"),
            (f"01|017309|{RANDOM}|8424000004|123456|", "PIN明文 is not empty"),
            (f"01|017309|{RANDOM}|842400010C||", "PIN明文 is empty"),
            (f"01|017309|{RANDOM}|842400010C|123|", "PIN明文 is not as"),
            (f"01|017309|{RANDOM}|842400010C|12345A|", "PIN明文 is not as"),
            (f"01|017309|{RANDOM}|842400010C|1234567890123|", "PIN明文 has 13 digits"),
        ],
    )
    def test_refusals(self, step_2: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            pin_step_2_to_3(step_2, HISTORICAL_BYTES, CITY)

    @pytest.mark.parametrize(
        "ending", ["842400010C|12345x|", "842400010C|123456", "8424000004|123456|", "842400010D|123456|"]
    )
    def test_no_refusal_tells_the_pin(self, ending: str) -> None:
        with pytest.raises(ValueError) as refused:
            pin_step_2_to_3(f"01|017309|{RANDOM}|{ending}", HISTORICAL_BYTES, CITY)

        assert "12345" not in str(refused.value)
