"""The checks of presence, access controls, and records: their order, number and lengths."""

from __future__ import annotations

from collections import Counter

from cardio.apdu.status_word import StatusWord, describe
from cardio.bilingual import Bilingual
from cardio.filesystem.capabilities import Addressing
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.layouts.model import Application, File, Item, Structure
from cardio.filesystem.reading.result import FileReading
from cardio.models.conformance import Chapter

_PRESENT = Bilingual("文件是否存在", "the file is there")
_ORDER = Bilingual("记录顺序", "records stand in order")
_COMPLETE = Bilingual("数据项是否齐全", "no item is missing")
_NOTHING_ELSE = Bilingual("规定以外的数据项", "nothing else is in the file")
_LENGTH = Bilingual("记录长度", "the record has its length")
_COUNT = Bilingual("记录数", "as many records as there should be")
_SIZE = Bilingual("文件大小", "the file has its size")
_FREE = Bilingual("应可自由读取", "free to read")
_CLOSED = Bilingual("读控制", "closed without a right")
_UPDATE = Bilingual("写控制", "not to be written without a right")


def check_presence(application: Application, file: File, reading: FileReading, book: Book) -> bool:
    """Check that the file is on the card, and return True if it is. A closed file counts as present."""
    if not reading.absent:
        book.record_check(Chapter.PRESENCE, file.path, _PRESENT, None, file.source)
        return True
    absent = Bilingual("卡内没有该文件", "the card does not have it")
    if application.advisory:
        why = Bilingual("规范附录建议，可不实现", "only advised by the specification")
        book.untestable(Chapter.PRESENCE, file.path, _PRESENT, why, file.source)
    else:
        book.record_check(Chapter.PRESENCE, file.path, _PRESENT, absent, file.source)
    return False


def check_controls(file: File, without_rights: FileReading, book: Book) -> None:
    """Check that closed files are closed and free files open. The card is judged by its answers while no
    right is held.
    """
    closed = without_rights.refusal == StatusWord.SECURITY_STATUS_NOT_SATISFIED
    if file.read.free:
        fault = Bilingual("要求授权", "it asks for a right") if closed else None
        book.record_check(Chapter.ACCESS, file.path, _FREE, fault, file.source)
    else:
        opened = Bilingual(f"未经授权即可读取，应为 {file.read}", f"it opens without any right; it needs {file.read}")
        if without_rights.refusal in (None, StatusWord.RECORD_NOT_FOUND):
            book.record_check(Chapter.ACCESS, file.path, _CLOSED, opened, file.source)
        elif closed:
            book.record_check(Chapter.ACCESS, file.path, _CLOSED, None, file.source)
        else:
            why = Bilingual("因其他原因不能读取", "it cannot be read, for another reason")
            book.untestable(Chapter.ACCESS, file.path, _CLOSED, why, file.source)
    why = Bilingual("写入会改变卡片", "to try would change the card")
    book.untestable(Chapter.ACCESS, file.path, _UPDATE, why, file.source)


def check_records(file: File, reading: FileReading, book: Book) -> None:
    """Check the records of a file that was read."""
    if reading.refusal == StatusWord.RECORD_NOT_FOUND and not file.has_tags:
        why = Bilingual("没有记录", "there is no record yet")
        book.untestable(Chapter.RECORDS, file.path, _LENGTH, why, file.source)
    elif reading.refusal is not None:
        meaning = describe(reading.refusal)
        fault = Bilingual(
            f"不能读取：{reading.refusal:04X} {meaning.zh}", f"unreadable: {reading.refusal:04X} {meaning.en}"
        )
        book.record_check(Chapter.RECORDS, file.path, _COMPLETE, fault, file.source)
    elif file.structure is Structure.TRANSPARENT:
        size = len(reading.content)
        wrong = Bilingual(f"{size} 字节，应为 {file.size}", f"{size} bytes, not {file.size}")
        book.record_check(Chapter.RECORDS, file.path, _SIZE, None if size in file.sizes else wrong, file.source)
    elif file.has_tags:
        _check_tagged(file, reading, book)
    else:
        _check_untagged(file, reading, book)


def _check_tagged(file: File, reading: FileReading, book: Book) -> None:
    expected, found = [tag for tag, _ in file.record_shape], reading.tags
    counts = Counter(expected)
    needed = {item.tag for item in file.items if item.expected}
    missing = [tag for tag in counts if found.count(tag) < counts[tag] and tag in needed]
    lacking = "、".join(f"{tag:02X}" for tag in missing)
    fault = Bilingual(f"缺少 {lacking}", f"missing: {lacking.replace('、', ', ')}") if missing else None
    book.record_check(Chapter.RECORDS, file.path, _COMPLETE, fault, file.source)
    beyond = [tag for tag in found if found.count(tag) > counts[tag]]
    strangers = "、".join(dict.fromkeys(f"{tag:02X}" for tag in (*beyond, *reading.duplicates)))
    other = Bilingual(f"有 {strangers}", f"there is {strangers.replace('、', ', ')}") if strangers else None
    book.record_check(Chapter.RECORDS, file.path, _NOTHING_ELSE, other, file.source)
    _check_order(file, reading, [tag for tag in expected if tag in found], book)
    numbers: dict[int, int] = {}
    for record in reading.records:
        item = file.item(record.tag)
        if item is None:
            continue
        numbers[record.tag] = numbers.get(record.tag, 0) + 1
        several = f" {numbers[record.tag]}" if counts.get(record.tag, 1) > 1 else ""
        place = f"{file.path}/{item.name}{several}"
        _check_length(place, item, len(record.value), book)
    for tag, status_word in reading.damaged.items():
        item = file.item(tag)
        name = item.name if item else f"{tag:02X}"
        book.record_check(Chapter.RECORDS, f"{file.path}/{name}", _LENGTH, _damage(status_word), file.source)


def _check_order(file: File, reading: FileReading, expected: list[int], book: Book) -> None:
    if reading.method is not None and reading.method.addressing is Addressing.IDENTIFIER:
        why = Bilingual("此卡只能按标签读取", "this card gives records by tag only")
        book.untestable(Chapter.RECORDS, file.path, _ORDER, why, file.source)
        return
    known = [tag for tag in reading.tags if tag in expected]
    right = sorted(known) == sorted(expected) if file.any_order else known == expected
    order = " ".join(f"{tag:02X}" for tag in known)
    fault = None if right else Bilingual(f"实际为 {order}", f"it is {order}")
    book.record_check(Chapter.RECORDS, file.path, _ORDER, fault, file.source)


def _check_length(place: str, item: Item, length: int, book: Book) -> None:
    if not item.length:
        why = Bilingual("没有公布长度", "no source gives its length")
        book.untestable(Chapter.RECORDS, place, _LENGTH, why, item.source)
        return
    wrong = Bilingual(f"{length} 字节，应为 {item.length}", f"{length} bytes, not {item.length}")
    book.record_check(Chapter.RECORDS, place, _LENGTH, None if length in item.lengths else wrong, item.source)


def _check_untagged(file: File, reading: FileReading, book: Book) -> None:
    for number, status_word in reading.damaged_numbers.items():
        book.record_check(Chapter.RECORDS, f"{file.path} {number}", _LENGTH, _damage(status_word), file.source)
    if file.record_size:
        wrong = [n for n, record in enumerate(reading.records, 1) if len(record.value) != file.record_size]
        fault = Bilingual(f"记录 {wrong}", f"records {wrong}") if wrong else None
        book.record_check(Chapter.RECORDS, file.path, _LENGTH, fault, file.source)
    count, least = len(reading.records), file.records or 1
    if count >= least:
        book.record_check(Chapter.RECORDS, file.path, _COUNT, None, file.source)
    else:
        why = Bilingual(
            f"已写 {count} 条；是否可容纳 {least} 条，无法通过读取判断",
            f"{count} are written; whether {least} fit cannot be read",
        )
        book.untestable(Chapter.RECORDS, file.path, _COUNT, why, file.source)


def _damage(status_word: int) -> Bilingual:
    if not status_word:
        return Bilingual("长度与内容不符", "its length does not match its content")
    meaning = describe(status_word)
    return Bilingual(f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}")
