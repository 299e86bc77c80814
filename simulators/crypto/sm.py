"""SM2, SM3 and SM4 as a card computes them (GB/T 32918, 32905, 32907), with the private key.

Written independently of the library's, so that the two can contradict each other. For test keys only: the time of this
arithmetic depends on the key.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from ecdsa.ellipticcurve import CurveFp, Point

_P = int("FFFFFFFE FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00000000 FFFFFFFF FFFFFFFF".replace(" ", ""), 16)
_A = _P - 3
_B = int("28E9FA9E 9D9F5E34 4D5A9E4B CF6509A7 F39789F5 15AB8F92 DDBCBD41 4D940E93".replace(" ", ""), 16)
_N = int("FFFFFFFE FFFFFFFF FFFFFFFF FFFFFFFF 7203DF6B 21C6052B 53BBF409 39D54123".replace(" ", ""), 16)
_G_X = int("32C4AE2C 1F198119 5F990446 6A39C994 8FE30BBF F2660BE1 715A4589 334C74C7".replace(" ", ""), 16)
_G_Y = int("BC3736A2 F4F6779C 59BDCEE3 6B692153 D0A9877C C62A4740 02DF32E5 2139F0A0".replace(" ", ""), 16)
_CURVE = CurveFp(_P, _A, _B)
_G = Point(_CURVE, _G_X, _G_Y, _N)
_BLOCK = 16

Random = Callable[[int], bytes]


def public_key(private: int) -> bytes:
    """Return X and Y of the public key, 32 bytes each."""
    return _both(_G * private)


def sign(private: int, digest: bytes, random: Random) -> bytes:
    """Return r and s, 32 bytes each, for a hash that includes ZA (GB/T 32918.2 §6.1)."""
    e = int.from_bytes(digest, "big")
    while True:
        k = int.from_bytes(random(32), "big") % (_N - 1) + 1
        r = (e + (_G * k).x()) % _N
        s = pow(1 + private, -1, _N) * (k - r * private) % _N
        if r and s and r + k != _N:
            signature: bytes = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            return signature


def decipher(private: int, sealed: bytes) -> bytes | None:
    """Return the plain text of C1, C3, C2 (GB/T 32918.4 §7.1); None if they were not made for this key."""
    x, y = int.from_bytes(sealed[:32], "big"), int.from_bytes(sealed[32:64], "big")
    check, hidden = sealed[64:96], sealed[96:]
    if not hidden or not _CURVE.contains_point(x, y):
        return None
    shared = _both(Point(_CURVE, x, y) * private)
    mask = b""
    while len(mask) < len(hidden):
        mask += sm3(shared + (len(mask) // 32 + 1).to_bytes(4, "big"))
    plain = bytes(one ^ other for one, other in zip(hidden, mask, strict=False))
    return plain if sm3(shared[:32] + plain + shared[32:]) == check else None


def sm3(data: bytes) -> bytes:
    state = hashes.Hash(hashes.SM3())
    state.update(data)
    return state.finalize()


def sm4_encipher(key: bytes, block: bytes) -> bytes:
    """Return one enciphered block."""
    return _chained(key, bytes(_BLOCK), block)


def sm4_decipher(key: bytes, block: bytes) -> bytes:
    """Return one deciphered block."""
    worker = Cipher(algorithms.SM4(key), modes.CBC(bytes(_BLOCK))).decryptor()
    return worker.update(block) + worker.finalize()


def sm4_mac(key: bytes, start: bytes, message: bytes) -> bytes:
    """Return a MAC of four bytes.

    It is CBC from ``start``, over the message with ``80`` and zeros after it. The words of the last block are XORed.
    """
    message += b"\x80"
    message += bytes(-len(message) % _BLOCK)
    last = _chained(key, start, message)[-_BLOCK:]
    words = [int.from_bytes(last[place : place + 4], "big") for place in range(0, _BLOCK, 4)]
    return (words[0] ^ words[1] ^ words[2] ^ words[3]).to_bytes(4, "big")


def _chained(key: bytes, start: bytes, blocks: bytes) -> bytes:
    worker = Cipher(algorithms.SM4(key), modes.CBC(start)).encryptor()
    return worker.update(blocks) + worker.finalize()


def _both(point: Point) -> bytes:
    x, y = int(point.x()), int(point.y())
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")
