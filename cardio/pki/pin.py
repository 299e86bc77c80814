"""The PINs of the certificate application: presented as an answer to the card's challenge, never in clear.

The key is the first half of SM3 over the packed digits. Each flow spends at most one try and is not repeated
automatically. It sends nothing if that might be the last try and the holder has not agreed.
"""

from __future__ import annotations

from dataclasses import replace

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.commands import get_challenge
from cardio.apdu.effect import CommandEffect
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, tries_in
from cardio.errors import CardError, CardGarbledError
from cardio.pki.application import refusal
from cardio.pki.layout import PkiLayout, PkiPin
from cardio.pki.sm2 import sm3
from cardio.security.algorithms import pad, suite_for
from cardio.security.errors import (
    LastTryError,
    MacRefusedError,
    PinBlockedError,
    PinOutcomeUnknownError,
    WrongPinError,
)
from cardio.security.pin.pin import Pin

_SM4 = suite_for("SM4")
_MAC_LENGTH = 4


def pin_tries_left(which: PkiPin) -> Flow[int | None]:
    """Return how many tries are left, 0 when blocked; None when the card does not tell. This spends none;
    experimental.
    """
    response = yield which.tries.build()
    return tries_in(response.status_word)


def verify_pin(layout: PkiLayout, which: PkiPin, pin: Pin, *, accept_last_try: bool = False) -> Flow[None]:
    """Present a PIN. The application must be current.

    Args:
        layout: the facts of the application.
        which: ``layout.pins.user``, which signing and deciphering need, or ``layout.pins.administrator``.
        pin: the PIN.
        accept_last_try: the holder agrees to spend the last try, or one that may be the last.

    Raises:
        LastTryError: nothing was sent.
        WrongPinError, PinBlockedError: the card says so.
        PinOutcomeUnknownError: the card's answer is malformed; a try may be spent.
        CardRefusedError: the card refuses for another reason.
    """
    response = yield which.tries.build()
    left = tries_in(response.status_word)
    if left == 0:
        raise PinBlockedError(status_word=response.status_word)
    # 9000: the PIN is verified already, so all its tries are left.
    if not (accept_last_try or response.ok or (left is not None and left > 1)):
        raise (
            LastTryError()
            if left == 1
            else LastTryError(
                "卡片未告知剩余次数，可能是最后一次机会，未发送给卡片",
                "the card does not say how many tries are left. This may be the last one: nothing was sent",
            )
        )
    challenge = yield from _challenge(layout)
    command = which.verify.build(cryptogram=_SM4.encipher(_key(pin), challenge))
    yield from _present(replace(command, known_effect=CommandEffect.PIN))


def change_pin(layout: PkiLayout, which: PkiPin, old: Pin, new: Pin, *, accept_last_try: bool = False) -> Flow[None]:
    """Present the old PIN, then replace it by the new one, which is enciphered and has a MAC under the old one.

    Raises:
        MacRefusedError: the card does not accept the MAC; nothing was changed.
        PinOutcomeUnknownError: it is not known which PIN is valid now.
        LastTryError, WrongPinError, PinBlockedError, CardRefusedError: as for `verify_pin`.
    """
    yield from verify_pin(layout, which, old, accept_last_try=accept_last_try)
    key = _key(old)
    block = _SM4.encipher(key, pad(bytes((len(new.packed),)) + new.packed, _SM4.block))
    challenge = yield from _challenge(layout)
    unsealed = which.change.build(block=block, mac=bytes(_MAC_LENGTH))
    covered = unsealed.header + bytes((len(unsealed.data),)) + block
    mac = _SM4.mac(key, pad(covered, _SM4.block), challenge)
    yield from _present(replace(which.change.build(block=block, mac=mac), known_effect=CommandEffect.PIN_CHANGE))


def _key(pin: Pin) -> bytes:
    return sm3(pin.packed)[: _SM4.block]


def _challenge(layout: PkiLayout) -> Flow[bytes]:
    """Return sixteen bytes: as many as the card gives, and zeros.

    Raises:
        CardRefusedError: the card gives none, or too few.
    """
    for length in layout.challenge.lengths:
        response = yield get_challenge(length)
        if response.ok and len(response.data) in layout.challenge.lengths:
            return response.data.ljust(_SM4.block, b"\x00")
    raise refusal("卡片没有给出随机数", "the card gives no challenge", response)


def _present(command: CommandApdu) -> Flow[None]:
    """Send a command that carries a PIN, once.

    Raises:
        CardError: as for `change_pin`.
    """
    try:
        response = yield command
    except CardGarbledError as error:
        raise PinOutcomeUnknownError() from error
    if not response.ok:
        raise _judgement(response)


def _judgement(response: ResponseApdu) -> CardError:
    status_word = response.status_word
    left = tries_in(status_word)
    if left == 0:
        return PinBlockedError(status_word=status_word)
    if left is not None:
        return WrongPinError(
            f"密码错误，还剩 {left} 次",
            f"the PIN is wrong; tries left: {left}",
            tries_left=left,
            status_word=status_word,
        )
    if status_word == StatusWord.MAC_WRONG:
        return MacRefusedError(status_word=status_word)
    return refusal("密码未通过", "the PIN was not accepted", response)
