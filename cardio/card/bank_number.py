"""The card number of the bank's application on a card (金融应用): the result of iReadICCardNum.

The facts are in ``bank_number.toml``. Nothing is presented to the card. Nothing is changed except the counter that some
cards keep of GET PROCESSING OPTIONS; that command is sent only if no record gives the number without it.
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
"""The limit of records that a locator may name; real locators name three to six."""
_MOST_REQUESTED = 250
"""The limit of bytes that a card may request of the terminal: one command cannot carry more."""
_LOCATOR_ENTRY = 4
"""The bytes of a locator entry: short file identifier in the upper five bits, first and last record, and what is
signed.
"""
_LONG_TAG, _LAST_OF_TAG = 0x1F, 0x7F
"""The bits of a BER tag: its first byte says that more bytes follow, and the greatest value of its last byte."""


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
    """Return the facts that are shipped."""
    return BankApplication.model_validate(tomllib.loads((files("cardio.card") / "bank_number.toml").read_text("utf-8")))


def read_bank_number() -> Flow[str]:
    """Return the digits of the bank's card number (银行卡号). Another application is current afterwards.

    Raises:
        NoBankNumberError: the card has no bank application, or it does not give the number.
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
    """Return the card number in a record; None if there is none, or the record is malformed."""
    for node in _nodes(record):
        if node.tag in (tags.number, tags.track):
            # The track has D behind the number, and other data after it.
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
    """Yield the lengths of the data that the card requests of the terminal, from a list of tags and lengths."""
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
    """Yield the places of the card's records: short file identifier and record number, within limits."""
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
    """Yield all objects in an answer, those inside others too; none if the answer is no BER-TLV."""
    with suppress(CardGarbledError):
        for node in parse_ber_tlv(response.data):
            yield from node.walk()
