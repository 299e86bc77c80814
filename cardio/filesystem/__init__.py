"""The card's file system: addresses, layouts of three generations, and the learnt capabilities of card families.

Example:
    >>> from cardio.filesystem import Address
    >>> [part.file for part in Address.parse("SSSEEF05|01|07|$DF03EF19|$").parts]
    ['SSSE/EF05', 'DF03/EF19']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.filesystem.address import Address as Address
    from cardio.filesystem.capabilities import CapabilityCache as CapabilityCache
    from cardio.filesystem.card_file_system import CardFileSystem as CardFileSystem
    from cardio.filesystem.layouts.model import File as File
    from cardio.filesystem.layouts.model import Item as Item
    from cardio.filesystem.layouts.model import Layout as Layout
    from cardio.filesystem.layouts.registry import LayoutChoice as LayoutChoice

_HOMES = {
    "Address": "address",
    "CapabilityCache": "capabilities",
    "CardFileSystem": "card_file_system",
    "File": "layouts.model",
    "Item": "layouts.model",
    "Layout": "layouts.model",
    "LayoutChoice": "layouts.registry",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
