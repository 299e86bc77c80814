"""The calls that a field case can make to its card: one function each, named in the case as ``do``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cardio.card.runner import on_card, read_card
from cardio.card.social_security_card import SocialSecurityCard
from cardio.debits.execution import debit
from cardio.debits.limits import DebitLimits
from cardio.debits.purse import Amounts
from cardio.debits.transaction import DebitOrder
from cardio.driver.functions import CardFunction, DriverArguments, find_function
from cardio.driver.return_codes import code_of
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.readers.base import Reader
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import Sam
from cardio.security.sam.key_file import KeyFile, SoftSam
from service.debits.journal import Journal
from simulators.crypto.published_keys import key_file
from tests.conftest import TODAY

Step = Callable[[Reader, CapabilityCache, Mapping[str, Any]], Any]


def _read(reader: Reader, store: CapabilityCache, step: Mapping[str, Any]) -> Any:
    supplement = step.get("supplement", True)
    reading = read_card(reader, capabilities=store, today=TODAY, supplement=supplement, credentials=_test_keys(step))
    return reading.model_dump(mode="json")


def _test_keys(step: Mapping[str, Any]) -> Credentials | None:
    if not step.get("keys", False):
        return None
    return Credentials(sam=_Ready(soft_sam()), laboratory=True)


def soft_sam(terminal_number: str | None = None) -> SoftSam:
    """The published test keys."""
    keys = KeyFile.model_validate(tomllib.loads(key_file(layout_of(3).keys)))
    return SoftSam(keys if terminal_number is None else keys.model_copy(update={"terminal_number": terminal_number}))


class _Ready:
    """A SAM that is at hand."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def open(self) -> Sam:
        return self._sam


def _driver(reader: Reader, store: CapabilityCache, step: Mapping[str, Any]) -> Any:
    """A function of the national interface: its return code and its text. A failure has no text."""
    function = find_function(step.get("function", "iReadCardBas"))
    assert isinstance(function, CardFunction)
    arguments = DriverArguments.from_mapping(step.get("arguments", {}))
    credentials = Credentials(pin=Pin(step["pin"])) if "pin" in step else _test_keys(step)
    try:
        text = on_card(reader, lambda card: function.work(card, arguments), capabilities=store, credentials=credentials)
    except CardioError as error:
        return {"return": code_of(error), "slug": error.code}
    return {"return": 0, "text": text, "fields": text.split("|")}


def _with_pin(work: Callable[[SocialSecurityCard], Any]) -> Step:
    def run(reader: Reader, store: CapabilityCache, step: Mapping[str, Any]) -> Any:
        pin = Pin(step["pin"]) if "pin" in step else None
        credentials = Credentials(pin=pin, accept_last_try=step.get("accept_last_try", False))
        return on_card(reader, work, capabilities=store, credentials=credentials, repeat=False)

    return run


def _debit(reader: Reader, store: CapabilityCache, step: Mapping[str, Any]) -> Any:
    """A debit at a desk with a new journal: the state of its row, and what the card's own record said before."""
    order = DebitOrder(Amounts(0, step["self_paid"], step["pooled_fund"]), step["time"])
    limits = DebitLimits(clock=lambda: order.moment, record_required=step.get("record_required", False))
    sam = soft_sam(step.get("terminal_number", "000000009999"))
    credentials = Credentials(sam=_Ready(sam), pin=Pin("123456"), laboratory=True)
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "debits.sqlite")
        try:
            entry = journal.claim("local", "k", "x")
            on_card(
                reader, lambda card: debit(card, order, entry, limits), capabilities=store, credentials=credentials,
                repeat=False,
            )  # fmt: skip
            return entry.record().model_dump(mode="json")
        finally:
            journal.close()


STEPS: dict[str, Step] = {
    "debit": _debit,
    "read": _read,
    "driver": _driver,
    "pin-status": _with_pin(lambda card: {"tries": card.pin_tries()}),
    "pin-verify": _with_pin(lambda card: card.verify_pin()),
}
