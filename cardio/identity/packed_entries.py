"""Sets of very many short entries, as one sorted block each: a million entries take only the memory of their
own bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set
from itertools import groupby

from cardio.filesystem.codes.tables import REGION_DIGITS

_CODE_BYTES = 12
"""The bytes of a 卡识别码 without its 认证码."""
_NUMBER_BYTES = REGION_DIGITS + 9


class _Block:
    """Byte strings of one length, each once, in order."""

    def __init__(self, width: int, entries: list[bytes]) -> None:
        """Build the block.

        Args:
            width: the bytes of an entry.
            entries: the entries; the list is sorted in place.
        """
        entries.sort()
        self._width = width
        self._bytes = b"".join(entry for entry, _ in groupby(entries))

    def __len__(self) -> int:
        return len(self._bytes) // self._width

    def __getitem__(self, number: int) -> bytes:
        return self._bytes[number * self._width : (number + 1) * self._width]

    def has(self, wanted: bytes) -> bool:
        place = bisect_left(range(len(self)), wanted, key=self.__getitem__)
        return place < len(self) and self[place] == wanted


class PackedCodes(Set[str]):
    """A set of identification codes (卡识别码), 24 hex digits each."""

    def __init__(self, codes: list[bytes]) -> None:
        """Build the set.

        Args:
            codes: 12 bytes each; the list is sorted in place.
        """
        self._block = _Block(_CODE_BYTES, codes)

    def __contains__(self, code: object) -> bool:
        if not isinstance(code, str) or len(code) != 2 * _CODE_BYTES:
            return False
        try:
            packed = bytes.fromhex(code)
        except ValueError:
            return False
        return len(packed) == _CODE_BYTES and self._block.has(packed)

    def __iter__(self) -> Iterator[str]:
        return (self._block[number].hex().upper() for number in range(len(self)))

    def __len__(self) -> int:
        return len(self._block)

    @classmethod
    def _from_iterable(cls, codes: Iterable[str]) -> Set[str]:  # type: ignore[override] # what the operators give
        return frozenset(codes)


class PackedNumbers(Set[tuple[str, str]]):
    """A set of region codes and card numbers, fifteen characters together."""

    def __init__(self, numbers: list[bytes]) -> None:
        """Build the set.

        Args:
            numbers: 15 ASCII characters each; the list is sorted in place.
        """
        self._block = _Block(_NUMBER_BYTES, numbers)

    def __contains__(self, number: object) -> bool:
        match number:
            case (str(region), str(card)) if len(region) == REGION_DIGITS and (region + card).isascii():
                return self._block.has((region + card).encode("ascii"))
        return False

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for number in range(len(self)):
            text = self._block[number].decode("ascii")
            yield text[:REGION_DIGITS], text[REGION_DIGITS:]

    def __len__(self) -> int:
        return len(self._block)

    @classmethod
    def _from_iterable(cls, numbers: Iterable[tuple[str, str]]) -> Set[tuple[str, str]]:  # type: ignore[override] # as above
        return frozenset(numbers)
