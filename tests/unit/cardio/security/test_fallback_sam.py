"""The PSAM card first, the HSM where it cannot: on the five codes of the interface, and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardio.card.runner import on_card
from cardio.driver.basic_info import read_basic
from cardio.errors import CardioError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    HsmUnreachableError,
    KeyNotInSamError,
    NoSamError,
    PsamKeyLevelError,
    SamError,
    SamFailedError,
)
from cardio.security.sam.base import Authorisation, CardKey, Mac2, Purchase, Sam, SamKind, SamSource
from cardio.security.sam.fallback import FallbackSource
from cardio.security.sam.key_file import SoftSam
from cardio.security.settings import SecuritySettings
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

CLOSED = "320200|319900199912310046|G00000074|320200D15600000500000009FFFFFFFF|测试壬|"


@pytest.fixture
def keys(tmp_path: Path) -> SoftSam:
    path = tmp_path / "keys.toml"
    path.touch(0o600)
    path.write_text(key_file(layout_of(3).keys))
    return SoftSam.load(path)


class Source:
    """A SAM that counts how often it is opened, or is not to be had."""

    def __init__(self, sam: Sam | SamError) -> None:
        self._sam = sam
        self.opened = 0

    def open(self) -> Sam:
        self.opened += 1
        if isinstance(self._sam, SamError):
            raise self._sam
        return self._sam


class Lacking:
    """Computes nothing, and says why: at once, or when it is asked to compute."""

    kind: SamKind = "psam"
    test_keys = False
    terminal_number = None

    def __init__(self, reason: SamError, *, finds_out_late: bool = False) -> None:
        self._reason = reason
        self._late = finds_out_late

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return ()

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        return None if self._late else self._reason

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        raise self._reason

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        raise self._reason

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        raise self._reason

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        raise self._reason

    def purchase_index(self) -> int | None:
        return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        raise self._reason

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        raise self._reason

    def close(self) -> None: ...


def read(source: SamSource) -> str:
    reader = SoftwareReader("r", find_persona("third-closed").card())
    return on_card(reader, read_basic, capabilities=CapabilityCache(None), credentials=Credentials(sam=source))


@pytest.mark.parametrize(
    "reason",
    [
        NoSamError(), AlgorithmNotSupportedError(), KeyNotInSamError(), KeyNotInSamError(driver_code=-2203),
        PsamKeyLevelError(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("late", [False, True])
def test_each_of_the_five_codes_goes_to_the_hsm(keys: SoftSam, reason: SamError, late: bool) -> None:
    hsm = Source(keys)
    assert read(FallbackSource([Source(Lacking(reason, finds_out_late=late)), hsm])).startswith(CLOSED)
    assert hsm.opened == 1


def test_a_psam_that_is_not_there_too(keys: SoftSam) -> None:
    assert read(FallbackSource([Source(NoSamError()), Source(keys)])).startswith(CLOSED)


def test_the_hsm_is_left_alone_where_the_psam_can(keys: SoftSam) -> None:
    hsm = Source(HsmUnreachableError())
    assert read(FallbackSource([Source(keys), hsm])).startswith(CLOSED)


@pytest.mark.parametrize("reason", [SamFailedError(), HsmUnreachableError()])
def test_any_other_failure_is_shown_to_the_clerk(keys: SoftSam, reason: SamError) -> None:
    hsm = Source(keys)
    with pytest.raises(CardioError) as shown:
        read(FallbackSource([Source(reason), hsm]))
    assert shown.value.code == reason.code and hsm.opened == 0


def test_without_either_the_first_reason_is_told() -> None:
    with pytest.raises(NoSamError):
        FallbackSource([Source(NoSamError()), Source(KeyNotInSamError())]).open()
    with pytest.raises(CardioError) as shown:
        read(FallbackSource([Source(Lacking(PsamKeyLevelError())), Source(NoSamError())]))
    assert shown.value.driver_code == -24


def test_settings_name_both_with_a_comma(tmp_path: Path) -> None:
    def nobody(name: str) -> SoftwareReader:
        raise NoSamError()

    source = SecuritySettings().sam_source("psam:Slot 2,hsm:http://127.0.0.1:9", nobody)
    assert isinstance(source, FallbackSource)


def test_a_psam_works_while_its_hsm_does_not(keys: SoftSam) -> None:
    class Unreachable(Lacking):
        @property
        def test_keys(self) -> bool:  # type: ignore[override]
            raise HsmUnreachableError()

    assert read(FallbackSource([Source(keys), Source(Unreachable(NoSamError()))])).startswith(CLOSED)


def test_keys_behind_one_that_is_broken_are_looked_at_too(keys: SoftSam) -> None:
    """Test keys that are opened only when the first fails must be known before the first."""
    opened = FallbackSource([Source(Lacking(NoSamError())), Source(SamFailedError()), Source(keys)]).open()
    assert opened.test_keys


@pytest.mark.parametrize("finds_out_late", [False, True])
def test_a_proof_names_the_sam_that_has_checked_it(keys: SoftSam, finds_out_late: bool) -> None:
    source = FallbackSource([Source(Lacking(KeyNotInSamError(), finds_out_late=finds_out_late)), Source(keys)])
    reading = on_card(
        SoftwareReader("r", find_persona("third-closed").card()), lambda card: card.read(supplement=False),
        capabilities=CapabilityCache(None), credentials=Credentials(sam=source),
    )  # fmt: skip
    assert (reading.proof.outcome, reading.proof.sam) == ("genuine", "soft")
    assert "密钥文件" in reading.proof.detail and "PSAM" not in reading.proof.detail
