"""The measurements, one after another: ``make bench``, or ``python -m bench counts`` for one of them."""

from __future__ import annotations

import sys

from bench import (
    audit,
    bridge,
    card_proof,
    closed_card,
    counts,
    debit_record,
    events,
    journal,
    loss_list,
    pcsc,
    peer,
    same_card,
    software_card,
    start,
    whole_card,
)

_MEASUREMENTS = {
    "start": start,
    "counts": counts,
    "whole-card": whole_card,
    "software-card": software_card,
    "pcsc": pcsc,
    "peer": peer,
    "same-card": same_card,
    "card-proof": card_proof,
    "debit-record": debit_record,
    "closed-card": closed_card,
    "events": events,
    "bridge": bridge,
    "audit": audit,
    "loss-list": loss_list,
    "journal": journal,
}


def main() -> None:
    for name in sys.argv[1:] or list(_MEASUREMENTS):
        print(f"\n== {name}: {(_MEASUREMENTS[name].__doc__ or '').splitlines()[0]}")
        _MEASUREMENTS[name].main()


main()
