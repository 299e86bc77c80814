"""The cost of reading the card's own record before a debit: commands and characters, with the record and without.

Target: two commands if the card's newest details are of other days. They lie between the two commands that begin the
debit, so a card that accepts debits without a PIN begins twice, which adds to the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cardio.apdu.channel import Counts
from cardio.apdu.timing import t0_seconds
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.execution import debit
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts, begin_purchase, debit_key, send_debit
from cardio.debits.transaction import DebitIntent, DebitOrder, purchase_of
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from cardio.security.sam.purchase import packed_terminal_number
from service.debits.journal import Journal
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.unit.cardio.debits.debits import Ready, soft_sam

_NOW = datetime(2026, 11, 25, 10, 30)
_LIMITS = DebitLimits(clock=lambda: _NOW)
_DETAILS = 0xEF08


def _as_it_is(card: SoftwareCard) -> None:
    """Leave the card unchanged: its newest details are months old."""


def _one_of_today(card: SoftwareCard) -> None:
    _note(card, 1)


def _thirty_of_today(card: SoftwareCard) -> None:
    _note(card, 30)


def _note(card: SoftwareCard, count: int) -> None:
    records = card.applications[4].by_id[_DETAILS].records
    for ago in range(count, 0, -1):
        time = f"{_NOW - timedelta(minutes=ago):%Y%m%d%H%M%S}"
        records.insert(0, bytes.fromhex(f"000C32410100813475{time}000000000000000100000001"))
    del records[30:]


CASES: dict[str, tuple[bool, Callable[[SoftwareCard], None]]] = {
    "newest details of other days": (False, _as_it_is),
    "one of today": (False, _one_of_today),
    "thirty of today": (False, _thirty_of_today),
    "no PIN for debits": (True, _as_it_is),
}
"""The cases by name: True if the card accepts debits without its PIN, and the preparation of its details."""


def counts(case: str, *, asked: bool) -> Counts:
    """Return the counts of one debit by a bridge that knows the card's family."""
    without_pin, prepare = CASES[case]
    persona = find_persona("whole")
    quirks = persona.quirks.model_copy(update={"debits_without_pin": without_pin})
    card = persona.model_copy(update={"quirks": quirks}).card()
    prepare(card)
    reader = SoftwareReader("R", card)
    with TemporaryDirectory() as place:
        folder = Path(place)
        store = CapabilityCache(folder / "manners.json")
        with SocialSecurityCard(reader.connect(), reader, capabilities=store) as known:
            known.read()  # the family is known from here on
        credentials = Credentials(sam=Ready(soft_sam(folder)), pin=Pin("123456"), laboratory=True)
        journal = Journal(folder / "debits.sqlite")
        held = SocialSecurityCard(reader.connect(), reader, capabilities=store, credentials=credentials)
        try:
            order = DebitOrder(Amounts(0, 10, 20), f"{_NOW:%Y%m%d%H%M%S}")
            if asked:
                debit(held, order, journal.claim("local", "k", "x"), _LIMITS)
            else:
                _debit_unasked(held, order)
        finally:
            journal.close()
        held.close()
        return held.counts


def _debit_unasked(card: SocialSecurityCard, order: DebitOrder) -> None:
    """Send the same commands without reading the record."""
    terminal = packed_terminal_number(card.sam.terminal_number)
    key = debit_key(card.layout, card.sam.purchase_index())
    start = card.run(begin_purchase(card.file_system, key, order.amounts, terminal))
    intent = DebitIntent.of(order, start, key, terminal)
    card.run(send_debit(card.sam.authorise_purchase(purchase_of(card, intent)), bytes.fromhex(order.time)))


def main() -> None:
    print(f"{'':30}{'commands':>10}{'asked':>7}{'chars':>8}{'asked':>7}{'more':>6}{'9600 baud':>11}{'TA1=95':>9}")
    for case in CASES:
        without, asked = counts(case, asked=False), counts(case, asked=True)
        more = asked.characters - without.characters
        slow, fast = (t0_seconds(more, ta1) * 1000 for ta1 in (0x11, 0x95))
        print(
            f"{case:30}{without.commands:10}{asked.commands:7}{without.characters:8}{asked.characters:7}{more:6}"
            f"{slow:8.0f} ms{fast:6.1f} ms"
        )
