"""cardio: read China's social security card (社会保障卡).

The names below are the public face; each is imported when it is first used, so that ``import cardio``
and ``cardio --help`` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardio.card.runner import on_card as on_card
    from cardio.card.runner import read_card as read_card
    from cardio.card.social_security_card import SocialSecurityCard as SocialSecurityCard
    from cardio.errors import CardioError as CardioError
    from cardio.filesystem.address import Address as Address
    from cardio.models.reading import CardReading as CardReading
    from cardio.readers.pcsc import PcscSource as PcscSource

_HOME = {
    "Address": "cardio.filesystem.address",
    "CardReading": "cardio.models.reading",
    "CardioError": "cardio.errors",
    "PcscSource": "cardio.readers.pcsc",
    "SocialSecurityCard": "cardio.card.social_security_card",
    "on_card": "cardio.card.runner",
    "read_card": "cardio.card.runner",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'cardio' has no attribute {name!r}")
