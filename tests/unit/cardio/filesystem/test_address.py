"""National addresses: parsed with their synonyms, answered in their shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import AccessNotGrantedError, FileUnreadableError, UsageError
from cardio.filesystem.address import Address, FileAddress, ItemAddress
from cardio.filesystem.capabilities import CapabilityCache
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader


def ask(address: str, persona: Persona | None = None) -> str:
    reader = SoftwareReader("r", (persona or find_persona("whole")).card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        return card.values(Address.parse(address))


def test_the_example_of_the_interface_is_parsed() -> None:
    assert Address.parse("SSSEEF05|01|07|$DF03EF19|79:01|$DF04EF08:01$").parts == (
        FileAddress("SSSEEF05", "SSSE/EF05", None, (ItemAddress(0x01), ItemAddress(0x07))),
        FileAddress("DF03EF19", "DF03/EF19", None, (ItemAddress(0x79, 1),)),
        FileAddress("DF04EF08:01", "DF04/EF08", 1, ()),
    )


@pytest.mark.parametrize("name", ["SSSEEF06", "3F00EF06", "MFEF06", "DDF1EF06", "ssseef06", "SSSE/EF06"])
def test_the_environment_has_several_names_and_the_answer_uses_the_callers(name: str) -> None:
    assert Address.parse(f"{name}|08|$").parts[0].file == "SSSE/EF06"
    assert ask(f"{name}|08|0D|$") == f"{name}|119900197708090027|19770809|$"


def test_values_stand_in_the_place_of_tags() -> None:
    assert ask("SSSEEF05|06|07|$SSSEEF06|08|09|4E|0A|0B|0C|0D|$") == (
        "SSSEEF05|20360520|A00000011|$SSSEEF06|119900197708090027|测试甲||2|01|370200|19770809|$"
    )


def test_records_fields_and_parts() -> None:
    assert ask("DF03EF19|79:02|79|79:4|$") == (
        "DF03EF19|310^370202^20010101^20131231^1130900^156^20140115"
        "|110^370202^20000701^20131231^4523610^162^20140115|^^^^^^|$"
    )
    assert ask("DF04EF08:01$DF04EF08:3|$DF04EF08:9$") == (
        "DF04EF08:01|12^2^370202000001^20261008093105^0^3150^12600|$"
        "DF04EF08:3|10^1^370202000009^20260115080000^30000^0^0|$DF04EF08:9||$"
    )
    assert ask("DF02EF06|4B|4F|$DF03EF05|63|$DF06EF05|C3|$") == (
        "DF02EF06|10010|102000|$DF03EF05|160|$DF06EF05|04^20180601^20190601^50000^201905|$"
    )


def test_a_file_without_tags_gives_all_of_it() -> None:
    assert ask("DF03EF16$") == "DF03EF16|370202|0|$"
    assert ask("SSSEEF08|$").startswith("SSSEEF08|FFD8FF")
    assert ask("SSSEEF08|01|$") == ask("SSSEEF08|$")
    vouchers = ask("DF03EF19|$").split("|")
    assert [voucher[:3] for voucher in vouchers[1:5]] == ["110", "310", "210", "^^^"] and vouchers[5] == "$"
    assert len(ask("SSSEEF08$")) == len("SSSEEF08||$") + 2 * 4096


def test_a_name_that_runs_over_is_given_in_two_whole_pieces() -> None:
    """The cut lies inside a character: 09 keeps what ends in it, 4E has the rest."""
    answer = ask("SSSEEF06|09|4E|$", find_persona("long-name"))
    first, rest = answer.removeprefix("SSSEEF06|").removesuffix("|$").split("|")
    assert first + rest == "测试热合曼·测试艾力·测试逊㐂江·测试"
    assert 28 <= len(first.encode("gb18030")) <= 30 and rest


def test_a_bar_in_a_value_shifts_nothing() -> None:
    whole = find_persona("whole")
    files = whole.files | {"DF01/EF06": {"residence": "a|b$c", "telephone": "1"}}
    assert ask("DF01EF06|23|28|$", whole.model_copy(update={"files": files})) == "DF01EF06|a b c|1|$"


@pytest.mark.parametrize(
    "text",
    ["", "$", "SSSEEF05", "SSSEEF05|01|", "EF05|01|$", "SSSEEF05|1|$", "SSSEEF05|G1|$", "SSSEEF05|01:|$", "X|$", "|$",
     "SSSEEF05||01|$", "SSSEEF05|01|$$", "DF03EF19|79:0|$", "DF03EF19|79:00|$",
     "DF04EF08:0$", "SSSEEF05|01:1234|$", "DF1EF05|$"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match="address"):
        Address.parse(text)


def test_a_damaged_record_is_never_answered_with_another() -> None:
    class Damaged:
        def __init__(self) -> None:
            quirks = find_persona("whole").quirks.model_copy(update={"record_modes": frozenset({0, 4})})
            self.card = find_persona("whole").model_copy(update={"quirks": quirks}).card()
            self.atr, self.reset = self.card.atr, self.card.reset

        def transmit(self, command: bytes) -> bytes:
            return b"\x65\x81" if command[:4] == bytes.fromhex("00B202CC") else self.card.transmit(command)

    reader = SoftwareReader("r", Damaged())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        with pytest.raises(FileUnreadableError):
            card.values(Address.parse("DF03EF19|79:02|$"))


def test_an_address_of_later_generations_is_answered_by_a_1_0_card() -> None:
    assert ask("SSSEEF06|09|4E|0A|$", find_persona("whole-first")) == "SSSEEF06|测试丙||1|$"


def test_what_the_card_or_its_layout_lacks() -> None:
    with pytest.raises(UsageError, match="fingerprints"):
        ask("SSSEEF07|$")
    with pytest.raises(UsageError, match="no tags"):
        ask("DF04EF08|01|02|$")
    with pytest.raises(UsageError, match="DF03/EF08"):
        ask("DF03EF08|01|$")
    with pytest.raises(UsageError, match="has no tag AA"):
        ask("DF03EF07|AA|$")
    with pytest.raises(UsageError, match="no command reads it"):
        ask("DF04EF09|01|$")
    with pytest.raises(AccessNotGrantedError, match="DF03/EF07"):
        ask("DF03EF07|70|$", find_persona("personalised"))


@given(st.text(alphabet="SEFD0123456789A|$:^ \u6d4b\n", max_size=60))
def test_any_text_is_an_address_or_our_error(text: str) -> None:
    try:
        parsed = Address.parse(text)
    except UsageError:
        return
    assert parsed.parts
