"""ATR and FCI: samples from card.md §1.3 and §4.1 (serial numbers invented), the rest by hand from the standards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.atr import Atr
from cardio.apdu.fci import Fci
from cardio.errors import CardGarbledError


def test_the_card_of_the_specification() -> None:
    atr = Atr.from_bytes(bytes.fromhex("3B6D0000 0081544C97868444060000ABCD"))
    assert atr.interface_bytes == (("TB1", 0x00), ("TC1", 0x00))
    assert atr.historical_bytes == bytes.fromhex("0081544C97868444060000ABCD")
    assert (atr.protocols, atr.ta1) == ((0,), 0x11)


def test_a_card_with_protocols_and_a_check_byte() -> None:
    # T0=D6: TA1 TC1 TD1, 6 historical; TD1=81: T=1 and TD2; TD2=31: TA3, TB3 and T=1 again.
    raw = bytes.fromhex("3BD6 18 00 81 31 FE45 803181660102")
    check = 0
    for value in raw[1:]:
        check ^= value
    atr = Atr.from_bytes(raw + bytes((check,)))
    assert dict(atr.interface_bytes)["TA3"] == 0xFE
    assert (atr.protocols, atr.ta1, atr.historical_bytes) == ((1,), 0x18, bytes.fromhex("803181660102"))
    with pytest.raises(CardGarbledError):
        Atr.from_bytes(raw + bytes((check ^ 1,)))


@pytest.mark.parametrize("raw", ["", "3B", "3C00", "3B6D0000", "3B0001", "3B" + "00" * 33])
def test_what_is_no_atr_is_garbled(raw: str) -> None:
    with pytest.raises(CardGarbledError):
        Atr.from_bytes(bytes.fromhex(raw))


@given(st.binary(max_size=40))
def test_any_bytes_give_an_atr_or_our_error(raw: bytes) -> None:
    try:
        assert bytes(Atr.from_bytes(raw)) == raw
    except CardGarbledError:
        pass


def test_the_fci_of_a_real_card() -> None:
    fci = Fci.from_bytes(bytes.fromhex("6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E"))
    assert fci == Fci(bytes.fromhex("7378312E73682EC9E7BBE1B1A3D5CF"), 0x1E, None)


@pytest.mark.parametrize(("marker", "code"), [("01", 1), ("02", 2), ("03", 3)])
def test_the_algorithm_that_the_fci_names(marker: str, code: int) -> None:
    raw = f"6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C038601{marker}"
    assert Fci.from_bytes(bytes.fromhex(raw)).algorithm_marker == code


def test_the_fci_of_the_root() -> None:
    assert Fci.from_bytes(bytes.fromhex("6F10840E315041592E5359532E4444463031")).name == b"1PAY.SYS.DDF01"


@given(st.binary(max_size=60))
def test_any_bytes_give_an_fci_or_our_error(raw: bytes) -> None:
    for candidate in (raw, b"\x6f" + bytes((len(raw),)) + raw):
        try:
            Fci.from_bytes(candidate)
        except CardGarbledError:
            pass
