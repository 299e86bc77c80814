"""Programs of other projects read our software card through pcscd: Debian's opensc-tool and scriptor.

Sequences of public readers (card.md §5), expected bytes by hand; neither program shares code with ours.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from simulators.personas.persona import find_persona
from tests.pcsc import Slot

pytestmark = pytest.mark.pcsc
SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
NAME = "091EB2E2CAD4BCD7" + "00" * 24

# [Z9] by tag with the value's length; [SSCR] by number with SFI; [NX] with Le 00; [MT] by number and the FCI;
# [HN] the whole file at once; [TEC] with a PIN that is not checked.
SEQUENCES = {
    "SSCR": [
        (SELECT, "6118"),
        ("00B2032C06", "0304322E30309000"),
        ("00B2012C12", "0110370200D15600000500000001FFFFFFFF9000"),
        ("00B2072C0B", "07094130303030303031319000"),
        ("00B2013414", "08123131393930303139373730383039303032379000"),
        ("00B2023420", NAME + "9000"),
        ("00B2043403", "0A01329000"),
    ],
    "YT": [
        ("00A40000023F00", "6112"),
        (SELECT, "6118"),
        ("00A4020002EF05", "9000"),
        ("00B2010412", "0110370200D15600000500000001FFFFFFFF9000"),
        ("00B2020403", "0201339000"),
        ("00A4020002EF06", "9000"),
        ("00B2080014", "08123131393930303139373730383039303032379000"),
    ],
    "NX": [(SELECT, "6118"), ("00B2072C00", "6C0B"), ("00B2072C0B", "07094130303030303031319000")],
    "HN": [
        (SELECT, "6118"),
        ("00C0000018", "6F16840F7378312E73682EC9E7BBE1B1A3D5CFA50388011E9000"),
        ("00A4000002EF05", "9000"),
        (
            "00B2010540",
            "0110370200D15600000500000001FFFFFFFF" + "020133" + "0304322E3030"
            "040C915600000237020037020001" + "050420160520" + "060420360520" + "0709413030303030303131" + "9000",
        ),
    ],
    # [HZ] reads the first voucher by its tag, after the PIN; [HN] and [JS] read cyclic files by number.
    "HZ": [
        (SELECT, "6118"),
        ("00A4010002DF03", "610A"),
        ("00A4000002EF19", "9000"),
        ("00B2790029", "6982"),
        ("0020000003123456", "9000"),
        (
            "00B2790029",
            "79271803313130" + "1903370202" + "1A0420000701" + "1B0420131231" + "1C044523610F" + "1D03313632"
            "1E0420140115" + "9000",
        ),
        ("00A4000002DDF1", "6118"),
        ("00A4000002DF04", "610A"),
        ("0020000003123456", "9000"),
        ("00A4000002EF08", "9000"),
        ("00B201041C", "000C32370202000001" + "20261008093105" + "00000000" + "00000C4E" + "00003138" + "9000"),
        ("00B203041C", "000A31370202000009" + "20260115080000" + "00007530" + "00000000" + "00000000" + "9000"),
        ("00B204041C", "6A83"),
    ],
    "TEC": [
        (SELECT, "6118"),
        ("00A4020002EF05", "9000"),
        ("00B207040B", "07094130303030303031319000"),
        ("0020000003111111", "63C2"),
        ("00A4000002EF06", "9000"),
        ("00B2010414", "08123131393930303139373730383039303032379000"),
    ],
}
PERSONAS = {"HZ": "personalised"}
"""Whose card a sequence is for, where it is not the adult's."""


def plain(text: str) -> str:
    return re.sub(r"[^0-9A-F]", "", text.upper())


@pytest.mark.parametrize("name", SEQUENCES)
def test_scriptor_gets_the_bytes_of_the_specification(name: str, slot: Slot) -> None:
    slot.insert(find_persona(PERSONAS.get(name, "adult")).card())
    commands, expected = zip(*SEQUENCES[name], strict=True)
    done = subprocess.run(
        ["scriptor", "-r", slot.reader.name],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    # An answer may go on over several lines, and ends with the meaning of its status word.
    answers = re.findall(r"<\s*([0-9A-F\s]+?)\s*:", done.stdout)
    assert [plain(answer) for answer in answers] == list(expected)


@pytest.mark.parametrize("name", SEQUENCES)
def test_opensc_tool_gets_the_bytes_of_the_specification(name: str, slot: Slot) -> None:
    slot.insert(find_persona(PERSONAS.get(name, "adult")).card())
    arguments = [argument for command, _ in SEQUENCES[name] for argument in ("-s", command)]
    done = subprocess.run(
        ["opensc-tool", "-r", slot.reader.name, "-c", "default", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    answers = re.findall(r"\(SW1=0x([0-9A-F]{2}), SW2=0x([0-9A-F]{2})\)(:?[^(]*?)(?=Sending|\Z)", done.stdout)
    got = []
    for sw1, sw2, dump in answers:
        lines = dump.lstrip(":\n").splitlines()
        # Hex, then the same as text: on a single line right behind it, on several in a column of their own.
        hexes = [line[: 3 * len(line) // 4] for line in lines] if len(lines) == 1 else [line[:48] for line in lines]
        got.append(plain("".join(hexes)) + sw1 + sw2)
    # OpenSC itself follows 61xx and 6Cxx: it shows the data where the card first gave a length.
    wanted = [fetched(command, answer) for command, answer in SEQUENCES[name]]
    for one, other in zip(got, wanted, strict=True):
        assert other is None or one == other


def fetched(command: str, answer: str) -> str | None:
    """What OpenSC shows for an answer; None where its own following decides."""
    return None if answer.startswith(("61", "6C")) or command.startswith("00C0") else answer


def test_opensc_tool_sees_the_atr(slot: Slot) -> None:
    slot.insert(find_persona("adult").card())
    done = subprocess.run(
        ["opensc-tool", "-r", slot.reader.name, "-a"], capture_output=True, text=True, timeout=30, check=True
    )
    assert plain(done.stdout) == "3B6D00000081544C928684370200000001"
