"""The card's own record before a debit: the check that 医疗交易明细文件 (EF08) does not contain this order already.

An order is recognised by its time and its amounts, whatever terminal, desk or journal it came from. The card's number
is not compared: no public source says which number a card writes into a detail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from cardio.apdu.channel import Flow
from cardio.apdu.tlv import Record
from cardio.debits.errors import (
    DebitNotCheckableError,
    DebitOnCardError,
    DebitRecordUnclearError,
    DebitRecordUnreadableError,
    SameSecondError,
)
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import AMOUNTS, Detail, detail_of, purse_of
from cardio.debits.transaction import CardRecord, DebitOrder
from cardio.errors import CardRefusedError
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.filesystem.codec.text import is_fill
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import File, Layout
from cardio.filesystem.reading.decode import DecodedRecord, decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.security.errors import PinBlockedError

_BLANK = b"\x00\xff"
_ENOUGH_OLDER = 2
"""The number of consecutive records older than the order that ends the reading; a single one may come from a terminal
with a wrong clock.
"""
_AHEAD = timedelta(hours=1)
"""The time that an order may be ahead of the clock and still count as a present one."""


@dataclass(frozen=True, slots=True)
class RecordAsked:
    """The information of the card's own record on an order."""

    outcome: CardRecord
    detail: Detail | None = None
    """The record with the order's time and amounts."""
    same_second: Detail | None = None
    """A record with the order's time, and other amounts."""
    unclear: bool = False
    """True if a record that cannot be read whole may be the order's."""
    pushed_out: bool = False
    """True if the order's record may have been overwritten by later ones."""

    def check(self, limits: DebitLimits) -> None:
        """Check that the debit may go on.

        Raises:
            DebitOnCardError: it was done already.
            SameSecondError: another debit was done at exactly this time.
            DebitRecordUnclearError, DebitNotCheckableError: the record does not show it.
            DebitRecordUnreadableError: the record cannot be read, and the limits require it.
        """
        if self.detail is not None:
            found = self.detail
            raise DebitOnCardError(found.time or "", found.terminal_number, found.transaction_number)
        if self.same_second is not None:
            raise SameSecondError(
                f"卡内已有同一时间、金额不同的交易（终端机 {self.same_second.terminal_number or '不明'}）",
                "the card has a transaction of this very time with other amounts "
                f"(terminal {self.same_second.terminal_number or 'not known'})",
            )
        if self.unclear:
            raise DebitRecordUnclearError()
        if self.pushed_out:
            raise DebitNotCheckableError()
        if limits.record_required and self.outcome != "clear":
            raise DebitRecordUnreadableError(*_WHY[self.outcome])


_WHY: dict[CardRecord, tuple[str, str]] = {
    "no-file": ("卡内没有医疗交易明细文件", "the card has no file of details"),
    "closed": ("医疗交易明细文件未开放读取", "the file of details is closed"),
    "unreadable": ("医疗交易明细文件不能读取", "the file of details cannot be read"),
    "not-kept": ("卡片有过交易，明细文件却是空的", "the card has been debited, and its file of details is empty"),
}


@dataclass(slots=True)
class CardRecordCheck:
    """The question to one card about one order, asked once."""

    file_system: CardFileSystem
    order: DebitOrder
    limits: DebitLimits
    present_pin: bool = False
    """True if the PIN, which was given, may be presented for a closed file on a card that takes debits without
    its PIN.
    """
    _found: RecordAsked = field(default=RecordAsked("unreadable"), init=False)
    _empty: bool = field(default=False, init=False)
    _debits_shown: int | None = field(default=None, init=False)
    """The number of debits in the records, if all records are later than the order; None if one is not."""

    def ask(self) -> Flow[None]:
        """Read the newest records; the application of debits must be current.

        Raises:
            WrongPinError, PinEntryError: a PIN is needed, and it is wrong or must not be tried.
        """
        layout = self.file_system.layout
        file = layout.details_file
        if file is None or file.application != purse_of(layout).application:
            self._found = RecordAsked("no-file")
            return
        enough = _Enough(file, self._is_older)
        reading = yield from self.file_system.read_newest(file.path, enough)
        if reading.closed and self.present_pin and (yield from self._obtained_pin()):
            reading = yield from self.file_system.read_newest(file.path, enough)
        self._found = self._judge(reading)

    def _obtained_pin(self) -> Flow[bool]:
        try:
            return (yield from self.file_system.rights.acquire(frozenset({PIN}))) is None
        except (PinBlockedError, CardRefusedError):
            return False  # the debit does not need the PIN

    def result(self, transaction_number: int) -> RecordAsked:
        """Return the information that was found.

        A file without a debit proves nothing if there were debits. A file with fewer debits than the card has counted
        has lost older ones, however few records it has.

        Args:
            transaction_number: the card's number.
        """
        if self._empty and transaction_number:
            return RecordAsked("not-kept")
        if self._debits_shown is not None and transaction_number > self._debits_shown:
            return replace(self._found, pushed_out=True)
        return self._found

    def _judge(self, reading: FileReading) -> RecordAsked:
        if reading.refusal is not None:
            self._empty = reading.empty
            if reading.empty:
                return RecordAsked("clear")
            return RecordAsked("closed" if reading.closed else "no-file" if reading.absent else "unreadable")
        damaged = reading.damaged_numbers.keys() | reading.corrupt_numbers
        whole = [record for record in decode_records(reading) if record.number not in damaged]
        written = [record for record in whole if not _is_blank(record)]
        noted = [one for record in written if (one := self._noted(record)) is not None]
        ours = [one for one in noted if one.time == self.order.time]
        exact = next((one.detail for one in ours if one.amounts == bytes(self.order.amounts)), None)
        full = len(written) == len(reading.records) >= (reading.file.records or 1)
        self._empty = not noted and not damaged and not full
        reaches_back = any(self._is_older(record) for record in written[-1:])
        shown = [one.time for one in noted if one.time is not None]
        # If the oldest record's time is still in the future, it does not show when the record was made.
        if not reaches_back and shown and shown[-1] <= self._latest and self._is_of_before(shown):
            self._debits_shown = len(noted)
        return RecordAsked(
            "clear",
            detail=exact,
            same_second=ours[0].detail if ours and exact is None else None,
            unclear=bool(damaged) or any(one.may_be(self.order) for one in noted),
            pushed_out=full and not reaches_back and (not shown or self._is_of_before(shown)),
        )

    @property
    def _latest(self) -> str:
        """Return the latest time that a desk's clock can show."""
        now = self.limits.clock()
        return f"{now + min(self.limits.window, datetime.max - now):%Y%m%d%H%M%S}"

    def _is_of_before(self, shown: Sequence[str]) -> bool:
        """Return True if the order need not be among the records with these times.

        A present order would be among them. An order that is older than all of them, or whose time is in the future,
        need not be.
        """
        ahead = self.order.moment - self.limits.clock() > _AHEAD
        return bool(shown) and (ahead or self.order.time < min(shown))

    def _is_older(self, record: DecodedRecord) -> bool:
        """Return True if a record must be older than the order: either time may differ by a window from the
        real one.
        """
        noted = self._noted(record)
        oldest = self.order.moment - 2 * min(self.limits.window, (self.order.moment - datetime.min) / 2)
        return noted is not None and noted.moment is not None and noted.moment < oldest

    def _noted(self, record: DecodedRecord) -> _Noted | None:
        return _Noted.of(record, self.file_system.layout)


@dataclass(frozen=True, slots=True)
class _Noted:
    """One record of a debit, with the bytes of its amounts."""

    detail: Detail
    moment: datetime | None
    amounts: bytes

    @classmethod
    def of(cls, record: DecodedRecord, layout: Layout) -> Self | None:
        """Decode a record; return None for a record of a credit. A record of an unknown type may be a debit."""
        items = {item.item.name: item for item in record.items}
        kind, moment = items.get("transaction_type"), items.get("transaction_time")
        if kind is not None and kind.item.codes is not None and isinstance(kind.value, str):
            known = layout.code_table(kind.item.codes).look_up(kind.value).label is not None
            if known and kind.raw != bytes((purse_of(layout).transaction_type,)):
                return None
        time = None if moment is None else moment.value
        amounts = b"".join(items[name].raw for name in AMOUNTS if name in items)
        return cls(detail_of(record), time if isinstance(time, datetime) else None, amounts)

    @property
    def time(self) -> str | None:
        return self.detail.time

    def may_be(self, order: DebitOrder) -> bool:
        """Return True if a half-written or damaged record may be the order's: it has no time, and no amount
        contradicts.
        """
        wanted = bytes(order.amounts)
        width = len(wanted) // len(AMOUNTS)
        parts = ((self.amounts[at : at + width], wanted[at : at + width]) for at in range(0, len(wanted), width))
        return self.moment is None and all(part == asked or is_fill(part, _BLANK) for part, asked in parts)


@dataclass(frozen=True, slots=True)
class _Enough:
    """The test that enough records were read."""

    file: File
    is_older: Callable[[DecodedRecord], bool]

    def __call__(self, records: Sequence[Record]) -> bool:
        decoded = decode_records(FileReading(self.file, records=list(records[-_ENOUGH_OLDER:])))
        older = len(decoded) == _ENOUGH_OLDER and all(self.is_older(record) for record in decoded)
        return older and _newest_first(detail_of(decoded[0]), detail_of(decoded[1]))


def _newest_first(before: Detail, after: Detail) -> bool:
    """Return True if two consecutive records confirm that number 1 is the newest.

    A card with the opposite order, or with the order of its memory, is read to the end.
    """
    numbers = (before.transaction_number, after.transaction_number)
    descending = None in numbers or (before.transaction_number or 0) > (after.transaction_number or 0)
    return descending and (before.time or "") >= (after.time or "")


def _is_blank(record: DecodedRecord) -> bool:
    return is_fill(b"".join(item.raw for item in record.items), _BLANK)
