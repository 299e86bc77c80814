"""docs/algorithms.md: OpenSSL gives every value that is printed there, and the library the same commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cardio.apdu.command import CommandApdu
from cardio.apdu.commands import debit_for_purchase
from cardio.debits.purse import Amounts
from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.model import Key
from cardio.security.algorithms import pad
from cardio.security.pin.pin import Pin, reload_block
from cardio.security.sam.base import CardKey, Mac2, Purchase
from cardio.security.sam.diversification import DiversificationFactors
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.terminal import MacStart, Terminal, TerminalSettings

PAGE = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```sh\n(.+)\n# ([0-9A-F]+)\n```", PAGE)
CHALLENGE, SOURCE = bytes.fromhex("1122334455667788"), bytes.fromhex("0102030405060708")
FACTORS = DiversificationFactors.of(bytes.fromhex("0081544C978684430200000042"), "430200D15600000500000042FFFFFFFF")
ROOTS = {
    "3DES": {
        "RKSSSE": b"TEST1DRKSSSE....",
        "IRK": b"TEST1DIRK.......",
        "STK": b"TEST1DTK",
        "STKDF01": b"TEST1D01",
        "DPK1": b"TEST1DDPK1......",
    },
    "SM4": {"RKSSSE": b"TEST1SRKSSSE....", "STK": b"TEST1SSTK......."},
}
SAM = SoftSam(
    KeyFile.model_validate(
        {"levels": 3, "keys": {name: {key: {1: root} for key, root in keys.items()} for name, keys in ROOTS.items()}}
    )
)


def key(name: str, algorithm: str) -> CardKey:
    found = layout_of(3).key(name)
    assert isinstance(found, Key)
    return CardKey.of(found, algorithm, FACTORS)


def is_printed(command: CommandApdu) -> bool:
    """Whether the page has this command, its blanks aside."""
    return bytes(command).hex().upper() in PAGE.replace(" ", "")


@pytest.mark.parametrize(("command", "value"), STEPS, ids=[str(number) for number in range(len(STEPS))])
def test_openssl_gives_what_is_printed(command: str, value: str) -> None:
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip().upper() == value


def test_the_page_has_its_steps() -> None:
    assert len(STEPS) == PAGE.count("```sh") > 30


@pytest.mark.parametrize(("algorithm", "version"), [("3DES", b""), ("SM4", b"\x01")])
def test_external_authentication(algorithm: str, version: bytes) -> None:
    cryptogram = SAM.cryptogram(key("RKSSSE", algorithm), CHALLENGE, SOURCE)
    assert is_printed(CommandApdu(0x00, 0x82, 0x00, 0x0A, cryptogram + SOURCE + version))


def test_internal_authentication_and_the_code() -> None:
    assert SAM.cryptogram(key("IRK", "3DES"), CHALLENGE, SOURCE).hex().upper() in PAGE
    code = SAM.certificate(key("IRK", "3DES"), bytes.fromhex("430200D15600000500000042"))
    assert code is not None and f"430200D15600000500000042{code.hex().upper()}" in PAGE


@pytest.mark.parametrize("algorithm", ["3DES", "SM4"])
def test_macs_and_the_reloaded_pin(algorithm: str) -> None:
    terminal = Terminal(SAM, layout_of(3), algorithm, FACTORS)
    unblock = terminal.with_mac(CommandApdu(0x84, 0x24, 0x00, 0x00), "STK", CHALLENGE)
    assert is_printed(unblock)
    enciphered = terminal.encipher("STK", CHALLENGE, lambda block: reload_block(Pin("654321"), block))
    assert is_printed(terminal.with_mac(CommandApdu(0x84, 0x24, 0x00, 0x01, enciphered), "STK", CHALLENGE))


@pytest.mark.parametrize("start", list(MacStart))
def test_a_record_is_written_with_either_initial_value(start: MacStart) -> None:
    terminal = Terminal(SAM, layout_of(3), "3DES", FACTORS, settings=TerminalSettings(mac_start=start))
    plain = CommandApdu(0x00, 0xDC, 0x02, 0x34, bytes.fromhex("2403430200"))
    assert is_printed(terminal.with_mac(plain, "STKDF01", CHALLENGE))


def test_a_debit() -> None:
    time, number = bytes.fromhex("20261125103000"), bytes.fromhex("00000107")
    purchase = Purchase(
        key=key("DPK1", "3DES"), challenge=bytes.fromhex("A1B2C3D4"), transaction_number=12,
        amounts=bytes(Amounts(0, 10, 20)), transaction_type=0x32, terminal_number=bytes.fromhex("410100813475"),
        time=time, algorithm_number=0,
    )  # fmt: skip
    mac1 = SAM.mac(purchase.key, purchase.factor(number), pad(purchase.text_of_mac1, 8))
    assert bytes(debit_for_purchase(number, time, mac1))[:-1].hex().upper() in PAGE.replace(" ", "")  # without Le
    answered = re.findall(r"The card answers `([0-9A-F]{8}) ([0-9A-F]{8})`", PAGE)
    assert [SAM.check_purchase(purchase, number, bytes.fromhex(mac2)) for _, mac2 in answered] == [Mac2.RIGHT]
