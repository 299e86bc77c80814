"""The limits that settings give to debits and commands, and what depends on them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

import service
from cardio.readers.policy_settings import ReaderSettings
from service.settings import BridgeSettings

_SDK = Path(service.__file__).parent / "web" / "sdk" / "cardio-bridge.js"


def test_the_settings_are_the_limits_of_a_debit() -> None:
    limits = BridgeSettings(debit_window=90, debit_limit=500, debit_years=3, debit_record_required=True).debit_limits
    assert (limits.window, limits.most) == (timedelta(seconds=90), 50_000)
    assert (limits.years_ahead, limits.record_required) == (3, True)


def test_without_settings_a_debit_is_about_now_and_below_a_hundred_thousand_yuan() -> None:
    limits = BridgeSettings().debit_limits
    assert (limits.window, limits.most, limits.years_ahead) == (timedelta(days=1), 10_000_000, 1)


@pytest.mark.parametrize("setting", ["debit_window", "debit_limit", "debit_years"])
def test_a_limit_is_not_negative(setting: str) -> None:
    with pytest.raises(ValidationError):
        BridgeSettings(**{setting: -1})  # type: ignore[arg-type]


def test_a_card_that_hangs_is_told_of_before_the_browsers_client_gives_up() -> None:
    found = re.search(r"^const CALL_MS = ([0-9]+);$", _SDK.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert ReaderSettings().command_seconds == 10.0
    assert int(found[1]) / 1000 - ReaderSettings().command_seconds >= 3.0
