"""How an issuer's machine writes values: this side's own reading of the specification.

Nothing here comes from the library's decoders, so that the two can contradict each other.
"""

from __future__ import annotations

from datetime import date

from cardio.filesystem.layout import Item

Scalar = str | int | date | None
_RAW_PREFIX = "hex:"


def value_bytes(item: Item, value: Scalar, *, fill: bytes | None = None) -> bytes:
    """The value of an item at its full defined length; ``hex:…`` gives the bytes themselves.

    Raises:
        ValueError: the value does not fit the item.
    """
    if isinstance(value, str) and value.startswith(_RAW_PREFIX):
        return bytes.fromhex(value.removeprefix(_RAW_PREFIX))
    if item.format == "cn":
        # 压缩 BCD, 左对齐, 右补 F.
        digits = f"{value:%Y%m%d}" if isinstance(value, date) else "" if value is None else str(value)
        if len(digits) > 2 * item.length:
            raise ValueError(f"{item.name}: {len(digits)} digits in {item.length} bytes")
        if fill is not None and not digits:
            return fill * item.length
        return bytes.fromhex(digits.ljust(2 * item.length, "F"))
    if item.format == "an":
        # 左对齐, 右补十六进制 0.
        raw = text_bytes("" if value is None else str(value))
        if len(raw) > item.length:
            raise ValueError(f"{item.name}: {len(raw)} bytes in {item.length}")
        return raw.ljust(item.length, fill or b"\x00")
    if isinstance(value, int):
        return value.to_bytes(item.length, "big")
    return bytes.fromhex(value) if isinstance(value, str) else bytes(item.length)


# GB 18030-2022 table of changes: these characters took two-byte codes that Python still calls private.
_MOVED_IN_2022 = {0x9FB4: 0xE81E, 0x9FB5: 0xE826, 0x9FB6: 0xE82B, 0x9FB7: 0xE82C}
_MOVED_IN_2022 |= {0x9FB8: 0xE832, 0x9FB9: 0xE843, 0x9FBA: 0xE854, 0x9FBB: 0xE864}


def text_bytes(text: str) -> bytes:
    """A text in GB18030, without fill."""
    return text.translate(_MOVED_IN_2022).encode("gb18030")
