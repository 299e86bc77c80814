"""Digital envelopes (数字信封) for the holder of a card: SM4 under a key that only the card's private key gives back.

Experimental: the card's command was seen with its signature key only. What an envelope looks like on paper is not
published either; here its three parts stand beside each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from cardio.apdu.channel import Flow
from cardio.errors import UsageError
from cardio.pki.application import ask_card
from cardio.pki.errors import EnvelopeError
from cardio.pki.layout import PkiLayout
from cardio.pki.sm2 import HASH_LENGTH, POINT_LENGTH, PublicKey

KEY_LENGTH = 16
SEALED_KEY_LENGTH = POINT_LENGTH + HASH_LENGTH + KEY_LENGTH
_BLOCK = 16


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was sealed: nobody but the card can read it. It does not tell who sealed it, nor whether it was altered.

    Raises:
        EnvelopeError: a part has not the length that it must have.
    """

    sealed_key: bytes
    """The session key under SM2: C1, C3, C2; 112 bytes."""
    initial_value: bytes
    """16 bytes."""
    content: bytes
    """SM4-CBC, padded after PKCS #7; whole blocks."""

    def __post_init__(self) -> None:
        lengths = len(self.sealed_key), len(self.initial_value), len(self.content) % _BLOCK
        if lengths != (SEALED_KEY_LENGTH, _BLOCK, 0) or not self.content:
            raise EnvelopeError("数字信封的长度不对", "the envelope's parts have not the lengths that they must have")


def seal(key: PublicKey, plaintext: bytes, *, random: Callable[[int], bytes] = secrets.token_bytes) -> Envelope:
    """Seals a text for the holder of a key: that of the card's encryption certificate."""
    session_key, initial_value = random(KEY_LENGTH), random(_BLOCK)
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.SM4(session_key), modes.CBC(initial_value)).encryptor()
    content = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    return Envelope(key.encrypt(session_key, random=random), initial_value, content)


def open_envelope(layout: PkiLayout, envelope: Envelope) -> Flow[bytes]:
    """Lets the card give the session key back, and opens the rest here. Its user PIN has been presented.

    Raises:
        PkiPinNeededError: the PIN was not presented.
        CardRefusedError: the card does not decipher: it is not its key, or not its command.
        EnvelopeError: what came out makes no sense.
    """
    response = yield from ask_card(
        layout.commands.decipher,
        private_key=layout.files.encryption_private_key.id,
        length=SEALED_KEY_LENGTH.to_bytes(2, "big"),
        sealed=envelope.sealed_key,
    )
    if len(response.data) != KEY_LENGTH:
        raise EnvelopeError("卡片给出的会话密钥长度不对", "the card's session key has not sixteen bytes")
    decryptor = Cipher(algorithms.SM4(response.data), modes.CBC(envelope.initial_value)).decryptor()
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    try:
        return unpadder.update(decryptor.update(envelope.content) + decryptor.finalize()) + unpadder.finalize()
    except ValueError as error:
        raise EnvelopeError("信封内容与密钥不符", "the envelope's content does not fit the key") from error


def import_session_key(layout: PkiLayout, session_key: bytes) -> Flow[None]:
    """Hands a session key to the card, as issuing tools do before they import a private key under it.

    Raises:
        UsageError: it has not sixteen bytes.
        PkiPinNeededError, CardRefusedError: the card does not take it.
    """
    if len(session_key) != KEY_LENGTH:
        raise UsageError("会话密钥应为 16 字节", "a session key has sixteen bytes")
    yield from ask_card(layout.commands.import_session_key, session_key=session_key)
