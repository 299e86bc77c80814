"""The facts about the certificate application, and a site's own in their place."""

import re
from pathlib import Path

import pytest

from cardio.errors import CardRefusedError, LayoutError
from cardio.pki.application import sign
from cardio.pki.layout import load_pki_layout
from tests.unit.cardio.pki.pki_helpers import DIGEST, KEY, LAYOUT, SIGNATURE, run


def own(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_site_may_name_another_signing_command(tmp_path: Path) -> None:
    text = '[commands.sign]\nheader = "80480001"\ndata = "C202{private_key}C120{digest}"\nexperimental = false\n'
    layout = load_pki_layout(own(tmp_path, text))
    assert layout.commands.decipher == LAYOUT.commands.decipher
    command = "8048000126 C2020013 C120" + DIGEST
    signature = run([(command, SIGNATURE + "9000")], lambda: sign(layout, KEY, b"TEST message"))
    assert signature == bytes.fromhex(SIGNATURE)
    with pytest.raises(CardRefusedError) as caught:
        run([(command, "6D00")], lambda: sign(layout, KEY, b"TEST message"))
    assert "试验" not in caught.value.detail


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[commands.sign]\nheader = "2A9E9A"', "commands.sign.header"),
        ('[commands.sign]\nheader = "002A9E9X"', "commands.sign.header"),
        ("[commands.sign]\nheader = 42", "commands.sign.header"),
        ('[commands.sign]\ndata = "{message}"', "commands.sign.data"),
        ('[commands.sign]\ndata = "C2{digest"', "commands.sign.data"),
        ('[commands.sign]\ndata = "C{digest}2"', "commands.sign.data"),
        ('[commands.import_session_key]\ndata = "' + "00" * 240 + '{session_key}"', "commands.import_session_key.data"),
        ('[pins.user.verify]\ndata = "{pin}"', "pins.user.verify.data"),
        ('[pins.user.tries]\ndata = "{cryptogram}"', "pins.user.tries.data"),
        ("[commands.sign]\nexpected_length = 0", "commands.sign.expected_length"),
        ('[commands.sgin]\nheader = "002A9E9A"', "commands.sgin"),
        ('[commands.sign]\nhaeder = "002A9E9A"', "commands.sign.haeder"),
        ('commands = "none"', "commands"),
        ("[reading]\nblocks = []", "reading.blocks"),
        ("[reading]\nblocks = [257]", "reading.blocks.0"),
        ("[reading]\nlargest = 32768", "reading.largest"),
        ("[challenge]\nlengths = [4]", "challenge.lengths.0"),
        ('[files.signature_certificate]\nid = "18"', "files.signature_certificate.id"),
        ('[selection]\nconfidence = "sure"', "selection.confidence"),
    ],
)
def test_a_fact_that_cannot_be_is_named(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(LayoutError) as caught:
        load_pki_layout(own(tmp_path, text))
    assert place in caught.value.detail and place in caught.value.detail_en
    assert "mine.toml" in caught.value.detail_en


def test_a_file_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(LayoutError):
        load_pki_layout(own(tmp_path, "commands ="))
    with pytest.raises(LayoutError):
        load_pki_layout(tmp_path / "none.toml")


def test_the_documentation_says_how_well_each_command_is_known() -> None:
    """Header, confidence, and whether it is experimental, as the layout has them."""
    page = (Path(__file__).parents[4] / "docs" / "pki.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]+\| `([0-9A-F ]{11})`[^|]*\| ([SM1I])\b([^|]*)\|$", page, re.MULTILINE)
    told = sorted((header, confidence, "experimental" in more) for header, confidence, more in rows)
    pins = [one for who in (LAYOUT.pins.user, LAYOUT.pins.administrator) for one in (who.tries, who.verify, who.change)]
    commands = [*pins, LAYOUT.commands.sign, LAYOUT.commands.decipher, LAYOUT.commands.import_session_key]
    assert told == sorted((one.header.hex(" ").upper(), one.confidence, one.experimental) for one in commands)
