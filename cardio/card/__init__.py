"""The card as an object: read it, verify its PIN, write to it, hold it over several calls.

Example:
    >>> from cardio.card import on_card
    >>> from simulators.personas.persona import find_persona
    >>> from simulators.readers.software_reader import SoftwareReader
    >>> reader = SoftwareReader("Counter 1", find_persona("adult").card())
    >>> on_card(reader, lambda card: card.file("SSSE/EF06").records[0].items[0].label)
    '社会保障号码'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.card.runner import on_card as on_card
    from cardio.card.runner import read_card as read_card
    from cardio.card.session import CardSession as CardSession
    from cardio.card.social_security_card import SocialSecurityCard as SocialSecurityCard

_HOMES = {
    "CardSession": "session",
    "SocialSecurityCard": "social_security_card",
    "on_card": "runner",
    "read_card": "runner",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
