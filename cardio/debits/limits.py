"""The limits of a debit: its time, its amount, and the year of the card's totals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cardio.debits.errors import DebitLimitError, DebitTimeError, DebitYearError, with_marks
from cardio.debits.purse import Totals, yuan
from cardio.debits.transaction import DebitOrder

_FIRST_YEAR = 1999
"""The first year that counts: no card was debited before LB002-2000. An earlier year, or 0000, means a card that was
never debited.
"""


@dataclass(frozen=True, slots=True)
class DebitLimits:
    """The limits of an order. An order beyond a limit is refused before money is taken."""

    window: timedelta = timedelta(days=1)
    """The greatest difference of the order's time from the clock, before or after it."""
    most: int = 10_000_000
    """The greatest total of one debit, in fen."""
    years_ahead: int = 1
    """The number of years that the order's year may be after that of the card's totals."""
    years_back: int = 1
    """The number of years that the order's year may be before that of the card's totals."""
    record_required: bool = False
    """True if a card is not debited when its own record of debits cannot be read."""
    clock: Callable[[], datetime] = datetime.now
    """The local time, without a zone, as cashiers' programs use it."""

    def check_order(self, order: DebitOrder) -> None:
        """Check the limits that need no card.

        Raises:
            DebitTimeError: its time differs too much from the clock.
            DebitLimitError: its total is above the limit of one debit.
        """
        now = self.clock()
        if abs(order.moment - now) > self.window:
            stated = with_marks(order.time)
            clock, hours = f"{now:%Y-%m-%d %H:%M:%S}", self.window / timedelta(hours=1)
            raise DebitTimeError(
                f"交易时间为 {stated}，本机时间为 {clock}，相差超过 {hours:g} 小时",
                f"the order is of {stated}, this computer's clock says {clock}: more than {hours:g} h apart",
            )
        asked = order.amounts.total
        if asked > self.most:
            raise DebitLimitError(
                f"本笔合计 {yuan(asked)} 元，单笔上限为 {yuan(self.most)} 元",
                f"this debit takes {yuan(asked)} yuan in all, and one may take {yuan(self.most)}",
            )

    def check_year(self, order: DebitOrder, totals: Totals) -> None:
        """Check the order against the year of the card's totals: a debit of a later year resets them to zero
        permanently.

        Raises:
            DebitYearError: the years differ too much.
        """
        # A year that is not in digits is not judged: the split of the card's answer is inferred.
        known = int(totals.payment_year) if totals.payment_year.isdecimal() else 0
        if known < _FIRST_YEAR:
            return
        if not -self.years_back <= order.moment.year - known <= self.years_ahead:
            raise DebitYearError(
                f"卡内累计金额属于 {known} 年，本笔交易时间属于 {order.moment.year} 年",
                f"the totals on the card are of {known}, the order is of {order.moment.year}",
            )
