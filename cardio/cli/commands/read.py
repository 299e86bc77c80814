"""``cardio read``: shows who a card belongs to."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.card_options import (
    add_card_arguments,
    chosen_layouts,
    coded_text,
    naming_consent,
    note_proof,
    note_unread,
    status_of_keys,
    trace_on,
    work_on_card,
)
from cardio.cli.command import DONE, Command
from cardio.cli.key_options import credentials_of
from cardio.cli.language import Language
from cardio.cli.output import Output
from cardio.cli.via_bridge import add_bridge_argument, here_or_by_bridge

if TYPE_CHECKING:
    from cardio.errors import CardioError
    from cardio.models.base import CodedValue
    from cardio.models.reading import CardReading, Proof
    from cardio.security.credentials import Credentials

_MOST_TRIES = 4
"""The number of readings of a slow card; each one continues where the one before has ended."""


def _add_arguments(parser: ArgumentParser) -> None:
    add_card_arguments(parser)
    add_bridge_argument(parser)
    parser.add_argument(
        "--driver", action="store_true", help="输出全国接口的 11 项字符串 / the national 11-field string instead"
    )
    parser.add_argument(
        "--basic", action="store_true", help="只读 EF05 和 EF06，不读公共应用 / only EF05 and EF06, nothing of DF01"
    )
    parser.add_argument("--photo", metavar="FILE", type=Path, help="同时把照片存入文件 / also save the photo to a file")


def _run(options: Namespace, output: Output) -> int:
    from cardio.card.runner import on_card, read_card
    from cardio.cli.reader_selection import find_reader
    from cardio.driver.basic_info import read_basic
    from cardio.errors import ReaderTimeoutError
    from cardio.filesystem.capabilities import CapabilityCache

    credentials = credentials_of(options)

    def driver_here() -> tuple[str, Proof | None]:
        reader = find_reader(options.reader, options.sam)
        trace, layouts = trace_on(options, output, reader), chosen_layouts(options, output)
        with naming_consent():
            return on_card(
                reader,
                lambda card: (read_basic(card), card.proof),
                trace=trace,
                layouts=layouts,
                credentials=credentials,
            )

    def read_here() -> CardReading:
        reader = find_reader(options.reader, options.sam)
        trace, layouts = trace_on(options, output, reader), chosen_layouts(options, output)
        store = CapabilityCache.in_cache(simulated=reader.simulated)

        def read_once() -> CardReading:
            with naming_consent():
                return read_card(
                    reader, supplement=not options.basic, capabilities=store,
                    trace=trace, layouts=layouts, credentials=credentials,
                )  # fmt: skip

        for _ in range(_MOST_TRIES - 1):
            try:
                return read_once()
            except ReaderTimeoutError:
                # Another process would start from the beginning; this one continues where it ended.
                if not store.unfinished.progress(reader.name):
                    raise
                output.note("读卡较慢，请不要取出卡片，正在继续", "the card is slow: leave it in, going on")
        return read_once()

    if options.driver:
        text, proof = here_or_by_bridge(
            options, output, driver_here,
            lambda bridge: bridge.driver_with_proof(
                "iReadCardBas", reader=None if options.reader is None else bridge.choose(options.reader)
            ),
        )  # fmt: skip
        if output.as_json:
            output.document({"output": text, "proof": None if proof is None else proof.model_dump(mode="json")})
        else:
            output.text(text)
            if proof is not None:
                note_proof(output, proof)
        return DONE
    reading = here_or_by_bridge(
        options, output, read_here, lambda bridge: bridge.read(options.reader, supplement=not options.basic, fresh=True)
    )
    no_photo = _save_photo(options, output, credentials) if options.photo is not None else None
    if output.as_json:
        output.document(reading.model_dump(mode="json"))
    else:
        print_reading(reading, output)
    if no_photo is not None:
        why = output.words(f"{no_photo.detail}；{no_photo.remedy}", f"{no_photo.detail_en}. {no_photo.remedy_en}")
        output.warning(output.named("没有照片", "no photo", why))
        return no_photo.exit_status
    return status_of_keys(reading.unread)


def _save_photo(options: Namespace, output: Output, credentials: Credentials | None) -> CardioError | None:
    """Save the photo, readable by its owner only, because it is personal data.

    An error of the card's is returned, because the reading itself is still valid.

    Raises:
        CannotWriteError: the file cannot be written.
    """
    import tempfile

    from cardio.errors import AccessNotGrantedError, CannotWriteError, DecodeError, FileUnreadableError, NoPhotoError

    path: Path = options.photo
    show = output.progress("读取照片", "reading the photo")
    try:
        photo = work_on_card(options, output, lambda card: card.photo(progress=show), credentials=credentials)
    except (AccessNotGrantedError, FileUnreadableError, NoPhotoError, DecodeError) as error:
        return error
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".photo-")  # 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(photo.data)
        os.replace(temporary, path)
    except OSError as error:
        raise CannotWriteError(
            f"无法写入 {path}：{error.strerror}", f"cannot write {path}: {error.strerror}"
        ) from error
    size = f"{photo.size} {output.label('字节', 'bytes')}"
    about = output.listed((photo.media_type, f"{photo.width}×{photo.height}", size))
    output.note(f"{output.label('照片', 'photo')} → {path}{output.bracketed(about)}")
    note_unread(output, (), photo.warnings)
    return None


def print_reading(reading: CardReading, output: Output) -> None:
    """Print who the card belongs to, as a table, with what could not be read beside it."""
    card, holder, derived = reading.card, reading.holder, reading.derived
    words = partial(_words, language=output.language)
    rows: list[tuple[str, str, str]] = []
    if holder is not None:
        rows += [
            ("姓名", "name", holder.name or "—"),
            ("社会保障号码", "social security number", holder.social_security_number or "—"),
            ("性别", "sex", words(holder.sex)),
            ("民族", "ethnic group", words(holder.ethnic_group)),
            ("出生日期", "date of birth", f"{holder.birth_date or '—'}" + _years(derived.age, output)),
            ("出生地", "birthplace", words(holder.birthplace)),
            ("国籍", "nationality", words(holder.nationality)),
            ("常住地", "residence", holder.residence or "—"),
            ("户籍", "household registration", holder.household_registration or "—"),
        ]
    region = f"{card.region.code} {card.region.name or ''}".rstrip() if card.region else "—"
    generation = (f"第 {card.generation} 代", f"generation {card.generation}")[output.language is Language.ENGLISH]
    simulated = output.bracketed(output.label("模拟卡", "software card")) if reading.simulated else ""
    rows += [
        ("卡号", "card number", card.card_number or "—"),
        ("卡识别码", "identification code", card.identification_code or "—"),
        ("发卡地区", "region", region),
        ("卡类别", "card class", words(card.card_class)),
        (
            "规范版本",
            "specification",
            (card.spec_version or "—") + output.bracketed(f"{generation} / {card.algorithm or '?'}"),
        ),
        ("发卡日期", "issued", str(card.issue_date or "—")),
        ("有效期至", "valid until", f"{card.expiry_date or '—'}" + _days(derived.days_to_expiry, output)),
        ("读卡器", "reader", reading.reader + simulated),
        ("真伪", "proof", output.words(reading.proof.summary, reading.proof.summary_en)),
    ]
    labels = len(output.columns("", ""))
    output.table(((*output.columns(chinese, english), value) for chinese, english, value in rows), labels=labels)
    note_unread(output, reading.unread, reading.warnings)


def _words(coded: CodedValue | None, language: Language) -> str:
    return "—" if coded is None else coded_text(coded, language)


def _years(age: int | None, output: Output) -> str:
    return "" if age is None else output.bracketed(f"{age} {output.label('岁', 'years')}")


def _days(days: int | None, output: Output) -> str:
    if days is None:
        return ""
    if output.language is Language.ENGLISH:
        return output.bracketed(f"{-days} days ago" if days < 0 else f"{days} days left")
    past, left = output.label("天", "days ago"), output.label("天", "days")
    return output.bracketed(f"已过期 {-days} {past}" if days < 0 else f"还有 {days} {left}")


READ = Command(
    name="read",
    help="读取持卡人和卡的基本信息 / read who the card belongs to",
    examples=(
        "  cardio read\n"
        "  cardio read --json --reader 0\n"
        "  cardio read --driver                  11 项字符串 / the 11-field string\n"
        "  cardio read --photo photo.jpg --reader sim:whole\n"
        "  cardio read --reader sim:adult --trace"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
