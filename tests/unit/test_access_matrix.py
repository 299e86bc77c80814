"""Every file of every generation against every security state: what the software card opens is what the layout says.

States are obtained by APDU: nothing, the PIN, each key of the application, the PIN with each key. What is expected
comes from the text in the layout files by an evaluator of this test's own, and from one rule beside it: the key that
opens a file for writing opens it for reading too (V2.0).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cardio.filesystem
from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.model import File, Key, Layout
from simulators.card.files import build_applications
from simulators.card.software_card import SoftwareCard
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import root_key
from tests.unit.card_helpers import CHALLENGE, SOURCE, known_random

LAYOUTS = Path(cardio.filesystem.__file__).parent / "layouts"
HISTORICAL_BYTES = bytes.fromhex("0081544C928684990000000001")
CITY = "990000"
CODE = f"hex:{CITY}D15600000500000001FFFFFFFF"
NOT_FOR_AUTHENTICATION = ("IRK", "STK", "DLK", "DPK", "DTK", "DSK")
PIN = "PIN"


def conditions(generation: int) -> dict[str, tuple[str, str]]:
    """Read and update control of each file as the TOML has them, by path."""
    document: dict[str, Any] = tomllib.loads((LAYOUTS / f"{generation}.0.toml").read_text(encoding="utf-8"))
    found = {}
    if document.get("extends", "common") != "common":
        found = conditions(int(document["extends"][0]))
    for name, application in document["applications"].items():
        for file, facts in application.get("files", {}).items():
            path = f"{name}/{file}"
            read, update = found.get(path, ("", ""))
            found[path] = (facts.get("read", read), facts.get("update", update))
    return found


def opens(condition: str, held: set[str]) -> bool:
    """Of "PIN and RK1DF04", "PIN or RK1DF01", "free" and "never"."""
    if condition == "free":
        return True
    return any(all(right in held for right in one.split(" and ")) for one in condition.split(" or "))


def values(layout: Layout) -> dict[str, dict[str, Any]]:
    """A record in each file without tags, so that there is something to read; the rest is there and empty."""
    made: dict[str, dict[str, Any]] = {"SSSE/EF05": {"identification_code": CODE}}
    for file in layout.readable_files():
        if not file.has_tags and file.structure != "transparent":
            made[file.path] = {"records": ["00" * (file.record_size or 10)]}
    return made


def states(keys: list[Key]) -> Iterator[tuple[Key | None, bool]]:
    for key in [None, *keys]:
        yield key, False
        yield key, True


def ask(card: SoftwareCard, command: str) -> str:
    return card.transmit(bytes.fromhex(command))[-2:].hex().upper()


def enter(card: SoftwareCard, file_id: int, key: Key | None, algorithm: str, with_pin: bool) -> None:
    """Selects an application and presents there what is to be held."""
    assert ask(card, f"00A4000002{file_id:04X}")[:2] == "61"
    if with_pin:
        assert ask(card, "0020000003123456") == "9000"
    if key is None:
        return
    root = root_key(key.name, algorithm, key.length)
    value = cryptography.card_key(algorithm, root, HISTORICAL_BYTES, CITY)
    process_key = cryptography.process_key(algorithm, value, bytes.fromhex(CHALLENGE))
    proof = cryptography.cryptogram(algorithm, process_key, bytes.fromhex(SOURCE)).hex()
    assert ask(card, "0084000008") == "9000"
    assert ask(card, f"008200{key.id:02X}11{proof}{SOURCE}01") == "9000", key.name


def attempts(card: SoftwareCard, file: File) -> tuple[str, str]:
    """What reading and what writing the file as it is answers."""
    held = next(
        f for app in card.applications if app.id == file.application for f in app.by_id.values() if f.path == file.path
    )
    if file.structure == "transparent":
        return ask(card, f"00B0{0x80 | file.sfi:02X}0001"), ask(card, f"00D6{0x80 | file.sfi:02X}000100")
    record = held.records[0]
    p2 = f"{file.sfi << 3 | 4:02X}"
    return ask(card, f"00B201{p2}{len(record):02X}"), ask(card, f"00DC01{p2}{len(record):02X}{record.hex()}")


@pytest.mark.parametrize("algorithm", ["3DES", "SM4"])
@pytest.mark.parametrize("generation", [1, 2, 3])
def test_every_file_in_every_state(generation: int, algorithm: str) -> None:
    layout, text = layout_of(generation), conditions(generation)
    card = SoftwareCard(
        b"\x3b\x6d\x00\x00" + HISTORICAL_BYTES,
        build_applications(layout, values(layout)),
        random=known_random,
        keys=layout.keys,
        algorithm=algorithm,
    )
    wrong, seen = [], set()
    for application in layout.applications:
        files = [file for file in application.files if not file.internal]
        keys = [key for key in layout.keys if key.application == application.id]
        for key, with_pin in states([key for key in keys if not key.name.startswith(NOT_FOR_AUTHENTICATION)]):
            held = {PIN} if with_pin else set()
            held |= {key.name} if key is not None else set()
            for file in files:
                enter(card, application.file_id, key, algorithm, with_pin)
                read, update = text[file.path]
                writes = opens(update, held)
                expected = ("9000" if opens(read, held) or writes else "6982", "9000" if writes else "6982")
                found = attempts(card, file)
                seen.add((file.path, expected))
                if found != expected:
                    wrong.append((file.path, sorted(held), expected, found))
    assert not wrong
    # Each file was found closed for writing, and open unless no key writes it.
    for file in layout.readable_files():
        answers = {write for path, (_, write) in seen if path == file.path}
        assert answers == ({"6982"} if text[file.path][1] == "never" else {"6982", "9000"}), file.path


def test_the_conditions_are_those_of_the_specification() -> None:
    """A few by hand, from V2.0 tables 3 to 8 and B3 to B8, so that the matrix does not rest on the layout alone."""
    second, third = conditions(2), conditions(3)
    assert second["SSSE/EF06"] == ("free", "UKSSSE") and third["SSSE/EF06"] == ("RKSSSE", "UKSSSE")
    assert second["SSSE/EF08"] == third["SSSE/EF08"] == ("RKSSSE", "UKSSSE")
    assert second["DF01/EF06"] == ("PIN or RK1DF01", "UK4DF01")
    assert second["DF01/EF1A"] == ("free", "UKBDF01")
    assert second["DF03/EF05"] == ("PIN or RK2DF03", "UK1DF03")
    assert second["DF04/EF06"] == ("PIN and RK1DF04", "UK2DF04")
    assert second["DF04/EF08"] == ("PIN", "never")
    assert second["DF06/EF06"] == ("RK1DF06", "UK2DF06")
    assert second["DF07/EF07"] == ("RK3DF07", "UK3DF07")


@pytest.mark.parametrize(
    ("condition", "held", "opened"),
    [
        ("free", "", True),
        ("never", "PIN RK1DF04", False),
        ("PIN or RK1DF01", "", False),
        ("PIN or RK1DF01", "PIN", True),
        ("PIN or RK1DF01", "RK1DF01", True),
        ("PIN and RK1DF04", "PIN", False),
        ("PIN and RK1DF04", "RK1DF04", False),
        ("PIN and RK1DF04", "PIN RK1DF04", True),
    ],
)
def test_the_evaluator(condition: str, held: str, opened: bool) -> None:
    assert opens(condition, set(held.split())) is opened
