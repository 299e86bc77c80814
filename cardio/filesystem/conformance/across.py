"""The rules that hold across the files of a card."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from cardio.bilingual import Bilingual
from cardio.filesystem.codec.check_digits import SEX_CODES, birth_digits, is_citizens_number, sex_code
from cardio.filesystem.codec.items import Value
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.layouts.model import Layout
from cardio.filesystem.reading.decode import decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.models.conformance import Chapter

_ONE_PLACE = Bilingual("是否只在一处", "stands in one place only")
_GENERATION = Bilingual("规范版本与结构", "the version goes with the structure")
_BIRTH_DATE = Bilingual("出生日期与社会保障号码", "the date of birth agrees with the social security number")
_SEX = Bilingual("性别与社会保障号码", "the sex agrees with the social security number")


def check_across(layout: Layout, readings: Mapping[str, FileReading], book: Book) -> None:
    """Check the rules that no single file can show."""
    _check_alternatives(layout, readings, book)
    values: dict[str, tuple[str, Value]] = {}
    for path, reading in readings.items():
        if reading.refusal is None and path.startswith(layout.environment.id):
            for record in decode_records(reading):
                for one in record.items:
                    if one.value is not None:
                        values.setdefault(one.item.name, (f"{path}/{one.item.name}", one.value))
    version = values.get("spec_version")
    if version is not None:
        right = str(version[1]).startswith(str(layout.generation))
        fault = (
            None
            if right
            else Bilingual(f"结构为第 {layout.generation} 代", f"the structure is of {layout.generation}.0")
        )
        book.record_check(Chapter.CROSS_FILE, version[0], _GENERATION, fault)
    _check_number(values, book)


def _check_alternatives(layout: Layout, readings: Mapping[str, FileReading], book: Book) -> None:
    """Check that an item that may stand in either of two files stands in exactly one of them (tag 60)."""
    for file in layout.files():
        for item in file.items:
            if item.alternative is None or file.path > item.alternative or item.tag is None:
                continue
            both = [readings.get(path) for path in (file.path, item.alternative)]
            place = f"{file.path}/{item.name}"
            known = [reading for reading in both if reading is not None and reading.refusal is None]
            places = sum(item.tag in reading.tags for reading in known)
            if places > 1:
                fault = Bilingual(f"{item.alternative} 中也有", f"it stands in {item.alternative} too")
                book.record_check(Chapter.CROSS_FILE, place, _ONE_PLACE, fault, item.source)
            elif len(known) < len(both):
                why = Bilingual("有文件不能读取", "a file cannot be read")
                book.untestable(Chapter.CROSS_FILE, place, _ONE_PLACE, why, item.source)
            else:
                fault_none = Bilingual("两处都没有", "it stands in neither") if not places else None
                book.record_check(Chapter.CROSS_FILE, place, _ONE_PLACE, fault_none, item.source)


def _check_number(values: Mapping[str, tuple[str, Value]], book: Book) -> None:
    """Check the birth date and the sex against the holder's citizen's number (GB 11643 §4)."""
    number = str(values["social_security_number"][1]) if "social_security_number" in values else ""
    if not is_citizens_number(number):
        return
    born, sex = values.get("birth_date"), values.get("sex")
    if born is not None and isinstance(born[1], date):
        fault = None if f"{born[1]:%Y%m%d}" == birth_digits(number) else Bilingual("不一致", "they differ")
        book.record_check(Chapter.CROSS_FILE, born[0], _BIRTH_DATE, fault, "GB 11643")
    if sex is not None and sex[1] in SEX_CODES:
        fault = None if sex[1] == sex_code(number) else Bilingual("不一致", "they differ")
        book.record_check(Chapter.CROSS_FILE, sex[0], _SEX, fault, "GB 11643")
