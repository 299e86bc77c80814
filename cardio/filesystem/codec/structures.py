"""What stands inside a record or an item, as constructs made from the layout: chains of TLV, and parts side by side."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import construct as c

_NO_TAG = (0x00, 0xFF)
"""Fill: no tag is either."""

_CHAIN = c.Struct(
    "items" / c.GreedyRange(c.Struct("tag" / c.NoneOf(c.Byte, _NO_TAG), "value" / c.Prefixed(c.Byte, c.GreedyBytes))),
    # GreedyRange drops what does not parse: here it stays in sight.
    "rest" / c.GreedyBytes,
)


def split_chain(raw: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The tags and values of a chain of TLV items, and what follows the last whole one: fill, or a piece cut short."""
    parsed = _CHAIN.parse(raw)
    return [(item.tag, bytes(item.value)) for item in parsed["items"]], bytes(parsed.rest)


@cache
def _side_by_side(lengths: tuple[int, ...]) -> Any:
    return c.Struct(*(str(index) / c.Bytes(length) for index, length in enumerate(lengths)), "rest" / c.GreedyBytes)


def split_parts(raw: bytes, lengths: Iterable[int]) -> list[bytes]:
    """The bytes of parts that stand side by side; of a part that is cut short what there is."""
    left, fitting = len(raw), []
    for length in lengths:
        fitting.append(min(length, left))
        left -= fitting[-1]
    parsed = _side_by_side(tuple(fitting)).parse(raw)
    return [bytes(parsed[str(index)]) for index in range(len(fitting))]
