"""The bank's application on a card (金融应用), as far as its card number: what iReadICCardNum gives.

The facts are in ``bank.toml``. Nothing is presented and nothing is changed but the counter that some cards keep of GET
PROCESSING OPTIONS, which is asked for only where no record gives the number without it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import RecordMode, read_record, select_by_name
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.apdu.tlv import BerTlv, parse_ber_tlv
from cardio.errors import CardGarbledError, NoBankNumberError
from cardio.filesystem.layouts.model import HexBytes, HexNumber

_MOST_RECORDS = 32
"""Records that a locator may send us to; real ones name three to six."""
_MOST_REQUESTED = 250
"""Bytes that a card may ask of the terminal: more does not fit into one command."""
_LOCATOR_ENTRY = 4
"""Short file identifier in the upper five bits, first and last record, and what is signed."""
_LONG_TAG, _LAST_OF_TAG = 0x1F, 0x7F
"""As in any BER tag: whether more bytes follow the first, and the greatest that ends it."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    source: str
    confidence: str


class RecordPlace(_Fact):
    sfi: int
    number: int


class NumberTags(_Fact):
    number: HexNumber
    track: HexNumber
    shortest: int
    longest: int


class ProcessingOptions(_Fact):
    header: HexBytes
    requested: HexNumber
    template: HexNumber
    locator: HexNumber
    short_template: HexNumber
    before_locator: int


class BankApplication(_Fact):
    title: str
    title_en: str
    name: HexBytes
    records: tuple[RecordPlace, ...]
    tags: NumberTags
    options: ProcessingOptions


@cache
def bank_application() -> BankApplication:
    """The facts that are shipped."""
    return BankApplication.model_validate(tomllib.loads((files("cardio.card") / "bank_number.toml").read_text("utf-8")))


def read_bank_number() -> Flow[str]:
    """The bank's card number (银行卡号), its digits. Another application is current afterwards.

    Raises:
        NoBankNumberError: there is no bank application, or it does not give the number.
    """
    facts = bank_application()
    selected = yield select_by_name(facts.name, want_fci=True)
    if selected.status_word not in (StatusWord.SUCCESS, StatusWord.SELECTED_FILE_INVALIDATED):
        raise NoBankNumberError(status_word=selected.status_word)
    for place in facts.records:
        record = yield read_record(place.number, RecordMode.BY_NUMBER, place.sfi, SHORT_MAXIMUM)
        if (number := _number_in(record, facts.tags)) is not None:
            return number
    options = yield _get_processing_options(selected, facts.options)
    for sfi, record_number in _located(options, facts.options):
        record = yield read_record(record_number, RecordMode.BY_NUMBER, sfi, SHORT_MAXIMUM)
        if (number := _number_in(record, facts.tags)) is not None:
            return number
    raise NoBankNumberError()


def _number_in(record: ResponseApdu, tags: NumberTags) -> str | None:
    """The number in a record, if there is one; what makes no sense has none."""
    for node in _nodes(record):
        if node.tag in (tags.number, tags.track):
            # The track has D behind the number, and anything behind that.
            digits = node.value.hex().upper().partition("D")[0].rstrip("F")
            if digits.isdecimal() and tags.shortest <= len(digits) <= tags.longest:
                return digits
    return None


def _get_processing_options(selected: ResponseApdu, facts: ProcessingOptions) -> CommandApdu:
    requested = next((node.value for node in _nodes(selected) if node.tag == facts.requested), b"")
    length = min(sum(_requested_lengths(requested)), _MOST_REQUESTED)
    cla, ins, p1, p2 = facts.header
    data = bytes((facts.template, length)) + bytes(length)
    return CommandApdu(cla, ins, p1, p2, data, SHORT_MAXIMUM)


def _requested_lengths(requested: bytes) -> Iterator[int]:
    """Of the data that the card asks the terminal for: a list of tags and lengths, without values."""
    offset = 0
    while offset < len(requested):
        if requested[offset] & _LONG_TAG == _LONG_TAG:
            offset += 1
            while offset < len(requested) and requested[offset] > _LAST_OF_TAG:
                offset += 1
        offset += 1
        if offset < len(requested):
            yield requested[offset]
        offset += 1


def _located(options: ResponseApdu, facts: ProcessingOptions) -> Iterator[tuple[int, int]]:
    """Yield where the card says that its records are: short file identifier and record number, within limits."""
    locator = b""
    for node in _nodes(options):
        if node.tag == facts.locator:
            locator = node.value
        elif node.tag == facts.short_template:
            locator = node.value[facts.before_locator :]
    left = _MOST_RECORDS
    for offset in range(0, len(locator) - _LOCATOR_ENTRY + 1, _LOCATOR_ENTRY):
        sfi, first, last = locator[offset] >> 3, locator[offset + 1], locator[offset + 2]
        for number in range(max(1, first), min(last, 0xFE) + 1):
            if not left or not sfi:
                return
            left -= 1
            yield sfi, number


def _nodes(response: ResponseApdu) -> Iterator[BerTlv]:
    """All objects in an answer, those inside others too; none where it is no BER-TLV."""
    with suppress(CardGarbledError):
        for node in parse_ber_tlv(response.data):
            yield from node.walk()
