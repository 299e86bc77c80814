"""The files of a software card, made from a layout and a persona's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cardio.filesystem.layouts.access import NEVER, AccessCondition
from cardio.filesystem.layouts.model import Application, File, Item, Layout
from simulators.card.encoding import (
    Content,
    MisfitError,
    is_raw,
    item_bytes,
    no_such_items,
    revised_bytes,
    text_bytes,
    value_bytes,
)

Values = Mapping[str, Content]
NO_UPDATE = AccessCondition.parse(NEVER)


@dataclass(slots=True)
class CardFile:
    """An EF with its records or its bytes."""

    path: str
    file_id: int
    sfi: int
    structure: str
    read: AccessCondition
    update: AccessCondition = NO_UPDATE
    capacity: int = 0
    """The largest number of records that it holds."""
    record_size: int = 0
    """The bytes of each record of a cyclic or fixed file; 0 if no source gives the number."""
    tagged: bool = True
    """True if each record begins with its tag and length."""
    records: list[bytes] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    details: bool = False
    """True if the card records its debits in it."""

    def copy(self) -> CardFile:
        """Return an equal file, whose contents change by themselves."""
        return replace(self, records=list(self.records), content=bytearray(self.content))


@dataclass(slots=True)
class CardApplication:
    """A DF with its EFs."""

    id: str
    file_id: int
    name: bytes | None
    label: str | None
    directory_sfi: int | None
    by_id: dict[int, CardFile] = field(default_factory=dict)
    by_sfi: dict[int, CardFile] = field(default_factory=dict)

    def copy(self) -> CardApplication:
        """Return an equal application, whose files change by themselves."""
        files = {number: file.copy() for number, file in self.by_id.items()}
        return replace(self, by_id=files, by_sfi={file.sfi: file for file in files.values()})


def build_applications(
    layout: Layout,
    values: Mapping[str, Values],
    *,
    omit: frozenset[str] = frozenset(),
    fill: bytes | None = None,
) -> list[CardApplication]:
    """Return all applications of a card.

    Args:
        layout: the card's layout.
        values: the values by file path, then by item name; ``records`` lists those of a file without tags, and
            ``content`` has the bytes of a transparent file.
        omit: applications, files or items that this issuer does not write, such as ``SSSE/EF06/name_extension``.
        fill: the byte that this issuer fills text with, if it is not 00.

    Raises:
        MisfitError: a value does not fit; the text names file and item.
    """
    return [
        _application(application, values, omit, fill)
        for application in layout.applications
        if application.id not in omit
    ]


def _application(
    application: Application, values: Mapping[str, Values], omit: frozenset[str], fill: bytes | None
) -> CardApplication:
    built = CardApplication(
        application.id, application.file_id, application.name, application.label, application.directory_sfi
    )
    for file in application.files:
        if file.path in omit or file.structure == "internal":
            continue
        card_file = CardFile(file.path, file.file_id, file.sfi, file.structure, file.read, file.update)
        given = values.get(file.path, {})
        try:
            if file.structure == "transparent":
                card_file.content = _content(file, given)
            elif file.has_tags:
                card_file.records = _tagged_records(file, given, values, omit, fill)
            else:
                card_file.records = _untagged_records(file, given, fill)
        except MisfitError as error:
            raise error.at_place(file.path) from error
        except ValueError as error:  # wrong hex, or a character that GB18030 does not have
            raise MisfitError(file.path, f"值不合格式（{error}）", str(error)) from error
        # An issuer may have written more records than the layout requires.
        most = len(file.record_shape) if file.has_tags else file.records or 1
        card_file.capacity = max(most, len(card_file.records))
        card_file.record_size, card_file.tagged = file.record_size, file.has_tags
        card_file.details = file.content == "debits"
        built.by_id[file.file_id] = card_file
        built.by_sfi[file.sfi] = card_file
    return built


def _refuse_strangers(given: Values, known: set[str]) -> None:
    strangers = set(given) - known
    if strangers:
        raise no_such_items("", strangers, known)


def _content(file: File, given: Values) -> bytearray:
    _refuse_strangers(given, {"content"})
    content = given.get("content", b"")
    raw = content if isinstance(content, bytes) else bytes.fromhex(str(content).removeprefix("hex:"))
    if len(raw) > max(file.sizes):
        raise MisfitError("content", f"{len(raw)} 字节，最多 {file.size} 字节", f"{len(raw)} bytes in {file.size}")
    return bytearray(raw.ljust(file.size or 0, b"\x00"))


def _untagged_records(file: File, given: Values, fill: bytes | None) -> list[bytes]:
    """Return the records; number 1 is the newest. A file that was never written to has none."""
    _refuse_strangers(given, {"records"})
    listed = given.get("records", [])
    if not isinstance(listed, list):
        raise MisfitError("records", "应为列表", "records must be a list")
    records = []
    for record in listed:
        if isinstance(record, str):
            records.append(bytes.fromhex(record.removeprefix("hex:")))
            continue
        _refuse_strangers(record, {item.name for item in file.items})
        records.append(b"".join(item_bytes(item, record.get(item.name), fill=fill) for item in file.items))
    return records


def _tagged_records(
    file: File, given: Values, values: Mapping[str, Values], omit: frozenset[str], fill: bytes | None
) -> list[bytes]:
    _refuse_strangers(
        given, {item.name for item in file.items} | {item.revised.name for item in file.items if item.revised}
    )
    raws: dict[str, list[bytes]] = {}
    for item in file.items:
        content = given.get(item.name)
        extension = next((other for other in file.items if other.extends == item.name), None)
        if item.revised is not None and item.revised.name in given and content is None:
            raws[item.name] = [revised_bytes(item, given[item.revised.name])]
        elif extension is not None and given.get(extension.name) is None:
            head, tail = _spread(item, extension, content, fill)
            raws[item.name], raws[extension.name] = [head], [tail]
        elif item.name not in raws:
            raws[item.name] = _each(file, item, content, fill)
    return [
        bytes((item.tag or 0, len(raw))) + raw
        for item in file.items
        if f"{file.path}/{item.name}" not in omit and _is_written(file, item, values)
        for raw in raws[item.name]
    ]


def _each(file: File, item: Item, content: Content, fill: bytes | None) -> list[bytes]:
    """Return an item as often as it stands in its file; missing ones are present and empty."""
    times = file.repeats(item)
    listed = content if isinstance(content, list) else [content]
    if len(listed) > times:
        raise MisfitError(
            item.name,
            f"给出 {len(listed)} 个，文件中只有 {times} 个",
            f"{len(listed)} given, {times} stand in the file",
        )
    return [item_bytes(item, one, fill=fill) for one in [*listed, *[None] * (times - len(listed))]]


def _is_written(file: File, item: Item, values: Mapping[str, Values]) -> bool:
    """Return True if an item has a place on this card: strays and alternatives only if the persona has them."""
    if item.name in values.get(file.path, {}):
        return True
    if item.alternative is not None:
        return item.name not in values.get(item.alternative, {}) and file.path < item.alternative
    return not item.stray


def _spread(base: Item, extension: Item, value: Content, fill: bytes | None) -> tuple[bytes, bytes]:
    """Return a text that may be longer than its first field, cut where that field is full, even inside a character."""
    if isinstance(value, (list, dict)):
        raise MisfitError(base.name, "应为单个值", "one plain value is wanted")
    if is_raw(value):
        return value_bytes(base, value), value_bytes(extension, None, fill=fill)
    whole = text_bytes("" if value is None else str(value))
    head, tail = whole[: base.length], whole[base.length :]
    if len(tail) > extension.length:
        most = base.length + extension.length
        raise MisfitError(base.name, f"{len(whole)} 字节，最多 {most} 字节", f"{len(whole)} bytes, more than {most}")
    pad = fill or b"\x00"
    return head.ljust(base.length, pad), tail.ljust(extension.length, pad)
