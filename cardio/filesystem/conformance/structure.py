"""The checks of a layout by itself: what an issuing authority must show before it may issue cards (V2.0 §6)."""

from __future__ import annotations

from collections.abc import Sequence

from cardio.bilingual import Bilingual
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.layouts.fault import Fault, line_of
from cardio.filesystem.layouts.model import Layout
from cardio.filesystem.layouts.regional import RULES
from cardio.models.conformance import Chapter, RuleOutcome

_SOUND = Bilingual("结构是否自洽：标签、长度、格式、代码表、密钥", "sound: tags, lengths, formats, code tables, keys")
_SPACE = Bilingual("数据空间（16 KB 以内）", "no more than 16 KB of data")
_SPACE_LIMIT = 16 * 1024


def check_structure(layout: Layout, faults: Sequence[Fault], book: Book, *, text: str = "") -> None:
    """Check every rule of local expansion, the consistency of the layout file by file, and the space that it takes."""
    for rule in RULES:
        broken = [fault for fault in faults if fault.rule == rule]
        for fault in broken:
            detail = _at(fault, text)
            book.note(Chapter.STRUCTURE, fault.place, rule, RuleOutcome.FAIL, detail, "V2.0 §6")
        if not broken:
            if layout.regions:
                book.note(Chapter.STRUCTURE, layout.title, rule, RuleOutcome.PASS, source="V2.0 §6")
            else:
                why = Bilingual("国家结构，没有地方扩展", "a national layout: nothing is added")
                book.untestable(Chapter.STRUCTURE, layout.title, rule, why, "V2.0 §6")
    unsound = [fault for fault in faults if fault.rule is None]
    for file in layout.files():
        own = [fault for fault in unsound if fault.place.startswith(file.path)]
        wrong = _at(own[0], text) if own else None
        book.record_check(Chapter.STRUCTURE, file.path, _SOUND, wrong, file.source)
    for other in unsound:
        if not any(other.place.startswith(file.path) for file in layout.files()):
            book.record_check(Chapter.STRUCTURE, other.place, _SOUND, _at(other, text))
    size = sum(_size(layout))
    too_large = Bilingual(f"共 {size} 字节", f"{size} bytes") if size > _SPACE_LIMIT else None
    book.record_check(Chapter.STRUCTURE, layout.title, _SPACE, too_large, "public structures of two regions")


def _at(fault: Fault, text: str) -> Bilingual:
    """Return a fault with its line in the file that was submitted."""
    line = line_of(text, fault.place)
    if line is None:
        return Bilingual(fault.zh, fault.en)
    return Bilingual(f"第 {line} 行：{fault.zh}", f"line {line}: {fault.en}")


def _size(layout: Layout) -> list[int]:
    sizes = []
    for file in layout.files():
        records = sum(2 + length for _, length in file.record_shape)
        sizes.append(file.size or records or file.record_size * (file.records or 1))
    return sizes
