"""Digital envelopes (数字信封) for the holder of a card: SM4 under a key that only the card's private key can recover.

This is experimental: the card's command was seen with its signature key only. The format of an envelope is not
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
    """A sealed text that only the card can read. It does not show who sealed it, or whether it was altered.

    Raises:
        EnvelopeError: a part has the wrong length.
    """

    sealed_key: bytes
    """The session key under SM2: C1, C3, C2; 112 bytes."""
    initial_value: bytes
    """The initial value, 16 bytes."""
    content: bytes
    """The content under SM4-CBC, padded after PKCS #7; whole blocks."""

    def __post_init__(self) -> None:
        lengths = len(self.sealed_key), len(self.initial_value), len(self.content) % _BLOCK
        if lengths != (SEALED_KEY_LENGTH, _BLOCK, 0) or not self.content:
            raise EnvelopeError("数字信封的长度不对", "the envelope's parts have not the lengths that they must have")


def seal(key: PublicKey, plaintext: bytes, *, random: Callable[[int], bytes] = secrets.token_bytes) -> Envelope:
    """Seal a text for the holder of a key: the key of the card's encryption certificate."""
    session_key, initial_value = random(KEY_LENGTH), random(_BLOCK)
    padder = PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.SM4(session_key), modes.CBC(initial_value)).encryptor()
    content = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    return Envelope(key.encrypt(session_key, random=random), initial_value, content)


def open_envelope(layout: PkiLayout, envelope: Envelope) -> Flow[bytes]:
    """Let the card recover the session key, and decipher the content here. The user PIN must have been presented.

    Raises:
        PkiPinNeededError: the PIN was not presented.
        CardRefusedError: the card does not decipher: the key is another card's, or the command is wrong.
        EnvelopeError: the deciphered content is malformed.
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
    """Hand a session key to the card, as issuing tools do before they import a private key under it.

    Raises:
        UsageError: it has not sixteen bytes.
        PkiPinNeededError, CardRefusedError: the card does not accept it.
    """
    if len(session_key) != KEY_LENGTH:
        raise UsageError("会话密钥应为 16 字节", "a session key has sixteen bytes")
    yield from ask_card(layout.commands.import_session_key, session_key=session_key)
