"""Commands and bytes of a basic reading: ours, the naive sequence, the least possible; and their time on the wire.

Times are arithmetic (T=0, 12 etu a character, 3.57 MHz); they exclude the computing time of card and reader.
"""

from __future__ import annotations

from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.command import CommandApdu
from cardio.apdu.timing import t0_characters, t0_seconds
from cardio.filesystem.basic_read import read_card
from cardio.filesystem.capabilities import FamilyCapabilities
from simulators.personas.persona import Persona, find_persona

_SELECT = bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF00")
_RECORDS = ((18, 3, 6, 14, 6, 6, 11), (20, 32, 22, 3, 3, 5, 6))


class _InProcess:
    protocol = TransmissionProtocol.T0

    def __init__(self, persona: Persona) -> None:
        self.transmit = persona.card().transmit


def _ours(persona: Persona) -> Counts:
    capabilities = FamilyCapabilities()
    Channel(_InProcess(persona)).run(read_card(capabilities))
    channel = Channel(_InProcess(persona))
    channel.run(read_card(capabilities, supplement=False))
    return channel.counts


def _naive(persona: Persona) -> Counts:
    channel = Channel(_InProcess(persona))
    channel.transmit(CommandApdu.from_bytes(_SELECT))
    for file_id in ("EF05", "EF06"):
        channel.transmit(CommandApdu.from_bytes(bytes.fromhex("00A4000002" + file_id)))
        for number in range(1, 8):
            channel.transmit(CommandApdu(0x00, 0xB2, number, 0x04, expected_length=256))
    return channel.counts


def _least(records_at_once: bool, selected: bool) -> Counts:
    """Return the least possible by arithmetic: SELECT by name, and each record or file once with the right length."""
    exchanges = [(15, 0)]
    for records in _RECORDS:
        exchanges += [(2, 0)] if selected else []
        exchanges += [(0, sum(records))] if records_at_once else [(0, length) for length in records]
    return Counts(len(exchanges), sum(t0_characters(out, back) for out, back in exchanges), 0)


def main() -> None:
    adult = find_persona("adult")
    by_number = adult.quirks.model_copy(update={"record_modes": frozenset({0, 4})})
    selected = by_number.model_copy(update={"sfi": False})
    rows = [("naive (61xx, 6Cxx, SELECT EF)", _naive(adult), _least(True, False))]
    rows += [("ours, all records at once", _ours(adult), _least(True, False))]
    rows += [("ours, by SFI", _ours(adult.model_copy(update={"quirks": by_number})), _least(False, False))]
    rows += [("ours, files selected", _ours(adult.model_copy(update={"quirks": selected})), _least(False, True))]
    print(f"{'':32}{'commands':>9}{'chars':>7}{'9600 baud':>11}{'TA1=95':>9}{'of least':>10}{'of naive':>10}")
    naive = rows[0][1].characters
    for name, counts, least in rows:
        slow, fast = (t0_seconds(counts.characters, ta1) * 1000 for ta1 in (0x11, 0x95))
        print(
            f"{name:32}{counts.commands:9}{counts.characters:7}{slow:8.0f} ms{fast:6.1f} ms"
            f"{counts.characters / least.characters:10.2f}{counts.characters / naive:10.2f}"
        )
