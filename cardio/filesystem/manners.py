"""Manners: what a family of cards allows, learnt once and kept on disk.

A family is the chip, operating system and card maker that the ATR names. What its cards allow (addressing,
length of answers) is kept by family. Which records are really there is the issuer's doing, so that is kept
by issuer within the family, and believed for a day: one odd card must not speak for its issuer for ever.
Nothing here is about a person, and the file may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from cardio.apdu.atr import Atr
from cardio.apdu.commands import RecordMode
from cardio.errors import CardGarbledError

_HISTORICAL_BYTES_OF_FAMILY = 7
_MOST_FAMILIES = 500
_BELIEVED = timedelta(days=30)

Algorithm = Literal["3DES", "SSF33", "SM4"]
Shape = tuple[tuple[Annotated[int, Field(ge=1, le=0xFE)], Annotated[int, Field(ge=0, le=0xFD)]], ...]
"""Tag and value length of each record of a file, in record order."""


class Reference(StrEnum):
    """How a file is named to the card."""

    SFI = "sfi"
    SELECT_P1_02 = "select-02"
    SELECT_P1_00 = "select-00"

    @property
    def select_p1(self) -> int | None:
        return {Reference.SELECT_P1_02: 0x02, Reference.SELECT_P1_00: 0x00}.get(self)


class Addressing(StrEnum):
    """How its records are asked for."""

    ALL = "all"
    NUMBER = "number"
    IDENTIFIER = "identifier"

    @property
    def mode(self) -> RecordMode:
        return {
            Addressing.ALL: RecordMode.ALL_FROM_NUMBER,
            Addressing.NUMBER: RecordMode.BY_NUMBER,
            Addressing.IDENTIFIER: RecordMode.BY_IDENTIFIER,
        }[self]


class Manner(BaseModel, frozen=True):
    """One way to read a file."""

    reference: Reference
    addressing: Addressing


def manners_by_cost() -> Iterator[Manner]:
    """All ways to read a file, the fewest commands first."""
    for reference in Reference:
        yield Manner(reference=reference, addressing=Addressing.ALL)
    for reference in Reference:
        yield Manner(reference=reference, addressing=Addressing.NUMBER)
        yield Manner(reference=reference, addressing=Addressing.IDENTIFIER)


class IssuerProfile(BaseModel):
    """What the cards of one issuer hold."""

    shapes: dict[str, Shape] = {}
    closed: set[str] = set()
    """Files that the layout closes, and that were closed indeed."""
    absent: set[str] = set()


class FamilyManners(BaseModel):
    """What the cards of one family allow."""

    learnt_on: date | None = None
    files: dict[str, Manner] = {}
    applications: dict[str, Literal[0x00, 0x01, 0x02, 0x04]] = {}
    """P1 with which SELECT reaches an application (DF)."""
    algorithms: dict[int, Algorithm] = {}
    """What the FCI of today's first card named, by generation. Who needs to be sure asks the card itself."""
    issuer_shapes: dict[str, Shape] = {}
    """Shapes of files that are read before the issuer is known."""
    issuers: dict[str, IssuerProfile] = {}
    issuers_on: date | None = None
    """The day on which algorithms, shapes and the issuers' profiles were learnt."""

    def issuer(self, number: str | None, version: str | None) -> IssuerProfile:
        """The profile of an issuer's cards of one version; a new one where it is not known."""
        return self.issuers.setdefault(f"{number or '-'}/{version or '-'}", IssuerProfile())

    def without_what_is_old(self, today: date) -> FamilyManners:
        """What may still be believed: an issuer for a day, a way to ask for a month, then it is learnt afresh."""
        if self.learnt_on is None or not timedelta(0) <= today - self.learnt_on <= _BELIEVED:
            return FamilyManners(learnt_on=today, issuers_on=today)
        if self.issuers_on != today:
            return self.model_copy(update={"algorithms": {}, "issuer_shapes": {}, "issuers": {}, "issuers_on": today})
        return self


def family_of(atr: bytes) -> str:
    """The family of a card: its ATR up to the seventh historical byte, hex; no serial number is in it."""
    try:
        parsed = Atr.from_bytes(atr)
    except CardGarbledError:
        return atr[:_HISTORICAL_BYTES_OF_FAMILY].hex().upper()
    end = atr.rfind(parsed.historical_bytes) if parsed.historical_bytes else len(atr)
    return (atr[:end] + parsed.historical_bytes[:_HISTORICAL_BYTES_OF_FAMILY]).hex().upper()


class _File(BaseModel):
    version: Literal[1] = 1
    families: dict[str, dict[str, Any]] = {}
    """Not looked into: one damaged family must not spoil the others."""


@dataclass(frozen=True, slots=True)
class MannersStore:
    """The file of learnt manners. ``path`` None keeps nothing."""

    path: Path | None

    @classmethod
    def in_cache(cls) -> MannersStore:
        """The store in the user's cache directory (``$XDG_CACHE_HOME``, else ``~/.cache``)."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(cache / "cardio" / "manners.json")

    def load(self, family: str, today: date) -> FamilyManners:
        """What is known of a family; nothing where the file is missing, damaged or old."""
        try:
            manners = FamilyManners.model_validate(self._read().families.get(family, {}))
        except ValidationError:
            manners = FamilyManners()
        return manners.without_what_is_old(today)

    def save(self, family: str, manners: FamilyManners) -> None:
        """Keeps what was learnt. A disk that cannot be written only costs a few commands next time."""
        if self.path is None:
            return
        families = self._read().families
        learnt = manners.model_dump(mode="json")
        if families.pop(family, None) == learnt:
            return
        families[family] = learnt
        kept = dict(list(families.items())[-_MOST_FAMILIES:])
        with suppress(OSError):
            self._write(json.dumps({"version": 1, "families": kept}))

    def _write(self, text: str) -> None:
        assert self.path is not None  # noqa: S101 - narrows a type: save() has asked
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".manners-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(temporary, self.path)
        except OSError:
            os.unlink(temporary)
            raise

    def _read(self) -> _File:
        if self.path is None:
            return _File()
        try:
            return _File.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return _File()
