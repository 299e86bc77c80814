"""Readers: PC/SC, the protocols of other sources of readers, and the choice of the card that is meant.

Example:
    >>> from cardio.readers import choose_reader
    >>> from simulators.personas.persona import find_persona
    >>> from simulators.readers.software_reader import SoftwareReader
    >>> counters = [SoftwareReader(f"Counter {number}", find_persona("adult").card()) for number in (1, 2)]
    >>> choose_reader(counters, "counter 2").name
    'Counter 2'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.readers.base import Connection as Connection
    from cardio.readers.base import Reader as Reader
    from cardio.readers.base import ReaderSource as ReaderSource
    from cardio.readers.base import choose_reader as choose_reader
    from cardio.readers.card_choice import Preference as Preference
    from cardio.readers.card_choice import ReaderPolicy as ReaderPolicy
    from cardio.readers.pcsc import PcscSource as PcscSource

_HOMES = {
    "Connection": "base",
    "PcscSource": "pcsc",
    "Preference": "card_choice",
    "Reader": "base",
    "ReaderPolicy": "card_choice",
    "ReaderSource": "base",
    "choose_reader": "base",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
