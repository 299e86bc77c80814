"""The computations of a software card, PSAM and HSM.

They are written from the descriptions of the algorithms, independent of the library.

``3DES`` with a key of eight bytes is single DES. SM4 is GB/T 32907; its use in cards is known from one public library.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import ECB


def diversified(algorithm: str, key: bytes, factor: bytes) -> bytes:
    """Return the key one level below (分散), for eight bytes of factor."""
    inverted = bytes(255 - byte for byte in factor)
    if algorithm == "3DES" and len(key) == 8:
        return enciphered(algorithm, key, factor)
    return enciphered(algorithm, key, factor + inverted)


def card_key(algorithm: str, root: bytes, historical_bytes: bytes, city_code: str) -> bytes:
    """Return a card's key from the national root: by province, by city, by card."""
    province = city_code[:2] + "0000" + "sh"
    city = city_code + "sx"
    key = root
    for factor in (province.encode(), city.encode(), historical_bytes[-8:]):
        key = diversified(algorithm, key, factor)
    return key


def process_key(algorithm: str, key: bytes, challenge: bytes) -> bytes:
    """Return the key of one exchange (过程密钥): a DES key, or an SM4 key."""
    return enciphered(algorithm, key, _filled(algorithm, challenge))


def cryptogram(algorithm: str, key: bytes, source: bytes) -> bytes:
    """Return eight bytes that prove a process key; the halves of SM4's sixteen bytes are XORed."""
    whole = enciphered(algorithm, key, _filled(algorithm, source))
    return _xored(_parts(whole, 8))


def mac(algorithm: str, key: bytes, message: bytes, initial_value: bytes | None = None) -> bytes:
    """Return a MAC of four bytes over a message, which is filled up with 80 and zeros here."""
    size = block_size(algorithm)
    filled = message + b"\x80"
    while len(filled) % size:
        filled += b"\x00"
    return padded_mac(algorithm, key, filled, initial_value)


def padded_mac(algorithm: str, key: bytes, message: bytes, initial_value: bytes | None = None) -> bytes:
    """Return a MAC as `mac`, over whole blocks."""
    size = block_size(algorithm)
    chained = _filled(algorithm, initial_value or b"")
    chaining_key = key[:8] if algorithm == "3DES" else key
    for block in _parts(message, size):
        chained = enciphered(algorithm, chaining_key, _xored((chained, block)))
    if algorithm == "SM4":
        return _xored(_parts(chained, 4))
    if len(key) == 16:
        chained = enciphered(algorithm, key[:8], deciphered(algorithm, key[8:], chained))
    return chained[:4]


def enciphered(algorithm: str, key: bytes, blocks: bytes) -> bytes:
    """Return the blocks, each enciphered by itself."""
    encryptor = _cipher(algorithm, key).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def deciphered(algorithm: str, key: bytes, blocks: bytes) -> bytes:
    decryptor = _cipher(algorithm, key).decryptor()
    return decryptor.update(blocks) + decryptor.finalize()


def block_size(algorithm: str) -> int:
    return 16 if algorithm == "SM4" else 8


def _cipher(algorithm: str, key: bytes) -> Cipher[ECB]:
    if algorithm == "SM4":
        return Cipher(SM4(key), ECB())
    if algorithm != "3DES":
        raise ValueError(f"{algorithm} is not published")
    return Cipher(TripleDES({8: key * 3, 16: key + key[:8]}[len(key)]), ECB())


def _filled(algorithm: str, value: bytes) -> bytes:
    return value + bytes(block_size(algorithm) - len(value))


def _parts(value: bytes, size: int) -> list[bytes]:
    return [value[start : start + size] for start in range(0, len(value), size)]


def _xored(values: Iterable[bytes]) -> bytes:
    result = 0
    size = 0
    for value in values:
        result ^= int.from_bytes(value, "big")
        size = len(value)
    return result.to_bytes(size, "big")
