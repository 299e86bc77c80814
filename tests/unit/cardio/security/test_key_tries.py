"""Keys that a card refuses: what is remembered of them, for how long, and what stops a SAM that many cards refuse."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cardio.card.runner import on_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardGarbledError, CardioError, CardRemovedError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.problem import Problem
from cardio.security.credentials import Credentials
from cardio.security.errors import ForgedCardError, KeyAlreadyRefusedError
from cardio.security.key_guard import CALLERS_SECONDS, CardKeys
from cardio.security.key_memory import FILE, SIMULATED_FILE, KeyMemory, Presenter
from cardio.security.pin.card_pin import PinGuard
from cardio.security.sam.base import Sam, SamSource
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import HttpHsmTransport
from cardio.security.sam.psam import PsamCard, PsamSettings
from simulators.readers.software_reader import SoftwareReader
from simulators.sam.hsm import SoftwareHsm
from simulators.sam.psam import SoftwarePsam
from tests.unit.wrong_keys import CountingCard, sam_right_for

RKSSSE, UKSSSE, RK1DF01 = 0x0A, 0x08, 0x81
FIRST_REFUSAL = {"RKSSSE": 2}


def run(
    card: CountingCard, sam: SamSource, store: CapabilityCache, *, guard: PinGuard | None = None
) -> tuple[str | None, str | None]:
    """One run of a program: the holder's name, and by which error it is kept back."""
    credentials = Credentials(sam=sam, laboratory=True, guard=guard or PinGuard())

    def work(held: SocialSecurityCard) -> tuple[str | None, str | None]:
        reading = held.read(supplement=False)
        refusal = held.refusal_of_holder()
        return reading.holder.name if reading.holder else None, refusal.code if refusal else None

    return on_card(SoftwareReader("r", card), work, capabilities=CapabilityCache(store.path), credentials=credentials)


@pytest.fixture
def card(tmp_path: Path) -> CountingCard:
    return CountingCard(tmp_path / "card.json")


@pytest.fixture
def cards(tmp_path: Path) -> Callable[[int], CountingCard]:
    """Many cards; each number is another card, the same number the same card."""
    made: dict[int, CountingCard] = {}

    def one(number: int) -> CountingCard:
        return made.setdefault(number, CountingCard(tmp_path / f"card-{number}.json", number))

    return one


BAD = ("IRK",)


# -- one card ---------------------------------------------------------------------------------------


def test_three_runs_cost_a_card_one_try_of_one_key(card: CountingCard, store: CapabilityCache) -> None:
    sam = sam_right_for(*BAD)
    assert run(card, sam, store) == (None, "authentication-failed")
    for _ in range(4):
        assert run(card, sam_right_for(*BAD), store) == (None, "key-already-refused")
    assert card.tries == FIRST_REFUSAL and card.presented == [RKSSSE]


def test_a_changed_key_file_may_try_again_and_a_success_gives_all_tries_back(
    card: CountingCard, store: CapabilityCache
) -> None:
    run(card, sam_right_for(*BAD), store)
    assert run(card, sam_right_for("IRK", "RKSSSE"), store) == ("测试壬", None)
    assert card.tries == {}
    # The wrong file may lose one more, now that all are back: and only one.
    assert [run(card, sam_right_for(*BAD), store)[1] for _ in range(2)] == [
        "authentication-failed",
        "key-already-refused",
    ]
    assert card.tries == FIRST_REFUSAL


def test_the_last_try_is_spent_by_no_sam_however_many_there_are(card: CountingCard, store: CapabilityCache) -> None:
    answers = [run(card, sam_right_for(*BAD, wrong=wrong), store)[1] for wrong in ("5A", "5B", "5C", "5D", "5E")]
    # DES does not look at the lowest bit of a byte, but this card's algorithm is SM4: each is another key.
    assert answers == ["authentication-failed"] * 2 + ["key-already-refused"] * 3
    assert card.tries == {"RKSSSE": 1}
    assert run(card, sam_right_for("IRK", "RKSSSE"), store)[1] == "key-already-refused"
    assert card.tries == {"RKSSSE": 1}


def test_the_very_same_key_in_another_sam_is_known(card: CountingCard, store: CapabilityCache) -> None:
    run(card, sam_right_for(*BAD), store)
    # Another SAM by its other keys; the key that the card refused is the same.
    assert run(card, sam_right_for("IRK", "UK1DF01"), store)[1] == "key-already-refused"
    assert card.presented == [RKSSSE]


def test_nothing_in_clear_is_on_the_disk(card: CountingCard, store: CapabilityCache, tmp_path: Path) -> None:
    run(card, sam_right_for(*BAD), store)
    path = tmp_path / SIMULATED_FILE
    content = path.read_bytes()
    for secret in (b"G00000074", bytes.fromhex("320200D156000005"), b"320200D156000005", b"5A5A", b"ZZZZ", card.atr):
        assert secret not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and not (tmp_path / FILE).exists()


@pytest.mark.parametrize("status", ["6300", "6982", "6988", "9302"])
def test_a_refusal_without_a_count_is_one_all_the_same(status: str, tmp_path: Path, store: CapabilityCache) -> None:
    card = CountingCard(tmp_path / "card.json", answer=bytes.fromhex(status))
    assert run(card, sam_right_for(*BAD), store)[1] == "authentication-failed"
    assert run(card, sam_right_for(*BAD), store)[1] == "key-already-refused"
    # The card has not said how many are left: three are assumed, and the last of those is not spent.
    assert run(card, sam_right_for(*BAD, wrong="5B"), store)[1] == "authentication-failed"
    assert run(card, sam_right_for(*BAD, wrong="5C"), store)[1] == "key-already-refused"
    assert len(card.presented) == 2


@pytest.mark.parametrize("status", ["6985", "6581", "6F00", "6283", "61", ""])
def test_an_answer_that_tells_nothing_may_have_cost_a_try(status: str, tmp_path: Path, store: CapabilityCache) -> None:
    card = CountingCard(tmp_path / "card.json", answer=bytes.fromhex(status))
    for _ in range(5):
        try:
            run(card, sam_right_for("IRK", "RKSSSE"), store)
        except CardioError as error:
            assert isinstance(error, CardGarbledError)
    assert card.presented.count(RKSSSE) == 2


@pytest.mark.parametrize("status", ["6A88", "9403", "6A86", "6D00", "6E00", "6B00", "6700", "6A81"])
def test_a_card_that_compared_no_key_may_be_asked_as_often_as_one_likes(
    status: str, tmp_path: Path, store: CapabilityCache
) -> None:
    card = CountingCard(tmp_path / "card.json", answer=bytes.fromhex(status))
    codes = {run(card, sam_right_for("IRK", "RKSSSE"), store)[1] for _ in range(4)}
    assert "key-already-refused" not in codes and card.presented.count(RKSSSE) >= 4


def test_a_card_that_leaves_while_it_is_asked_twice_is_spared(tmp_path: Path, store: CapabilityCache) -> None:
    class Leaving(CountingCard):
        def transmit(self, command: bytes) -> bytes:
            answer = super().transmit(command)
            if command[:2] == b"\x00\x82":
                raise CardRemovedError()
            return answer

    card = Leaving(tmp_path / "card.json")
    for _ in range(2):
        with pytest.raises(CardRemovedError):
            run(card, sam_right_for(*BAD), store)
    assert card.tries == {"RKSSSE": 1}
    assert run(card, sam_right_for(*BAD), store)[1] == "key-already-refused"
    assert run(card, sam_right_for("IRK", "RKSSSE"), store)[1] == "key-already-refused"
    assert card.tries == {"RKSSSE": 1}


def test_a_person_may_say_that_a_cards_keys_are_back(card: CountingCard, store: CapabilityCache) -> None:
    run(card, sam_right_for(*BAD), store)
    run(card, sam_right_for(*BAD, wrong="5B"), store)
    assert run(card, sam_right_for("IRK", "RKSSSE"), store)[1] == "key-already-refused"
    memory = KeyMemory.next_to(path_of(store), simulated=True)
    assert memory.forget(b"another card") == 0
    identity = b"320200D15600000500000009FFFFFFFF"
    assert memory.forget(identity) == 1
    assert run(card, sam_right_for("IRK", "RKSSSE"), store) == ("测试壬", None)


def path_of(store: CapabilityCache) -> Path:
    assert store.path is not None
    return store.path


def test_without_a_file_the_guard_of_the_program_remembers(card: CountingCard) -> None:
    guard = PinGuard()
    nowhere = CapabilityCache(None)
    assert run(card, sam_right_for(*BAD), nowhere, guard=guard)[1] == "authentication-failed"
    assert run(card, sam_right_for(*BAD), nowhere, guard=guard)[1] == "key-already-refused"


# -- a file that cannot be used -----------------------------------------------------------------------


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("target"))


def a_wide_file(path: Path) -> None:
    path.touch(0o600)
    path.chmod(0o644)


def rubbish(path: Path) -> None:
    path.write_bytes(b"rubbish" * 1000)
    path.chmod(0o600)


def anothers(path: Path) -> None:
    path.touch(0o600)
    os.chown(path, 2002, 2002)


def locked(path: Path) -> sqlite3.Connection:
    KeyMemory(path).check()
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@pytest.mark.parametrize("spoil", [a_folder, a_link, a_wide_file, rubbish, anothers, locked])
def test_where_nothing_can_be_noted_no_key_is_presented(
    spoil: Callable[[Path], object], card: CountingCard, store: CapabilityCache, tmp_path: Path
) -> None:
    kept = spoil(tmp_path / SIMULATED_FILE)
    assert run(card, sam_right_for("IRK", "RKSSSE"), store) == (None, "key-memory")
    assert card.presented == [] and not (tmp_path / "target").exists()
    del kept


def test_a_damaged_memory_is_not_begun_anew(card: CountingCard, store: CapabilityCache, tmp_path: Path) -> None:
    run(card, sam_right_for(*BAD), store)
    path = tmp_path / SIMULATED_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    assert run(card, sam_right_for(*BAD, wrong="5B"), store)[1] == "key-memory"
    path.write_bytes(whole)
    assert run(card, sam_right_for(*BAD), store)[1] == "key-already-refused"
    assert card.presented == [RKSSSE]


def test_what_a_disk_that_became_full_did_not_take_is_known_to_the_bridge(
    card: CountingCard, store: CapabilityCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for the try, and none for what came of it: the card has said that one is left, and it is not spent."""
    card.answer = b"\x63\xc1"
    path, guard = tmp_path / SIMULATED_FILE, PinGuard()
    begin = KeyMemory.note_try

    def begin_and_lock(self: KeyMemory, whose: bytes, key: str, tries_left: int) -> None:
        begin(self, whose, key, tries_left)
        if self.path == path:
            locks.append(locked(path))

    locks: list[sqlite3.Connection] = []
    with monkeypatch.context() as patch:
        patch.setattr(KeyMemory, "note_try", begin_and_lock)
        assert run(card, sam_right_for(*BAD), store, guard=guard)[1] == "authentication-failed"
    locks.pop().close()
    codes = [run(card, sam_right_for(*BAD, wrong=wrong), store, guard=guard)[1] for wrong in ("5A", "5B", "5A")]
    assert codes == ["key-already-refused"] * 3 and card.presented == [RKSSSE]


# -- a SAM that many cards refuse ----------------------------------------------------------------------


def test_three_cards_in_a_row_stop_the_sam_for_all(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    codes = [run(cards(number), sam_right_for(*BAD), store)[1] for number in range(1, 8)]
    assert codes == ["authentication-failed"] * 3 + ["sam-refused"] * 4
    assert [cards(number).tries for number in range(4, 8)] == [{}] * 4
    # For a card that has refused the key the error is about that, not about the SAM.
    assert run(cards(1), sam_right_for(*BAD), store)[1] == "key-already-refused"


def test_one_card_that_comes_again_and_again_is_one(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    for number in (1, 1, 1, 2, 2, 1):
        run(cards(number), sam_right_for(*BAD), store)
    assert run(cards(3), sam_right_for(*BAD), store)[1] == "authentication-failed"


def test_another_sam_goes_on_and_a_changed_file_is_another(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    for number in range(1, 5):
        run(cards(number), sam_right_for(*BAD), store)
    assert run(cards(4), sam_right_for("IRK", "RKSSSE"), store) == ("测试壬", None)
    assert run(cards(5), sam_right_for(*BAD), store)[1] == "sam-refused"


def test_a_person_lets_it_go_on(cards: Callable[[int], CountingCard], store: CapabilityCache) -> None:
    for number in range(1, 5):
        run(cards(number), sam_right_for(*BAD), store)
    memory = KeyMemory.next_to(path_of(store), simulated=True)
    (stopped,) = memory.stopped_sams()
    assert stopped.key == "RKSSSE" and stopped.cards == 3 and stopped.proved
    assert memory.resume() == 3 and memory.stopped_sams() == ()
    assert run(cards(4), sam_right_for(*BAD), store)[1] == "authentication-failed"
    # The cards of before cannot stop it again: they are not asked.
    for number in range(1, 4):
        assert run(cards(number), sam_right_for(*BAD), store)[1] == "key-already-refused"
    assert memory.stopped_sams() == ()


class OddCard(CountingCard):
    """One whose reading key is another, as after a fault of the issuer's."""

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\x00\x82":
            command = command[:5] + bytes(8) + command[13:]
        return super().transmit(command)


def test_one_bad_card_between_good_ones_stops_nothing(tmp_path: Path, store: CapabilityCache) -> None:
    sam = sam_right_for("IRK", "RKSSSE")
    for number in range(1, 13):
        odd = number % 3 == 0
        card = (OddCard if odd else CountingCard)(tmp_path / f"{number}.json", number)
        expected = (None, "authentication-failed") if odd else ("测试壬", None)
        assert run(card, sam, store) == expected, number


def test_one_wrong_key_among_right_ones_stops_what_it_opens_only(tmp_path: Path, store: CapabilityCache) -> None:
    """RK1DF01 is wrong, as by one usage byte: EF06 goes on, and from the fourth card on no try of RK1DF01 is spent."""
    sam = sam_right_for("IRK", "RKSSSE")
    for number in range(1, 7):
        card = CountingCard(tmp_path / f"{number}.json", number)
        credentials = Credentials(sam=sam, laboratory=True)

        def work(held: SocialSecurityCard) -> tuple[bool, tuple[str, ...]]:
            whole = held.read(supplement=True)
            return whole.holder is not None, tuple(one.reason for one in whole.unread if one.file.startswith("DF01"))

        named, _ = on_card(
            SoftwareReader("r", card), work, capabilities=CapabilityCache(store.path), credentials=credentials
        )
        assert named
        assert card.tries == ({"RK1DF01": 2} if number <= 3 else {}), number


def proof_of(card: CountingCard, sam: SamSource, store: CapabilityCache) -> CardioError:
    """How the card's proof ends before a SAM."""
    with pytest.raises(CardioError) as caught:
        on_card(
            SoftwareReader("r", card), lambda held: held.read(supplement=False),
            capabilities=CapabilityCache(store.path),
            credentials=Credentials(sam=sam, laboratory=True),
        )  # fmt: skip
    return caught.value


def test_where_card_after_card_fails_the_clerk_is_told_to_doubt_the_sam(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    """A SAM with another IRK finds every citizen's card forged: to be called a forger is worse than to be sent away."""
    wrong, right = sam_right_for(), sam_right_for("IRK", "RKSSSE")
    for number in (1, 2, 2, 1, 2):  # the same cards again and again say nothing of the SAM
        error = proof_of(cards(number), wrong, store)
        assert (error.code, error.detail) == ("forged-card", ForgedCardError.title) and "信息科" not in error.remedy
    for number in (3, 4, 1):
        error = proof_of(cards(number), wrong, store)
        assert (error.code, error.driver_code, error.retryable) == ("forged-card", -21, False), "refused all the same"
        assert "张卡片" in error.detail and "信息科" in error.remedy and "不要认定" in error.remedy
        assert "不合法" not in Problem.of(error).title, "what stands in bold on the page"
        assert "in a row" in error.detail_en and "IT department" in error.remedy_en
    assert "连续 4 张" in proof_of(cards(4), wrong, store).detail
    # Another SAM is not meant; nor is this one when a genuine card has come.
    assert proof_of(cards(4), sam_right_for(wrong="5B"), store).detail == ForgedCardError.title
    assert run(cards(5), right, store) == ("测试壬", None)
    assert "连续 4 张" in proof_of(cards(4), wrong, store).detail
    assert all(cards(number).presented == [] for number in (1, 2, 3, 4))


def test_a_genuine_card_between_copies_clears_the_sam(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    right = sam_right_for("IRK", "RKSSSE")

    class Copy:
        """Answers as a card once did to another challenge."""

        def __init__(self, card: CountingCard) -> None:
            self.card, self.atr, self.reset = card, card.atr, card.reset

        def transmit(self, command: bytes) -> bytes:
            return self.card.transmit(command[:5] + bytes(8) + command[13:] if command[1] == 0x88 else command)

    def copy_fails(number: int) -> str:
        with pytest.raises(ForgedCardError) as caught:
            on_card(
                SoftwareReader("r", Copy(cards(number))), lambda held: held.read(supplement=False),
                capabilities=CapabilityCache(store.path), credentials=Credentials(sam=right, laboratory=True),
            )  # fmt: skip
        return caught.value.detail

    assert [copy_fails(1), copy_fails(2)] == [ForgedCardError.title] * 2
    assert run(cards(3), right, store) == ("测试壬", None)
    assert [copy_fails(4), copy_fails(5)] == [ForgedCardError.title] * 2
    assert "连续 3 张" in copy_fails(6)
    assert run(cards(3), right, store) == ("测试壬", None)
    assert copy_fails(1) == ForgedCardError.title


def test_a_memory_that_cannot_be_used_makes_no_copy_genuine_and_holds_no_card_up(
    cards: Callable[[int], CountingCard], store: CapabilityCache, tmp_path: Path
) -> None:
    rubbish(tmp_path / SIMULATED_FILE)
    for number in range(1, 6):
        assert proof_of(cards(number), sam_right_for(), store).detail == ForgedCardError.title
    reading = on_card(
        SoftwareReader("r", cards(6)), lambda held: held.read(supplement=False),
        capabilities=CapabilityCache(store.path),
        credentials=Credentials(sam=sam_right_for("IRK"), laboratory=True),
    )  # fmt: skip
    assert reading.proof.is_genuine


def test_cards_that_prove_nothing_cannot_stop_it_for_those_that_do(store: CapabilityCache) -> None:
    """Three emulators, or three cards of a generation that proves nothing, refuse: a genuine card goes on."""
    memory = KeyMemory.next_to(path_of(store), simulated=True)
    presenter = Presenter(b"sam", "soft", "320200", "SM4", lambda key: b"k", lambda key, city, algorithm: b"s")
    for number in range(3):
        trial = CardKeys(memory, bytes((number,))).trial("RKSSSE", presenter)
        trial.sending()
        trial.answered(0x63C2)
    with pytest.raises(CardioError) as caught:
        CardKeys(memory, b"unproved").trial("RKSSSE", presenter)
    assert caught.value.code == "sam-refused"
    trial = CardKeys(memory, b"proved").trial("RKSSSE", presenter, proved=True)
    assert not any(one.proved for one in memory.stopped_sams())
    # One that takes anything without proving itself does not speak for genuine ones either.
    for number in range(3):
        trial = CardKeys(memory, b"genuine" + bytes((number,))).trial("RKSSSE", presenter, proved=True)
        trial.sending()
        trial.answered(0x63C2)
    memory.accepted(b"emulator", "RKSSSE", presenter, proved=False)
    with pytest.raises(CardioError) as caught:
        CardKeys(memory, b"proved").trial("RKSSSE", presenter, proved=True)
    assert caught.value.code == "sam-refused"


class PsamIn:
    def __init__(self, slot: SoftwareReader, settings: PsamSettings) -> None:
        self._slot = slot
        self._settings = settings

    def open(self) -> Sam:
        return PsamCard.connect(self._slot, self._settings)


class OddPsam(SoftwarePsam):
    """Its number and its ATR are those of any other; for EXTERNAL AUTHENTICATION it computes with other keys."""

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\xbf\xde" and command[3] != 0x08:  # 08 is the index of IRK
            command = command[:5] + bytes((command[5] ^ 0xFF,)) + command[6:]
        return super().transmit(command)


def test_a_psam_card_that_is_exchanged_for_one_of_the_same_number_goes_on(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    slot = SoftwareReader("psam", OddPsam(algorithms=("SM4",)))
    source = PsamIn(slot, PsamSettings(levels=3))
    codes = [run(cards(number), source, store)[1] for number in range(1, 6)]
    assert codes == ["authentication-failed"] * 3 + ["sam-refused"] * 2
    slot.insert(SoftwarePsam(algorithms=("SM4",)))
    assert run(cards(4), source, store) == ("测试壬", None)
    assert run(cards(1), source, store) == ("测试壬", None)


def test_a_setting_that_is_put_right_makes_it_another_sam(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    slot = SoftwareReader("psam", SoftwarePsam(algorithms=("SM4",)))
    # The index of another key, as a slip in [psam] keys has it.
    wrong = PsamIn(slot, PsamSettings(levels=3, keys={"RKSSSE": 0x6708}))
    codes = [run(cards(number), wrong, store)[1] for number in range(1, 5)]
    assert codes == ["authentication-failed"] * 3 + ["sam-refused"]
    assert run(cards(4), PsamIn(slot, PsamSettings(levels=3)), store) == ("测试壬", None)


class OddLine:
    """A line to an HSM whose keys are another issuer's but for IRK, until they are put right."""

    def __init__(self, url: str) -> None:
        self._line = HttpHsmTransport(url)
        self.place = self._line.place
        self.odd = True

    def ask(self, operation: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        odd = {"historical_bytes": "5A" * 8} if self.odd and question["key"] != "IRK" else {}
        return self._line.ask(operation, {**question, **odd})

    def test_keys(self) -> bool:
        return self._line.test_keys()


def test_an_hsm_that_is_put_right_goes_on_though_it_is_at_the_same_address(
    cards: Callable[[int], CountingCard], store: CapabilityCache
) -> None:
    with SoftwareHsm() as hsm:
        line = OddLine(hsm.url)
        source = At(HsmClient(line))
        codes = [run(cards(number), source, store)[1] for number in range(1, 6)]
        assert codes == ["authentication-failed"] * 3 + ["sam-refused"] * 2
        line.odd = False
        assert run(cards(4), source, store) == ("测试壬", None)
        assert run(cards(1), source, store) == ("测试壬", None)
    assert [cards(number).tries for number in (1, 2, 3, 4)] == [{}, FIRST_REFUSAL, FIRST_REFUSAL, {}]


class At:
    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def open(self) -> Sam:
        return self._sam


# -- a caller's own HSM ---------------------------------------------------------------------------------


def test_a_callers_hsm_is_spared_for_a_day_and_the_last_try_for_ever(tmp_path: Path) -> None:
    now = 1_000_000.0
    memory = KeyMemory(tmp_path / FILE, clock=lambda: now)
    presenter = Presenter(b"caller" + b"https://his.example", seconds=CALLERS_SECONDS)
    keys = CardKeys(memory, b"a card")
    trial = keys.trial("RKSSSE", presenter)
    trial.sending()
    trial.answered(0x63C2)
    with pytest.raises(KeyAlreadyRefusedError):
        keys.trial("RKSSSE", presenter)
    now += CALLERS_SECONDS + 1
    trial = keys.trial("RKSSSE", presenter)
    trial.sending()
    trial.answered(0x63C1)
    for _ in range(3):
        now += 40 * CALLERS_SECONDS
        with pytest.raises(CardioError) as caught:
            keys.trial("RKSSSE", presenter)
        assert caught.value.code == "key-already-refused"
    assert memory.stopped_sams() == ()


# -- every way to a key -----------------------------------------------------------------------------------


def _written(held: SocialSecurityCard) -> None:
    held.prepare("DF01/EF06", {"telephone": "00000000000"})


WAYS: list[Callable[[SocialSecurityCard], object]] = [
    lambda held: held.read(),
    lambda held: held.file("DF03/EF07"),
    lambda held: held.tree(),
    lambda held: held.report("insurance"),
    _written,
    lambda held: held.unblock_pin(),
]


@pytest.mark.parametrize("persona", ["third-closed", "personalised"])
@pytest.mark.parametrize("way", WAYS, ids=["read", "file", "tree", "report", "write", "unblock"])
def test_by_no_way_and_by_no_number_of_wrong_sams_is_a_key_blocked(
    way: Callable[[SocialSecurityCard], object], persona: str, tmp_path: Path, store: CapabilityCache
) -> None:
    card = CountingCard(tmp_path / "card.json", 9, persona)
    for wrong in ("5A", "6A", "5A", "7A", "8A", "9A"):
        credentials = Credentials(sam=sam_right_for(*BAD, wrong=wrong), laboratory=True)
        try:
            on_card(SoftwareReader("r", card), way, capabilities=CapabilityCache(store.path), credentials=credentials)
        except CardioError as error:
            assert error.code in ("authentication-failed", "key-already-refused")
    assert card.tries and min(card.tries.values()) == 1 and sum(3 - left for left in card.tries.values()) == 2
