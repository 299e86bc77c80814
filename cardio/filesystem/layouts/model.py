"""Layouts: the structure of a card as data. There is one TOML file per generation; `loader` reads them.

A layout has applications (DF), an application has files (EF), a file has items, an item may have items of its own
(B-TLV). Parsers, reading flows, the software card's files and the documents are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictInt

from cardio.errors import NoSuchFileError
from cardio.filesystem.codes.tables import CodeTable, code_table
from cardio.filesystem.layouts.access import AccessCondition

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def _from_hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _number_from_hex(value: Any) -> Any:
    """Parse one byte or two in upper-case hex: the only spelling of a tag or an id."""
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
    """The forms in which a value is written on the card (社会保障卡文件结构和数据项 V2.0, table 9)."""

    AN = "an"
    """Text: GB18030, left-aligned, filled with 00."""
    CN = "cn"
    """Packed decimal digits, left-aligned, filled with hex F."""
    B = "b"
    """Bytes."""
    B_TLV = "b-tlv"
    """A chain of TLV items; fill may follow the last."""


class Kind(StrEnum):
    """The meaning of a value."""

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
    """变长记录: one TLV record for each item."""
    CYCLIC = "cyclic"
    """循环: equal records without tags, number 1 the newest."""
    FIXED = "fixed"
    """定长记录: equal records."""
    TRANSPARENT = "transparent"
    """透明: plain bytes."""
    INTERNAL = "internal"
    """Kept by the card itself; no command reads it as a file."""


class Confidence(StrEnum):
    """The reliability of a fact."""

    SPECIFICATION = "S"
    SEVERAL_SOURCES = "M"
    ONE_SOURCE = "1"
    INFERRED = "I"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The form of an item in another source; a value of that length is decoded in that form."""

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
    """Bytes of the value as the specification defines it; 0 where no source gives the length."""
    kind: Kind
    tag: HexNumber | None = None
    """The tag; None in records without tags (cyclic files)."""
    codes: str | None = None
    """The name of the code table of a code."""
    repeat: Count = 1
    """The number of times that it may stand in the file."""
    items: tuple[Item, ...] = ()
    """The items inside. With tags: a chain of TLV items (B-TLV). Without: parts that stand side by side."""
    topic: str | None = None
    """The topic of the item, where it is not the topic of its file (`Layout.topics`)."""
    summed_by: str | None = None
    """The item beside it by whose codes its values are summed up over the records: one sum for each code."""
    unit: Literal["months"] | None = None
    """The unit of a number."""
    check: Literal["GB 11643", "GB 11714", "V2.0 appendix A"] | None = None
    """The rule that its check digit follows."""
    fixed: tuple[Length, HexBytes] | None = None
    """The offset and content of bytes that are the same on every card."""
    past: bool = False
    """True for a date that cannot lie in the future."""
    not_before: str | None = None
    """The name of the date beside it that it must not precede."""
    variants: tuple[Variant, ...] = ()
    alternative: str | None = None
    """The other place where it may stand, as ``DF03/EF05``; it stands in exactly one of the two."""
    stray: bool = False
    """True if it does not belong here but some issuers write it: it is read where found, and never reported missing."""
    optional: bool = False
    """True if some issuers leave it out."""
    extends: str | None = None
    """The name of the item that this one continues (姓名扩展 after 姓名)."""
    cut: bool = False
    """True if cards write more than the defined length; only that many bytes count."""
    revised: Item | None = None
    """The meaning on a 1.0 card when the value ends in EE (V2.0 appendix C)."""
    revised_with: str | None = None
    """The name of another item; this item has its revised meaning when that one has."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None

    @property
    def lengths(self) -> frozenset[int]:
        """Return the lengths that the sources give it."""
        return frozenset((self.length, *(variant.length for variant in self.variants)))

    @property
    def expected(self) -> bool:
        """Return True if every issuer must write it, here and nowhere else."""
        return not (self.optional or self.stray or self.alternative)

    @property
    def record_length(self) -> int:
        """Return the bytes of the item where it stands: tag, length and value; a part has only its value."""
        return self.length if self.tag is None else 2 + self.length


@dataclass(frozen=True, kw_only=True)
class File:
    """One elementary file (EF)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: str
    """Application and file, in the usual notation: ``SSSE/EF05``."""
    title: str
    title_en: str
    structure: Structure
    read: Condition
    update: Condition
    use: Literal["in use", "defined", "reserved"] = "in use"
    """The state of use: 启用, 预设, 预留."""
    items: tuple[Item, ...] = ()
    records: Count | None = None
    """The least number of records of a cyclic or fixed file."""
    record_titles: tuple[str, ...] = ()
    """The title of each record of a fixed file, in order."""
    size: Length | None = None
    """Bytes of a transparent file."""
    other_sizes: tuple[Length, ...] = ()
    """The sizes that other sources give."""
    content: Literal["photo", "fingerprint", "debits", "data"] = "data"
    """The kind of content of a transparent file."""
    topic: str | None = None
    """The topic of its items (`Layout.topics`)."""
    any_order: bool = False
    """True if sources give its records in different orders."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None

    @cached_property
    def file_id(self) -> int:
        return int(self.path.rpartition("/")[2], 16)

    @property
    def sfi(self) -> int:
        """Return the short file identifier: the low byte of the file id, as written (EF15 has 15 hex)."""
        return self.file_id & 0xFF

    @property
    def application(self) -> str:
        return self.path.partition("/")[0]

    @cached_property
    def record_shape(self) -> tuple[tuple[int, int], ...]:
        """Return tag and value length of each record that has a tag, in record order."""
        times = self.records or 1
        own = [item for item in self.items if item.tag is not None and not item.stray]
        return tuple((item.tag or 0, item.length) for item in own for _ in range(item.repeat * times))

    @cached_property
    def record_size(self) -> int:
        """Return the bytes of each record of a cyclic or fixed file; 0 where no source gives them."""
        lengths = [item.record_length for item in self.items]
        return sum(lengths) if all(lengths) else 0

    @property
    def internal(self) -> bool:
        """Return True if no command reads it."""
        return self.structure is Structure.INTERNAL

    @cached_property
    def has_tags(self) -> bool:
        """Return True if its records begin with a tag (变长, and the 定长 of V2.0); the others are told apart by
        number.
        """
        return any(item.tag is not None for item in self.items)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(sorted({self.size or 0, *self.other_sizes}))

    def repeats(self, item: Item) -> int:
        """Return the number of times that an item may stand in the file."""
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
    """The name that SELECT accepts (AID)."""
    label: str | None = None
    """应用标签."""
    advisory: bool = False
    """True if the specification only advises it (V2.0 appendix B)."""
    directory_sfi: HexNumber | None = None
    """The SFI of the directory file, as the FCI gives it."""
    files: tuple[File, ...] = ()
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key on the card: its name and its place, never its value."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    title: str
    id: HexNumber
    length: Length
    versions: Count
    """The number of groups of it that a card may hold; one of them is in use."""
    application: str
    psam: HexNumber | None = None
    """The key's identifier on a PSAM card: usage byte and index."""
    hsm: HexNumber | None = None
    """The key's address in an HSM (密钥地址); the index follows."""
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """The application that accepts debits (消费), and the keys that it uses."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    application: str
    purchase_keys: tuple[str, ...]
    """The names of the 消费密钥; a key's id is the index that the commands use for it."""
    transaction_key: str
    """The name of the 交易认证密钥: the card makes its TAC with it, for the issuer only."""
    transaction_type: HexNumber
    """The number that stands for a debit in MACs and in the card's details."""
    source: str | None = None
    confidence: Confidence | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The subject of some items, across files: pension insurance, employment."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    title: str
    title_en: str
    report: Literal["insurance", "employment"]
    """The report that the topic is part of."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All known facts of one generation of cards, or of a region's cards where the region extends it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    generation: int
    title: str
    title_en: str
    source: str
    algorithm: Literal["3DES", "SSF33", "SM4"]
    """The algorithm that cards of this generation use when they do not name one."""
    applications: tuple[Application, ...]
    algorithms: tuple[Literal["3DES", "SSF33", "SM4"], ...] = ()
    """The algorithms that cards of this generation may name; any if none is listed."""
    algorithm_markers: dict[str, Literal["3DES", "SSF33", "SM4"]] = field(default_factory=dict)
    """The algorithm that the marker in the environment's FCI stands for, by two hex digits."""
    keys: tuple[Key, ...] = ()
    proves_itself: bool = False
    """True if the national reading flow makes the card prove that it is genuine before the holder is read."""
    topics: tuple[Topic, ...] = ()
    purse: Purse | None = None
    """The purse; None where nothing is known of debits."""
    codes: Mapping[str, CodeTable] = field(default_factory=dict)
    """A region's own code tables, by name."""
    regions: tuple[str, ...] = ()
    """The regions of such cards, by the first digits of their code; none for the national layout."""
    note: str | None = None
    origin: str = field(default="", compare=False)
    """The file that it was loaded from."""

    @property
    def environment(self) -> Application:
        """Return the social security environment (SSSE): the application that is selected first."""
        return self.applications[0]

    def application(self, application_id: str) -> Application:
        return next(application for application in self.applications if application.id == application_id)

    def code_table(self, name: str) -> CodeTable:
        """Return a code table by name; the region's own table goes first."""
        return self.codes.get(name) or code_table(name)

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)

    @cached_property
    def details_file(self) -> File | None:
        """Return the file in which the card notes its transactions (医疗交易明细文件)."""
        return next((file for file in self.files() if file.content == "debits"), None)

    def files(self) -> Iterator[File]:
        for application in self.applications:
            yield from application.files

    def readable_files(self) -> list[File]:
        """Return all files that a command can read."""
        return [file for file in self.files() if not file.internal]

    def file(self, path: str) -> File | None:
        return self._by_path.get(path)

    @cached_property
    def _by_path(self) -> dict[str, File]:
        return {file.path: file for file in self.files()}

    def required_file(self, path: str) -> File:
        """Return a file by its path.

        Raises:
            NoSuchFileError: there is no file of this path, or no command reads it.
        """
        file = self.file(path)
        if file is None:
            raise NoSuchFileError(f"{self.title}没有文件 {path}", f"there is no file {path} in {self.title_en}")
        if file.internal:
            raise NoSuchFileError(
                f"{path} 由卡片内部维护，不能读取", f"{path} is kept by the card; no command reads it"
            )
        return file
