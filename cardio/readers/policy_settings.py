"""What a desk's settings say of its readers: the table ``[readers]`` of ``bridge.toml``, for bridge and commands."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardio.errors import ConfigurationError
from cardio.folders import config_folder
from cardio.readers.card_choice import ReaderPolicy
from cardio.wrong_value import in_chinese

SYSTEM_FILE = Path("/etc/cardio/bridge.toml")
_SAM_IN_READER = "psam:"


class ReaderSettings(BaseModel):
    """Names of readers, or parts of names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: tuple[str, ...] = Field(default=(), description="the readers that count; all where none is named")
    contact: tuple[str, ...] = Field(default=(), description="readers that take the card in a slot")
    contactless: tuple[str, ...] = Field(default=(), description="readers that the card is laid on")

    def policy(self, sam: str | None = None) -> ReaderPolicy:
        """Args: ``sam`` is what is configured as SAM: ``psam:READER``, others; several with commas."""
        places = (place.strip() for place in (sam or "").split(","))
        slots = tuple(place.removeprefix(_SAM_IN_READER) for place in places if place.startswith(_SAM_IN_READER))
        return ReaderPolicy(self.use, self.contact, self.contactless, slots)

    @classmethod
    def of_this_desk(cls) -> ReaderSettings:
        """What the settings files of this machine and of its user say; the user's count first.

        Raises:
            ConfigurationError: a file is wrong.
        """
        table: dict[str, object] = {}
        for path in (SYSTEM_FILE, config_folder() / "bridge.toml"):
            try:
                table |= tomllib.loads(path.read_text(encoding="utf-8-sig")).get("readers", {})
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise ConfigurationError(f"{path}：{error}", f"{path}: {error}") from error
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"设置 readers.{where}：{in_chinese(first)}", f"setting readers.{where}: {first['msg']}"
            ) from error
