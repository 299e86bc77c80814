"""终端设备号: the reader's serial number, or a number made of its name; never empty, never too long, never a bar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.readers.device_number import MOST_BYTES, device_number, is_device_number


@pytest.mark.parametrize(
    ("reader", "serial", "number"),
    [
        ("ACS ACR38U 00 00", b"", "ACS-ACR38U-00-00"),
        ("Simulated Reader 00", b"", "Simulated-Reader-00"),
        ("德卡 T10 00 00", b"", "德卡-T10-00-00"),
        ("ACS ACR38U 00 00", b"RR171-012345\x00", "RR171-012345"),
        ("ACS ACR38U 00 00", b"SN|12 34\x00garbage", "SN-12-34"),
        ("ACS ACR38U 00 00", b"00000000", "ACS-ACR38U-00-00"),
        ("ACS ACR38U 00 00", b"\xff\xfe", "ACS-ACR38U-00-00"),
        ("ACS ACR38U 00 00", b"X1" * 40, "ACS-ACR38U-00-00"),
    ],
)
def test_as_written(reader: str, serial: bytes, number: str) -> None:
    assert device_number(reader, serial) == number


def test_long_names_stay_apart() -> None:
    name = "HID Global OMNIKEY 3x21 Smart Card Reader [OMNIKEY 3x21 Smart Card Reader] {} 00"
    first, second = device_number(name.format("00")), device_number(name.format("01"))
    assert first != second and first.startswith("HID-Global-OMNIKEY-3x21")
    assert len(first) <= MOST_BYTES and device_number(name.format("00")) == first


@given(st.text(max_size=200), st.binary(max_size=60))
def test_whatever_the_reader_is_called(reader: str, serial: bytes) -> None:
    number = device_number(reader, serial)
    assert is_device_number(number) and len(number.encode("gbk")) <= MOST_BYTES


@pytest.mark.parametrize("text", ["", " ", "a|b", "a\nb", "x" * 33, "卡" * 17, "㐂😀", "\u200b"])
def test_what_cannot_be_sent(text: str) -> None:
    assert not is_device_number(text)
