"""A reader with a PIN pad through real pcscd: a driver of our own in front of vpcd's answers the control codes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from cardio.card.runner import on_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.readers.pcsc import PcscReader, PcscSource
from cardio.readers.pin_pad import pin_pad_of
from cardio.security.credentials import Credentials
from simulators.personas.persona import find_persona
from simulators.readers.pin_pad import CANCEL, TIMEOUT, CardWithPinPad, Entry
from tests.pcsc import PAD_PORT, Daemon, Slot, configure_pad

pytestmark = pytest.mark.pcsc
Result = TypeVar("Result")
SOURCE = Path(__file__).parents[1] / "pinpad" / "ifdshim.c"


@pytest.fixture(scope="module")
def pad(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    """The first slot of a reader with a pad; pcscd is started anew with it, and once more without."""
    folder = tmp_path_factory.mktemp("pad")
    library = folder / "libifdpad.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-I/usr/include/PCSC", SOURCE, "-o", library, "-ldl"],
        check=True,
    )
    ordinary = daemon.configuration
    daemon.stop()
    daemon.configuration, daemon.environment = configure_pad(folder, library)
    daemon.start(readers=2)
    name = sorted(reader.name for reader in PcscSource().readers())[0]
    yield Slot(PcscReader(name), PAD_PORT)
    daemon.stop()
    daemon.configuration, daemon.environment = ordinary, {}
    daemon.start()


@pytest.fixture
def typed(pad: Slot) -> Iterator[list[Entry]]:
    """What the holder will do at the pad."""
    entries: list[Entry] = []
    pad.insert(CardWithPinPad(find_persona("personalised").card(), entries))
    yield entries
    pad.remove()


def at(pad: Slot, store: CapabilityCache, work: Callable[[SocialSecurityCard], Result]) -> Result:
    return on_card(pad.reader, work, capabilities=store, credentials=Credentials(pad_digits=6), repeat=False)


def test_the_pad_is_found_and_opens_a_file(pad: Slot, typed: list[Entry], store: CapabilityCache) -> None:
    connection = pad.reader.connect()
    found = pin_pad_of(connection)
    connection.close()
    assert found is not None and found.modifies
    typed.append(Entry("123456"))
    assert at(pad, store, lambda card: card.file("DF01/EF05").opened_by) == "pin"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Entry("999999"), "wrong-pin"),
        (Entry(instead=TIMEOUT), "pin-entry-timeout"),
        (Entry(instead=CANCEL), "pin-entry-cancelled"),
    ],
)
def test_wrong_late_or_cancelled(
    pad: Slot, typed: list[Entry], store: CapabilityCache, entry: Entry, code: str
) -> None:
    typed.append(entry)
    with pytest.raises(CardioError) as caught:
        at(pad, store, lambda card: card.verify_pin())
    assert caught.value.code == code
    left = at(pad, store, lambda card: card.pin_tries())
    assert left == (2 if code == "wrong-pin" else 3)


def test_a_new_pin_is_entered_twice(pad: Slot, typed: list[Entry], store: CapabilityCache) -> None:
    typed += [Entry("123456", "654321", "654322"), Entry("123456", "654321", "654321"), Entry("654321")]
    with pytest.raises(CardioError) as caught:
        at(pad, store, lambda card: card.change_pin_on_pad())
    assert caught.value.code == "pin-entry-mismatch"

    def change_then_verify(card: SocialSecurityCard) -> None:
        card.change_pin_on_pad()
        card.verify_pin()

    at(pad, store, change_then_verify)
