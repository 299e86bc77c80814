"""cardio: read China's social security card (社会保障卡).

Each name below is imported when it is first used, so that ``import cardio`` and ``cardio --help`` start fast. The same
holds for every package (`cardio.apdu`, `cardio.card`, …). The names in a package's ``__all__`` are public; all others
may change.

Example:
    >>> from cardio import read_card
    >>> from simulators.personas.persona import find_persona
    >>> from simulators.readers.software_reader import SoftwareReader
    >>> reader = SoftwareReader("Counter 1", find_persona("adult").card())
    >>> reading = read_card(reader)
    >>> reading.holder.name, reading.card.generation, reading.proof.outcome
    ('测试甲', 2, 'not-asked')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.card.runner import on_card as on_card
    from cardio.card.runner import read_card as read_card
    from cardio.card.social_security_card import SocialSecurityCard as SocialSecurityCard
    from cardio.errors import CardioError as CardioError
    from cardio.filesystem.address import Address as Address
    from cardio.models.reading import CardReading as CardReading
    from cardio.readers.pcsc import PcscSource as PcscSource


_HOMES = {
    "Address": "filesystem.address",
    "CardReading": "models.reading",
    "CardioError": "errors",
    "PcscSource": "readers.pcsc",
    "SocialSecurityCard": "card.social_security_card",
    "on_card": "card.runner",
    "read_card": "card.runner",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
