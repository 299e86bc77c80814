"""From what a card gave to the answer people want: records → items → model, and what to warn of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from cardio.apdu.atr import Atr
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import CardGarbledError
from cardio.filesystem.codes import Code, code_table
from cardio.filesystem.file_reading import NONSENSE, FileReading
from cardio.filesystem.items import DecodedItem, HiddenCharacters, PartialDate, decode_item, revised_item
from cardio.filesystem.layout import File, Item
from cardio.filesystem.numbers import card_number_fault, identity_number_fault, is_citizens_number
from cardio.filesystem.plan import HOLDER_FILE, ISSUER_FILE, SUPPLEMENT, CardContents
from cardio.filesystem.text import join_split_text
from cardio.model import Card, CardReading, CodedValue, Derived, Holder, Region, Unread, Warning

_NO_PSAM = -2201
_REMEDIES = {
    "needs-pin": ("请持卡人输入密码后再读。", "Have the holder enter the PIN, then read again."),
    "needs-key": ("需要 PSAM 卡或加密机授权后才能读取。", "A PSAM card or an HSM must authorise the reading."),
    "needs-pin-or-key": (
        "请持卡人输入密码，或由 PSAM 卡、加密机授权后再读。",
        "Have the holder enter the PIN, or let a PSAM card or an HSM authorise the reading.",
    ),
    "needs-pin-and-key": (
        "需要持卡人输入密码，并由 PSAM 卡或加密机授权。",
        "It takes both the holder's PIN and a PSAM card or an HSM.",
    ),
    "absent": ("卡内没有该文件，无需处理。", "The card does not have this file; nothing to do."),
    "empty": ("该文件没有内容，请持卡人到发卡机构补写。", "The file is empty; the issuing authority can write it."),
    "missing": ("请持卡人到发卡机构补写该项。", "The issuing authority can write it."),
    "not-asked": (
        "如本卡应有该项，请删除 cardio 的缓存文件（cardio doctor 会显示位置）后重读。",
        "If this card should have it, delete cardio's cache file (cardio doctor shows where) and read again.",
    ),
    "card-error": (
        "请重新插卡再试；若仍失败，请到发卡机构检查。",
        "Insert the card again; then have the issuer check it.",
    ),
    "garbled": (
        "请擦净芯片后重试；若仍失败，请到发卡机构检查。",
        "Clean the chip and retry; then have the issuer check it.",
    ),
    "undecodable": ("该项请人工核对；其他项不受影响。", "Check this item by hand; the others are not affected."),
}


@dataclass(slots=True)
class _Report:
    """What goes beside the values."""

    unread: list[Unread] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)

    def miss(
        self, file: str, reason: str, detail: str, detail_en: str, *, item: str | None = None, code: int | None = None
    ) -> None:
        remedy, remedy_en = _REMEDIES[reason]
        self.unread.append(
            Unread(
                file=file,
                item=item,
                reason=reason,
                detail=detail,
                detail_en=detail_en,
                driver_code=code,
                remedy=remedy,
                remedy_en=remedy_en,
            )
        )

    def warn(self, code: str, item: str | None, detail: str, detail_en: str) -> None:
        self.warnings.append(Warning(code=code, item=item, detail=detail, detail_en=detail_en))


def make_reading(contents: CardContents, *, reader: str, simulated: bool, atr: bytes, today: date) -> CardReading:
    """The answer to "whose card is this?"."""
    report = _Report()
    values: dict[str, DecodedItem] = {}
    for path in (ISSUER_FILE, HOLDER_FILE, *SUPPLEMENT):
        reading = contents.files.get(path)
        if reading is not None:
            values |= _decode_file(reading, report)
        if reading is None or reading.refusal is not None:
            _report_refusal(contents, path, reading, report)
    card = _card(contents, atr, values, report)
    holder = _holder(values, report) if _gives_holder(contents) else None
    if contents.marker_problem is not None:
        report.warn("algorithm", None, contents.marker_problem.zh, contents.marker_problem.en)
    derived = _derived(card, holder, today)
    _check_numbers(card, holder, report)
    _check_dates(card, holder, today, report)
    return CardReading(
        reader=reader,
        simulated=simulated,
        card=card,
        holder=holder,
        derived=derived,
        unread=tuple(report.unread),
        warnings=tuple(report.warnings),
    )


def _gives_holder(contents: CardContents) -> bool:
    """Whether there is anything to say about the holder, were it that nothing is written."""
    readings = [contents.files[path] for path in (HOLDER_FILE, *SUPPLEMENT) if path in contents.files]
    return any(reading.records for reading in readings) or contents.files[HOLDER_FILE].empty


def _decode_file(reading: FileReading, report: _Report) -> dict[str, DecodedItem]:
    """All items of a file by name; what cannot be decoded is reported and has no value."""
    raws = {item.name: (item, raw) for item in reading.file.items if (raw := reading.value(item.tag or 0)) is not None}
    for item, raw in list(raws.values()):
        base = raws.get(item.extends or "")
        if base is not None:
            raws[base[0].name] = (base[0], join_split_text(base[1], raw))
            del raws[item.name]
    decoded: dict[str, DecodedItem] = {}
    for item, raw in raws.values():
        meant, value = revised_item(item, raw, raws)
        decoded[meant.name] = one = decode_item(meant, value)
        _report_item(reading.file, one, report)
    for tag in reading.corrupt:
        name = _name(reading.file, tag)
        report.warn("corrupt-data", name, "卡片提示该数据可能有误", "the card says that this value may be corrupt")
    for tag, status_word in reading.damaged.items():
        _report_damaged(reading.file, tag, status_word, report)
    for item in reading.missing:
        detail = f"{item.label}：卡内没有该项"
        report.miss(reading.file.path, "missing", detail, f"{item.label_en}: not on the card", item=item.name)
    for tag in sorted(reading.not_asked):
        detail = "同一发卡机构的卡没有该项，未向本卡索取"
        detail_en = "not asked for: cards of this issuer do not have it"
        report.miss(reading.file.path, "not-asked", detail, detail_en, item=_name(reading.file, tag))
    for record in reading.records:
        if reading.file.item(record.tag) is None:
            tag_text = f"{record.tag:02X}"
            report.warn("unknown-item", tag_text, f"{reading.file.path} 中有未知数据项", "an item that no layout knows")
    return decoded


def _name(file: File, tag: int) -> str:
    item = file.item(tag)
    return item.name if item else f"{tag:02X}"


def _report_item(file: File, decoded: DecodedItem, report: _Report) -> None:
    item, problem = decoded.item, decoded.problem
    if isinstance(problem, PartialDate):
        report.warn(problem.code, item.name, f"{item.label}：{problem.detail}", problem.detail_en)
    elif problem is not None:
        report.miss(
            file.path,
            "undecodable",
            f"{item.label}：{problem.detail}",
            f"{item.label_en}: {problem.detail_en}",
            item=item.name,
            code=problem.driver_code,
        )
    if isinstance(decoded.value, HiddenCharacters):
        report.warn("control-characters", item.name, f"{item.label}中有控制字符，已略去", "control characters left out")


def _report_damaged(file: File, tag: int, status_word: int, report: _Report) -> None:
    name = _name(file, tag)
    if status_word:
        meaning = describe(status_word)
        detail, detail_en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}"
        report.miss(file.path, "card-error", detail, detail_en, item=name, code=-status_word)
    else:
        detail, detail_en = "记录长度与内容不符", "the record's length does not match its content"
        report.miss(file.path, "garbled", detail, detail_en, item=name, code=CardGarbledError.driver_code)


def _report_refusal(contents: CardContents, path: str, reading: FileReading | None, report: _Report) -> None:
    """Why a whole file is missing."""
    status_word = reading.refusal if reading is not None else contents.skipped.get(path)
    file = contents.layout.file(path)
    if status_word is None or file is None:
        return
    meaning = describe(status_word)
    detail, detail_en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}"
    code: int | None = -status_word
    match status_word:
        case StatusWord.SECURITY_STATUS_NOT_SATISFIED:
            reason = file.read.need if not file.read.free else "needs-key"
            if path == HOLDER_FILE and contents.layout.generation >= 3:
                code = _NO_PSAM
        case StatusWord.FILE_NOT_FOUND:
            reason = "absent"
        case StatusWord.RECORD_NOT_FOUND:
            reason = "empty"
        case _ if status_word == NONSENSE:
            reason, code = "garbled", CardGarbledError.driver_code
            detail, detail_en = "返回的不是记录", "the answers are not records"
        case _:
            reason = "card-error"
    report.miss(path, reason, detail, detail_en, code=code)


def _text(values: dict[str, DecodedItem], name: str) -> str | None:
    found = values.get(name)
    return str(found.value) or None if found is not None and found.value is not None else None


def _date(values: dict[str, DecodedItem], name: str) -> date | None:
    found = values.get(name)
    return found.value if found is not None and isinstance(found.value, date) else None


def _coded(values: dict[str, DecodedItem], name: str, report: _Report) -> CodedValue | None:
    found = values.get(name)
    if found is None or found.value is None or found.item.codes is None:
        return None
    code = code_table(found.item.codes).look_up(str(found.value))
    if code.label is None:
        _warn_unknown_code(found.item, code, report)
    return CodedValue(code=code.code, label=code.label, label_en=code.label_en)


def _warn_unknown_code(item: Item, code: Code, report: _Report) -> None:
    table = code_table(item.codes or "")
    report.warn(
        "unknown-code", item.name, f"{item.label}代码 {code.code} 不在{table.title}中", f"not in {table.source}"
    )


def _card(contents: CardContents, atr: bytes, values: dict[str, DecodedItem], report: _Report) -> Card:
    historical_bytes = None
    try:
        historical_bytes = Atr.from_bytes(atr).historical_bytes.hex().upper()
    except CardGarbledError as error:
        report.warn("atr", None, error.detail, error.detail_en)
    identification_code = _text(values, "identification_code")
    region = None
    if identification_code is not None:
        code = code_table("regions").look_up(identification_code[:6])
        region = Region(code=code.code, name=code.label)
    return Card(
        generation=contents.layout.generation,
        algorithm=contents.algorithm,
        atr=atr.hex().upper(),
        historical_bytes=historical_bytes,
        region=region,
        identification_code=identification_code,
        card_class=_coded(values, "card_class", report),
        spec_version=_text(values, "spec_version"),
        issuer_number=_text(values, "issuer_number"),
        issue_date=_date(values, "issue_date"),
        expiry_date=_date(values, "expiry_date"),
        card_number=_text(values, "card_number"),
    )


def _holder(values: dict[str, DecodedItem], report: _Report) -> Holder:
    return Holder(
        social_security_number=_text(values, "social_security_number"),
        name=_text(values, "name"),
        sex=_coded(values, "sex", report),
        ethnic_group=_coded(values, "ethnic_group", report),
        birthplace=_coded(values, "birthplace", report),
        birth_date=_date(values, "birth_date"),
        nationality=_coded(values, "nationality", report),
        residence=_text(values, "residence"),
        household_registration=_text(values, "household_registration"),
    )


def _derived(card: Card, holder: Holder | None, today: date) -> Derived:
    age = citizen = None
    if holder is not None and holder.birth_date is not None and holder.birth_date <= today:
        birth = holder.birth_date
        age = today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))
    if holder is not None and holder.nationality is not None:
        citizen = holder.nationality.code == "CHN"
    elif holder is not None and holder.social_security_number is not None:
        citizen = is_citizens_number(holder.social_security_number) or None
    days = (card.expiry_date - today).days if card.expiry_date is not None else None
    return Derived(age=age, citizen=citizen, days_to_expiry=days)


def _check_numbers(card: Card, holder: Holder | None, report: _Report) -> None:
    """Check digits: a wrong one is a warning, never a refusal."""
    if holder is not None and holder.social_security_number is not None:
        fault = identity_number_fault(holder.social_security_number)
        if fault is not None:
            report.warn("check-digit", "social_security_number", fault.zh, fault.en)
    if card.card_number is not None:
        fault = card_number_fault(card.card_number)
        if fault is not None:
            report.warn("check-digit", "card_number", fault.zh, fault.en)


def _check_dates(card: Card, holder: Holder | None, today: date, report: _Report) -> None:
    if card.expiry_date is not None and card.expiry_date < today:
        report.warn("expired", "expiry_date", f"卡片已于 {card.expiry_date} 过期", f"expired on {card.expiry_date}")
    if card.issue_date is not None and card.issue_date > today:
        report.warn("future-date", "issue_date", "发卡日期晚于今天", "the date of issue is in the future")
    if holder is not None and holder.birth_date is not None and holder.birth_date > today:
        report.warn("future-date", "birth_date", "出生日期晚于今天", "the date of birth is in the future")
