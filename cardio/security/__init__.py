"""Keys and PINs: their presentation to a card, the SAMs that compute with keys, and the proof that a card is genuine.

Example:
    >>> from cardio.security import Credentials, Pin
    >>> Credentials(pin=Pin("123456"))  # a PIN is never shown
    Credentials(...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.security.credentials import Credentials as Credentials
    from cardio.security.pin.pin import Pin as Pin
    from cardio.security.sam.base import Sam as Sam
    from cardio.security.sam.base import SamSource as SamSource
    from cardio.security.settings import SecuritySettings as SecuritySettings

_HOMES = {
    "Credentials": "credentials",
    "Pin": "pin.pin",
    "Sam": "sam.base",
    "SamSource": "sam.base",
    "SecuritySettings": "settings",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
