"""A site's settings for keys: the SAM, and how it differs. One TOML file, ``~/.config/cardio/security.toml``::

sam = "psam:Slot 2"            # soft:/path/keys.toml, psam:READER, hsm:https://…; several with commas
laboratory = false             # test keys may be used with real cards
mac = true                     # writes carry a MAC
mac_start = "zero"             # or "challenge": the initial value of a MAC
unknown_pin_count = "try"      # or "refuse": a card that does not tell how many tries are left
ask_pin_count = true           # cards are asked for the count, where that is not known to cost a try
prove_cards = "always"         # or "before-keys": only a card that is to get a key or a PIN has to prove itself
old_cards_may_decline = true   # cards before 3.0 that decline are not proved; false: they are refused
require_proof = false          # true: a card that is not proved genuine is refused

[psam]
levels = 2                     # diversifications that the PSAM still has to do
region = "43"                  # the region of its keys
keys = { RKSSSE = "670A" }     # usage byte and index, where they are not the layout's
terminal_number = "410100813475"   # of a PSAM that has none in its file

[hsm]
token_file = "/etc/cardio/hsm-token"
certificates = "/etc/cardio/authority.pem"
answer_seconds = 4.0
terminal_number = "410100813475"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cardio.config.paths import config_folder
from cardio.config.private_file import read_own, read_private
from cardio.config.validation import in_chinese
from cardio.errors import CardError, CardioError, ConfigurationError, ReaderError, ReaderTimeoutError, UsageError
from cardio.readers.base import Reader
from cardio.readers.worker import Worker
from cardio.security.errors import NoSamError, SamFailedError
from cardio.security.pin.count import PinPolicy, UnknownCount
from cardio.security.proof import ProofPolicy, WhenAsked
from cardio.security.sam.base import Sam, SamSource
from cardio.security.sam.fallback import FallbackSource
from cardio.security.sam.hsm import HsmClient
from cardio.security.sam.hsm_http import ANSWER_SECONDS, HttpHsmTransport
from cardio.security.sam.key_file import SoftSam
from cardio.security.sam.psam import PsamCard, PsamSettings
from cardio.security.sam.psam_connection import CONNECT_SECONDS
from cardio.security.terminal import MacStart, TerminalSettings

SAM_VARIABLE, SETTINGS_VARIABLE = "CARDIO_SAM", "CARDIO_SECURITY"
_GROUP = "cardio.sams"
_TOKEN_LIMIT = 4096
_PSAM_SECONDS = CONNECT_SECONDS

FindReader = Callable[[str], Reader]


def _usage_and_index(value: object) -> object:
    if not isinstance(value, str) or len(value) != 4:
        raise ValueError("four hex digits, usage byte and index")
    return int(value, 16)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _Psam(_Table):
    levels: Literal[1, 2, 3] | None = None
    region: Annotated[str, Field(pattern=r"^([0-9]{2}|[0-9]{6})?$")] = ""
    keys: dict[str, Annotated[int, BeforeValidator(_usage_and_index)]] = {}
    terminal_number: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None


class _Hsm(_Table):
    token_file: Path | None = None
    certificates: Path | None = None
    answer_seconds: Annotated[float, Field(gt=0, le=60)] = ANSWER_SECONDS
    terminal_number: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None


class SecuritySettings(_Table):
    """The content of the file; every part has a default."""

    sam: str | None = None
    laboratory: bool = False
    mac: bool = True
    mac_start: MacStart = MacStart.ZERO
    unknown_pin_count: UnknownCount = "try"
    ask_pin_count: bool = True
    prove_cards: WhenAsked = "always"
    old_cards_may_decline: bool = True
    require_proof: bool = False
    psam: _Psam = _Psam()
    hsm: _Hsm = _Hsm()

    @classmethod
    def load(cls, path: Path | None = None) -> SecuritySettings:
        """Return the settings of a file; without one those of ``$CARDIO_SECURITY`` or the user's own, if it exists.

        Args:
            path: the file.

        Raises:
            ConfigurationError: the file is unreadable, or has a value that is not allowed.
        """
        named = path or (Path(os.environ[SETTINGS_VARIABLE]) if os.environ.get(SETTINGS_VARIABLE) else None)
        place = named or default_settings_file()
        if named is None and not place.exists():
            return cls()
        try:
            text = read_own(place, "密钥设置文件", "settings file of keys", is_secret=_names_a_password)
            return cls.model_validate(tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{place}：{error}", f"{place}: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"{place}：{where}：{in_chinese(first)}", f"{place}: {where}: {first['msg']}"
            ) from error

    @property
    def terminal(self) -> TerminalSettings:
        return TerminalSettings(mac_start=self.mac_start, mac=self.mac)

    @property
    def pin_policy(self) -> PinPolicy:
        return PinPolicy(unknown_count=self.unknown_pin_count, ask_count=self.ask_pin_count)

    @property
    def proof_policy(self) -> ProofPolicy:
        return ProofPolicy(self.prove_cards, self.require_proof, self.old_cards_may_decline)

    def named(self, named: str | None) -> str | None:
        """Return the name of the SAM: the caller's, that of ``$CARDIO_SAM``, or the file's."""
        return named or os.environ.get(SAM_VARIABLE) or self.sam

    def sam_source(self, named: str | None, find_reader: FindReader) -> SamSource | None:
        """Return the SAM with the name that the caller, ``$CARDIO_SAM`` or the file gives; None without a name.

        Args:
            named: ``soft:FILE``, ``psam:READER`` or ``hsm:URL``; the entry points ``cardio.sams`` add other kinds.
                Several with commas between them replace each other: ``psam:Slot 2,hsm:https://…``.
            find_reader: returns a reader by its name.

        Raises:
            UsageError: there is no such kind.
            ConfigurationError: the key file or the address is wrong.
        """
        wanted = self.named(named)
        if not wanted:
            return None
        if "," in wanted:
            named_one_by_one = [self.sam_source(one.strip(), find_reader) for one in wanted.split(",")]
            return FallbackSource([one for one in named_one_by_one if one is not None])
        kind, colon, place = wanted.partition(":")
        makers: dict[str, Callable[[str], SamSource]] = {
            "soft": lambda place: _Ready(SoftSam.load(Path(place).expanduser())),
            "psam": lambda place: _PsamSlot(place, find_reader, self.psam),
            "hsm": lambda place: _Ready(self._hsm_client(place)),
        }
        from importlib.metadata import entry_points  # needed where a SAM is named

        makers |= {point.name: point.load() for point in entry_points(group=_GROUP)}
        if not colon or not place or kind not in makers:
            known = ", ".join(makers)
            raise UsageError(
                f"--sam 应为 种类:位置，种类有 {known}；得到 {wanted}",
                f"a SAM is KIND:PLACE, of {known}; not {wanted!r}",
            )
        return makers[kind](place)

    def _hsm_client(self, url: str) -> HsmClient:
        token = None
        if self.hsm.token_file is not None:
            token = read_private(self.hsm.token_file, "加密机令牌文件", "HSM token file", limit=_TOKEN_LIMIT).strip()
        certificates = None if self.hsm.certificates is None else str(self.hsm.certificates)
        line = HttpHsmTransport(url, token=token, certificates=certificates, answer_seconds=self.hsm.answer_seconds)
        return HsmClient(line, terminal_number=self.hsm.terminal_number)


def _names_a_password(text: str) -> bool:
    """Return True if an address in the settings has a user's name or password before its ``@``."""
    return re.search(r"//[^\s/\"',]*@", text) is not None


def default_settings_file() -> Path:
    """Return ``$XDG_CONFIG_HOME/cardio/security.toml``, else ``~/.config/cardio/security.toml``."""
    return config_folder() / "security.toml"


class _Ready:
    """A SAM that all cards share."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def open(self) -> Sam:
        return self._sam


class _PsamSlot:
    """A PSAM card, powered for each card that needs it, so that a PSAM card inserted meanwhile is used too."""

    def __init__(self, name: str, find_reader: FindReader, settings: _Psam) -> None:
        self._name = name
        self._find_reader = find_reader
        self._settings = PsamSettings(settings.levels, settings.region, dict(settings.keys), settings.terminal_number)

    def open(self) -> Sam:
        try:
            reader = self._find_reader(self._name)
        except (CardError, ReaderError) as error:
            raise _not_there(error) from error
        granted: list[PsamCard] = []

        def connect() -> PsamCard:
            granted.append(PsamCard.connect(reader, self._settings))
            return granted[0]

        def release() -> None:
            if granted:
                granted[0].close()

        try:
            # Another program may hold the slot without end, or the slot may be that of the card itself.
            with Worker() as worker:
                return worker.run_within(_PSAM_SECONDS, connect, if_given_up=release)
        except ReaderTimeoutError as error:
            raise SamFailedError(
                f"PSAM 卡槽“{reader.name}”被占用，或与用户卡是同一卡槽",
                f"the PSAM slot {reader.name!r} is held by another program, or is the card's own",
            ) from error


def _not_there(error: CardioError) -> NoSamError:
    return NoSamError(f"PSAM 卡槽：{error.detail}", f"PSAM slot: {error.detail_en}", hresult=error.hresult)
