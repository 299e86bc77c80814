"""The checks of a card against its layout, chapter by chapter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from cardio.bilingual import Bilingual
from cardio.filesystem.conformance.across import check_across
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.conformance.records import check_controls, check_presence, check_records
from cardio.filesystem.conformance.values import check_values
from cardio.filesystem.layouts.model import Layout
from cardio.filesystem.reading.result import FileReading
from cardio.models.conformance import Chapter

_INTERNAL = Bilingual("由卡片内部维护", "kept by the card itself")
_READ_IT = Bilingual("内容", "its content is as it should be")


def check_card(
    layout: Layout,
    without_rights: Mapping[str, FileReading],
    with_rights: Mapping[str, FileReading],
    today: date,
    book: Book,
) -> None:
    """Check every file of the layout.

    Args:
        layout: the layout of the card.
        without_rights: the readings made while no right was held; the access controls are judged by them.
        with_rights: the readings made with the available rights, if any; the contents are judged by them.
        today: the day of the check; dates are compared with it.
        book: receives the checks.
    """
    for application in layout.applications:
        for file in application.files:
            if file.internal:
                why = Bilingual("没有命令可以读取", "no command reads it")
                book.untestable(Chapter.RECORDS, file.path, _INTERNAL, why, file.source)
                continue
            if not check_presence(application, file, without_rights[file.path], book):
                continue
            check_controls(file, without_rights[file.path], book)
            reading = with_rights[file.path]
            if reading.closed:
                why = Bilingual(f"需要 {file.read} 才能读取", f"it needs {file.read} to be read")
                book.untestable(Chapter.RECORDS, file.path, _READ_IT, why, file.source)
                continue
            check_records(file, reading, book)
            if reading.refusal is None:
                check_values(layout, reading, today, book)
    check_across(layout, with_rights, book)
