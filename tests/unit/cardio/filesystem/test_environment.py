"""The ways to the social security environment: by name, by file id, as the root; what is learnt, and what it costs."""

from __future__ import annotations

from datetime import date

import pytest

from cardio.apdu.channel import Channel, TransmissionProtocol
from cardio.apdu.transcript import Transcript
from cardio.card.runner import on_card
from cardio.card.runner import read_card as read_in
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardBlockedError, FileUnreadableError, NotASocialSecurityCardError
from cardio.filesystem.basic_read import read_card
from cardio.filesystem.capabilities import CapabilityCache, EnvironmentWay, FamilyCapabilities, family_of
from cardio.security.credentials import Credentials
from simulators.card.software_card import SoftwareCard
from simulators.readers.software_reader import SoftwareReader
from tests.unit.cardio.card.test_writing_cards import Ready, card_of, record
from tests.unit.cardio.filesystem.test_plan import HOLDER, HUNAN_EF05

SELECT = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
EF05 = ("00B2012D40", "".join(HUNAN_EF05) + "9000")
EF06 = ("00B201355B", "".join(HOLDER) + "9000")


def read(card: Transcript, capabilities: FamilyCapabilities, *, t1: bool = False) -> str | None:
    contents = Channel(card).run(read_card(capabilities, supplement=False, t1=t1))
    assert card.finished
    number = contents.files["SSSE/EF06"].value(0x08)
    return None if number is None else number.decode()


ROOT_REFUSED = [(SELECT, "6A82"), ("00A4000002DDF1", "6A82"), ("00A4020002EF05", "6A82"), ("00A40000023F00", "6A82")]
WAYS = {
    EnvironmentWay.FILE_ID: ([(SELECT, "6A82"), ("00A4000002DDF1", "9000")], [("00A4000002DDF1", "9000")]),
    EnvironmentWay.CURRENT: ([*ROOT_REFUSED[:2], ("00A4020002EF05", "9000")], []),
    EnvironmentWay.ROOT_FILE_ID: (
        [*ROOT_REFUSED[:3], ("00A40000023F00", "6110"), ("00A4000002DDF1", "6118")],
        [("00A40000023F00", "6110"), ("00A4000002DDF1", "6118")],
    ),
    EnvironmentWay.ROOT: (
        [*ROOT_REFUSED[:3], ("00A40000023F00", "9000"), ("00A4000002DDF1", "6A82"), ("00A4020002EF05", "9000")],
        [("00A40000023F00", "9000")],
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_way_is_found_once_and_then_known(way: EnvironmentWay) -> None:
    found, known = WAYS[way]
    capabilities = FamilyCapabilities(algorithms={2: "3DES"})
    assert read(Transcript([*found, EF05, EF06]), capabilities) == "439900199001010031"
    assert capabilities.environment is way
    again = FamilyCapabilities.model_validate_json(capabilities.model_dump_json())
    assert read(Transcript([*known, EF05, EF06]), again) == "439900199001010031"


def test_with_t1_the_name_is_sent_without_le_too() -> None:
    capabilities = FamilyCapabilities(algorithms={2: "3DES"})
    exchanges = [(SELECT + "00", "6700"), (SELECT, "9000"), EF05, EF06]
    read(Transcript(exchanges, TransmissionProtocol.T1), capabilities, t1=True)
    assert capabilities.environment is EnvironmentWay.NAME_WITHOUT_LE
    read(Transcript(exchanges[1:], TransmissionProtocol.T1), capabilities, t1=True)


def test_a_family_known_for_another_way_still_has_cards_of_the_common_one() -> None:
    capabilities = FamilyCapabilities(algorithms={2: "3DES"}, environment=EnvironmentWay.FILE_ID)
    read(Transcript([("00A4000002DDF1", "6A82"), (SELECT, "9000"), EF05, EF06]), capabilities)
    assert capabilities.environment is EnvironmentWay.NAME


@pytest.mark.parametrize("status_word", ["6A81", "6283", "6983", "9303"])
def test_a_blocked_environment_is_not_gone_round(status_word: str) -> None:
    with pytest.raises(CardBlockedError):
        Channel(Transcript([(SELECT, status_word)])).run(read_card(FamilyCapabilities()))


def root_card() -> SoftwareCard:
    return card_of(environment_by=frozenset({"root"}))


@pytest.mark.parametrize("ways", [{"file-id"}, {"root"}])
def test_files_are_read_and_written_by_the_way_that_was_learnt(ways: set[str], store: CapabilityCache) -> None:
    """Back to the environment from DF01, external authentication there, and a record written."""
    card = card_of(environment_by=frozenset(ways))
    reader = SoftwareReader("r", card)
    for household in ("20", "10"):
        with SocialSecurityCard(
            reader.connect(), reader, capabilities=store, credentials=Credentials(sam=Ready())
        ) as held:
            assert held.file("DF01/EF05").records
            held.write(held.prepare("SSSE/EF06", {"sex": "1"}))
            held.write(held.prepare("DF01/EF05", {"household_type": household}))
            assert held.file("SSSE/EF05").records
        assert record(card, "SSSE/EF06", 4) == "0A0131"
        assert record(card, "DF01/EF05", 1) == "2002" + household.encode().hex()
    assert store.load(family_of(card.atr), date.today()).environment is not EnvironmentWay.NAME


def test_where_another_program_left_the_card_elsewhere_the_root_is_found_and_learnt(store: CapabilityCache) -> None:
    card = root_card()

    class Unmoved:
        """Connecting does not reset it, as with PC/SC when another program has used the card."""

        atr = card.atr
        commands = 0

        def reset(self) -> None:
            pass

        def transmit(self, command: bytes) -> bytes:
            Unmoved.commands += 1
            return card.transmit(command)

    card.reset()
    reader = SoftwareReader("r", Unmoved())
    costs = []
    for _ in range(3):
        before = Unmoved.commands
        card.transmit(bytes.fromhex("00A4000002DF01"))
        holder = read_in(reader, capabilities=store, supplement=False).holder
        assert holder is not None and holder.name == "测试甲"
        costs.append(Unmoved.commands - before)
    assert costs[-1] == 3
    assert store.load(family_of(card.atr), date.today()).environment is EnvironmentWay.ROOT


def test_a_card_that_takes_any_name_costs_few_commands_and_is_not_ours() -> None:
    """6D00 to all but SELECT: each way to ask for a record is tried once, for EF05 and for EF06."""

    class AnyName:
        protocol = TransmissionProtocol.T0
        commands = 0

        def transmit(self, command: bytes) -> bytes:
            AnyName.commands += 1
            return b"\x90\x00" if command[1] == 0xA4 else b"\x6d\x00"

    with pytest.raises(NotASocialSecurityCardError):
        Channel(AnyName()).run(read_card(FamilyCapabilities()))
    assert AnyName.commands <= 25


def test_a_blank_card_that_names_our_application_is_not_called_another_card() -> None:
    """Its FCI names the environment, and no record is there: file-unreadable, and it can still be written."""
    card = card_of("adult")
    for file in card.applications[0].by_id.values():
        file.records.clear()
    with pytest.raises(FileUnreadableError) as caught:
        read_in(SoftwareReader("r", card), capabilities=CapabilityCache(None))
    assert "空白卡" in caught.value.detail


def test_files_of_a_card_that_takes_any_name_are_no_success_either() -> None:
    class AnyName:
        atr = bytes.fromhex("3B6D00000081544C928684370200000099")

        def reset(self) -> None:
            pass

        def transmit(self, command: bytes) -> bytes:
            return b"\x90\x00" if command[1] == 0xA4 else b"\x6a\x82"

    for work in (SocialSecurityCard.dump, SocialSecurityCard.tree, SocialSecurityCard.pin_tries):
        with pytest.raises(NotASocialSecurityCardError):
            on_card(SoftwareReader("r", AnyName()), work, capabilities=CapabilityCache(None), credentials=Credentials())
