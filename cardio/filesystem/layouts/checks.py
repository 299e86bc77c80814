"""The checks of a layout for facts that contradict each other, each with its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from unicodedata import category

from cardio.apdu.command import SHORT_MAXIMUM
from cardio.filesystem.codes.tables import CodeTable, code_table, table_names
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.fault import Fault
from cardio.filesystem.layouts.model import File, Format, Item, Kind, Layout, Purse, Structure

_FORMATS_OF_KINDS: dict[Kind, set[Format | tuple[Format, int]]] = {
    Kind.DATE: {(Format.CN, 4)},
    Kind.TIME: {(Format.CN, 7)},
    Kind.MONTH: {(Format.CN, 3)},
    Kind.AMOUNT: {Format.CN, Format.B},
    Kind.NUMBER: {Format.AN, Format.CN, Format.B},
    Kind.TEXT: {Format.AN},
    Kind.DIGITS: {Format.CN},
}
"""The formats that values of a kind may have."""
RECORD_MAXIMUM = 0x7F
"""The length of the longest record value: the length is one byte below 80 hex."""
_SFI_MAXIMUM = 30
_CONTROL = frozenset({"Cc", "Cf", "Zl", "Zp"})


def layout_faults(layout: Layout) -> list[Fault]:
    """Return all contradictions of a layout, in its order."""
    return list(_layout_faults(layout))


def _layout_faults(layout: Layout) -> Iterator[Fault]:
    if not layout.applications:
        yield Fault("applications", "没有任何应用", "there is no application")
    applications = {application.id for application in layout.applications}
    for key in layout.keys:
        if key.application not in applications:
            yield Fault(key.name, f"没有应用 {key.application}", f"there is no application {key.application}")
    known_keys = {key.name for key in layout.keys} | {PIN}
    if layout.purse is not None:
        yield from _purse_faults(layout, layout.purse)
    topics = {topic.name for topic in layout.topics}
    tables = {name: code_table(name) for name in table_names()} | dict(layout.codes)
    longest = {name: _longest_code(table) for name, table in tables.items()}
    yield from _text_faults(layout)
    names = Counter(name for one in layout.applications for name in (one.name, one.label) if name)
    for one in layout.applications:
        if not re.fullmatch("SSSE|DF[0-9A-F]{2}", one.id):
            yield Fault(one.id, "应用应为 DF0A 这样的大写标识", "an application is DF and two hex digits, upper case")
        if any(names[name] > 1 for name in (one.name, one.label) if name):
            yield Fault(one.id, "AID 或标签与另一应用相同", "its AID or label is another application's too")
    for application in layout.applications:
        if application.id.startswith("DF") and application.id != f"{application.file_id:04X}":
            place = f"{application.id}/file_id"
            yield Fault(place, f"应为 {application.id}", f"it must be {application.id}, as the section says")
    for ids in Counter(application.file_id for application in layout.applications).items():
        if ids[1] > 1:
            yield Fault("applications", f"文件标识 {ids[0]:04X} 重复", f"file id {ids[0]:04X} stands twice")
    for file in layout.files():
        if not re.fullmatch("EF[0-9A-F]{2}", file.path.rpartition("/")[2]):
            yield Fault(file.path, "文件应为 EF0C 这样的大写标识", "a file is EF and two hex digits, upper case")
            continue
        unknown = (file.read.names | file.update.names) - known_keys
        if unknown:
            yield Fault(
                file.path,
                f"未定义的密钥 {'、'.join(sorted(unknown))}",
                f"keys not defined: {', '.join(sorted(unknown))}",
            )
        if not 1 <= file.sfi <= _SFI_MAXIMUM:
            yield Fault(file.path, "短文件标识应为 1 至 30", "the short file identifier must be 1 to 30")
        if file.topic is not None and file.topic not in topics:
            yield Fault(file.path, f"没有主题 {file.topic}", f"there is no topic {file.topic}")
        yield from _file_faults(file)
        for item in file.items:
            yield from _item_faults(f"{file.path}/{item.name}", item, longest)
            for topic in {item.topic, item.revised.topic if item.revised else None} - {None} - topics:
                yield Fault(f"{file.path}/{item.name}", f"没有主题 {topic}", f"there is no topic {topic}")
            if item.alternative is not None and layout.file(item.alternative) is None:
                yield Fault(f"{file.path}/{item.name}", f"没有文件 {item.alternative}", "no such alternative file")


def _purse_faults(layout: Layout, purse: Purse) -> Iterator[Fault]:
    """Check that the purse's keys belong to its application, and that a readable file holds the card's debits."""
    keys = {key.name for key in layout.keys if key.application == purse.application}
    for name in (*purse.purchase_keys, purse.transaction_key):
        if name not in keys:
            yield Fault(f"purse/{name}", f"{purse.application} 没有此密钥", f"{purse.application} has no such key")
    if not purse.purchase_keys:
        yield Fault("purse/purchase_keys", "没有任何密钥", "there is no key")
    if layout.details_file is None:
        yield Fault("purse", "没有交易明细文件", 'there is no file with content = "debits"')


def _text_faults(layout: Layout) -> Iterator[Fault]:
    """Check titles and names: titles are shown on screens and in reports, names are used in JSON and commands."""
    shown: list[tuple[str, str]] = [("title", layout.title), ("title_en", layout.title_en), ("source", layout.source)]
    named: list[tuple[str, str]] = []
    for application in layout.applications:
        shown += [(application.id, text) for text in (application.title, application.title_en, application.label or "")]
        for file in application.files:
            shown += [(file.path, text) for text in (file.title, file.title_en, file.source or "", file.note or "")]
            for item in file.items:
                for one in (item, *item.items):
                    place = f"{file.path}/{one.name}"
                    shown += [(place, text) for text in (one.label, one.label_en, one.source or "", one.note or "")]
                    named.append((place, one.name))
    for place, text in shown:
        if any(category(character) in _CONTROL for character in text):
            yield Fault(place, "文字中有控制字符", "there are control characters in its texts")
    for place, name in named:
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            yield Fault(place, "name 应为小写英文、数字和下划线", "a name is small letters, digits and underscores")


def _file_faults(file: File) -> Iterator[Fault]:
    tags = Counter(item.tag for item in file.items if item.tag is not None)
    names = Counter(item.name for item in file.items)
    for tag, count in tags.items():
        if count > 1:
            yield Fault(file.path, f"标签 {tag:02X} 重复", f"tag {tag:02X} stands twice")
        if not 0x01 <= tag <= 0xFE:
            yield Fault(file.path, f"标签 {tag:02X} 不可用", f"{tag:02X} cannot be a tag")
    for name, count in names.items():
        if count > 1:
            yield Fault(f"{file.path}/{name}", "名称重复", "the name stands twice")
    equal = file.structure in (Structure.CYCLIC, Structure.FIXED)
    if file.structure is not Structure.TRANSPARENT and file.record_size > SHORT_MAXIMUM and not file.has_tags:
        yield Fault(file.path, "记录超过 256 字节", "a record is longer than 256 bytes")
    beside = set(names)
    for item in file.items:
        inside = {inner.name for inner in item.items}
        for group, one in [(beside, item), *((inside, inner) for inner in item.items)]:
            for word, other in (("not_before", one.not_before), ("summed_by", one.summed_by)):
                if other is not None and other not in group:
                    yield Fault(
                        f"{file.path}/{one.name}", f"{word}：没有数据项 {other}", f"{word}: there is no {other}"
                    )
    if file.structure is Structure.TRANSPARENT and not file.size:
        yield Fault(file.path, "透明文件缺少 size", "a transparent file needs a size")
    if file.structure is Structure.TRANSPARENT and file.items:
        yield Fault(file.path, "透明文件没有数据项", "a transparent file has no items")
    if equal and file.records is None:
        yield Fault(file.path, "缺少记录数 records", "a file of equal records needs their number")
    if equal and file.has_tags and len(file.items) != 1:
        yield Fault(file.path, "定长记录若有标签，只有一个数据项", "equal records that have a tag have one item")
    if (equal or file.structure is Structure.VARIABLE) and not file.items:
        yield Fault(file.path, "没有数据项", "there are no items")
    for item in file.items:
        place = f"{file.path}/{item.name}"
        if file.structure is Structure.VARIABLE and item.tag is None:
            yield Fault(place, "缺少标签", "a record of a variable-length file has a tag")
        if file.structure is Structure.CYCLIC and item.tag is not None:
            yield Fault(place, "循环文件的数据项没有标签", "an item of a cyclic file has no tag")
        for other in (item.extends, item.revised_with):
            if other is not None and other not in names:
                yield Fault(place, f"没有数据项 {other}", f"there is no item {other}")


def _longest_code(table: CodeTable) -> int:
    """Return the number of bytes that the longest code of a table takes."""
    return max((len(code.encode("gb18030")) for code in table.rows), default=0)


def _item_faults(place: str, item: Item, longest: Mapping[str, int]) -> Iterator[Fault]:
    """Check one item.

    Args:
        place: the place of the item, for the fault.
        item: the item to check.
        longest: the number of bytes of the longest code of each table.
    """
    known = item.length or (item.format is Format.B and not item.items)
    if not known or (item.length > RECORD_MAXIMUM and item.format is not Format.B):
        yield Fault(place, "长度应为 1 至 127", "the length must be 1 to 127")
    if (item.kind is Kind.CODE) != (item.codes is not None):
        yield Fault(place, "代码项须有代码表", "a code needs a code table, and nothing else does")
    if item.codes is not None and item.codes not in longest:
        yield Fault(place, f"没有代码表 {item.codes}", f"there is no code table {item.codes}")
    elif item.codes is not None:
        room = 2 * item.length if item.format is Format.CN else item.length
        digits = longest[item.codes]
        if digits > room:
            yield Fault(place, f"代码有 {digits} 位，放不下", f"its codes have {digits} characters and do not fit")
    fitting = _FORMATS_OF_KINDS.get(item.kind)
    if fitting is not None and (item.format, item.length) not in fitting and item.format not in fitting:
        yield Fault(
            place,
            f"{item.kind} 不能写成 {item.format} {item.length}",
            f"a {item.kind} is not {item.format} {item.length}",
        )
    if (item.kind is Kind.ITEMS) != bool(item.items):
        yield Fault(place, "嵌套项与格式不符", "items inside go with the kind items, and only with it")
    tagged = [child.tag is not None for child in item.items]
    if any(tag is not (item.format is Format.B_TLV) for tag in tagged):
        yield Fault(place, "只有 b-tlv 的嵌套项有标签", "items inside have tags in b-tlv, and only there")
    repeated = [
        tag for tag, count in Counter(child.tag for child in item.items if child.tag is not None).items() if count > 1
    ]
    if repeated:
        yield Fault(place, f"内部标签 {repeated[0]:02X} 重复", f"the tag {repeated[0]:02X} stands twice inside")
    inner = sum(child.record_length for child in item.items)
    # The length of packed digits is in bytes; the lengths of its parts are in digits.
    room = 2 * item.length if item.format is Format.CN else item.length
    if item.items and not (inner == room or (item.format is Format.CN and inner == room - 1)):
        yield Fault(place, f"嵌套项共 {inner} 字节", f"the items inside take {inner} bytes, not {room}")
    for child in item.items:
        yield from _item_faults(f"{place}/{child.name}", child, longest)
    if item.revised is not None:
        if item.revised.length > item.length:
            yield Fault(place, "新含义长于该项", "the revised meaning is longer than the item")
        yield from _item_faults(f"{place}/{item.revised.name}", item.revised, longest)
    for variant in item.variants:
        if variant.length == item.length:
            yield Fault(place, "另一形式的长度与该项相同", "a variant of the same length cannot be told apart")
