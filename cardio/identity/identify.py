"""The step from a card in a reader to the verdict: it proves and reads as much as possible, then judges."""

from __future__ import annotations

from datetime import datetime
from hmac import compare_digest

from cardio.bilingual import Bilingual
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardGarbledError, CardRefusedError
from cardio.identity.loss_list import LossList
from cardio.identity.model import Verdict
from cardio.identity.policy import Policy
from cardio.identity.proofs import ChipProof, CodeProof, HolderProof
from cardio.identity.verdict import verify
from cardio.models.reading import CardReading
from cardio.security.errors import (
    ClaimsContradictError,
    ForgedCardError,
    ProofDeclinedError,
    ProofRequiredError,
    SamError,
)
from cardio.security.sam.base import Sam

_PARTS, _CODE = 12, 4
"""The parts of 卡识别码: twelve bytes of city, RID and serial number, four of 认证码 (V2.0 table 10)."""
_NOT_COMPUTED = b"\xff" * _CODE
_FAILED = ("forged", "declined")
"""The outcomes after which nothing more is presented to the card."""
_COMPUTED_FOR = "3DES"
"""The algorithm of the 认证码; no source tells how that of an SM4 card is computed."""


def identify(card: SocialSecurityCard, policy: Policy, loss_list: LossList | None, now: datetime) -> Verdict:
    """Check that a card is good and that its bearer is its holder.

    A chip that is forged, or declines, ends the proving: no key and no PIN is presented to it.

    Args:
        card: the card.
        policy: the site's policy.
        loss_list: the loss list; None where the site has none.
        now: the time, with its zone.

    Raises:
        WrongPinError, PinBlockedError and others: the given PIN failed; there is no verdict after a typing error.
        CardioError: the card cannot be read at all, or was removed.
    """
    chip = _chip(card)
    reading = card.read(prove=False, supplement=False, today=now.date())
    code = _code(card, reading, chip)
    return verify(reading, chip, code, _holder(card, chip), policy, loss_list, now)


def _chip(card: SocialSecurityCard) -> ChipProof:
    try:
        card.prove()
        sam = card.sam
        return ChipProof("genuine", card.algorithm, card.proof.sam or sam.kind, sam.test_keys)
    except ForgedCardError as error:
        sam = card.sam
        return ChipProof("forged", card.algorithm, sam.kind, _may_be_test_keys(sam), driver_code=error.driver_code)
    except ProofDeclinedError as error:
        return ChipProof(
            "declined", card.algorithm, reason=Bilingual(error.detail, error.detail_en), driver_code=error.driver_code
        )
    except (SamError, CardRefusedError, CardGarbledError, ClaimsContradictError) as error:
        return ChipProof(
            "not-done", card.algorithm, reason=Bilingual(error.detail, error.detail_en), driver_code=error.driver_code
        )


def _may_be_test_keys(sam: Sam) -> bool:
    try:
        return sam.test_keys
    except SamError:
        return True  # a SAM that does not say whose keys it has proves nothing against a card


def _code(card: SocialSecurityCard, reading: CardReading, chip: ChipProof) -> CodeProof:
    code = bytes.fromhex(reading.card.identification_code or "")
    if len(code) != _PARTS + _CODE:
        return CodeProof("not-done", reason=Bilingual("卡识别码读不出来", "the identification code could not be read"))
    if code[_PARTS:] == _NOT_COMPUTED:
        return CodeProof("not-computed-by-issuer")
    if chip.outcome in _FAILED:
        return CodeProof(
            "not-done", reason=Bilingual("芯片真伪核验未通过，未再核对", "the chip is not genuine: not checked")
        )
    if card.algorithm != _COMPUTED_FOR:
        zh = f"{card.algorithm} 卡认证码的算法未公开"
        return CodeProof("not-done", reason=Bilingual(zh, f"how {card.algorithm} cards compute it is not published"))
    try:
        expected = card.certificate(code[:_PARTS])
    except (SamError, CardGarbledError) as error:
        return CodeProof("not-done", reason=Bilingual(error.detail, error.detail_en), driver_code=error.driver_code)
    if expected is None:
        return CodeProof("not-done", reason=Bilingual("该密钥设备不能计算认证码", "this SAM cannot compute it"))
    test_keys = _may_be_test_keys(card.sam)
    return CodeProof("right" if compare_digest(expected, code[_PARTS:]) else "wrong", test_keys=test_keys)


def _holder(card: SocialSecurityCard, chip: ChipProof) -> HolderProof:
    if chip.outcome in _FAILED:
        return HolderProof(
            "not-done", Bilingual("芯片真伪核验未通过，未发送密码", "the chip is not genuine: no PIN was sent to it")
        )
    if not card.has_pin:
        return HolderProof("not-done", Bilingual("未提供密码", "no PIN was given"))
    try:
        card.verify_pin()
    except (ProofRequiredError, ClaimsContradictError) as error:
        return HolderProof("not-done", Bilingual(error.detail, error.detail_en))
    return HolderProof("proved")
