"""The personas: invented people and their cards, one small TOML file each."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, ValidationError

from cardio.config.validation import in_chinese
from cardio.errors import ConfigurationError, UsageError
from cardio.filesystem.layouts.loader import load_layout
from cardio.filesystem.layouts.model import Layout
from cardio.filesystem.layouts.registry import LayoutChoice
from simulators.card.bank import SoftwareBankApplication
from simulators.card.encoding import MisfitError
from simulators.card.files import CardApplication, build_applications
from simulators.card.persistent_state import CardMemory, PurseState
from simulators.card.pki import PkiApplication
from simulators.card.quirks import CardQuirks
from simulators.card.software_card import SoftwareCard

_FOLDER = Path(str(files("simulators") / "personas"))
_LARGEST_FILE = 0x8000
_FIRST_WITH_PKI = 3
"""The generation that introduced certificates."""
_FILE_PREFIX = "file:"
"""The prefix of the name of a file beside the persona's: the content of a photo."""


def _from_hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class _Applications:
    """The applications of a persona's cards, as they are before any card has changed them."""

    parts: tuple[object, ...]
    """The layout and the parts of the persona that they were made from; a changed copy of the persona has others."""
    applications: list[CardApplication]


@dataclass(slots=True)
class _Made:
    """The place for what was made last. All are equal, because they do not make one persona differ from another."""

    latest: _Applications | None = field(default=None, compare=False)


class Persona(BaseModel, frozen=True, extra="forbid"):
    """The card of one invented person."""

    id: str
    title: str
    title_en: str
    generation: Literal[1, 2, 3]
    historical_bytes: Annotated[bytes, BeforeValidator(_from_hex), Field(min_length=13, max_length=13)]
    """The bytes T1 to TD of the ATR: chip, operating system, card maker, serial number."""
    algorithm: Literal["3DES", "SSF33", "SM4"] | None = None
    """The algorithm that the FCI names; absent on most 1.0 and 2.0 cards."""
    pin: Annotated[str, Field(pattern=r"^[0-9]{4,16}$")] = "123456"
    fill: Annotated[bytes | None, BeforeValidator(_from_hex)] = None
    """The byte that text is filled with, if it is not 00."""
    omit: frozenset[str] = frozenset()
    """The parts that this issuer does not write.

    A part is an application, ``DF05``; a file, ``DF01/EF08``; or an item of a file, ``SSSE/EF06/name_extension``.
    """
    layout: Path | None = None
    """A layout file; by default the layout of the region, if there is one, else of the generation."""
    bank_number: Annotated[str, Field(pattern=r"^6200000[0-9]{5,12}$")] | None = None
    """The number in its bank's application, if it has one: of a bank that does not exist."""
    quirks: CardQuirks = Field(default=CardQuirks(), alias="manners")
    """The differences of this card from others of its specification: the table ``[manners]`` of the file."""
    files: dict[str, dict[str, Any]]
    """By file, then by item: a value, a table of the items inside, a list of either; see docs/simulator.en.md."""
    _made: _Made = PrivateAttr(default_factory=_Made)

    @property
    def atr(self) -> bytes:
        """Return ``3B 6D 00 00`` and the 13 historical bytes: T=0 only, so without a check byte."""
        return b"\x3b\x6d\x00\x00" + self.historical_bytes

    def card_layout(self) -> Layout:
        """Return the layout that this card is made from.

        Raises:
            LayoutError: the layout that the persona names is wrong.
        """
        if self.layout is not None:
            return load_layout(self.layout, generation=self.generation)
        region = str(self.files.get("SSSE/EF05", {}).get("identification_code", ""))[:6]
        return LayoutChoice.installed().choose(f"{self.generation}.0", region)

    def card(self, memory: Path | None = None, random: Callable[[int], bytes] = secrets.token_bytes) -> SoftwareCard:
        """Return a new card of this person, or one that continues from its memory.

        Args:
            memory: the file of the memory, which need not exist before the first change.
            random: returns the challenges.

        Raises:
            ConfigurationError: a value does not fit its item, there is no such file or item, or the memory is another
                card's.
        """
        layout = self.card_layout()
        strangers = set(self.files) - {file.path for file in layout.files()}
        if strangers:
            listed = ", ".join(sorted(strangers))
            zh = f"{layout.title}没有文件 {listed}（是否缺少 layout = …？它应在第一个 [ 之前）"
            en = f"no files {listed} in {layout.title_en}; is layout = … missing, which stands before the first [?"
            raise ConfigurationError(f"样例 {self.id}：{zh}", f"persona {self.id}: {en}")
        self._refuse_unknown_places(layout)
        try:
            applications = self._applications(layout)
        except (OverflowError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"样例 {self.id}：值不合格式（{error}）", f"persona {self.id}: {error}") from error
        except MisfitError as error:
            zh, en = f"样例 {self.id}：{error.place}：{error.zh}", f"persona {self.id}: {error.place}: {error.en}"
            raise ConfigurationError(zh, en) from error
        return SoftwareCard(
            self.atr,
            applications,
            quirks=self.quirks,
            algorithm_marker=self.algorithm,
            pin=self.pin,
            random=random,
            keys=layout.keys,
            algorithm=layout.algorithm,
            memory=None if memory is None else CardMemory(memory),
            pki=self._pki(random),
            takes_debits=layout.purse,
            purse=self._purse(layout),
            bank=None
            if self.bank_number is None
            else SoftwareBankApplication(self.bank_number, self.quirks.bank_number),
        )

    def _applications(self, layout: Layout) -> list[CardApplication]:
        """Return new applications. Their bytes are made from the values once, for this takes longest of a card."""
        parts = (layout, self.files, self.omit, self.fill)
        kept = self._made.latest
        if kept is None or any(one is not other for one, other in zip(kept.parts, parts, strict=True)):
            kept = _Applications(parts, build_applications(layout, self.files, omit=self.omit, fill=self.fill))
            self._made.latest = kept
        return [application.copy() for application in kept.applications]

    def _purse(self, layout: Layout) -> PurseState:
        """Return the persona's values of its internal file, which no command reads directly.

        Raises:
            ConfigurationError: a value is wrong.
        """
        internal = next((file for file in layout.files() if file.internal), None)
        values = self.files.get(internal.path, {}) if internal is not None else {}
        try:
            return PurseState.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = f"{internal.path if internal else ''}/{'.'.join(str(part) for part in first['loc'])}"
            raise ConfigurationError(
                f"样例 {self.id}：{place}：{in_chinese(first)}", f"persona {self.id}: {place}: {first['msg']}"
            ) from error

    def _pki(self, random: Callable[[int], bytes]) -> PkiApplication | None:
        """Return the certificate application that third-generation cards have; all share the invented certificates."""
        if self.generation < _FIRST_WITH_PKI:
            return None
        return PkiApplication(user_pin=self.pin, data_at_once=self.quirks.data_at_once, random=random)

    def _refuse_unknown_places(self, layout: Layout) -> None:
        """Check the places that the persona names: a misspelt place would silently change nothing.

        Raises:
            ConfigurationError: a place does not exist.
        """
        files = {file.path for file in layout.files()}
        items = {f"{file.path}/{item.name}" for file in layout.files() for item in file.items}
        applications = {application.id for application in layout.applications}
        named = {"omit": self.omit - items - files - applications}
        named |= {"open_files": self.quirks.open_files - files, "closed_files": self.quirks.closed_files - files}
        for word, strangers in named.items():
            if strangers:
                listed = ", ".join(sorted(strangers))
                zh, en = f"样例 {self.id}：{word} 中没有 {listed}", f"persona {self.id}: {word}: there is no {listed}"
                raise ConfigurationError(zh, en)


def load_persona(path: Path) -> Persona:
    """Return a persona from its file, with the persona that it ``extends``.

    Raises:
        ConfigurationError: the file cannot be read or has unknown contents; the text names the place.
    """
    try:
        return Persona.model_validate({**_document(path), "id": path.stem})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path.name}：{error}", f"{path.name}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{path.name}：{place}：{in_chinese(first)}", f"{path.name}: {place}: {first['msg']}"
        ) from error


def _document(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the contents of a persona's file, laid over those of the persona that it extends."""
    if path in above:
        raise ConfigurationError(f"{path.name}：extends 循环", f"{path.name}: extends itself")
    document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    for name, file in document.get("files", {}).items():
        content = file.get("content") if isinstance(file, dict) else None
        if isinstance(content, str) and content.startswith(_FILE_PREFIX):
            document["files"][name]["content"] = _beside(path, content.removeprefix(_FILE_PREFIX))
    if isinstance(document.get("layout"), str):
        document["layout"] = path.parent / document["layout"]
    base = document.pop("extends", None)
    if base is None:
        return document
    beside = path.with_name(f"{base}.toml")
    if not beside.exists() and not (_FOLDER / f"{base}.toml").exists():
        known = ", ".join(shipped_personas())
        raise ConfigurationError(
            f"{path.name}：没有样例 {base}；现有：{known}", f"{path.name}: no persona {base}; there are: {known}"
        )
    return _over(_document(beside if beside.exists() else _FOLDER / f"{base}.toml", (*above, path)), document)


def _beside(path: Path, name: str) -> bytes:
    """Return the content of a file in the persona's folder."""
    wanted = path.parent / name
    if Path(name).name != name or not wanted.is_file():
        raise ConfigurationError(f"{path.name}：旁边没有文件 {name}", f"{path.name}: there is no file {name} beside it")
    with wanted.open("rb") as stream:
        return stream.read(_LARGEST_FILE)


def _over(base: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Return a document laid over another: tables are merged, anything else is replaced."""
    merged = dict(base)
    for key, value in document.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _over(base[key], value) if both else value
    return merged


@cache
def shipped_personas() -> tuple[str, ...]:
    """Return the ids of the personas that ship with the simulator: each file has the name of its persona."""
    return tuple(path.stem for path in sorted(_FOLDER.glob("*.toml")))


def is_shipped(name: str) -> bool:
    """Return True if a persona of that id ships with the simulator."""
    return name in shipped_personas()


@cache
def _shipped(name: str) -> Persona:
    return load_persona(_FOLDER / f"{name}.toml")


def personas() -> dict[str, Persona]:
    """Return the personas that ship with the simulator, by id."""
    return {name: _shipped(name) for name in shipped_personas()}


def find_persona(name: str) -> Persona:
    """Return a shipped persona by its id, or the user's own by the path of its file.

    Raises:
        UsageError: there is no persona of this name.
    """
    if name.endswith(".toml"):
        return load_persona(Path(name))
    if not is_shipped(name):
        known = shipped_personas()
        raise UsageError(
            f"没有样例 {name}；现有：{'、'.join(known)}", f"there is no persona {name}; there are: {', '.join(known)}"
        )
    return _shipped(name)
