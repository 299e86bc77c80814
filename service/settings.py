"""The bridge's settings: one typed file, environment, command line; each stands over the one before.

``/etc/cardio/bridge.toml``, then ``~/.config/cardio/bridge.toml`` (or ``$CARDIO_BRIDGE_FILE`` in their place), then
``CARDIO_BRIDGE_PORT=…`` and the like (``CARDIO_BRIDGE_DIALECTS__JSON=true`` for what stands in a table), then options.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from cardio.driver import BasicLayout
from cardio.errors import ConfigurationError
from cardio.folders import config_folder
from cardio.readers.policy_settings import SYSTEM_FILE, ReaderSettings
from cardio.wrong_value import in_chinese
from service.gate.origin import is_origin
from service.scopes import DEFAULT_SCOPES, PAGE_SCOPES, Scope

FILE_VARIABLE = "CARDIO_BRIDGE_FILE"
DEFAULT_PORT = 12340
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _listed(value: Any) -> Any:
    """``basic,files`` as people write it in an option or a variable."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Scopes = Annotated[frozenset[Scope], NoDecode, BeforeValidator(_listed)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Dialects(_Table):
    """Ways to speak that hospital software has built in; each is off unless it is switched on here."""

    json_: bool = Field(default=False, alias="json", description="ws://127.0.0.1:12342")
    decard: bool = Field(default=False, description="ws://127.0.0.1:50150")
    programs: bool = Field(default=False, description="let in programs of the same user, which send no Origin")
    layout: BasicLayout = Field(default="11", description="of the basic information")
    scopes: Scopes = Field(default=DEFAULT_SCOPES, description="what such programs may do")
    json_port: int = Field(default=12342, ge=0, le=65535)
    decard_port: int = Field(default=50150, ge=0, le=65535)


class TrustedOrigin(_Table):
    """An origin that the administrator has confirmed for every desk: its pages pair without asking anybody."""

    origin: str
    name: str = ""
    scopes: Scopes = frozenset({Scope.BASIC})

    @model_validator(mode="after")
    def _is_one(self) -> TrustedOrigin:
        if not is_origin(self.origin):
            raise ValueError(f"{self.origin!r} is no origin: https://host or https://host:port, nothing after it")
        if beyond := self.scopes - PAGE_SCOPES:
            raise ValueError(f"no page is granted {', '.join(sorted(beyond))}")
        return self


class Limits(_Table):
    requests_per_second: float = Field(default=50.0, gt=0, le=100_000)
    burst: int = Field(default=200, ge=1, le=100_000)


class Network(_Table):
    """Other addresses than this machine's own: only with TLS, and only when this says so."""

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
    """What a site may set."""

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
    audit: bool = Field(default=True, description="keep an audit log of who did what with which card")
    audit_file: Path | None = Field(default=None, description="the audit log; beside the token file else")
    sam: str | None = Field(default=None, description="soft:FILE, psam:READER, hsm:URL; several with commas")
    policy: Path | None = None
    loss_list: Path | None = None
    pin_pad_digits: int = Field(default=6, ge=4, le=16)
    auto_read: bool = Field(default=False, description="read a card as soon as it is put in")
    dialects: Dialects = Dialects()
    trusted_origins: list[TrustedOrigin] = []
    readers: ReaderSettings = ReaderSettings()
    limits: Limits = Limits()
    network: Network = Network()
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

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
        """The settings as files, environment and options give them; an option that is None is not given.

        Raises:
            ConfigurationError: something is wrong with them; the text names the place.
        """
        given = {name: value for name, value in options.items() if value is not None}
        for path in settings_files():
            if not path.exists():
                raise ConfigurationError(f"没有设置文件 {path}", f"there is no settings file {path}")
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "settings"
            raise ConfigurationError(
                f"设置 {place}：{in_chinese(first)}", f"setting {place}: {first['msg']}"
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            listed = ", ".join(str(path) for path in settings_files())
            raise ConfigurationError(f"设置文件（{listed}）：{error}", f"settings file ({listed}): {error}") from error

    @property
    def trusted(self) -> dict[str, frozenset[Scope]]:
        return {one.origin: one.scopes for one in self.trusted_origins}


def settings_files() -> list[Path]:
    """The settings files that there are, the weakest first."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return [Path(named)]
    return [path for path in (SYSTEM_FILE, config_folder() / "bridge.toml") if path.exists()]
