"""The capabilities of card families: what the cards of a family allow, learnt once and kept on disk.

A family is the chip, operating system and card maker that the ATR names. What its cards allow (addressing, length of
answers) is kept by family. The issuer decides which records are on a card. So the records are kept by issuer within the
family, and trusted for one day: one odd card must not stand for its issuer for long. The file contains no personal
data, and may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from contextlib import suppress
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer, ValidationError

from cardio.apdu.atr import Atr
from cardio.apdu.commands import RecordMode
from cardio.config.paths import home_folder
from cardio.config.private_file import make_folder
from cardio.errors import CardGarbledError
from cardio.filesystem.reading.unfinished import UnfinishedReadings

_HISTORICAL_BYTES_OF_FAMILY = 7
_MOST_FAMILIES = 500
_VERSION = 1
_BELIEVED = timedelta(days=30)

Algorithm = Literal["3DES", "SSF33", "SM4"]
RecordShape = tuple[tuple[Annotated[int, Field(ge=1, le=0xFE)], Annotated[int, Field(ge=0, le=0xFD)]], ...]
"""The tag and value length of each record of a file, in record order."""
Paths = Annotated[set[str], PlainSerializer(sorted)]
"""Paths of files, serialised in sorted order: equal sets must not look like something newly learnt."""


class Reference(StrEnum):
    """The ways to name a file to the card."""

    SFI = "sfi"
    SELECT_P1_02 = "select-02"
    SELECT_P1_00 = "select-00"

    @property
    def select_p1(self) -> int | None:
        return {Reference.SELECT_P1_02: 0x02, Reference.SELECT_P1_00: 0x00}.get(self)


class EnvironmentWay(StrEnum):
    """The ways to reach the social security environment, in the order in which they are tried."""

    NAME = "name"
    NAME_WITHOUT_LE = "name-without-le"
    """The form that cards behind some T=1 readers need."""
    FILE_ID = "file-id"
    CURRENT = "current"
    """The environment is current when the card is powered, and no command selects it."""
    ROOT_FILE_ID = "root-file-id"
    """Selection by its file id, after the root (3F00)."""
    ROOT = "root"
    """The root is the environment: old cards of Shanghai."""


class Addressing(StrEnum):
    """The ways to request a file's records."""

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


class AccessMethod(BaseModel, frozen=True):
    """One way to read a file."""

    reference: Reference
    addressing: Addressing


METHODS_BY_COST: tuple[AccessMethod, ...] = (
    *(AccessMethod(reference=reference, addressing=Addressing.ALL) for reference in Reference),
    *(
        AccessMethod(reference=reference, addressing=addressing)
        for reference in Reference
        for addressing in (Addressing.NUMBER, Addressing.IDENTIFIER)
    ),
)
"""All ways to read a file, fewest commands first."""


class IssuerProfile(BaseModel):
    """The records and files that the cards of one issuer have."""

    shapes: dict[str, RecordShape] = Field(default_factory=dict)
    closed: Paths = Field(default_factory=set)
    """Files that the layout closes, and that were found closed."""
    absent: Paths = Field(default_factory=set)


class FamilyCapabilities(BaseModel):
    """The capabilities of the cards of one family."""

    learnt_on: date | None = None
    environment: EnvironmentWay = EnvironmentWay.NAME
    """The way that led to the social security environment."""
    files: dict[str, AccessMethod] = Field(default_factory=dict)
    applications: dict[str, Literal[0x00, 0x01, 0x02, 0x04]] = Field(default_factory=dict)
    """The P1 with which SELECT reaches an application (DF)."""
    cuts: bool | None = None
    """True if cards cut an answer at a length that is too short, instead of refusing it; None where none
    was tried yet.
    """
    block: Annotated[int, Field(ge=1, le=256)] = 256
    """The number of bytes of a transparent file that cards give in one answer."""
    algorithms: dict[int, Algorithm] = Field(default_factory=dict)
    """The algorithm that the FCI of today's first card named, by generation. A caller that must be sure asks the card
    itself.
    """
    issuer_shapes: dict[str, RecordShape] = Field(default_factory=dict)
    """Record shapes of the files that are read before the issuer is known."""
    issuers: dict[str, IssuerProfile] = Field(default_factory=dict)
    issuers_on: date | None = None
    """The day on which algorithms, shapes and the issuers' profiles were learnt."""

    def issuer(self, number: str | None, version: str | None) -> IssuerProfile:
        """Return the profile of an issuer's cards of one version; a new one if it is not known."""
        return self.issuers.setdefault(f"{number or '-'}/{version or '-'}", IssuerProfile())

    def without_expired(self, today: date) -> FamilyCapabilities:
        """Return the part that is still trusted: an issuer for one day, a way of asking for 30 days. The rest is learnt
        again.
        """
        if self.learnt_on is None or not timedelta(0) <= today - self.learnt_on <= _BELIEVED:
            return FamilyCapabilities(learnt_on=today, issuers_on=today)
        if self.issuers_on != today:
            return self.model_copy(update={"algorithms": {}, "issuer_shapes": {}, "issuers": {}, "issuers_on": today})
        return self


def family_of(atr: bytes) -> str:
    """Return the family of a card: its ATR up to the seventh historical byte, in hex. It contains no serial number."""
    try:
        parsed = Atr.from_bytes(atr)
    except CardGarbledError:
        return atr[:_HISTORICAL_BYTES_OF_FAMILY].hex().upper()
    end = atr.rfind(parsed.historical_bytes) if parsed.historical_bytes else len(atr)
    return (atr[:end] + parsed.historical_bytes[:_HISTORICAL_BYTES_OF_FAMILY]).hex().upper()


class CapabilityCache:
    """The file of learnt capabilities. Its content stays in memory until the file changes."""

    def __init__(self, path: Path | None) -> None:
        """Set up without reading the file.

        Args:
            path: the file; None keeps nothing.
        """
        self.path = path
        self._families: dict[str, str] = {}
        """Each family's capabilities as unparsed JSON: one damaged family must not spoil the others."""
        self._seen: tuple[int, int] | None = None
        """The time and size of the file that `_families` was read from."""
        self._lock = threading.Lock()
        self.unfinished = UnfinishedReadings()
        """Readings that ran out of time. They are in memory only, never in the file."""

    @classmethod
    def in_cache(cls, *, simulated: bool = False) -> CapabilityCache:
        """Return the store in the user's cache directory (``$XDG_CACHE_HOME``, else ``~/.cache``).

        Args:
            simulated: the store of cards in simulated readers. They have the ATRs of real families, and what they teach
                must not decide how a real card is read.
        """
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache")
        return cls(cache / "cardio" / ("simulated-manners.json" if simulated else "manners.json"))

    def load(self, family: str, today: date) -> FamilyCapabilities:
        """Return the known capabilities of a family; empty ones where the file is missing, damaged or old."""
        with self._lock:
            self._refresh()
            known = self._families.get(family, "{}")
        try:
            capabilities = FamilyCapabilities.model_validate_json(known)
        except ValidationError:
            capabilities = FamilyCapabilities()
        return capabilities.without_expired(today)

    def save(self, family: str, capabilities: FamilyCapabilities) -> None:
        """Save what was learnt. If the disk cannot be written, the next reading only costs a few more commands."""
        learnt = capabilities.model_dump_json()
        with self._lock:
            if self.path is None or self._families.get(family) == learnt:
                return
            self._refresh()
            self._families.pop(family, None)
            self._families[family] = learnt
            self._families = dict(list(self._families.items())[-_MOST_FAMILIES:])
            with suppress(OSError):
                self._write(self.path)

    def _write(self, path: Path) -> None:
        families = ",".join(f"{json.dumps(name)}:{capabilities}" for name, capabilities in self._families.items())
        make_folder(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manners-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(f'{{"version":{_VERSION},"families":{{{families}}}}}')
            os.replace(temporary, path)
            about = path.stat()
            self._seen = about.st_mtime_ns, about.st_size
        except OSError:
            os.unlink(temporary)
            raise

    def _refresh(self) -> None:
        """Read the file again if it has changed."""
        try:
            about = self.path.stat() if self.path is not None else None
            seen = (about.st_mtime_ns, about.st_size) if about is not None else None
            if seen is None or seen == self._seen or self.path is None:
                return
            document = json.loads(self.path.read_bytes())
            if not isinstance(document, dict) or document.get("version") != _VERSION:
                raise ValueError("not a file of capabilities")
            families = document["families"].items()
            self._families = {
                str(name): json.dumps(capabilities, separators=(",", ":")) for name, capabilities in families
            }
            self._seen = seen
        except (OSError, ValueError, KeyError, AttributeError):
            self._families, self._seen = {}, None
