"""The facts of the certificate application from ``pki.toml``, and a site's own file over them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.bilingual import Bilingual
from cardio.errors import LayoutError
from cardio.filesystem.layouts.loader import read_toml

_SHIPPED = "pki.toml"
_HEX = re.compile("([0-9A-Fa-f]{2})*")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_DATA_LIMIT = 255
_OFFSET_LIMIT = 0x7FFF


def _from_hex(value: Any) -> bytes:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    raise ValueError("must be hex")


Hex = Annotated[bytes, BeforeValidator(_from_hex)]
Id = Annotated[Hex, Field(min_length=2, max_length=2)]
Name = Annotated[Hex, Field(min_length=5, max_length=16)]
Block = Annotated[int, Field(ge=1, le=SHORT_MAXIMUM)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact about the card, and the reason to believe it."""

    __pydantic_config__ = _STRICT

    source: str
    confidence: Literal["S", "M", "1", "I"]
    experimental: bool = False
    """True if it is not known to have been done on a real card in this form."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Fact):
    environment: Name
    application: Name
    application_id: Id
    """The file id, for cards that do not know the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Fact):
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    """The numbers of bytes to request at once; the next one follows where the card refuses."""
    largest: Annotated[int, Field(ge=1, le=_OFFSET_LIMIT)]
    """The length of the longest certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiFile(Fact):
    id: Id
    title: str
    title_en: str
    length: Annotated[int, Field(ge=1, le=SHORT_MAXIMUM)] | None = None
    header: Annotated[int, Field(ge=0)] = 0
    """The number of bytes before the content."""

    @property
    def name(self) -> Bilingual:
        number = self.id.hex().upper()
        return Bilingual(f"{self.title}（EF {number}）", f"the {self.title_en} (EF {number})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge(Fact):
    lengths: Annotated[tuple[Literal[8, 16], ...], Field(min_length=1)]
    """The numbers of bytes to request; the next one follows where the card refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiCommand(Fact):
    """A command with places for data: ``C202{private_key}``."""

    header: Annotated[Hex, Field(min_length=4, max_length=4)]
    data: str = ""
    expected_length: Block | None = None

    def build(self, **values: bytes) -> CommandApdu:
        """Return the command with these values in their places."""
        cla, ins, p1, p2 = self.header
        filled = _PLACEHOLDER.sub(lambda found: values[found[1]].hex(), self.data)
        return CommandApdu(cla, ins, p1, p2, bytes.fromhex(filled), self.expected_length)

    def fault(self, sizes: dict[str, int]) -> str | None:
        """Return the error in the data, for values of these names and sizes; None if there is none."""
        named = _PLACEHOLDER.findall(self.data)
        unknown = [name for name in named if name not in sizes]
        if unknown:
            return f"{{{unknown[0]}}} is none of {', '.join(sizes) or 'none'}"
        rest = _PLACEHOLDER.sub("", self.data)
        if not all(_HEX.fullmatch(part) for part in _PLACEHOLDER.split(self.data)[::2]):
            return f"{rest!r} is not hex"
        length = len(rest) // 2 + sum(sizes[name] for name in named)
        return f"{length} bytes are more than {_DATA_LIMIT}" if length > _DATA_LIMIT else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiPin:
    __pydantic_config__ = _STRICT

    title: str
    title_en: str
    tries: PkiCommand
    """The command that asks how many tries are left and spends none."""
    verify: PkiCommand
    change: PkiCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiFiles:
    __pydantic_config__ = _STRICT

    signature_public_key: PkiFile
    signature_private_key: PkiFile
    encryption_public_key: PkiFile
    encryption_private_key: PkiFile
    signature_certificate: PkiFile
    encryption_certificate: PkiFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiPins:
    __pydantic_config__ = _STRICT

    user: PkiPin
    administrator: PkiPin


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiCommands:
    __pydantic_config__ = _STRICT

    sign: PkiCommand
    decipher: PkiCommand
    import_session_key: PkiCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiLayout:
    """All known facts of the application."""

    __pydantic_config__ = _STRICT

    title: str
    title_en: str
    selection: Selection
    reading: Reading
    files: PkiFiles
    challenge: Challenge
    pins: PkiPins
    commands: PkiCommands


_ADAPTER: TypeAdapter[PkiLayout] = TypeAdapter(PkiLayout)
_PIN_VALUES: dict[str, dict[str, int]] = {"tries": {}, "verify": {"cryptogram": 16}, "change": {"block": 16, "mac": 4}}
_COMMAND_VALUES = {
    "sign": {"digest": 32, "private_key": 2},
    "decipher": {"private_key": 2, "length": 2, "sealed": 112},
    "import_session_key": {"session_key": 16},
}
"""The values that the data of each command may contain, and their sizes in bytes."""


@cache
def pki_layout() -> PkiLayout:
    """Return the facts that are shipped."""
    return _checked(_shipped(), _SHIPPED)


def load_pki_layout(path: Path) -> PkiLayout:
    """Return the facts that are shipped, with those of a file in place of some.

    Raises:
        LayoutError: the file cannot be read, or has unknown words or impossible values.
    """
    _, own = read_toml(path)
    return _checked(_merged(_shipped(), own), str(path))


def _shipped() -> dict[str, Any]:
    return tomllib.loads((files("cardio.pki") / _SHIPPED).read_text(encoding="utf-8"))


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        below = base.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _checked(document: dict[str, Any], name: str) -> PkiLayout:
    try:
        layout = _ADAPTER.validate_python(document)
    except ValidationError as error:
        found = error.errors()[0]
        raise _fault(name, ".".join(map(str, found["loc"])), found["msg"]) from error
    pins = {"user": layout.pins.user, "administrator": layout.pins.administrator}
    commands = [
        *((f"pins.{pin}.{word}", getattr(pins[pin], word), _PIN_VALUES[word]) for pin in pins for word in _PIN_VALUES),
        *((f"commands.{word}", getattr(layout.commands, word), sizes) for word, sizes in _COMMAND_VALUES.items()),
    ]
    for place, command, sizes in commands:
        if (fault := command.fault(sizes)) is not None:
            raise _fault(name, f"{place}.data", fault)
    return layout


def _fault(name: str, place: str, what: str) -> LayoutError:
    return LayoutError(f"{name}：{place}：值不对（{what}）", f"{name}: {place}: {what}")
