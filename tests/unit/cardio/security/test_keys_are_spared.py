"""What a wrong SAM costs a card: as little as can be. Keys that are refused too often are blocked for good."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from cardio.card.runner import on_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardResetError, ReaderTimeoutError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.readers.worker import Worker
from cardio.security.credentials import Credentials
from cardio.security.errors import ForgedCardError, KeyNotInSamError, SamError, SamFailedError
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import CardKey
from cardio.security.sam.key_file import KeyFile, SoftSam
from cardio.security.settings import SecuritySettings
from simulators.card.base import AnyCard
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.psam import SoftwarePsam

Result = TypeVar("Result")
EXTERNAL, INTERNAL, VERIFY = "0082", "0088", "0020"


class Ready:
    def __init__(self, sam: SoftSam) -> None:
        self.sam = sam

    def open(self) -> SoftSam:
        return self.sam


def sam(*, right: frozenset[str]) -> Ready:
    """A SAM whose keys are the card's for these names, and another issuer's for all others."""
    document = tomllib.loads(key_file(layout_of(3).keys))
    for names in document["keys"].values():
        for name, groups in names.items():
            if name not in right:
                for version, key in groups.items():
                    groups[version] = "5A" * (len(key) // 2)
    return Ready(SoftSam(KeyFile.model_validate(document)))


class Listening:
    """A card, and what was sent to it."""

    def __init__(self, card: AnyCard, *, reset_at: str = "") -> None:
        self._card = card
        self._reset_at = reset_at
        self.atr = card.atr
        self.sent: list[str] = []

    def reset(self) -> None:
        self._card.reset()
        self.sent.append("reset")

    def transmit(self, command: bytes) -> bytes:
        header = command[:2].hex()
        if self._reset_at and self.sent.count(VERIFY) and header == self._reset_at:
            raise CardResetError()
        self.sent.append(header + ("" if header != VERIFY or len(command) > 5 else "?"))
        return self._card.transmit(command)


def with_card(card: Listening, work: Callable[[SocialSecurityCard], Result], credentials: Credentials | None) -> Result:
    return on_card(SoftwareReader("r", card), work, capabilities=CapabilityCache(None), credentials=credentials)


def test_a_sam_of_another_issuer_is_found_out_without_a_key() -> None:
    card = Listening(find_persona("personalised").card())
    with pytest.raises(ForgedCardError) as raised:
        with_card(card, lambda held: held.file("DF01/EF06"), Credentials(sam=sam(right=frozenset())))
    assert card.sent.count(INTERNAL) == 1 and EXTERNAL not in card.sent
    assert raised.value.driver_code == -21


def test_one_refusal_ends_the_presenting_of_keys() -> None:
    card = Listening(find_persona("personalised").card())
    tree = with_card(card, lambda held: held.tree(), Credentials(sam=sam(right=frozenset({"IRK"}))))
    assert card.sent.count(EXTERNAL) == 1
    closed = [file for application in tree.applications for file in application.files if not file.readable]
    assert len(closed) > 20 and all("还剩 2 次" in (file.detail or "") for file in closed if "RK" in file.read)


def test_nothing_is_presented_again_after_another_programs_reset() -> None:
    card = Listening(find_persona("personalised").card(), reset_at="00b2")
    with pytest.raises(CardResetError):
        with_card(card, lambda held: held.file("DF01/EF06"), Credentials(pin=Pin("123456")))
    assert card.sent.count(VERIFY) == 1


def test_what_was_granted_is_taken_back() -> None:
    card = Listening(find_persona("personalised").card())
    with_card(card, lambda held: held.verify_pin(), Credentials(pin=Pin("123456")))
    assert card.sent[-1] == "reset"
    with_card(card, lambda held: held.read(supplement=False), Credentials(pin=Pin("123456")))
    assert card.sent[-1] != "reset"


def test_a_psam_slot_that_is_the_cards_own_hangs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardio.security.settings._PSAM_SECONDS", 0.2)
    reader = SoftwareReader("r", find_persona("third-closed").card())
    source = SecuritySettings().sam_source("psam:r", lambda name: reader)
    error = on_card(
        reader,
        lambda held: (held.read(supplement=False), held.refusal_of_holder())[1],
        capabilities=CapabilityCache(None),
        credentials=Credentials(sam=source),
    )
    assert isinstance(error, SamFailedError)
    assert reader.connect().transmit(bytes.fromhex("0084000008"))[-2:] == b"\x90\x00"


def test_a_psam_that_is_got_in_the_moment_it_is_given_up_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class JustTooLate(Worker):
        def run_within(
            self, seconds: float, function: Callable[[], Any], *, if_given_up: Callable[[], None] | None = None
        ) -> Any:
            function()
            if if_given_up is not None:
                if_given_up()
            raise ReaderTimeoutError()

    monkeypatch.setattr("cardio.security.settings.Worker", JustTooLate)
    slot = SoftwareReader("slot", SoftwarePsam())
    source = SecuritySettings().sam_source("psam:slot", lambda name: slot)
    assert source is not None
    with pytest.raises(SamFailedError):
        source.open()
    assert slot._held.acquire(timeout=0), "the slot is still held"


def test_reading_again_and_again_with_a_wrong_sam_costs_one_try() -> None:
    """Three plain readings would lock a citizen's card for good: what a card has refused is not presented again."""
    card = Listening(find_persona("third-closed").card())
    reader = SoftwareReader("r", card)
    # Its key of internal authentication is the card's, so that it cannot find out in a cheaper way.
    half_right = Credentials(sam=sam(right=frozenset({"IRK"})))
    for _ in range(5):
        reading = on_card(reader, lambda held: held.read(), capabilities=CapabilityCache(None), credentials=half_right)
        assert reading.holder is None
    assert sum(one.startswith(EXTERNAL) for one in card.sent) == 1


def test_a_sam_that_cannot_have_the_card_prove_itself_presents_it_no_key() -> None:
    card = Listening(find_persona("third-closed").card())
    without_proof = Credentials(sam=WithoutProof(sam(right=frozenset()).sam))
    reading = with_card(card, lambda held: held.read(), without_proof)
    assert reading.holder is None and [one.driver_code for one in reading.unread if one.file == "SSSE/EF06"] == [-27272]
    assert EXTERNAL not in card.sent


class WithoutProof:
    """A SAM that lacks the key of internal authentication."""

    def __init__(self, inner: SoftSam) -> None:
        self._inner = inner

    def open(self) -> SoftSam:
        inner = self._inner

        class Lacking(SoftSam):
            def unavailable_reason(self, key: CardKey) -> SamError | None:
                return KeyNotInSamError() if key.name == "IRK" else super().unavailable_reason(key)

        return Lacking(inner._file)
