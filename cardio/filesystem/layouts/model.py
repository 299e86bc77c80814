"""Layouts: what is on a card, as data. One TOML file per generation; `layout_file` loads them.

A layout has applications (DF), an application has files (EF), a file has items, an item may have items
of its own (B-TLV). Parsers, reading plans, the software card's files and the documents are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictInt

from cardio.errors import NoSuchFileError
from cardio.filesystem.codes.tables import CodeTable, code_table
from cardio.filesystem.layouts.access import AccessCondition

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _from_hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _number_from_hex(value: Any) -> Any:
    """One byte or two, upper case: the one way to write a tag or an id."""
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9A-F]{2}){1,2}", value, re.ASCII):
        raise ValueError("two or four hex digits, upper case, in quotes")
    return int(value, 16)


def _condition(value: Any) -> Any:
    return AccessCondition.parse(value) if isinstance(value, str) else value


HexBytes = Annotated[bytes, BeforeValidator(_from_hex)]
HexNumber = Annotated[int, BeforeValidator(_number_from_hex)]
Length = Annotated[StrictInt, Field(ge=0, le=0x7FFF)]
Count = Annotated[StrictInt, Field(ge=1, le=254)]
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
    """A chain of TLV items; the last may be followed by fill."""


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
    TIME = "time"
    """Day and time, YYYYMMDDhhmmss."""
    MONTH = "month"
    """YYYYMM."""
    ITEMS = "items"
    """Items inside: a chain of TLV items, or parts that stand side by side."""


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
class Variant:
    """The form that another source gives an item; a value of that length is read so."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    format: Format
    length: Length
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One data item."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    label: str
    label_en: str
    format: Format
    length: Length = 0
    """Bytes of the value as the specification defines it; 0 where no source tells."""
    kind: Kind
    tag: HexNumber | None = None
    """None in records without tags (cyclic files)."""
    codes: str | None = None
    """The code table of a code."""
    repeat: Count = 1
    """How often it stands in the file."""
    items: tuple[Item, ...] = ()
    """With tags: a chain of TLV items (B-TLV). Without: parts that stand side by side."""
    topic: str | None = None
    """What it tells of, where that is not the topic of its file (`Layout.topics`)."""
    summed_by: str | None = None
    """Its values are summed up over the records, one sum for each code of the named item beside it."""
    unit: Literal["months"] | None = None
    """What a number counts."""
    check: Literal["GB 11643", "GB 11714", "V2.0 appendix A"] | None = None
    """The rule that its check digit follows."""
    fixed: tuple[Length, HexBytes] | None = None
    """Bytes that are the same on every card, and where they begin."""
    past: bool = False
    """A date that cannot lie in the future."""
    not_before: str | None = None
    """The date beside it that it may not come before."""
    variants: tuple[Variant, ...] = ()
    alternative: str | None = None
    """The other place where it may stand, as ``DF03/EF05``; it stands in one of the two."""
    stray: bool = False
    """It does not belong here, and yet some issuers write it: read where it is found, never missed."""
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
    def lengths(self) -> frozenset[int]:
        """The lengths that sources give it."""
        return frozenset((self.length, *(variant.length for variant in self.variants)))

    @property
    def expected(self) -> bool:
        """Every issuer must write it, here and nowhere else."""
        return not (self.optional or self.stray or self.alternative)

    @property
    def record_length(self) -> int:
        """Bytes of the item where it stands: tag, length and value; a part has only its value."""
        return self.length if self.tag is None else 2 + self.length


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
    use: Literal["in use", "defined", "reserved"] = "in use"
    """启用, 预设, 预留."""
    items: tuple[Item, ...] = ()
    records: Count | None = None
    """The least number of records of a cyclic or fixed file."""
    record_titles: tuple[str, ...] = ()
    """What each record of a fixed file is about, in order."""
    size: Length | None = None
    """Bytes of a transparent file."""
    other_sizes: tuple[Length, ...] = ()
    """Sizes that other sources give."""
    content: Literal["photo", "fingerprint", "debits", "data"] = "data"
    """What a transparent file holds."""
    topic: str | None = None
    """What its items tell of (`Layout.topics`)."""
    any_order: bool = False
    """Sources give its records in different orders."""
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
        """Tag and value length of each record that has a tag, in record order."""
        times = self.records or 1
        own = [item for item in self.items if item.tag is not None and not item.stray]
        return tuple((item.tag or 0, item.length) for item in own for _ in range(item.repeat * times))

    @property
    def record_size(self) -> int:
        """Bytes of each record of a cyclic or fixed file; 0 where no source tells."""
        lengths = [item.record_length for item in self.items]
        return sum(lengths) if all(lengths) else 0

    @property
    def internal(self) -> bool:
        """No command reads it."""
        return self.structure is Structure.INTERNAL

    @property
    def has_tags(self) -> bool:
        """Its records begin with a tag (变长, and the 定长 of V2.0); the others are told apart by number."""
        return any(item.tag is not None for item in self.items)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(sorted({self.size or 0, *self.other_sizes}))

    def repeats(self, item: Item) -> int:
        """Return how often an item may stand in the file."""
        return item.repeat * (self.records or 1)

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
    advisory: bool = False
    """The specification only advises it (V2.0 appendix B)."""
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
    length: Length
    versions: Count
    """How many groups of it a card may hold, one of which is in use."""
    application: str
    psam: HexNumber | None = None
    """How a PSAM card calls it: usage byte and index."""
    hsm: HexNumber | None = None
    """How an HSM calls it (密钥地址); the index follows."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Where money moves: the application that takes debits (消费), and by which keys."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    application: str
    purchase_keys: tuple[str, ...]
    """消费密钥 by name; a key's id is the index that the commands name it by."""
    transaction_key: str
    """交易认证密钥: the card's TAC is made with it, for the issuer only."""
    transaction_type: HexNumber
    """What a debit is called in MACs and in the card's details."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What some items tell of, across files: pension insurance, employment."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    title: str
    title_en: str
    report: Literal["insurance", "employment"]
    """The answer that it is part of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that is known of one generation of cards, and of a region's where it extends one."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    generation: int
    title: str
    title_en: str
    source: str
    algorithm: Literal["3DES", "SSF33", "SM4"]
    """What cards of this generation use when they do not say."""
    applications: tuple[Application, ...]
    algorithms: tuple[Literal["3DES", "SSF33", "SM4"], ...] = ()
    """What cards of this generation may name; any where none is listed."""
    algorithm_markers: dict[str, Literal["3DES", "SSF33", "SM4"]] = field(default_factory=dict)
    """What the marker in the FCI of the environment stands for, by two hex digits."""
    keys: tuple[Key, ...] = ()
    proves_itself: bool = False
    """The national reading flow has the card prove that it is genuine before the holder is read."""
    topics: tuple[Topic, ...] = ()
    purse: Purse | None = None
    """None where nothing is known of debits."""
    codes: Mapping[str, CodeTable] = field(default_factory=dict)
    """A region's own code tables, by name."""
    regions: tuple[str, ...] = ()
    """The regions whose cards are so, by the first digits of their code; none for the national layout."""
    note: str | None = None
    origin: str = field(default="", compare=False)
    """The file it was loaded from."""

    @property
    def environment(self) -> Application:
        """The social security environment (SSSE): the application that is selected first."""
        return self.applications[0]

    def application(self, application_id: str) -> Application:
        return next(application for application in self.applications if application.id == application_id)

    def code_table(self, name: str) -> CodeTable:
        """A code table by name, the region's own first."""
        return self.codes.get(name) or code_table(name)

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)

    @property
    def details_file(self) -> File | None:
        """The file in which the card notes its transactions (医疗交易明细文件)."""
        return next((file for file in self.files() if file.content == "debits"), None)

    def files(self) -> Iterator[File]:
        for application in self.applications:
            yield from application.files

    def readable_files(self) -> list[File]:
        """All that a command can read."""
        return [file for file in self.files() if not file.internal]

    def file(self, path: str) -> File | None:
        return next((file for file in self.files() if file.path == path), None)

    def required_file(self, path: str) -> File:
        """A file that someone asks for.

        Raises:
            NoSuchFileError: there is none of this path, or no command reads it.
        """
        file = self.file(path)
        if file is None:
            raise NoSuchFileError(f"{self.title}没有文件 {path}", f"there is no file {path} in {self.title_en}")
        if file.internal:
            raise NoSuchFileError(
                f"{path} 由卡片内部维护，不能读取", f"{path} is kept by the card; no command reads it"
            )
        return file
