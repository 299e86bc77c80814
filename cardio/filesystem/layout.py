"""Layouts: what is on a card, as data. One TOML file per generation; `layout_file` loads them.

A layout has applications (DF), an application has files (EF), a file has items, an item may have items
of its own (B-TLV). Parsers, reading plans, the software card's files and the documents are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict

from cardio.filesystem.access import AccessCondition

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _from_hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _number_from_hex(value: Any) -> Any:
    return int(value, 16) if isinstance(value, str) else value


def _condition(value: Any) -> Any:
    return AccessCondition.parse(value) if isinstance(value, str) else value


HexBytes = Annotated[bytes, BeforeValidator(_from_hex)]
HexNumber = Annotated[int, BeforeValidator(_number_from_hex)]
Condition = Annotated[AccessCondition, BeforeValidator(_condition)]


class Format(StrEnum):
    """How a value is written on the card (社会保障卡文件结构和数据项 V2.0, table 9)."""

    AN = "an"
    """Text: GB18030, left-aligned, filled with 00."""
    CN = "cn"
    """Packed decimal digits, left-aligned, filled with hex F."""
    B = "b"
    """Bytes."""
    B_TLV = "b-tlv"
    """A chain of TLV items."""


class Kind(StrEnum):
    """What a value means."""

    TEXT = "text"
    DIGITS = "digits"
    DATE = "date"
    HEX = "hex"
    CODE = "code"
    AMOUNT = "amount"
    """Money, an integer in fen (分)."""
    NUMBER = "number"
    ITEMS = "items"


class Structure(StrEnum):
    VARIABLE = "variable"
    """变长记录: one TLV record an item."""
    CYCLIC = "cyclic"
    """循环: equal records without tags, number 1 the newest."""
    FIXED = "fixed"
    """定长记录: equal records."""
    TRANSPARENT = "transparent"
    """透明: plain bytes."""
    INTERNAL = "internal"
    """Kept by the card itself; no command reads it as a file."""


class Confidence(StrEnum):
    """How well a fact is known."""

    SPECIFICATION = "S"
    SEVERAL_SOURCES = "M"
    ONE_SOURCE = "1"
    INFERRED = "I"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One data item."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    label: str
    label_en: str
    format: Format
    length: int
    """Bytes of the value as the specification defines it."""
    kind: Kind
    tag: HexNumber | None = None
    """None in records without tags (cyclic files)."""
    codes: str | None = None
    """The code table of a code."""
    repeat: int = 1
    items: tuple[Item, ...] = ()
    optional: bool = False
    """Some issuers leave it out."""
    extends: str | None = None
    """This item goes on where the named one ends (姓名扩展 after 姓名)."""
    cut: bool = False
    """Cards write more than the defined length; only that many bytes count."""
    revised: Item | None = None
    """What a 1.0 card means when the value ends in EE (V2.0 appendix C)."""
    revised_with: str | None = None
    """The item has its revised meaning when the named item has."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None

    @property
    def record_length(self) -> int:
        """Bytes of the record: tag, length and value."""
        return 2 + self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One elementary file (EF)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: str
    """Application and file, as people write it: ``SSSE/EF05``."""
    title: str
    title_en: str
    structure: Structure
    read: Condition
    update: Condition
    use: str = "in use"
    """``in use`` (启用), ``defined`` (预设) or ``reserved`` (预留)."""
    items: tuple[Item, ...] = ()
    records: int | None = None
    """The least number of records of a cyclic or fixed file."""
    size: int | None = None
    """Bytes of a transparent file."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None

    @property
    def file_id(self) -> int:
        return int(self.path.rpartition("/")[2], 16)

    @property
    def sfi(self) -> int:
        """The short file identifier: the low byte of the file id, as written (EF15 has 15 hex)."""
        return self.file_id & 0xFF

    @property
    def application(self) -> str:
        return self.path.partition("/")[0]

    @property
    def record_shape(self) -> tuple[tuple[int, int], ...]:
        """Tag and value length of each record of a variable-length file, in record order."""
        return tuple((item.tag, item.length) for item in self.items if item.tag is not None for _ in range(item.repeat))

    def item(self, tag: int) -> Item | None:
        return next((item for item in self.items if item.tag == tag), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One dedicated file (DF): an application or an environment."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: str
    title: str
    title_en: str
    file_id: HexNumber
    name: HexBytes | None = None
    """The name that SELECT takes (AID)."""
    label: str | None = None
    """应用标签."""
    directory_sfi: HexNumber | None = None
    """What the FCI gives as the SFI of the directory file."""
    files: tuple[File, ...] = ()
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key on the card, by name: where it is, never what it is."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    title: str
    id: HexNumber
    length: int
    versions: int
    application: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that is known of one generation of cards."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    generation: int
    title: str
    title_en: str
    source: str
    algorithm: Literal["3DES", "SSF33", "SM4"]
    """What cards of this generation use when they do not say."""
    applications: tuple[Application, ...]
    algorithm_markers: dict[str, Literal["3DES", "SSF33", "SM4"]] = field(default_factory=dict)
    """What the marker in the FCI of the environment stands for, by two hex digits."""
    keys: tuple[Key, ...] = ()
    note: str | None = None
    origin: str = field(default="", compare=False)
    """The file it was loaded from."""

    @property
    def environment(self) -> Application:
        """The social security environment (SSSE): the application that is selected first."""
        return self.applications[0]

    def application(self, application_id: str) -> Application:
        return next(application for application in self.applications if application.id == application_id)

    def files(self) -> Iterator[File]:
        for application in self.applications:
            yield from application.files

    def file(self, path: str) -> File | None:
        return next((file for file in self.files() if file.path == path), None)
