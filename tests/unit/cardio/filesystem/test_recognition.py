"""A card of another kind is called what it is: by its ATR and its status word."""

from __future__ import annotations

import pytest

from cardio.apdu.atr import is_made_by_reader
from cardio.errors import CardBlockedError, CardRefusedError, NotASocialSecurityCardError
from cardio.filesystem.card_kinds import card_kinds, kind_of_atr, kind_of_name
from cardio.filesystem.recognition import another_name, environment_refused

STORAGE = "3B8F8001804F0CA000000306030001000000006A"
TYPE_B = "3B8C800150123456780000000000117781C3"
OURS = "3B6D00000081544C928684370200000099"
OF_ANY_OTHER_KIND = [0x6A81, 0x6283, 0x6983, 0x6985, 0x6999, 0x6E00, 0x6D00, 0x6700, 0x6F00, 0x6B00, 0x6300, 0x9303]


@pytest.mark.parametrize(
    ("atr", "word"),
    [
        (STORAGE, "存储卡"),
        ("3B8F8001804F0CA0000003060300030000000068", "票卡"),
        ("3B8F8001804F0CA00000030611003B0000000042", "FeliCa"),
        ("3B8F8001804F0CA0000003060700AA00000000C5", "存储卡"),
        (TYPE_B, "居民身份证"),
        ("3B888001D10386050080800058", "居民身份证"),
        ("3B828001485813", "交通卡"),
        ("3B8180018080", "DESFire"),
        ("3B6800000073C84012009000", "银行卡"),
        ("3B6D00000031C071D6644ED80101849000", "银行卡"),
        ("3B9F96801FC78031E073FE211B64408783008290007A", "SIM"),
    ],
)
@pytest.mark.parametrize("status_word", OF_ANY_OTHER_KIND)
def test_a_card_of_another_kind_is_named(atr: str, word: str, status_word: int) -> None:
    error = environment_refused(status_word, bytes.fromhex(atr))
    assert isinstance(error, NotASocialSecurityCardError)
    assert word in error.detail and "社会保障卡" in error.detail and "发卡机构" not in error.remedy
    assert word in error.remedy and error.status_word == status_word and error.driver_code == -1


@pytest.mark.parametrize("status_word", [0x6A81, 0x6283, 0x6983, 0x9303])
@pytest.mark.parametrize("atr", [OURS, "3B7D950000" + "0081544C928684370200000099", ""])
def test_a_card_that_may_be_ours_is_blocked(atr: str, status_word: int) -> None:
    assert isinstance(environment_refused(status_word, bytes.fromhex(atr)), CardBlockedError)


@pytest.mark.parametrize(
    "atr",
    [
        "3B88800110203040506070809A",  # contactless, of no kind that is known
        "3B65000020630CA000",  # contacts, and too few historical bytes for one of ours
    ],
)
def test_function_not_supported_by_an_atr_that_is_none_of_ours_is_another_card(atr: str) -> None:
    raw = bytes.fromhex(atr)
    assert isinstance(environment_refused(0x6A81, raw), NotASocialSecurityCardError)
    assert isinstance(environment_refused(0x6283, raw), CardBlockedError)  # it has found the environment


@pytest.mark.parametrize("status_word", [0x6F00, 0x6581, 0x6985, 0x6982, 0x6300])
def test_a_failing_card_of_no_known_kind_is_not_called_another_card(status_word: int) -> None:
    assert isinstance(environment_refused(status_word, bytes.fromhex(OURS)), CardRefusedError)


def test_an_application_of_another_name_tells_the_kind() -> None:
    error = another_name(bytes.fromhex("A000000333010101"), bytes.fromhex(OURS))
    assert "银行卡" in error.detail
    assert "别的应用" in another_name(bytes.fromhex("F000000001"), b"").detail


def test_each_kind_has_words_and_a_source() -> None:
    kinds = card_kinds()
    assert len({kind.id for kind in kinds}) == len(kinds)
    assert all(kind.title and kind.title_en and kind.source and kind.confidence in "SM1I" for kind in kinds)
    assert [kind.id for kind in kinds if kind.ours] == ["social-security-card"]
    assert kind_of_atr(b"") is kind_of_name(b"") is None
    assert is_made_by_reader(bytes.fromhex(STORAGE)) and not is_made_by_reader(bytes.fromhex(OURS))
