"""Diversification factors, by hand."""

from __future__ import annotations

import pytest

from cardio.errors import CardGarbledError
from cardio.security.sam.diversification import DiversificationFactors

HISTORICAL = bytes.fromhex("0081544C978684430200000042")


def test_the_three_factors() -> None:
    factors = DiversificationFactors.of(HISTORICAL, "430200D15600000500000042FFFFFFFF")
    assert factors.card == bytes.fromhex("8684430200000042")
    assert factors.city == b"430200sx" == bytes.fromhex("3433303230307378")
    assert factors.province == b"430000sh" == bytes.fromhex("3433303030307368")
    assert factors.of_levels(3) == (factors.province, factors.city, factors.card)
    assert factors.of_levels(2) == (factors.city, factors.card)
    assert factors.of_levels(1) == (factors.card,)


@pytest.mark.parametrize(
    ("historical_bytes", "code"),
    [
        (HISTORICAL[:7], "430200D156"),
        (b"", "430200D156"),
        (HISTORICAL, ""),
        (HISTORICAL, "43020"),
        (HISTORICAL, "43020AD156"),
        (HISTORICAL, "４３０２００"),
    ],
)
def test_without_them_there_is_no_key(historical_bytes: bytes, code: str) -> None:
    with pytest.raises(CardGarbledError):
        DiversificationFactors.of(historical_bytes, code)
