"""The protection of a card's keys: the checks before a key is presented, and the notes before and after.

A refused key costs the card a try that only the issuer can restore. So a refused key is not presented to the card
again, the last try is never spent, and a SAM that several cards in a row refuse presents no more keys.
"""

from __future__ import annotations

from cardio.apdu.status_word import StatusWord, tries_in
from cardio.security.errors import KeyAlreadyRefusedError, KeyMemoryError, SamRefusedError
from cardio.security.key_memory import ASSUMED_TRIES, CARDS_IN_A_ROW, CardNotes, KeyMemory, Presenter, RefusedKey

_NOT_COMPARED = frozenset(
    {
        StatusWord.WRONG_LENGTH,
        StatusWord.AUTHENTICATION_BLOCKED,
        StatusWord.NO_CHALLENGE,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.KEY_NOT_FOUND,
        StatusWord.KEY_INDEX_NOT_SUPPORTED,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
    }
)
"""The answers to EXTERNAL AUTHENTICATION which say that no key was compared. Any other answer may have cost a try."""
_REFUSED = frozenset({StatusWord.SECURITY_STATUS_NOT_SATISFIED, StatusWord.MAC_WRONG, StatusWord.MAC_INVALID})
_VERIFICATION_FAILED = 0x63


CALLERS_SECONDS = 24 * 3600.0
"""The time for which a card's refusal of a caller's own HSM counts, in seconds: a later change of the HSM's keys cannot
be noticed here.
"""


class CardKeys:
    """The keys of one card, as they are presented to it."""

    def __init__(self, memory: KeyMemory, card: bytes, spare: KeyMemory | None = None) -> None:
        """Set up for one card.

        Args:
            memory: stores the answers of cards to keys.
            card: identifies the card; only its keyed hash is kept.
            spare: the memory of this process, for notes that a disk could not take because it became full in between.
        """
        self._memory = memory
        self._card = card
        self._spare = None if spare is memory else spare

    def trial(self, key: str, presenter: Presenter, *, proved: bool = False) -> KeyTrial:
        """Allow one presentation of a key.

        Args:
            key: the name of the key.
            presenter: the SAM that computes with the key.
            proved: the card has proved that it is genuine.

        Raises:
            KeyAlreadyRefusedError: the card has refused this key from this SAM, or it would be the key's last try.
            SamRefusedError: several cards in a row have refused this SAM.
            KeyMemoryError: the card's answer cannot be noted.
            SamError: the SAM cannot be asked if it is still the same.
        """
        if self._spare is not None:
            CardKeys(self._spare, self._card).trial(key, presenter, proved=proved)
        notes = self._memory.card_notes(self._card, key, presenter, proved=proved)
        if notes.tries_left == 1:
            raise _last_try(key)
        if any(self._is_unchanged(one, presenter) for one in notes.refusals):
            raise KeyAlreadyRefusedError()
        if self._is_known(key, presenter, notes):
            raise KeyAlreadyRefusedError()
        self._require_sam(presenter, notes)
        return KeyTrial(self._memory, self._card, key, presenter, notes.tries_left, proved=proved, spare=self._spare)

    def forget(self) -> int:
        """Forget the refusals of this card and the tries of its keys, because a person says that they are restored.

        Returns:
            the number of keys with known refusals or tries.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        if self._spare is not None:
            self._spare.forget(self._card)
        return self._memory.forget(self._card)

    def _is_unchanged(self, refusal: RefusedKey, presenter: Presenter) -> bool:
        """Return True if a SAM still holds the key that the card has refused, as far as that can be found out."""
        if refusal.probe is None or presenter.probe is None:
            return True
        return self._memory.hashed(presenter.probe(refusal.key)) in (refusal.probe, None)

    def _is_known(self, key: str, presenter: Presenter, notes: CardNotes) -> bool:
        """Return True if the card has refused the very same key from another SAM."""
        if not notes.refused_elsewhere or presenter.probe is None:
            return False
        return self._memory.hashed(presenter.probe(key)) in notes.refused_elsewhere

    def _require_sam(self, presenter: Presenter, notes: CardNotes) -> None:
        """Check that the SAM is not stopped.

        Raises:
            SamRefusedError: the SAM is stopped, and still has the key that was refused.
        """
        for one in notes.row:
            if one.probe is not None and presenter.probe_of_sam is not None:
                now = presenter.probe_of_sam(one.key, one.city, one.algorithm)
                if self._memory.hashed(now) not in (one.probe, None):
                    self._memory.resume(presenter)
                    return
            raise SamRefusedError(
                f"{presenter.place}：连续 {CARDS_IN_A_ROW} 张卡片拒绝了密钥 {one.key}",
                f"{presenter.place}: {CARDS_IN_A_ROW} cards in a row have refused the key {one.key}",
            )


class KeyTrial:
    """One presentation: the caller runs `sending` before the command is sent, and `answered` after the card's
    answer.
    """

    def __init__(
        self,
        memory: KeyMemory,
        card: bytes,
        key: str,
        presenter: Presenter,
        tries_left: int | None,
        *,
        proved: bool,
        spare: KeyMemory | None = None,
    ) -> None:
        self._memory = memory
        self._spare = spare
        self._card = card
        self._key = key
        self._presenter = presenter
        self._before = tries_left
        self._proved = proved

    def sending(self) -> None:
        """Note the try as spent: if no answer comes, another process must know that.

        Raises:
            KeyMemoryError: it cannot be noted; nothing may be sent then.
        """
        left = max(0, (ASSUMED_TRIES if self._before is None else self._before) - 1)
        self._memory.note_try(self._card, self._key, left)

    def answered(self, status_word: int) -> None:
        """Note the card's answer.

        If the disk does not take the note, this process still knows it; for other processes the try stays noted as
        spent.
        """
        try:
            self._note(self._memory, status_word)
        except KeyMemoryError:
            if self._spare is not None and is_refusal(status_word):
                self._note(self._spare, status_word)
            return
        if self._spare is not None and status_word == StatusWord.SUCCESS:
            self._note(self._spare, status_word)

    def _note(self, memory: KeyMemory, status_word: int) -> None:
        if status_word == StatusWord.SUCCESS:
            memory.accepted(self._card, self._key, self._presenter, proved=self._proved)
        elif status_word in _NOT_COMPARED:
            memory.restore(self._card, self._key, self._before)
        elif is_refusal(status_word):
            self._note_refusal(memory, tries_in(status_word))

    def _note_refusal(self, memory: KeyMemory, left: int | None) -> None:
        presenter = self._presenter
        memory.refused(
            self._card,
            self._key,
            presenter,
            left,
            proved=self._proved,
            probe=presenter.probe(self._key) if presenter.probe else None,
            probe_of_sam=(
                presenter.probe_of_sam(self._key, presenter.city, presenter.algorithm)
                if presenter.probe_of_sam
                else None
            ),
        )


def is_refusal(status_word: int) -> bool:
    """Return True if an answer to EXTERNAL AUTHENTICATION says that the key is wrong. Some cards answer so without a
    count.
    """
    return status_word >> 8 == _VERIFICATION_FAILED or status_word in _REFUSED


def _last_try(key: str) -> KeyAlreadyRefusedError:
    return KeyAlreadyRefusedError(
        f"密钥 {key} 可能只剩最后一次机会，未发送给卡片",
        f"the key {key} may have its last try left: nothing was presented",
    )
