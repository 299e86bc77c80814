"""A refusal of PC/SC's policy, told apart from a service that dies or starts: pcsc-lite has one number for all three.

The policy itself is played at the edge to PC/SC: Debian's pcscd is built without polkit.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardio.errors import NotPermittedError
from cardio.readers import scard
from cardio.readers.pcsc import PcscReader, PcscSource
from tests.integration.bridge_faults import ADULT, Spoiled, signed
from tests.pcsc import Slot, wait_until

pytestmark = pytest.mark.pcsc


@pytest.mark.parametrize(
    ("function", "nothing", "asked"),
    [
        ("SCardEstablishContext", [0], PcscReader.info),
        ("SCardGetStatusChange", [[]], PcscReader.info),
        ("SCardEstablishContext", [0], lambda reader: reader.connect().close()),
        ("SCardConnect", [0, 0], lambda reader: reader.connect().close()),
        ("SCardEstablishContext", [0], lambda reader: PcscSource().readers()),
        ("SCardListReaders", [[]], lambda reader: PcscSource().readers()),
    ],
)
def test_a_refusal_counts_once_it_has_come_three_times(
    slot: Slot,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    nothing: list[object],
    asked: Callable[[PcscReader], object],
) -> None:
    """A refusal that comes twice may be the service's death and its birth; the third is the policy's."""
    slot.insert(ADULT.card())
    reader = PcscReader(slot.reader.name)
    wait_until(lambda: reader.info().atr is not None, "its card is seen")
    with monkeypatch.context() as refusing:
        spoiled = Spoiled(refusing, function, [signed(scard.W_SECURITY_VIOLATION), *nothing])
        spoiled.left = 2
        asked(reader)
        assert not spoiled.left
        spoiled.left = 3
        with pytest.raises(NotPermittedError):
            asked(reader)
