"""Command APDUs: bytes written by hand after ISO/IEC 7816-4 §5.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.command import CommandApdu
from cardio.errors import UsageError

VECTORS = [
    # case, hex, command
    (1, "00A40000", CommandApdu(0x00, 0xA4, 0x00, 0x00)),
    (2, "0084000008", CommandApdu(0x00, 0x84, 0x00, 0x00, expected_length=8)),
    (2, "00B2010400", CommandApdu(0x00, 0xB2, 0x01, 0x04, expected_length=256)),
    (3, "00A4000002EF05", CommandApdu(0x00, 0xA4, 0x00, 0x00, b"\xef\x05")),
    (4, "00A4040002DF0100", CommandApdu(0x00, 0xA4, 0x04, 0x00, b"\xdf\x01", 256)),
    (2, "00B00000000101", CommandApdu(0x00, 0xB0, 0x00, 0x00, expected_length=257, extended=True)),
    (2, "00B00000000000", CommandApdu(0x00, 0xB0, 0x00, 0x00, expected_length=65536, extended=True)),
    (3, "00D60000000002AABB", CommandApdu(0x00, 0xD6, 0x00, 0x00, b"\xaa\xbb", extended=True)),
    (4, "00880000000002AABB0008", CommandApdu(0x00, 0x88, 0x00, 0x00, b"\xaa\xbb", 8, extended=True)),
]


@pytest.mark.parametrize(("case", "raw", "command"), VECTORS)
def test_each_case_has_the_bytes_of_the_standard(case: int, raw: str, command: CommandApdu) -> None:
    assert bytes(command) == bytes.fromhex(raw)
    assert command.case == case
    assert CommandApdu.from_bytes(bytes.fromhex(raw)) == command


@pytest.mark.parametrize("raw", ["", "00A404", "00A4040005AABB", "00A40400020102030405", "00D6000000000501"])
def test_lengths_that_do_not_agree_are_refused(raw: str) -> None:
    with pytest.raises(UsageError):
        CommandApdu.from_bytes(bytes.fromhex(raw))


@pytest.mark.parametrize(
    "make",
    [
        lambda: CommandApdu(0x100, 0, 0, 0),
        lambda: CommandApdu(0, 0, 0, 0, bytes(256)),
        lambda: CommandApdu(0, 0, 0, 0, expected_length=0),
        lambda: CommandApdu(0, 0, 0, 0, expected_length=257),
        lambda: CommandApdu(0, 0, 0, 0, expected_length=65537, extended=True),
    ],
)
def test_what_does_not_fit_the_form_is_refused(make: type) -> None:
    with pytest.raises(UsageError):
        make()


byte = st.integers(0, 255)


@given(
    header=st.tuples(byte, byte, byte, byte),
    data=st.binary(max_size=300),
    expected=st.none() | st.integers(1, 65536),
    extended=st.booleans(),
)
def test_any_command_comes_back_from_its_bytes(
    header: tuple[int, int, int, int], data: bytes, expected: int | None, extended: bool
) -> None:
    if not extended:
        data, expected = data[:255], expected and min(expected, 256)
    command = CommandApdu(*header, data=data, expected_length=expected, extended=extended and bool(data or expected))
    assert CommandApdu.from_bytes(bytes(command)) == command


def test_the_data_is_not_in_the_repr() -> None:
    command = CommandApdu(0x00, 0x20, 0x00, 0x00, bytes.fromhex("123456"))
    assert "123456" not in repr(command)
    assert repr(command) == "CommandApdu(00200000 Lc=3 Le=-)"
