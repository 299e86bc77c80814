"""The bridge's settings: one typed file, environment, command line; each overrides the one before.

The order is ``/etc/cardio/bridge.toml``, then ``~/.config/cardio/bridge.toml`` (or ``$CARDIO_BRIDGE_FILE`` in place of
both), then ``CARDIO_BRIDGE_PORT=…`` and the like (``CARDIO_BRIDGE_DIALECTS__JSON=true`` for a value in a table), then
options.
"""

from __future__ import annotations

import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from cardio.client import default_token_file
from cardio.config.paths import config_folder
from cardio.config.private_file import check_own
from cardio.config.validation import in_chinese
from cardio.debits.limits import DebitLimits
from cardio.driver.basic_info import BasicLayout
from cardio.errors import ConfigurationError
from cardio.readers.device_number import is_device_number
from cardio.readers.policy_settings import FILE_VARIABLE, SYSTEM_FILE, ReaderSettings
from service.driver.registry import dialects
from service.gate.origin_advice import OriginFormError, as_origin
from service.gate.scopes import DEFAULT_SCOPES, PAGE_SCOPES, Scope

DEFAULT_PORT = 12340
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _listed(value: Any) -> Any:
    """Return the list of a text such as ``basic,files``, as people write it in an option or a variable."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _names(value: Any) -> Any:
    """Return a list of names or numbers, as `_listed`."""
    listed = _listed(value)
    return [str(one) if type(one) is int else one for one in listed] if isinstance(listed, list) else listed


Scopes = Annotated[frozenset[Scope], NoDecode, BeforeValidator(_listed)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DialectSettings(_Table):
    """The dialects that hospital software has built in; each is off unless it is enabled here.

    Every dialect has two settings beside these: its name, which enables it, and ``NAME_port``.
    """

    programs: bool = Field(default=False, description="let in programs of the same user, whatever Origin they send")
    layout: BasicLayout = Field(default="11", description="of the basic information")
    scopes: Scopes = Field(default=DEFAULT_SCOPES, description="what such programs may do")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a setting of a dialect."""

    @property
    def ports(self) -> dict[str, int]:
        """Return the enabled dialects, and the port of each."""
        return {name: self.port_of(name) for name in dialects() if getattr(self, _switch(name))}

    def port_of(self, name: str) -> int:
        port: int = getattr(self, f"{name}_port")
        return port

    @model_validator(mode="after")
    def _each_has_a_port(self) -> DialectSettings:
        taken: dict[int, str] = {}
        for name, port in self.ports.items():
            if port and port in taken:
                raise ValueError(f"{taken[port]}_port and {name}_port are the same port {port}")
            taken[port] = name
        return self


def _switch(name: str) -> str:
    """Return the field that enables a dialect: a model already has a method with the name ``json``."""
    return f"{name}_" if hasattr(BaseModel, name) else name


def _with_dialects() -> type[DialectSettings]:
    fields: dict[str, Any] = {}
    for name, kind in dialects().items():
        fields[_switch(name)] = (bool, Field(default=False, alias=name, description=f"ws://127.0.0.1:{kind.port}"))
        fields[f"{name}_port"] = (int, Field(default=kind.port, ge=0, le=65535))
    return create_model("Dialects", __base__=DialectSettings, **fields)


if TYPE_CHECKING:
    Dialects = DialectSettings
else:
    Dialects = _with_dialects()


def _device_number(text: str) -> str:
    if text and not is_device_number(text):
        raise ValueError("at most 32 bytes of GBK, no bar and no control character")
    return text


class Driver(_Table):
    """The settings of the national driver's functions, for all callers."""

    device_number: Annotated[str, AfterValidator(_device_number)] = Field(
        default="", description="终端设备号; else the reader's serial number, or its name"
    )


class TrustedOrigin(_Table):
    """An origin that the administrator has confirmed for all users: its pages pair without any question."""

    origin: Annotated[str, AfterValidator(as_origin)]
    name: str = ""
    scopes: Scopes = Field(default=DEFAULT_SCOPES, description="files too: iReadCard needs it")

    @model_validator(mode="after")
    def _grants_what_can_be_granted(self) -> TrustedOrigin:
        if beyond := self.scopes - PAGE_SCOPES:
            raise ValueError(f"no page is granted {', '.join(sorted(beyond))}")
        return self


class Limits(_Table):
    requests_per_second: float = Field(default=50.0, gt=0, le=100_000)
    burst: int = Field(default=200, ge=1, le=100_000)
    connections: int = Field(default=256, ge=16, le=100_000, description="of all callers together")
    connections_of_others: int = Field(
        default=64, ge=2, le=100_000, description="without a token, of all users who are not believed"
    )
    connections_of_one_other: int = Field(default=32, ge=1, le=100_000, description="without a token, of one of them")


class BelievedPeers(_Table):
    """The users whose browsers are believed when they name a page's origin, beside the user that runs the bridge."""

    users: Annotated[list[str], NoDecode, BeforeValidator(_names)] = Field(
        default=[], description="system users, by name or number"
    )
    groups: Annotated[list[str], NoDecode, BeforeValidator(_names)] = Field(
        default=[], description="groups whose members are believed, by name or number: the clerks'"
    )
    everybody: bool = Field(default=False, description="all users of this machine, and callers of other machines")


class Network(_Table):
    """Addresses other than this machine's own: only with TLS, and only if the settings name them."""

    listen: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = []
    hosts: Annotated[list[str], NoDecode, BeforeValidator(_listed)] = Field(
        default=[], description="names by which they are reached, name:port"
    )
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _with_tls(self) -> Network:
        if self.listen and (self.certificate is None or self.key is None):
            raise ValueError("to listen on other addresses takes TLS: certificate and key")
        return self


class BridgeSettings(BaseSettings):
    """The settings of a site."""

    model_config = SettingsConfigDict(
        env_prefix="CARDIO_BRIDGE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535)
    pcsc: bool = True
    simulate: Annotated[list[str], NoDecode, BeforeValidator(_listed)] | None = None
    scopes: Scopes = Field(default=DEFAULT_SCOPES, description="what the token file's token grants")
    token_file: Path | None = None
    grants_file: Path | None = None
    debits_file: Path | None = Field(default=None, description="the journal of debits; beside the token file else")
    debit_window: int = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        description="how far an order's time may be from this computer's clock, in seconds",
    )
    debit_limit: int = Field(
        default=100_000, ge=1, le=42_949_672, description="the most that one debit takes in all, in yuan"
    )
    debit_years: int = Field(
        default=1, ge=1, le=50, description="how many years an order may be after the year of the card's totals"
    )
    debit_record_required: bool = Field(
        default=False, description="debit no card whose own record of debits (DF04/EF08) cannot be read"
    )
    audit: bool = Field(default=True, description="keep an audit log of who did what with which card")
    audit_file: Path | None = Field(default=None, description="the audit log; beside the token file else")
    sam: str | None = Field(default=None, description="soft:FILE, psam:READER, hsm:URL; several with commas")
    policy: Path | None = None
    loss_list: Path | None = None
    pin_pad_digits: int = Field(default=6, ge=4, le=16)
    own_page_address: bool = Field(
        default=True,
        description="serve the own pages at an address of each run's own, 127.x.y.z; false: at 127.0.0.1 as the rest",
    )
    auto_read: bool = Field(default=False, description="read a card as soon as it is put in")
    dialects: Dialects = Dialects()
    driver: Driver = Driver()
    trusted_origins: list[TrustedOrigin] = []
    readers: ReaderSettings = ReaderSettings()
    limits: Limits = Limits()
    access: BelievedPeers = BelievedPeers()
    network: Network = Network()
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    @model_validator(mode="after")
    def _no_dialect_has_the_own_port(self) -> BridgeSettings:
        for name, port in self.dialects.ports.items():
            if port and port == self.port:
                raise ValueError(f"dialects.{name}_port is the bridge's own port {port}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = [TomlConfigSettingsSource(settings_cls, toml_file=path) for path in reversed(settings_files())]
        return (init_settings, env_settings, *files)

    @classmethod
    def load(cls, **options: Any) -> BridgeSettings:
        """Return the settings from files, environment and options; an option that is None is not given.

        Raises:
            ConfigurationError: a setting is wrong; the text names the place.
        """
        given = {name: value for name, value in options.items() if value is not None}
        for path in settings_files():
            if not path.exists():
                raise ConfigurationError(f"没有设置文件 {path}", f"there is no settings file {path}")
        try:
            for path in settings_files():
                if str(path) != os.devnull:  # an empty file, for a user that wants no settings
                    # The file decides whose pages and programs are admitted. A path that is no file would be skipped
                    # silently.
                    check_own(path, "设置文件", "settings file")
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "settings"
            wrong = first.get("ctx", {}).get("error")
            if isinstance(wrong, OriginFormError):
                chinese, english = f"设置 {place}：{wrong.chinese}", f"setting {place}: {wrong.english}"
                raise ConfigurationError(chinese, english) from error
            raise ConfigurationError(
                f"设置 {place}：{in_chinese(first)}", f"setting {place}: {first['msg']}"
            ) from error
        except SettingsError as error:  # a list or a table in a variable; its value is not quoted
            raise ConfigurationError(
                f'环境变量 CARDIO_BRIDGE_…：列表和表应写成 JSON，例如 ["名称"]：{error}',
                f'a variable CARDIO_BRIDGE_…: lists and tables are written as JSON, ["name"] for one: {error}',
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            listed = ", ".join(str(path) for path in settings_files())
            raise ConfigurationError(f"设置文件（{listed}）：{error}", f"settings file ({listed}): {error}") from error

    @property
    def journal_path(self) -> Path:
        """Return the journal of debits; beside the token file if the settings name none."""
        return self.debits_file or self._beside_the_token("debits.sqlite")

    @property
    def audit_path(self) -> Path | None:
        """Return the audit log; None if the settings want none."""
        return (self.audit_file or self._beside_the_token("audit.sqlite")) if self.audit else None

    @property
    def token_path(self) -> Path:
        """Return the token file; the user's own if the settings name none."""
        return self.token_file or default_token_file()

    @property
    def grants_path(self) -> Path:
        """Return the file of the pages and programs that were admitted.

        It is beside the token file if the settings name none.
        """
        return self.grants_file or self._beside_the_token("grants.json")

    @property
    def pages_path(self) -> Path:
        """Return the file of the data that the own pages keep from run to run; beside the grants file."""
        return self.grants_path.with_name("pages.json")

    @property
    def keeper_path(self) -> Path:
        """Return the record of the process that keeps the ports after the bridge's end; beside the token file."""
        return self._beside_the_token("keeper.json")

    def _beside_the_token(self, name: str) -> Path:
        return self.token_path.with_name(name)

    @property
    def debit_limits(self) -> DebitLimits:
        """Return the limits of an order."""
        return DebitLimits(
            window=timedelta(seconds=self.debit_window),
            most=self.debit_limit * 100,
            years_ahead=self.debit_years,
            record_required=self.debit_record_required,
        )

    @property
    def trusted(self) -> dict[str, frozenset[Scope]]:
        return {one.origin: one.scopes for one in self.trusted_origins}


def settings_files() -> list[Path]:
    """Return the existing settings files, the weakest first."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return [Path(named)]
    return [path for path in (SYSTEM_FILE, config_folder() / "bridge.toml") if path.exists()]
