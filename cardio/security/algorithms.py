"""The two algorithms that cards use, and what is built from them: sub-keys, process keys, cryptograms and MACs.

3DES is used as in LB002-2000 and in public libraries. SM4 (GB/T 32907) is used as in one public library for
third-generation cards. SSF33 is not published: `suite_for` refuses it. Worked examples stand in docs/algorithms.md.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes

from cardio.security.errors import AlgorithmNotSupportedError

MAC_LENGTH = 4
CRYPTOGRAM_LENGTH = 8
HALF = 8
"""The number of bytes of a challenge, of source data, of a diversification factor, and of a DES block."""


class CipherSuite(Protocol):
    """The operations of a key, by algorithm. Keys and data are bytes; nothing is stored."""

    @property
    def name(self) -> str: ...

    @property
    def block(self) -> int:
        """Return the bytes of a block; data is padded to whole blocks."""

    @property
    def requires_key_version(self) -> bool:
        """Return True if cards want the key's version group as a seventeenth byte."""

    def key_length(self, defined: int) -> int:
        """Return the length of a key in bytes, for the length that the layout defines."""

    def diversify(self, key: bytes, factor: bytes) -> bytes:
        """Return the key one level below (分散), for a factor of eight bytes; it is as long as the key above."""

    def process_key(self, key: bytes, challenge: bytes) -> bytes:
        """Return the key for one exchange (过程密钥), from a challenge of eight bytes."""

    def cryptogram(self, process_key: bytes, source: bytes) -> bytes:
        """Return eight bytes that prove the knowledge of the key, computed from eight bytes of source data
        (鉴别原始信息).
        """

    def encipher(self, key: bytes, data: bytes) -> bytes:
        """Encipher whole blocks, each by itself (ECB)."""

    def mac(self, key: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Return a MAC of four bytes over data that `pad` has padded; the initial value is zero unless given."""

    def fold_cryptogram(self, block: bytes) -> bytes:
        """Return the eight bytes of the cryptogram, from an enciphered block of source data."""

    def fold_mac(self, block: bytes) -> bytes:
        """Return the four bytes of the MAC, from the last block of a chain."""


class TripleDesSuite:
    """3DES; a key of eight bytes is a DES key."""

    name = "3DES"
    block = 8
    requires_key_version = False

    def key_length(self, defined: int) -> int:
        return defined

    def diversify(self, key: bytes, factor: bytes) -> bytes:
        left = self.encipher(key, factor)
        return left if len(key) == HALF else left + self.encipher(key, bytes(byte ^ 0xFF for byte in factor))

    def process_key(self, key: bytes, challenge: bytes) -> bytes:
        return self.encipher(key, challenge)

    def cryptogram(self, process_key: bytes, source: bytes) -> bytes:
        return self.encipher(process_key, source)

    def encipher(self, key: bytes, data: bytes) -> bytes:
        return _encipher(_triple_des(key), modes.ECB(), data)

    def mac(self, key: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Return the MAC: CBC with DES, and with a longer key the whole key for the last block (ISO/IEC 9797-1
        algorithm 3).
        """
        chain = modes.CBC(initial_value or bytes(self.block))
        last = _encipher(_triple_des(key[:HALF]), chain, data)[-self.block :]
        if len(key) > HALF:
            last = self.encipher(key, _decipher(_triple_des(key[:HALF]), modes.ECB(), last))
        return self.fold_mac(last)

    def fold_cryptogram(self, block: bytes) -> bytes:
        return block

    def fold_mac(self, block: bytes) -> bytes:
        return block[:MAC_LENGTH]


class Sm4Suite:
    """SM4. Its keys always have sixteen bytes; eight bytes of data are filled up with zeros to a block."""

    name = "SM4"
    block = 16
    requires_key_version = True

    def key_length(self, defined: int) -> int:
        return self.block

    def diversify(self, key: bytes, factor: bytes) -> bytes:
        return self.encipher(key, factor + bytes(byte ^ 0xFF for byte in factor))

    def process_key(self, key: bytes, challenge: bytes) -> bytes:
        return self.encipher(key, challenge.ljust(self.block, b"\x00"))

    def cryptogram(self, process_key: bytes, source: bytes) -> bytes:
        return self.fold_cryptogram(self.encipher(process_key, source.ljust(self.block, b"\x00")))

    def encipher(self, key: bytes, data: bytes) -> bytes:
        return _encipher(algorithms.SM4(key), modes.ECB(), data)

    def mac(self, key: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Return the MAC: CBC, with the last block folded to four bytes."""
        chain = modes.CBC((initial_value or b"").ljust(self.block, b"\x00"))
        return self.fold_mac(_encipher(algorithms.SM4(key), chain, data)[-self.block :])

    def fold_cryptogram(self, block: bytes) -> bytes:
        return _fold(block, CRYPTOGRAM_LENGTH)

    def fold_mac(self, block: bytes) -> bytes:
        return _fold(block, MAC_LENGTH)


_SUITES: dict[str, CipherSuite] = {"3DES": TripleDesSuite(), "SM4": Sm4Suite()}


def suite_for(algorithm: str) -> CipherSuite:
    """Return the cipher suite of an algorithm, by the name that layouts use.

    Raises:
        AlgorithmNotSupportedError: the algorithm is SSF33, or its name is unknown.
    """
    suite = _SUITES.get(algorithm)
    if suite is None:
        raise AlgorithmNotSupportedError(
            f"卡片使用 {algorithm} 算法，该算法未公开，本机不能计算",
            f"the card uses {algorithm}, an algorithm that is not published: it cannot be computed here",
        )
    return suite


def requires_key_version(algorithm: str) -> bool:
    """Return True if cards want the key's version group named; for an unknown algorithm return False."""
    return algorithm in _SUITES and _SUITES[algorithm].requires_key_version


def pad(data: bytes, block: int) -> bytes:
    """Pad data to whole blocks: ``80``, then zeros (ISO/IEC 9797-1 padding method 2)."""
    filled = data + b"\x80"
    return filled + bytes(-len(filled) % block)


def _fold(block: bytes, length: int) -> bytes:
    """Return the XOR of a block's parts.

    Args:
        block: the block.
        length: the number of bytes of each part.
    """
    folded = bytes(length)
    for start in range(0, len(block), length):
        folded = bytes(a ^ b for a, b in zip(folded, block[start : start + length], strict=True))
    return folded


def _triple_des(key: bytes) -> TripleDES:
    """Return the cipher for keys of eight and sixteen bytes in the form that the library wants: K‖K‖K and K1‖K2‖K1."""
    return TripleDES(key * 3 if len(key) == HALF else key + key[:HALF])


def _encipher(algorithm: BlockCipherAlgorithm, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
    encryptor = Cipher(algorithm, mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decipher(algorithm: BlockCipherAlgorithm, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
    decryptor = Cipher(algorithm, mode).decryptor()
    return decryptor.update(data) + decryptor.finalize()
