"""SM2: verifying signatures (GB/T 32918.2) and encrypting for a card (GB/T 32918.4), on the curve of GB/T 32918.5.

The module has only the operations that need no private key, because that never leaves a card. The curve's arithmetic is
the `ecdsa` package's, which does not run in constant time. For a public key that reveals nothing. `PublicKey.encrypt`
multiplies by a number that is used once, so it belongs on a machine that the owner of the text trusts anyway.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives import hashes
from ecdsa.ellipticcurve import INFINITY, CurveFp, PointJacobi

from cardio.errors import UsageError
from cardio.pki.errors import PublicKeyError

DEFAULT_USER_ID = b"1234567812345678"
"""用户身份标识 where the two sides have agreed on no other (GM/T 0009)."""
SIGNATURE_LENGTH = 64
HASH_LENGTH = 32
POINT_LENGTH = 64
_SIZE = 32
_UNCOMPRESSED = b"\x04"
_USER_ID_LIMIT = 0xFFFF // 8
"""The limit of the identity: its length is given in bits, in two bytes."""

_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_A = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC
_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
_GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
_GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
_CURVE = CurveFp(_P, _A, _B, 1)
_GENERATOR = PointJacobi(_CURVE, _GX, _GY, 1, _ORDER, generator=True)


def sm3(data: bytes) -> bytes:
    """Return the SM3 hash (GB/T 32905), 32 bytes."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on the curve.

    Raises:
        PublicKeyError: it is not 64 bytes, or not on the curve.
    """

    point: bytes
    """X and Y, 32 bytes each."""

    def __post_init__(self) -> None:
        x, y = _to_number(self.point[:_SIZE]), _to_number(self.point[_SIZE:])
        if len(self.point) != POINT_LENGTH or max(x, y) >= _P or not _CURVE.contains_point(x, y):
            raise PublicKeyError("公钥不是 SM2 曲线上的点", "the public key is no point on the SM2 curve")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Return the key from a point as cards have it (64 bytes), or as certificates do, with ``04`` before it (65
        bytes).
        """
        has_mark = len(raw) == 1 + POINT_LENGTH and raw.startswith(_UNCOMPRESSED)
        return cls(raw[1:] if has_mark else raw)

    def __bytes__(self) -> bytes:
        return self.point

    def digest(self, message: bytes, user_id: bytes = DEFAULT_USER_ID) -> bytes:
        """Return the hash that is signed for a message: SM3 over ZA (identity, curve and key) and the message.

        Raises:
            UsageError: the identity is longer than 8191 bytes.
        """
        if len(user_id) > _USER_ID_LIMIT:
            raise UsageError("签名用户标识过长", f"a user id has at most {_USER_ID_LIMIT} bytes")
        curve = b"".join(map(_to_bytes, (_A, _B, _GX, _GY)))
        return sm3(sm3((len(user_id) * 8).to_bytes(2, "big") + user_id + curve + self.point) + message)

    def verify(self, message: bytes, signature: bytes, user_id: bytes = DEFAULT_USER_ID) -> bool:
        """Return True if a signature (r and s, 32 bytes each) is this key's over the message."""
        return self.verify_digest(self.digest(message, user_id), signature)

    def verify_digest(self, digest: bytes, signature: bytes) -> bool:
        """Return True if a signature is this key's over the result of `digest`."""
        if len(digest) != HASH_LENGTH or len(signature) != SIGNATURE_LENGTH:
            return False
        r, s = _to_number(signature[:_SIZE]), _to_number(signature[_SIZE:])
        t = (r + s) % _ORDER
        if not (0 < r < _ORDER and 0 < s < _ORDER and t):
            return False
        point = _GENERATOR.mul_add(s, self._jacobi(), t)
        return bool(point != INFINITY and (_to_number(digest) + point.x()) % _ORDER == r)

    def encrypt(self, plaintext: bytes, *, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
        """Encrypt for the owner of the private key: return C1 (64 bytes, without ``04``), C3 (32 bytes), C2.

        Raises:
            UsageError: there is nothing to encrypt.
        """
        if not plaintext:
            raise UsageError("没有可加密的内容", "there is nothing to encrypt")
        while True:
            once = _to_number(random(_SIZE))
            if not 0 < once < _ORDER:
                continue
            shared = _coordinates(self._jacobi() * once)
            mask = _derive(b"".join(shared), len(plaintext))
            if any(mask):
                break
        hidden = bytes(a ^ b for a, b in zip(plaintext, mask, strict=True))
        return b"".join(_coordinates(_GENERATOR * once)) + sm3(shared[0] + plaintext + shared[1]) + hidden

    def _jacobi(self) -> PointJacobi:
        x, y = _to_number(self.point[:_SIZE]), _to_number(self.point[_SIZE:])
        return PointJacobi(_CURVE, x, y, 1, _ORDER)


def _derive(shared: bytes, length: int) -> bytes:
    """Return the result of the key derivation function (KDF, GB/T 32918.4 §5.4.3)."""

    def blocks() -> Iterator[bytes]:
        for counter in range(1, -(-length // HASH_LENGTH) + 1):
            yield sm3(shared + counter.to_bytes(4, "big"))

    return b"".join(blocks())[:length]


def _coordinates(point: PointJacobi) -> tuple[bytes, bytes]:
    affine = point.to_affine()
    return _to_bytes(affine.x()), _to_bytes(affine.y())


def _to_bytes(number: int) -> bytes:
    return int(number).to_bytes(_SIZE, "big")


def _to_number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")
