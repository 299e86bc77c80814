"""A desk's settings for its readers: the table ``[readers]`` of ``bridge.toml``, for bridge and commands."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from cardio.apdu.command_watch import COMMAND_SECONDS
from cardio.config.paths import config_folder
from cardio.config.validation import in_chinese
from cardio.errors import ConfigurationError
from cardio.readers.card_choice import ReaderPolicy

SYSTEM_FILE = Path("/etc/cardio/bridge.toml")
FILE_VARIABLE = "CARDIO_BRIDGE_FILE"
"""The variable with the path of a file that is read in place of the others."""
_SAM_IN_READER = "psam:"
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A name that is not empty; an empty one would be a part of every reader's name."""

MEMORY_SECONDS = 60.0
"""The time for which the bridge answers with a reading again, unless the settings say otherwise."""


class ReaderSettings(BaseModel):
    """The names of readers, or parts of names, and time limits of their cards."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    use: tuple[_Name, ...] = Field(default=(), description="the readers that count; all where none is named")
    contact: tuple[_Name, ...] = Field(default=(), description="readers that take the card in a slot")
    contactless: tuple[_Name, ...] = Field(default=(), description="readers that the card is laid on")
    command_seconds: float = Field(
        default=COMMAND_SECONDS, ge=1, le=60, description="how long a card may take for one command"
    )
    memory_seconds: float = Field(
        default=MEMORY_SECONDS,
        ge=0,
        le=600,
        description="how long the bridge answers with the reading that it has of a card that has not left; 0 for never",
    )

    def policy(self, *sams: str | None) -> ReaderPolicy:
        """Return the policy of these settings.

        Args:
            sams: the configured SAMs: ``psam:READER``, others; several with commas.
        """
        places = (place.strip() for sam in sams for place in (sam or "").split(","))
        slots = tuple(place.removeprefix(_SAM_IN_READER) for place in places if place.startswith(_SAM_IN_READER))
        return ReaderPolicy(self.use, self.contact, self.contactless, slots)

    @classmethod
    def of_this_computer(cls) -> ReaderSettings:
        """Return the settings in the files of this machine and of its user; the user's go first.

        Raises:
            ConfigurationError: a file is wrong.
        """
        table: dict[str, Any] = {}
        for path, settings in _bridge_files():
            readers = settings.get("readers", {})
            if not isinstance(readers, dict):
                raise ConfigurationError(f"{path}：readers：应为对象", f"{path}: readers: must be a table")
            table |= readers
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"设置 readers.{where}：{in_chinese(first)}", f"setting readers.{where}: {first['msg']}"
            ) from error


def bridges_sam() -> str | None:
    """Return the SAM in the settings of this desk's bridge. Its slot never holds a patient's card, for commands too.

    Raises:
        ConfigurationError: a file is wrong.
    """
    sam: str | None = None
    for path, settings in _bridge_files():
        found = settings.get("sam", sam)
        if found is not None and not isinstance(found, str):
            raise ConfigurationError(f"{path}：sam：应为文本", f"{path}: sam: must be a text")
        sam = found
    return sam


def _bridge_files() -> list[tuple[Path, dict[str, Any]]]:
    """Return the existing settings files of the bridge with their content, the weakest first.

    Raises:
        ConfigurationError: a file cannot be read, or a named one does not exist.
    """
    named = os.environ.get(FILE_VARIABLE)
    found = []
    for path in [Path(named)] if named else [SYSTEM_FILE, config_folder() / "bridge.toml"]:
        try:
            found.append((path, tomllib.loads(path.read_text(encoding="utf-8-sig"))))
        except FileNotFoundError as error:
            if named:
                raise ConfigurationError(f"没有设置文件 {path}", f"there is no settings file {path}") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path}：{error}", f"{path}: {error}") from error
    return found
