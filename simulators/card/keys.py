"""The keys of a software card: sub-keys of the published test roots, by place and version."""

from __future__ import annotations

from collections.abc import Iterable

from cardio.filesystem.layouts.model import Key
from simulators.card.quirks import CardQuirks
from simulators.crypto.card_crypto import card_key
from simulators.crypto.published_keys import root_key

_AUTHENTICATING = ("UK", "RK", "LK", "BK", "PUK")
_MAINTAINING = "STK"
_PROVING = "IRK"
_ROOT_OF_NO_ISSUER = b"FORGED.........."


class SoftwareCardKeys:
    """All keys of one card."""

    def __init__(
        self, keys: Iterable[Key], algorithm: str, historical_bytes: bytes, city_code: str, quirks: CardQuirks
    ) -> None:
        """Prepare the keys.

        Args:
            keys: the keys of the card's layout.
            algorithm: the card's algorithm.
            historical_bytes: the historical bytes of its ATR.
            city_code: the 应用城市代码, the first six digits of the 卡识别码.
            quirks: the quirks of the card.
        """
        self.algorithm = algorithm
        self._keys = tuple(keys)
        self._historical_bytes = historical_bytes
        self._city_code = city_code
        self._versions = quirks.key_versions
        self._forged = quirks.forged
        self._values: dict[tuple[str, int], bytes] = {}

    @property
    def usable(self) -> bool:
        """Return True if the algorithm is published; SSF33 is not, so a card with it can compute nothing."""
        return self.algorithm in ("3DES", "SM4")

    def authenticating(self, application: str, key_id: int) -> Key | None:
        """Return the key that EXTERNAL AUTHENTICATION names.

        IRK, STK and the transaction keys are for other commands.
        """
        return next(
            (key for key in self._of(application) if key.id == key_id and key.name.startswith(_AUTHENTICATING)), None
        )

    def maintaining(self, application: str) -> Key | None:
        """Return the key of MACs in an application."""
        return next((key for key in self._of(application) if key.name.startswith(_MAINTAINING)), None)

    def proving(self, application: str) -> Key | None:
        """Return the key by which the card proves itself."""
        return next((key for key in self._of(application) if key.name == _PROVING), None)

    def named(self, names: Iterable[str], key_id: int | None = None) -> Key | None:
        """Return the first key of these names, and of this id if one is given."""
        wanted = tuple(names)
        return next((key for key in self._keys if key.name in wanted and key_id in (None, key.id)), None)

    def lowest(self, key: Key) -> tuple[int, bytes]:
        """Return the lowest version group of a key that the card holds, and the sub-key."""
        version = min(self._held(key))
        value = self.value(key, version)
        if value is None:
            raise LookupError(key.name)
        return version, value

    def value(self, key: Key, version: int | None = None) -> bytes | None:
        """Return a sub-key, by default that of the lowest group that the card holds; None if the card has none."""
        held = self._held(key)
        if version is None:
            version = min(held)
        if version not in held:
            return None
        found = self._values.get((key.name, version))
        if found is None:
            root = root_key(key.name, self.algorithm, key.length, version)
            if self._forged:
                root = _ROOT_OF_NO_ISSUER[: len(root)]
            found = card_key(self.algorithm, root, self._historical_bytes, self._city_code)
            self._values[key.name, version] = found
        return found

    def _held(self, key: Key) -> set[int]:
        """Return the groups that the card holds; a key that exists in one group only is on every card."""
        return {group for group in self._versions if 1 <= group <= key.versions} or {1}

    def _of(self, application: str) -> Iterable[Key]:
        return (key for key in self._keys if key.application == application)
