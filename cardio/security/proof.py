"""A site's rules for asking cards to prove that they are genuine, and the words for the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cardio.bilingual import Bilingual
from cardio.errors import CardioError, CardRefusedError, ConfigurationError
from cardio.models.reading import Proof
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    KeyNotInSamError,
    NoCardFactorError,
    NoSamError,
    PsamKeyLevelError,
)
from cardio.security.sam.base import SamKind

_SAMS = {"soft": ("密钥文件", "key file"), "psam": ("PSAM 卡", "PSAM card"), "hsm": ("加密机", "HSM")}
_CANNOT_BE_ASKED = (
    AlgorithmNotSupportedError,
    KeyNotInSamError,
    NoCardFactorError,
    PsamKeyLevelError,
    ConfigurationError,
)
"""The errors that depend on this SAM or reader and stay at the next try: another card of the kind could not be asked
either.
"""

WhenAsked = Literal["always", "before-keys"]


@dataclass(frozen=True, slots=True)
class ProofPolicy:
    """A site's requirements for cards where it has a SAM."""

    when: WhenAsked = "always"
    """``always``: every card is asked, once for as long as it is held. ``before-keys``: only a card that is to get a
    key or a PIN.
    """
    require: bool = False
    """True if a card that is not proved genuine is refused, whatever the reason."""
    old_cards_may_decline: bool = True
    """True if cards before the third generation may decline: they need not know the command, so such a card is not
    proved, but no copy.
    """

    @property
    def challenges_every_card(self) -> bool:
        return self.require or self.when == "always"


@dataclass(frozen=True, slots=True)
class ProofOutcome:
    """The result of asking a card, for as long as it is held."""

    proof: Proof
    unproved_reason: CardioError | None = None
    """The reason why it is not proved genuine."""
    answered: bool = False
    """True if it answered a fresh challenge correctly, even if its own claims put the proof in doubt."""

    @property
    def pin_denial_reason(self) -> CardioError | None:
        """Return why the card gets no PIN: it was to be asked, and has not been."""
        lasting = isinstance(self.unproved_reason, (*_CANNOT_BE_ASKED, CardRefusedError))
        return None if self.answered or lasting else self.unproved_reason


def genuine(algorithm: str | None, sam: SamKind, *, test_keys: bool) -> ProofOutcome:
    """Return the outcome of a correct answer."""
    used = words_for_means(algorithm, sam, test_keys=test_keys)
    proof = Proof(
        outcome="genuine",
        detail=f"内部认证通过{used.zh}",
        detail_en=f"internal authentication succeeded{used.en}",
        algorithm=algorithm,
        sam=sam,
        test_keys=test_keys,
    )
    return ProofOutcome(proof, answered=True)


def not_proved(error: CardioError, *, reason: str | None = None, answered: bool = False) -> ProofOutcome:
    """Return the outcome for a card that could not be asked, or that may decline; without a SAM it was not asked at
    all.
    """
    proof = Proof(
        outcome="not-asked" if isinstance(error, NoSamError) else "not-possible",
        reason=reason or error.code,
        detail=error.detail,
        detail_en=error.detail_en,
    )
    return ProofOutcome(proof, error, answered)


NOT_YET = {
    "always": Proof.not_asked("not-yet", "尚未要求卡片证明", "the card was not asked to prove itself yet"),
    "before-keys": Proof.not_asked(
        "setting",
        "按本单位设置（prove_cards），读取时不核验",
        "by this site's setting (prove_cards) cards are not asked to prove themselves for a reading",
    ),
}
"""The proof before a card was asked."""


def words_for_means(algorithm: str | None, sam: SamKind | None, *, test_keys: bool) -> Bilingual:
    """Return the means of a proof in brackets: algorithm, SAM, test keys; an empty text if none is known."""
    name, name_en = _SAMS[sam] if sam is not None else ("", "")
    used = "，".join(part for part in (algorithm, name, "测试密钥" if test_keys else "") if part)
    used_en = ", ".join(part for part in (algorithm, name_en, "test keys" if test_keys else "") if part)
    return Bilingual(f"（{used}）" if used else "", f" ({used_en})" if used_en else "")
