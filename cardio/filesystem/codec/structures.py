"""The structures inside a record or an item, built from the layout: chains of TLV, and parts side by side."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import construct as c

_NO_TAG = (0x00, 0xFF)
"""The bytes of fill; neither of them is a tag."""

_CHAIN = c.Struct(
    "items" / c.GreedyRange(c.Struct("tag" / c.NoneOf(c.Byte, _NO_TAG), "value" / c.Prefixed(c.Byte, c.GreedyBytes))),
    # GreedyRange drops what it cannot parse; this field keeps it.
    "rest" / c.GreedyBytes,
)


def split_chain(raw: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the tags and values of a chain of TLV items, and what follows the last whole one: fill, or a truncated
    item.
    """
    parsed = _CHAIN.parse(raw)
    return [(item.tag, bytes(item.value)) for item in parsed["items"]], bytes(parsed.rest)


@cache
def _side_by_side(lengths: tuple[int, ...]) -> Any:
    return c.Struct(*(str(index) / c.Bytes(length) for index, length in enumerate(lengths)), "rest" / c.GreedyBytes)


def split_parts(raw: bytes, lengths: Iterable[int]) -> list[bytes]:
    """Return the bytes of parts that stand side by side; of a part that is cut short, the bytes that there are."""
    left, fitting = len(raw), []
    for length in lengths:
        fitting.append(min(length, left))
        left -= fitting[-1]
    parsed = _side_by_side(tuple(fitting)).parse(raw)
    return [bytes(parsed[str(index)]) for index in range(len(fitting))]
