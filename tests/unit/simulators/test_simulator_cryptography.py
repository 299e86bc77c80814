"""What software cards compute, against published vectors and OpenSSL, and the test keys that they compute with.

``des``, ``tdes`` and ``sm4`` below stand for the command line, with the value as hex::

    run() { printf %s "$3" | xxd -r -p | openssl enc -provider legacy -provider default -$1 -K $2 $4 -nopad | xxd -p; }
    des() { run des-ecb $1 $2; }; tdes() { run des-ede-ecb $1 $2; }; sm4() { run sm4-ecb $1 $2; }
"""

from __future__ import annotations

import tomllib

import pytest

from cardio.filesystem.layouts.loader import layout_of
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import TERMINAL_NUMBER, key_file, root_key

DES = "0123456789ABCDEF"
BOTH = "0123456789ABCDEFFEDCBA9876543210"
CARD_FACTOR = "8684370200000001"
RANDOM = "1122334455667788"
SOURCE = "0102030405060708"


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("algorithm", "key", "plain", "cipher"),
    [
        # GB/T 32907-2016, example 1 of its appendix.
        ("SM4", BOTH, BOTH, "681EDF34D206965E86B3E94F536E4246"),
        # FIPS 81, table B1: "Now is t".
        ("3DES", DES, "4E6F772069732074", "3FA40E8A984D4815"),
        # tdes 0123456789ABCDEFFEDCBA9876543210 4E6F772069732074
        ("3DES", BOTH, "4E6F772069732074", "D80A0D8B2BAE5E4E"),
    ],
)
def test_blocks_by_themselves(algorithm: str, key: str, plain: str, cipher: str) -> None:
    assert cryptography.enciphered(algorithm, raw(key), raw(plain * 2)).hex().upper() == cipher * 2
    assert cryptography.deciphered(algorithm, raw(key), raw(cipher * 2)).hex().upper() == plain * 2


@pytest.mark.parametrize(
    ("algorithm", "key", "expected"),
    [
        # tdes $BOTH 8684370200000001797BC8FDFFFFFFFE: the factor, and each of its bits the other way round
        ("3DES", BOTH, "4AF8D9DAC8BA4F934CF006F1CDBB328C"),
        # des $DES 8684370200000001
        ("3DES", DES, "C44310CFA688E04C"),
        # sm4 $BOTH 8684370200000001797BC8FDFFFFFFFE
        ("SM4", BOTH, "EA7858B666EA7D79ECF42BB54523E767"),
    ],
)
def test_a_key_one_level_below(algorithm: str, key: str, expected: str) -> None:
    assert cryptography.diversified(algorithm, raw(key), raw(CARD_FACTOR)).hex().upper() == expected


@pytest.mark.parametrize(
    ("algorithm", "key", "expected"),
    [
        # tdes $BOTH 1122334455667788
        ("3DES", BOTH, "3EB3B72576BBBE83"),
        # des $DES 1122334455667788
        ("3DES", DES, "B4CC3FD9D8D95214"),
        # sm4 $BOTH 11223344556677880000000000000000
        ("SM4", BOTH, "EDC7AC8587C62318A01DCD93A63DB384"),
    ],
)
def test_a_process_key(algorithm: str, key: str, expected: str) -> None:
    assert cryptography.process_key(algorithm, raw(key), raw(RANDOM)).hex().upper() == expected


def test_a_cryptogram_has_eight_bytes() -> None:
    # des $DES 0102030405060708
    assert cryptography.cryptogram("3DES", raw(DES), raw(SOURCE)) == raw("E68F791BAB16D4E6")
    # sm4 $BOTH 01020304050607080000000000000000 is 83A3209C062DD1BA DC7EB9A929777717, and these halves XORed
    assert cryptography.cryptogram("SM4", raw(BOTH), raw(SOURCE)) == raw("5FDD99352F5AA6AD")


@pytest.mark.parametrize(
    ("algorithm", "key", "message", "initial_value", "expected"),
    [
        # run des-cbc $DES 6162638000000000 "-iv 0000000000000000" is E02A4391910F4208
        ("3DES", DES, "616263", None, "E02A4391"),
        # A full block has another of padding behind it:
        # run des-cbc $DES 00112233445566778000000000000000 "-iv 0000000000000000" ends in 91CA697F9742232A
        ("3DES", DES, "0011223344556677", None, "91CA697F"),
        # the same with "-iv A1B2C3D400000000" ends in 4D0A15E940C23889
        ("3DES", DES, "0011223344556677", "A1B2C3D4", "4D0A15E9"),
        # ISO 9797-1 algorithm 3: 91CA697F9742232A deciphered (-d) with FEDCBA9876543210 is 5214434ABEAAC8CB,
        # des $DES 5214434ABEAAC8CB is 0B8F413E201CFD90
        ("3DES", BOTH, "0011223344556677", None, "0B8F413E"),
        # run sm4-cbc $BOTH 61626380000000000000000000000000 "-iv 00…" is D0249FA9 996014E6 F3C50F96 13B6EB5E
        ("SM4", BOTH, "616263", None, "A9376F87"),
        # over 00112233445566778899AABBCCDDEEFF 80000000000000000000000000000000
        # it ends in A9A5EA6D BBD23E55 D409671E 1B724BF1
        ("SM4", BOTH, "00112233445566778899AABBCCDDEEFF", None, "DD0CF8D7"),
        # the same with "-iv A1B2C3D4000000000000000000000000" ends in 669A34D5 C128B976 8866BEF3 B9F35680
        ("SM4", BOTH, "00112233445566778899AABBCCDDEEFF", "A1B2C3D4", "962765D0"),
    ],
)
def test_a_mac_has_four_bytes(algorithm: str, key: str, message: str, initial_value: str | None, expected: str) -> None:
    start = None if initial_value is None else raw(initial_value)
    assert cryptography.mac(algorithm, raw(key), raw(message), start).hex().upper() == expected


@pytest.mark.parametrize(
    ("algorithm", "root", "historical_bytes", "city_code", "expected"),
    [
        # The root is TEST1DIRK.......; the factors are "370000sh", "370200sx" and the card's:
        # tdes 54455354314449524B2E2E2E2E2E2E2E 3337303030307368CCC8CFCFCFCF8C97 40E86C93508AFB943B894DCA6BD79ABB
        # tdes 40E86C93508AFB943B894DCA6BD79ABB 3337303230307378CCC8CFCDCFCF8C87 812B6E44D252CEB07E519304AC776205
        # tdes 812B6E44D252CEB07E519304AC776205 8684370200000001797BC8FDFFFFFFFE 7D6830D7C8386569B875A963BFCBE92B
        (
            "3DES",
            "54455354314449524B2E2E2E2E2E2E2E",
            "0081544C928684370200000001",
            "370200",
            "7D6830D7C8386569B875A963BFCBE92B",
        ),
        # TEST1DTK: des 544553543144544B 3337303030307368 → 60F01B6386E17CD4
        # des 60F01B6386E17CD4 3337303230307378 → D5FD1F50F3CFCE13; des D5FD1F50F3CFCE13 8684370200000001
        ("3DES", "544553543144544B", "0081544C928684370200000001", "370200", "5C79AD192613615C"),
        # TEST1SRKSSSE....: sm4 544553543153524B535353452E2E2E2E 3332303030307368CCCDCFCFCFCF8C97
        # → 517A4DE7DF1DC5ABC5B0DA517C6BBC2B, sm4 of it 3332303230307378CCCDCFCDCFCF8C87
        # → 5F4D67C558980F0D5804B216D343DCE6, sm4 of it 8684329900000014797BCD66FFFFFFEB
        (
            "SM4",
            "544553543153524B535353452E2E2E2E",
            "0081544C978684329900000014",
            "320200",
            "925792DE487DFA3094EA52EA6F39D79D",
        ),
    ],
)
def test_a_cards_key_from_the_root(
    algorithm: str, root: str, historical_bytes: str, city_code: str, expected: str
) -> None:
    key = cryptography.card_key(algorithm, raw(root), raw(historical_bytes), city_code)
    assert key.hex().upper() == expected


def test_ssf33_is_not_published() -> None:
    for work in (cryptography.enciphered, cryptography.deciphered, cryptography.diversified, cryptography.mac):
        with pytest.raises(ValueError, match="SSF33"):
            work("SSF33", raw(BOTH), raw(BOTH))


def test_roots_look_like_what_they_are() -> None:
    assert root_key("IRK", "3DES", 16) == b"TEST1DIRK......."
    assert root_key("UK1DF01", "SM4", 16, 3) == b"TEST3SUK1DF01..."
    assert root_key("STKDF01", "3DES", 8) == b"TEST1D01"
    assert root_key("STK", "3DES", 8) == b"TEST1DTK"
    assert root_key("STK", "SM4", 8) == b"TEST1SSTK......."


def test_a_key_file_has_every_key_in_every_group() -> None:
    keys = layout_of(3).keys
    written = tomllib.loads(key_file(keys))
    assert written["levels"] == 3 and written["terminal_number"] == TERMINAL_NUMBER == "000000009999"
    assert set(written["keys"]) == {"3DES", "SM4"}
    for algorithm, length_of_stk in (("3DES", 8), ("SM4", 16)):
        listed = written["keys"][algorithm]
        assert listed.keys() == {key.name for key in keys} >= {"IRK", "DPK1", "UK1SSSE", "STKDF07"}
        for key in keys:
            assert sorted(listed[key.name]) == [str(version) for version in range(1, key.versions + 1)]
        assert len(raw(listed["STK"]["1"])) == length_of_stk
    # "TEST2DIRK......."
    assert written["keys"]["3DES"]["IRK"]["2"] == "54455354324449524B2E2E2E2E2E2E2E"
    assert written["keys"]["3DES"]["STKDF01"] == {"1": b"TEST1D01".hex().upper()}
