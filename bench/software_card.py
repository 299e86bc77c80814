"""READ RECORD a second of the in-process software card, against the target of 100,000."""

from __future__ import annotations

import statistics
import time

from simulators.personas.persona import find_persona

TARGET = 100_000
_ROUNDS, _COMMANDS = 9, 40_000


def main() -> None:
    card = find_persona("adult").card()
    card.transmit(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
    for name, command in (("by number", "00B2023420"), ("by tag", "00B2093020"), ("all at once", "00B201355B")):
        raw = bytes.fromhex(command)
        assert card.transmit(raw)[-2:] == b"\x90\x00"
        rates = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            for _ in range(_COMMANDS):
                card.transmit(raw)
            rates.append(_COMMANDS / (time.perf_counter() - started))
        rate = statistics.median(rates)
        print(f"READ RECORD {name:12} {rate:12,.0f} a second   {rate / TARGET:6.2f} of the target")
