"""A bridge with a card that is debited, for the tests of debits: keys, a journal, a card that may be pulled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from cardio.client import default_token_file
from cardio.debits.limits import DebitLimits
from service.app import SiteOptions
from service.gate.scopes import Scope
from service.security import SecurityContext
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.unit.card_helpers import known_random
from tests.unit.cardio.debits.debits import DEBIT, NOW, Ready, soft_sam
from tests.unit.service.bridge import SECOND, TOKEN, Bridge

CARD = "370200D15600000500000013FFFFFFFF|A00000011|"
PAY, LATER = "0.1|0.20|20151118185001|", "0.1|0.20|20151118185002|"
HISTORICAL, CITY = "0081544C94868437020000 0013".replace(" ", ""), "370200"
DONE = "12|000000009999|20151118185001|0.00|0.10|0.20|0000000C|AC0B188C|"
PAGE = "https://his.example"


class Desk:
    """A bridge with the card with everything in its second reader."""

    def __init__(self, folder: Path, *, limits: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Args: ``limits``: those of debits that are not the usual ones; the clock is the desk's own."""
        self.folder = folder
        self.now: datetime = NOW
        usual: dict[str, Any] = {"years_back": 20, "clock": lambda: self.now}  # the cards' totals are of 2026
        limited = DebitLimits(**(usual | dict(limits or {})))
        more["site_options"] = replace(more.get("site_options", SiteOptions()), debit_limits=limited)
        security = SecurityContext(sam=Ready(soft_sam(folder)))
        self.bridge = Bridge(
            "adult", "whole", scopes=frozenset(Scope), security=security, journal=folder / "debits.sqlite", **more
        )
        self.card: SoftwareCard = find_persona("whole").card(random=known_random)
        self.debits = 0
        self.put(self.card)

    @property
    def reader(self) -> SoftwareReader:
        found = self.bridge.readers.reader(SECOND)
        assert found is not None
        return found

    def put(self, card: AnyCard, fault: Callable[[AnyCard, bytes], bytes] | None = None) -> None:
        """Puts a card in; waits until the bridge has seen it."""

        def count(card: AnyCard, command: bytes) -> bytes:
            self.debits += command[:2] == DEBIT
            return card.transmit(command) if fault is None else fault(card, command)

        before = self.session()
        self.reader.insert(FaultyCard(card, count))
        while self.session() in (before, None):
            time.sleep(0.005)

    def session(self) -> str | None:
        readers = self.bridge.client.get("/v1/readers").json()["readers"]
        found: str | None = next(one["card_session"] for one in readers if one["name"] == SECOND)
        return found

    def call(
        self, function: str = "iDoDebit", key: str | None = "k", client: httpx.Client | None = None, **given: Any
    ) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        asked = {"reader": SECOND, "pCardInfo": CARD, "pPayInfo": PAY, "pin": "123456"} | given
        if function.endswith("Step2"):
            asked = {"reader": SECOND} | given
        return (client or self.bridge.client).post(f"/v1/driver/{function}", json=asked, headers=headers)

    def debit_of(self, answer: httpx.Response) -> tuple[int, int, str, str]:
        body = answer.json()
        return answer.status_code, body["return"], body["debit"]["state"], body["debit"]["outcome"]

    @property
    def totals(self) -> tuple[int, int, int]:
        purse = self.card.purse
        assert purse is not None
        return purse.offline_counter, purse.self_paid_total, purse.pooled_fund_total


def refused(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["remedy"] and body["remedy_en"] and body["title"]
    return answer.status_code, body["code"]


def pulled(reader: SoftwareReader, *, done: bool) -> Callable[[AnyCard, bytes], bytes]:
    """The card leaves the reader around the debit: after it has done it, or before it has heard of it."""

    def fault(card: AnyCard, command: bytes) -> bytes:
        if command[:2] == DEBIT:
            if done:
                card.transmit(command)
            reader.remove()
            return b""
        return card.transmit(command)

    return fault


def write_owners_token() -> None:
    """Give the commands that a test starts the token of its bridge."""
    token = default_token_file()
    token.parent.mkdir(parents=True)
    token.touch(0o600)
    token.write_text(TOKEN)
