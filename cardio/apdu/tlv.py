"""The two TLV forms on a card: BER-TLV (ISO/IEC 7816-4 §6) and the record TLV of the application files.

A record TLV is ``tag(1) length(1) value``: one data item per record. All lengths on a social security card are below 80
hex, so its length is always a single byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import construct as c

from cardio.errors import CardGarbledError

RECORD_LIMIT = 255
_NO_TAG = (0x00, 0xFF)
DEPTH_LIMIT = 8
NODE_LIMIT = 512


if TYPE_CHECKING:
    _Number = c.Construct[int, int]
else:
    _Number = c.Construct


class _BerTag(_Number):
    """A tag of one to three bytes; the number is written from all bytes together (``9F0C``)."""

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        tag = first = c.stream_read(stream, 1, path)[0]
        if first & 0x1F == 0x1F:
            for _ in range(2):
                following = c.stream_read(stream, 1, path)[0]
                tag = tag << 8 | following
                if not following & 0x80:
                    return tag
            raise c.ConstructError("tag longer than three bytes", path=path)
        return tag

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        size = max(1, (obj.bit_length() + 7) // 8)
        c.stream_write(stream, obj.to_bytes(size, "big"), size, path)
        return obj


class _BerLength(_Number):
    """A length in short form, or in long form of up to three length bytes; the indefinite form is refused."""

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        first: int = c.stream_read(stream, 1, path)[0]
        if first < 0x80:
            return first
        size = first & 0x7F
        if not 1 <= size <= 3:
            raise c.ConstructError("length form not allowed", path=path)
        return int.from_bytes(c.stream_read(stream, size, path), "big")

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        size = (obj.bit_length() + 7) // 8
        raw = bytes((obj,)) if obj < 0x80 else bytes((0x80 | size,)) + obj.to_bytes(size, "big")
        c.stream_write(stream, raw, len(raw), path)
        return obj


_BER_NODE = c.Struct("tag" / _BerTag(), "value" / c.Prefixed(_BerLength(), c.GreedyBytes), "end" / c.Tell)
_RECORD = c.Struct("tag" / c.Byte, "value" / c.Prefixed(c.Byte, c.GreedyBytes))


@dataclass(frozen=True, slots=True, repr=False)
class BerTlv:
    """One BER-TLV object; a constructed one has its children."""

    tag: int
    value: bytes
    children: tuple[BerTlv, ...] = ()

    def find(self, tag: int) -> BerTlv | None:
        """Return the first object with this tag, in this one or below."""
        return next((node for node in self.walk() if node.tag == tag), None)

    def walk(self) -> Iterator[BerTlv]:
        yield self
        for child in self.children:
            yield from child.walk()

    def __repr__(self) -> str:
        return f"BerTlv({self.tag:02X}, {len(self.value)} bytes)"

    def __bytes__(self) -> bytes:
        built: bytes = _BER_NODE.build({"tag": self.tag, "value": self.value})
        return built


def parse_ber_tlv(data: bytes) -> tuple[BerTlv, ...]:
    """Return all objects of a BER-TLV field; padding bytes 00 between them are skipped.

    Raises:
        CardGarbledError: a length goes beyond the end, or the field is deeper or larger than any real one.
    """
    return _parse_nodes(data, 1, [0])


def _parse_nodes(data: bytes, depth: int, count: list[int]) -> tuple[BerTlv, ...]:
    nodes = []
    offset = 0
    while offset < len(data):
        if data[offset] == 0:
            offset += 1
            continue
        if depth > DEPTH_LIMIT:
            raise CardGarbledError("TLV 嵌套过深", f"TLV deeper than {DEPTH_LIMIT}")
        count[0] += 1
        if count[0] > NODE_LIMIT:
            raise CardGarbledError("TLV 数据项过多", f"more than {NODE_LIMIT} TLV objects")
        try:
            node = _BER_NODE.parse(data[offset:])
        except c.ConstructError as error:
            raise CardGarbledError("TLV 长度与数据不符", f"TLV does not fit its data at {offset}") from error
        constructed = data[offset] & 0x20
        children = _parse_nodes(node.value, depth + 1, count) if constructed else ()
        nodes.append(BerTlv(node.tag, node.value, children))
        offset += node.end
    return tuple(nodes)


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One record of a variable-length file: a tag and its value."""

    tag: int
    value: bytes

    def __bytes__(self) -> bytes:
        built: bytes = _RECORD.build({"tag": self.tag, "value": self.value})
        return built

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse exactly one record.

        Raises:
            CardGarbledError: its length does not match its size.
        """
        records, rest = split_records(raw)
        if len(records) != 1 or rest:
            raise CardGarbledError("记录长度与数据不符", "the record's length does not match its size")
        return cls(records[0].tag, records[0].value)

    def __repr__(self) -> str:
        return f"Record({self.tag:02X}, {len(self.value)} bytes)"


def split_records(data: bytes) -> tuple[list[Record], bytes]:
    """Return the whole records at the start of ``data``, and the rest: a truncated record, or fill."""
    records: list[Record] = []
    offset = 0
    while len(data) - offset >= 2 and data[offset] not in _NO_TAG and len(records) < RECORD_LIMIT:
        size = 2 + data[offset + 1]
        if len(data) - offset < size:
            break
        # Parsed by hand: one call of construct takes as long as all of a card's records do this way.
        records.append(Record(data[offset], data[offset + 2 : offset + size]))
        offset += size
    return records, data[offset:]
