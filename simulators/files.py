"""The files of a software card, made from a layout and a persona's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cardio.filesystem.access import AccessCondition
from cardio.filesystem.layout import Application, File, Item, Layout
from simulators.encoding import Scalar, text_bytes, value_bytes

Values = Mapping[str, Scalar]


@dataclass(slots=True)
class CardFile:
    """An EF: its records or its bytes."""

    path: str
    file_id: int
    sfi: int
    structure: str
    read: AccessCondition
    records: list[bytes] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class CardApplication:
    """A DF with its EFs."""

    id: str
    file_id: int
    name: bytes | None
    directory_sfi: int | None
    by_id: dict[int, CardFile] = field(default_factory=dict)
    by_sfi: dict[int, CardFile] = field(default_factory=dict)


def build_applications(
    layout: Layout,
    values: Mapping[str, Values],
    *,
    omit: frozenset[str] = frozenset(),
    fill: bytes | None = None,
) -> list[CardApplication]:
    """All applications of a card.

    Args:
        values: by file path, then by item name.
        omit: items that this issuer does not write, as ``SSSE/EF06/name_extension``.
        fill: the byte that this issuer fills text with, where it is not 00.
    """
    return [_application(application, values, omit, fill) for application in layout.applications]


def _application(
    application: Application, values: Mapping[str, Values], omit: frozenset[str], fill: bytes | None
) -> CardApplication:
    built = CardApplication(application.id, application.file_id, application.name, application.directory_sfi)
    for file in application.files:
        card_file = CardFile(file.path, file.file_id, file.sfi, file.structure, file.read)
        given = values.get(file.path, {})
        if file.structure == "transparent":
            raw = given.get("content")
            card_file.content = bytearray(bytes.fromhex(str(raw or "")).ljust(file.size or 0, b"\x00"))
        else:
            card_file.records = _records(file, given, omit, fill)
        built.by_id[file.file_id] = card_file
        built.by_sfi[file.sfi] = card_file
    return built


def _records(file: File, given: Values, omit: frozenset[str], fill: bytes | None) -> list[bytes]:
    unknown = set(given) - {item.name for item in file.items}
    if unknown:
        raise ValueError(f"{file.path}: no such items: {sorted(unknown)}")
    contents = {item.name: given.get(item.name) for item in file.items}
    raws: dict[str, bytes] = {}
    for item in file.items:
        extension = next((other for other in file.items if other.extends == item.name), None)
        if extension is not None and contents[extension.name] is None:
            raws[item.name], raws[extension.name] = _spread(item, extension, contents[item.name], fill)
        elif item.name not in raws:
            raws[item.name] = value_bytes(item, contents[item.name], fill=fill)
    return [
        bytes((item.tag or 0, len(raws[item.name]))) + raws[item.name]
        for item in file.items
        if f"{file.path}/{item.name}" not in omit
    ]


def _spread(base: Item, extension: Item, value: Scalar, fill: bytes | None) -> tuple[bytes, bytes]:
    """A text that may be longer than its first field: cut where that is full, be it amid a character."""
    if isinstance(value, str) and value.startswith("hex:"):
        return value_bytes(base, value), value_bytes(extension, None, fill=fill)
    whole = text_bytes("" if value is None else str(value))
    head, tail = whole[: base.length], whole[base.length :]
    if len(tail) > extension.length:
        raise ValueError(f"{base.name}: {len(whole)} bytes, more than {base.length + extension.length}")
    pad = fill or b"\x00"
    return head.ljust(base.length, pad), tail.ljust(extension.length, pad)
