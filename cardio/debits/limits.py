"""The limits of a debit: its time, its amount, and the year of the card's totals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cardio.debits.errors import DebitLimitError, DebitTimeError, DebitYearError, with_marks
from cardio.debits.purse import Totals, yuan
from cardio.debits.transaction import DebitOrder

_FIRST_YEAR = 1999
"""No card was debited before LB002-2000; a year before that, or 0000, is a card that was never debited."""


@dataclass(frozen=True, slots=True)
class DebitLimits:
    """What an order may ask for. An order beyond a limit is refused before money moves."""

    window: timedelta = timedelta(days=1)
    """How far the order's time may be from the clock, before or after it."""
    most: int = 10_000_000
    """The most that one debit takes in all, in fen."""
    years_ahead: int = 1
    """How many years the order's year may be after that of the card's totals."""
    years_back: int = 1
    """How many years the order's year may be before that of the card's totals."""
    record_required: bool = False
    """A card whose own record of debits cannot be read is not debited."""
    clock: Callable[[], datetime] = datetime.now
    """The local time, without a zone, as cashiers' programs have it."""

    def check_order(self, order: DebitOrder) -> None:
        """Check what needs no card.

        Raises:
            DebitTimeError: its time is too far from the clock.
            DebitLimitError: it takes more than one debit may.
        """
        now = self.clock()
        if abs(order.moment - now) > self.window:
            told = with_marks(order.time)
            clock, hours = f"{now:%Y-%m-%d %H:%M:%S}", self.window / timedelta(hours=1)
            raise DebitTimeError(
                f"交易时间为 {told}，本机时间为 {clock}，相差超过 {hours:g} 小时",
                f"the order is of {told}, this computer's clock says {clock}: more than {hours:g} h apart",
            )
        asked = order.amounts.total
        if asked > self.most:
            raise DebitLimitError(
                f"本笔合计 {yuan(asked)} 元，单笔上限为 {yuan(self.most)} 元",
                f"this debit takes {yuan(asked)} yuan in all, and one may take {yuan(self.most)}",
            )

    def check_year(self, order: DebitOrder, totals: Totals) -> None:
        """Check the order against the year of the card's totals: a debit of a later year sets them to nought for good.

        Raises:
            DebitYearError: the years are too far apart.
        """
        # What is no year in digits is none of ours to judge: the split of the card's answer is inferred.
        known = int(totals.payment_year) if totals.payment_year.isdecimal() else 0
        if known < _FIRST_YEAR:
            return
        if not -self.years_back <= order.moment.year - known <= self.years_ahead:
            raise DebitYearError(
                f"卡内累计金额属于 {known} 年，本笔交易时间属于 {order.moment.year} 年",
                f"the totals on the card are of {known}, the order is of {order.moment.year}",
            )
