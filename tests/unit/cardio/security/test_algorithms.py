"""Algorithms against published vectors; where none is published, against OpenSSL (docs/algorithms.md has the rest)."""

from __future__ import annotations

import pytest

from cardio.security.algorithms import pad, requires_key_version, suite_for
from cardio.security.errors import AlgorithmNotSupportedError

DES, SM4 = suite_for("3DES"), suite_for("SM4")


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_sm4_is_the_example_of_gbt_32907() -> None:
    """GB/T 32907-2016 appendix A.1: key and plain text are the same sixteen bytes."""
    same = h("0123456789ABCDEFFEDCBA9876543210")
    assert SM4.encipher(same, same) == h("681EDF34D206965E86B3E94F536E4246")


@pytest.mark.parametrize(
    ("key", "plain", "cipher"),
    [
        # NIST SP 800-17 / FIPS 81, table B.1: "Now is the time for all ", ECB, block by block.
        ("0123456789ABCDEF", "4E6F772069732074", "3FA40E8A984D4815"),
        ("0123456789ABCDEF", "68652074696D6520", "6A271787AB8883F9"),
        ("0123456789ABCDEF", "666F7220616C6C20", "893D51EC4B563B53"),
        # NIST SP 800-20 table 1, variable plain text: the key is all 01.
        ("0101010101010101", "8000000000000000", "95F8A5E5DD31D900"),
        ("0101010101010101", "0000000000000001", "166B40B44ABA4BD6"),
        # The same with two keys that are alike is single DES.
        ("0123456789ABCDEF0123456789ABCDEF", "4E6F772069732074", "3FA40E8A984D4815"),
    ],
)
def test_des_and_triple_des(key: str, plain: str, cipher: str) -> None:
    assert DES.encipher(h(key), h(plain)) == h(cipher)


def test_cbc_mac_of_iso_9797_1() -> None:
    """ISO/IEC 9797-1 annex, algorithm 1 with DES, "Now is the time for all ", padded with zeros (none needed)."""
    message = h("4E6F77206973207468652074696D6520666F7220616C6C20")
    assert DES.mac(h("0123456789ABCDEF"), message) == h("70A30640")


def test_retail_mac_of_iso_9797_1() -> None:
    """ISO/IEC 9797-1 annex, algorithm 3: the same message, keys 0123456789ABCDEF and FEDCBA9876543210."""
    message = h("4E6F77206973207468652074696D6520666F7220616C6C20")
    assert DES.mac(h("0123456789ABCDEFFEDCBA9876543210"), message) == h("A1C72E74")


def test_the_initial_value_counts() -> None:
    key, block = h("0123456789ABCDEF"), h("4E6F772069732074")
    # openssl enc -provider legacy -provider default -des-ecb -nopad -K 0123456789ABCDEF, over block XOR initial value
    assert DES.mac(key, block, h("1122334400000000")) == DES.encipher(key, h("5F4D446469732074"))[:4]
    assert DES.mac(key, block, bytes(8)) == DES.mac(key, block) == h("3FA40E8A")


def test_sm4_mac_and_cryptogram_are_folded() -> None:
    """One block of GB/T 32907's example, so 681EDF34 D206965E 86B3E94F 536E4246, its words and halves XORed by hand."""
    same = h("0123456789ABCDEFFEDCBA9876543210")
    assert SM4.mac(same, same) == h("6FC5E263")
    assert SM4.fold_cryptogram(SM4.encipher(same, same)) == h("EEAD367B8168D418")


def test_filling_is_padding_method_2() -> None:
    assert pad(b"", 8) == h("8000000000000000")
    assert pad(h("01020304050607"), 8) == h("0102030405060780")
    assert pad(h("0102030405060708"), 8) == h("01020304050607088000000000000000")
    assert pad(h("01"), 16) == h("01800000000000000000000000000000")


def test_keys_have_the_length_of_their_algorithm() -> None:
    assert (DES.key_length(8), DES.key_length(16), SM4.key_length(8)) == (8, 16, 16)
    assert (requires_key_version("3DES"), requires_key_version("SM4"), requires_key_version("SSF33")) == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize("name", ["SSF33", "?", ""])
def test_what_is_not_published_is_refused_in_words(name: str) -> None:
    with pytest.raises(AlgorithmNotSupportedError) as caught:
        suite_for(name)
    assert caught.value.driver_code == -2202 and caught.value.calls_for_hsm
    assert "未公开" in caught.value.detail and "not published" in caught.value.detail_en
