"""The two algorithms that cards use, and what is built from them: sub-keys, process keys, cryptograms and MACs.

3DES as LB002-2000 and public libraries use it; SM4 (GB/T 32907) as one public library uses it on third-generation
cards. SSF33 is not published: `suite_for` refuses it. Worked examples stand in docs/algorithms.md.
"""

from __future__ import annotations

from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, algorithms, modes

from cardio.security.errors import AlgorithmNotSupportedError

MAC_LENGTH = 4
CRYPTOGRAM_LENGTH = 8
HALF = 8
"""Bytes of a challenge, of source data, of a diversification factor, and of a DES block."""


class CipherSuite(Protocol):
    """What a key does, by algorithm. Keys and data are bytes; nothing here is kept."""

    @property
    def name(self) -> str: ...

    @property
    def block(self) -> int:
        """Bytes of a block; data is padded to whole ones."""

    @property
    def wants_version(self) -> bool:
        """Cards want the key's version group as a seventeenth byte."""

    def key_length(self, defined: int) -> int:
        """Return how long a key is that the layout defines as so many bytes."""

    def diversify(self, key: bytes, factor: bytes) -> bytes:
        """The key one level below (分散), for a factor of eight bytes; as long as the key above."""

    def process_key(self, key: bytes, challenge: bytes) -> bytes:
        """The key for one conversation (过程密钥), from a challenge of eight bytes."""

    def cryptogram(self, process_key: bytes, source: bytes) -> bytes:
        """Eight bytes that only who knows the key can compute from eight bytes of source data (鉴别原始信息)."""

    def encipher(self, key: bytes, data: bytes) -> bytes:
        """Whole blocks, each by itself (ECB)."""

    def mac(self, key: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Four bytes over data that `pad` has filled up; the initial value is zero unless given."""

    def fold_cryptogram(self, block: bytes) -> bytes:
        """The eight bytes that an enciphered block of source data stands for."""

    def fold_mac(self, block: bytes) -> bytes:
        """The four bytes that the last block of a chain stands for."""


class TripleDesSuite:
    """3DES; a key of eight bytes is a DES key."""

    name = "3DES"
    block = 8
    wants_version = False

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
        """CBC with DES; the last block by all of a longer key (ISO/IEC 9797-1 algorithm 3)."""
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
    """SM4. Its keys are always sixteen bytes; eight bytes of data are filled up with zeros to a block."""

    name = "SM4"
    block = 16
    wants_version = True

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
        """CBC; the last block folded to four bytes."""
        chain = modes.CBC((initial_value or b"").ljust(self.block, b"\x00"))
        return self.fold_mac(_encipher(algorithms.SM4(key), chain, data)[-self.block :])

    def fold_cryptogram(self, block: bytes) -> bytes:
        return _fold(block, CRYPTOGRAM_LENGTH)

    def fold_mac(self, block: bytes) -> bytes:
        return _fold(block, MAC_LENGTH)


_SUITES: dict[str, CipherSuite] = {"3DES": TripleDesSuite(), "SM4": Sm4Suite()}


def suite_for(algorithm: str) -> CipherSuite:
    """Return what an algorithm does, by the name that layouts give it.

    Raises:
        AlgorithmNotSupportedError: SSF33, or a name that nobody knows.
    """
    suite = _SUITES.get(algorithm)
    if suite is None:
        raise AlgorithmNotSupportedError(
            f"卡片使用 {algorithm} 算法，该算法未公开，本机不能计算",
            f"the card uses {algorithm}, an algorithm that is not published: it cannot be computed here",
        )
    return suite


def wants_version(algorithm: str) -> bool:
    """Return whether cards want the key's version group named; of an algorithm that is not known here, no."""
    return algorithm in _SUITES and _SUITES[algorithm].wants_version


def pad(data: bytes, block: int) -> bytes:
    """Fills data up to whole blocks: ``80``, then zeros (ISO/IEC 9797-1 padding method 2)."""
    filled = data + b"\x80"
    return filled + bytes(-len(filled) % block)


def _fold(block: bytes, length: int) -> bytes:
    """A block's parts of so many bytes, one XORed on the other."""
    folded = bytes(length)
    for start in range(0, len(block), length):
        folded = bytes(a ^ b for a, b in zip(folded, block[start : start + length], strict=True))
    return folded


def _triple_des(key: bytes) -> TripleDES:
    """Keys of eight and sixteen bytes as the library wants them: K‖K‖K and K1‖K2‖K1."""
    return TripleDES(key * 3 if len(key) == HALF else key + key[:HALF])


def _encipher(algorithm: BlockCipherAlgorithm, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
    encryptor = Cipher(algorithm, mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _decipher(algorithm: BlockCipherAlgorithm, mode: modes.ECB | modes.CBC, data: bytes) -> bytes:
    decryptor = Cipher(algorithm, mode).decryptor()
    return decryptor.update(data) + decryptor.finalize()
