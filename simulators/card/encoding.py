"""The values as an issuer's machine writes them: the simulator's own reading of the specification.

Nothing here comes from the library's decoders, so that the two can contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from cardio.filesystem.layouts.model import Item

Scalar = str | int | date | None
Content = Any
"""A scalar, a table of the items inside, or a list of either if an item stands several times."""
_RAW_PREFIX = "hex:"


class MisfitError(ValueError):
    """A value does not fit its place on the card; the message says what is wrong, in both languages."""

    def __init__(self, place: str, zh: str, en: str) -> None:
        super().__init__(f"{place}: {en}")
        self.place, self.zh, self.en = place, zh, en

    def at_place(self, place: str) -> MisfitError:
        """Return the same error with a longer place, for the item around it."""
        return MisfitError(f"{place}/{self.place}".rstrip("/"), self.zh, self.en)


def item_bytes(item: Item, content: Content, *, fill: bytes | None = None) -> bytes:
    """Return the value of an item with everything inside it, at its full defined length.

    Args:
        item: the item.
        content: its content.
        fill: the byte that this issuer fills text with; None for the specification's.

    Raises:
        MisfitError: the content does not fit the item.
    """
    if not item.items or is_raw(content):
        return value_bytes(item, content, fill=fill)
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        if item.format == "b-tlv":
            raise MisfitError(item.name, "应为其内部数据项的表", "a table of its items is wanted")
        return value_bytes(item, content, fill=fill)
    strangers = set(content) - {inner.name for inner in item.items}
    if strangers:
        raise no_such_items(item.name, strangers, (inner.name for inner in item.items))
    if item.format == "cn":
        digits = "".join(str(content.get(part.name, "0" * part.length)) for part in item.items)
        return value_bytes(item, digits, fill=fill)
    return b"".join(_placed(inner, content.get(inner.name), fill) for inner in item.items)


def no_such_items(place: str, strangers: Iterable[str], known: Iterable[str]) -> MisfitError:
    """Return the error for names that belong to no item, with the names that look like them."""
    wanted = sorted(strangers)
    near = [found for name in wanted for found in get_close_matches(name, list(known), n=1)]
    zh, en = (f"，是否应为 {near[0]}？", f"; did you mean {near[0]}?") if near else ("", "")
    return MisfitError(place, f"没有数据项 {'、'.join(wanted)}{zh}", f"no such items: {', '.join(wanted)}{en}")


def _placed(item: Item, content: Content, fill: bytes | None) -> bytes:
    raw = item_bytes(item, content, fill=fill)
    return raw if item.tag is None else bytes((item.tag, len(raw))) + raw


def is_raw(content: Content) -> bool:
    return isinstance(content, str) and content.startswith(_RAW_PREFIX)


def value_bytes(item: Item, value: Content, *, fill: bytes | None = None) -> bytes:
    """Return the value of an item at its full defined length; ``hex:…`` gives the bytes themselves.

    Args:
        item: the item.
        value: its value.
        fill: the byte that this issuer fills text with; None for the specification's.

    Raises:
        MisfitError: the value does not fit the item.
    """
    if isinstance(value, (list, dict)):
        raise MisfitError(item.name, "应为单个值", "one plain value is wanted")
    if is_raw(value):
        return bytes.fromhex(value.removeprefix(_RAW_PREFIX))
    if item.format == "cn":
        # Packed BCD (压缩 BCD), aligned left (左对齐), filled with F on the right (右补 F).
        digits = _digits(item, value)
        if len(digits) > 2 * item.length:
            raise MisfitError(
                item.name,
                f"{len(digits)} 位数字放不进 {item.length} 字节",
                f"{len(digits)} digits in {item.length} bytes",
            )
        if fill is not None and not digits:
            return fill * item.length
        return bytes.fromhex(digits.ljust(2 * item.length, "F"))
    if item.format == "an":
        # Aligned left (左对齐), filled with 00 on the right (右补十六进制 0).
        raw = text_bytes(_text(item, value))
        if len(raw) > item.length:
            raise MisfitError(
                item.name, f"{len(raw)} 字节，最多 {item.length} 字节", f"{len(raw)} bytes in {item.length}"
            )
        return raw.ljust(item.length, fill or b"\x00")
    if isinstance(value, int):
        return value.to_bytes(item.length, "big")
    raw = bytes.fromhex(value) if isinstance(value, str) else bytes(item.length)
    if item.length and len(raw) > item.length:
        raise MisfitError(item.name, f"{len(raw)} 字节，最多 {item.length} 字节", f"{len(raw)} bytes in {item.length}")
    return raw.ljust(item.length, b"\x00")


def _digits(item: Item, value: Scalar) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y%m%d%H%M%S}"
    if isinstance(value, date):
        return f"{value:%Y%m%d}"
    digits = "" if value is None else str(value).replace("-", "" if item.kind == "month" else "-")
    if item.kind != "hex" and digits and not digits.isdecimal():
        raise MisfitError(
            item.name,
            "应为数字；日期写成 2030-12-31，不加引号",
            "digits are wanted; a date is 2030-12-31 without quotes",
        )
    return digits


def _text(item: Item, value: Scalar) -> str:
    """Return the text of a value. Numbers fill all their places: 7 months in three characters are 007."""
    if isinstance(value, int):
        return str(value).zfill(item.length)
    return "" if value is None else str(value)


def revised_bytes(item: Item, content: Content) -> bytes:
    """Return a value with its V2.0 meaning on a 1.0 card: right-filled with hex E (V2.0 appendix C).

    Raises:
        MisfitError: the content does not fit.
    """
    if item.revised is None:
        raise MisfitError(item.name, "没有新含义", "has no revised meaning")
    raw = item_bytes(item.revised, content)
    if item.revised.format == "cn":
        digits = raw.hex().upper().rstrip("F")
        return bytes.fromhex(digits.ljust(2 * item.length, "E"))
    return raw.rstrip(b"\x00").ljust(item.length, b"\xee")


# GB 18030-2022, table of changes: these characters took two-byte codes that Python still treats as private.
_MOVED_IN_2022 = {0x9FB4: 0xE81E, 0x9FB5: 0xE826, 0x9FB6: 0xE82B, 0x9FB7: 0xE82C}
_MOVED_IN_2022 |= {0x9FB8: 0xE832, 0x9FB9: 0xE843, 0x9FBA: 0xE854, 0x9FBB: 0xE864}


def text_bytes(text: str) -> bytes:
    """Return a text in GB18030, without fill."""
    return text.translate(_MOVED_IN_2022).encode("gb18030")
