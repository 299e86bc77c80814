"""The step from a card's records to the result for people: records → items → model, with warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from cardio.card.diagnostics import Diagnostics, coded_value, issuing_region
from cardio.errors import CardGarbledError
from cardio.filesystem.basic_read import SUPPLEMENT
from cardio.filesystem.card_file_system import HOLDER_FILE, ISSUER_FILE, CardContents
from cardio.filesystem.codec.check_digits import card_number_fault, identity_number_fault, is_citizens_number
from cardio.filesystem.codec.items import DecodedItem
from cardio.filesystem.codec.text import join_split_text, trim
from cardio.filesystem.codec.text_reading import TextNote, for_people
from cardio.filesystem.layouts.model import File, Layout
from cardio.filesystem.reading.decode import decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.models.base import CodedValue
from cardio.models.reading import NO_SAM, Card, CardReading, Derived, Holder, Proof
from cardio.security.errors import NoCardFactorError
from cardio.security.sam.diversification import reset_information


def build_reading(
    contents: CardContents,
    *,
    reader: str,
    simulated: bool,
    atr: bytes,
    today: date,
    proof: Proof = NO_SAM,
) -> CardReading:
    """Return the result of reading a card: who the card belongs to, and the card's own data."""
    remarks = Diagnostics()
    values: dict[str, DecodedItem] = {}
    for path in (ISSUER_FILE, HOLDER_FILE, *SUPPLEMENT):
        reading = contents.files.get(path)
        if reading is None:
            continue
        if reading.refusal is None:
            values |= _decode_file(reading, remarks)
        remarks.add_refusal(contents.layout, reading)
    card = _card(contents, atr, values, remarks)
    holder = _holder(contents.layout, values, remarks) if _gives_holder(contents) else None
    if contents.marker_problem is not None:
        remarks.add_warning("algorithm", None, contents.marker_problem.zh, contents.marker_problem.en)
    if contents.unproved is not None:
        zh, en = contents.unproved.detail, contents.unproved.detail_en
        remarks.add_warning("not-proved", None, f"未核验卡片真伪：{zh}", f"the card has not proved itself: {en}")
    derived = _derived(card, holder, today)
    _check_numbers(card, holder, remarks)
    _check_dates(card, holder, today, remarks)
    return CardReading(
        reader=reader,
        simulated=simulated,
        card=card,
        holder=holder,
        derived=derived,
        unread=tuple(remarks.unread),
        warnings=tuple(remarks.warnings),
        proof=proof,
    )


def cut_short(reading: CardReading, missing: Iterable[File]) -> CardReading:
    """Return a reading without the files of its supplement for which there was no time; the other files are a valid
    result.

    Args:
        reading: the reading.
        missing: these files.
    """
    remarks = Diagnostics()
    for file in missing:
        remarks.out_of_time(file)
    return reading.model_copy(update={"unread": (*reading.unread, *remarks.unread)})


def _gives_holder(contents: CardContents) -> bool:
    """Return True if holder data was read, or if the holder's file is readable but empty."""
    readings = [contents.files[path] for path in (HOLDER_FILE, *SUPPLEMENT) if path in contents.files]
    return any(reading.records for reading in readings) or contents.files[HOLDER_FILE].empty


def _decode_file(reading: FileReading, remarks: Diagnostics) -> dict[str, DecodedItem]:
    """Return the items of a file by name. An item that cannot be decoded is reported and has no value."""
    records = decode_records(reading)
    remarks.read(reading, records)
    values = {item.item.name: item for record in reversed(records) for item in record.items}
    return {name: _for_people(item, values, remarks) for name, item in reversed(values.items())}


def _for_people(decoded: DecodedItem, values: dict[str, DecodedItem], remarks: Diagnostics) -> DecodedItem:
    """Return a text without fill, and a number as its standard writes it; add the notes on it."""
    item = decoded.item
    if not isinstance(decoded.value, str):
        return decoded
    extension = next((other for other in values.values() if other.item.extends == item.name), None)
    goes_on = extension is not None and bool(trim(extension.raw))
    content, room = trim(decoded.raw[: item.length] if item.cut else decoded.raw), item.length
    if extension is not None and goes_on:
        content, room = trim(join_split_text(decoded.raw, extension.raw)), room + extension.item.length
    text, notes = for_people(item, decoded.value, content, room)
    for note in sorted(notes):
        if not (decoded.cut and note is TextNote.FULL):
            remarks.text(item, note)
    return replace(decoded, value=text) if text != decoded.value else decoded


def _text(values: dict[str, DecodedItem], name: str) -> str | None:
    found = values.get(name)
    return str(found.value) or None if found is not None and found.value is not None else None


def _date(values: dict[str, DecodedItem], name: str) -> date | None:
    found = values.get(name)
    return found.value if found is not None and isinstance(found.value, date) else None


def _coded(layout: Layout, values: dict[str, DecodedItem], name: str, remarks: Diagnostics) -> CodedValue | None:
    found = values.get(name)
    if found is None or found.value is None or found.item.codes is None:
        return None
    return coded_value(layout, found.item, found.value, remarks)


def _card(contents: CardContents, atr: bytes, values: dict[str, DecodedItem], remarks: Diagnostics) -> Card:
    historical_bytes = None
    try:
        historical_bytes = reset_information(atr).hex().upper()
    except (NoCardFactorError, CardGarbledError) as error:
        remarks.add_warning("atr", None, error.detail, error.detail_en)
    identification_code = _text(values, "identification_code")
    return Card(
        generation=contents.layout.generation,
        algorithm=contents.algorithm,
        atr=atr.hex().upper(),
        historical_bytes=historical_bytes,
        region=issuing_region(identification_code),
        identification_code=identification_code,
        card_class=_coded(contents.layout, values, "card_class", remarks),
        spec_version=_text(values, "spec_version"),
        issuer_number=_text(values, "issuer_number"),
        issue_date=_date(values, "issue_date"),
        expiry_date=_date(values, "expiry_date"),
        card_number=_text(values, "card_number"),
    )


def _holder(layout: Layout, values: dict[str, DecodedItem], remarks: Diagnostics) -> Holder:
    return Holder(
        social_security_number=_text(values, "social_security_number"),
        name=_text(values, "name"),
        sex=_coded(layout, values, "sex", remarks),
        ethnic_group=_coded(layout, values, "ethnic_group", remarks),
        birthplace=_coded(layout, values, "birthplace", remarks),
        birth_date=_date(values, "birth_date"),
        nationality=_coded(layout, values, "nationality", remarks),
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


def _check_numbers(card: Card, holder: Holder | None, remarks: Diagnostics) -> None:
    """Check the check digits: a wrong one is a warning, never a refusal."""
    if holder is not None and holder.social_security_number is not None:
        fault = identity_number_fault(holder.social_security_number)
        if fault is not None:
            remarks.add_warning("check-digit", "social_security_number", fault.zh, fault.en)
    if card.card_number is not None:
        fault = card_number_fault(card.card_number)
        if fault is not None:
            remarks.add_warning("check-digit", "card_number", fault.zh, fault.en)


def _check_dates(card: Card, holder: Holder | None, today: date, remarks: Diagnostics) -> None:
    if card.expiry_date is not None and card.expiry_date < today:
        remarks.add_warning(
            "expired", "expiry_date", f"卡片已于 {card.expiry_date} 过期", f"expired on {card.expiry_date}"
        )
    if card.issue_date is not None and card.issue_date > today:
        remarks.add_warning("future-date", "issue_date", "发卡日期晚于今天", "the date of issue is in the future")
    if holder is not None and holder.birth_date is not None and holder.birth_date > today:
        remarks.add_warning("future-date", "birth_date", "出生日期晚于今天", "the date of birth is in the future")
