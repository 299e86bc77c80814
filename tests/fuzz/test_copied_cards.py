"""Recorded cards said again with any one thing changed: never genuine, and never a person without the word for it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import read_basic
from cardio.driver.nhsa import nhsa_1101
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.registry import NATIONAL
from cardio.identity import default_policy
from cardio.identity.identify import identify
from cardio.models.reading import Proof
from cardio.security.credentials import Credentials
from cardio.security.errors import ForgedCardError
from cardio.security.pin.pin import Pin
from cardio.security.proof import ProofPolicy
from cardio.security.sam.key_file import KeyFile, SoftSam
from simulators.crypto.published_keys import key_file
from simulators.readers.software_reader import SoftwareReader
from tests.copied_card import SECOND, THIRD, CopiedCard
from tests.unit.cardio.identity.test_identity import NOW

RECORDED = {"third": THIRD, "second": SECOND}
KEYS = SoftSam(KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys))))


class Keys:
    def open(self) -> SoftSam:
        return KEYS


Change = tuple[str, bytes]
"""A part of what was recorded, and what is said in its place."""


@st.composite
def changes(draw: st.DrawFn, recorded: Mapping[str, str]) -> Change:
    """One part with one byte changed, cut, made longer, refused, or replaced altogether."""
    name = draw(st.sampled_from(sorted(recorded)))
    whole = bytes.fromhex(recorded[name])
    place = draw(st.integers(0, len(whole) - 1))
    other = draw(
        st.one_of(
            st.integers(1, 255).map(lambda bits: whole[:place] + bytes((whole[place] ^ bits,)) + whole[place + 1 :]),
            st.just(whole[:place]),
            st.just(whole[:place] + whole[place + 1 :]),
            st.binary(min_size=1, max_size=8).map(lambda more: whole[:place] + more + whole[place:]),
            st.sampled_from(["6D00", "6A88", "6A82", "6982", "6985", "6C08", "6700", "9000", "63C2", "00"]).map(
                bytes.fromhex
            ),
            st.binary(max_size=40),
            st.just(bytes(len(whole) - 2) + whole[-2:]),
        )
    )
    return name, other


def read(card: SocialSecurityCard) -> tuple[object, Proof]:
    reading = card.read(supplement=False)
    return reading, reading.proof


def read_file(card: SocialSecurityCard) -> tuple[object, Proof]:
    content = card.file("SSSE/EF06")
    return content, content.proof


def driver(card: SocialSecurityCard) -> tuple[object, Proof]:
    return read_basic(card), card.proof


def nhsa(card: SocialSecurityCard) -> tuple[object, Proof]:
    reading = card.read(supplement=False)
    return nhsa_1101(reading), reading.proof


def closed_file(card: SocialSecurityCard) -> tuple[object, Proof]:
    content = card.file("DF01/EF06")
    return content, content.proof


def verify_pin(card: SocialSecurityCard) -> tuple[object, Proof]:
    card.verify_pin()
    return None, card.proof


WORK: dict[str, Callable[[SocialSecurityCard], tuple[object, Proof]]] = {
    "read": read,
    "file": read_file,
    "driver": driver,
    "nhsa-1101": nhsa,
    "closed-file": closed_file,
    "pin": verify_pin,
}


def read_copy(
    recorded: Mapping[str, str],
    change: Change | None,
    work: Callable[[SocialSecurityCard], Any],
    policy: ProofPolicy | None = None,
) -> tuple[CopiedCard, Any, CardioError | None]:
    """The copy, what came of it, and the error if there was one."""
    copy = CopiedCard.of(recorded)
    if change is not None:
        copy.parts[change[0]] = change[1]
    reader = SoftwareReader("r", copy)
    credentials = Credentials(sam=Keys(), pin=Pin("123456"), proof_policy=policy or ProofPolicy())
    try:
        card = SocialSecurityCard(
            reader.connect(), reader, capabilities=CapabilityCache(None), layouts=NATIONAL, credentials=credentials
        )
        with card:
            return copy, work(card), None
    except CardioError as error:
        return copy, None, error


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("recorded", RECORDED)
def test_a_copy_as_it_was_recorded_is_found_out(recorded: str, work: str) -> None:
    copy, _, error = read_copy(RECORDED[recorded], None, WORK[work])
    assert isinstance(error, ForgedCardError)
    assert not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("recorded", RECORDED)
@given(data=st.data())
@example(data=None)
def test_nothing_that_is_changed_makes_a_copy_genuine(recorded: str, work: str, data: st.DataObject | None) -> None:
    change = None if data is None else data.draw(changes(RECORDED[recorded]))
    copy, told, error = read_copy(RECORDED[recorded], change, WORK[work])
    if error is None:
        _, proof = told
        assert not proof.is_genuine and proof.reason and proof.detail and proof.detail_en
    declines = change is not None and change[0] == "proof" and recorded == "second"
    if not declines:
        assert not copy.was_given_a_key
    if recorded == "third" and change is not None and change[0] not in ("atr", "fci"):
        assert not copy.was_given_a_pin


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("recorded", RECORDED)
@given(data=st.data())
def test_where_proof_is_required_no_copy_gives_anything(recorded: str, work: str, data: st.DataObject) -> None:
    change = data.draw(changes(RECORDED[recorded]))
    copy, told, error = read_copy(RECORDED[recorded], change, WORK[work], ProofPolicy(require=True))
    assert told is None and error is not None
    assert not copy.was_given_a_key and not copy.was_given_a_pin


@pytest.mark.parametrize("recorded", RECORDED)
@given(data=st.data())
def test_where_old_cards_may_not_decline_no_copy_gets_a_key(recorded: str, data: st.DataObject) -> None:
    change = data.draw(changes(RECORDED[recorded]))
    policy = ProofPolicy(old_cards_may_decline=False)
    for work in (closed_file, read):
        copy, _, _ = read_copy(RECORDED[recorded], change, work, policy)
        assert not copy.was_given_a_key


@pytest.mark.parametrize("recorded", RECORDED)
@given(data=st.data())
def test_no_copy_is_verified(recorded: str, data: st.DataObject) -> None:
    change = data.draw(changes(RECORDED[recorded]))
    copy, verdict, _ = read_copy(RECORDED[recorded], change, lambda card: identify(card, default_policy(), None, NOW))
    if verdict is not None:
        chip = next(one for one in verdict.checks if one.check == "chip-genuine")
        assert chip.outcome != "passed" and verdict.verdict != "verified"
    assert not copy.was_given_a_key or recorded == "second"


def test_what_is_read_is_the_person() -> None:
    """The copies are good ones: without a SAM they are read like any card, and it is said that they were not asked."""
    for recorded in RECORDED.values():
        reader = SoftwareReader("r", CopiedCard.of(recorded))
        with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None), layouts=NATIONAL) as card:
            reading = card.read(supplement=False)
            content = card.file("SSSE/EF06")
        assert reading.holder is not None and reading.holder.name == "测试壬"
        assert len(content.records) == 7
        assert (reading.proof.outcome, reading.proof.reason) == ("not-asked", "no-sam")
        assert content.proof == reading.proof
