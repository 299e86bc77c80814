"""The policy: a site's requirements for a card, from a TOML file; ``policy.toml`` is shipped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, StrictInt, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from cardio.errors import LayoutError
from cardio.filesystem.layouts.loader import read_toml
from cardio.identity.model import CheckName, Weight
from cardio.security.errors import PolicyError

SHIPPED = Path(str(files("cardio.identity") / "policy.toml"))
NEVER_IGNORED = (CheckName.CHIP_GENUINE, CheckName.LOSS_LIST)
"""The checks that refuse whenever they fail, so no policy may leave them out."""
_FAULT, _UNKNOWN = "policy", "extra_forbidden"
"""The kinds of pydantic's errors: our own, and a word that is not in the model."""


class Policy(BaseModel):
    """The weight of each check, and the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, Field(min_length=1, max_length=80)]
    accept_test_keys: StrictBool = False
    """True in laboratories only: a card that holds the published test keys counts as genuine."""
    max_loss_list_age_hours: Annotated[StrictInt, Field(ge=1, le=8784)]
    expiry_grace_days: Annotated[StrictInt, Field(ge=0, le=3660)] = 0
    """The days after its 卡有效期 for which a card is still good."""
    checks: dict[CheckName, Weight]
    _origin: str = PrivateAttr(default="")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a policy.

        Raises:
            PolicyError: it cannot be read, is incomplete or has an unknown word; the text names the file, the line
                where it is known, and the place.
        """
        try:
            text, document = read_toml(path)
            policy = cls.model_validate(document)
        except LayoutError as error:
            raise PolicyError(error.detail, error.detail_en) from error
        except ValidationError as error:
            # A misspelt word causes two errors: one missing word and one unknown word. The unknown one says more.
            found = sorted(error.errors(), key=lambda one: "[key]" not in one["loc"] and one["type"] != _UNKNOWN)[0]
            location = tuple(str(step) for step in found["loc"] if step != "[key]")
            zh, en = _words(found, location)
            line = _line(text, location)
            where = str(path) if line is None else f"{path}:{line}"
            place = ".".join(location)
            zh, en = (f"{place}：{zh}", f"{place}: {en}") if place else (zh, en)
            raise PolicyError(f"{where}：{zh}", f"{where}: {en}") from error
        policy._origin = str(path)
        return policy

    @property
    def origin(self) -> str:
        """Return the file that it was read from."""
        return self._origin

    @model_validator(mode="after")
    def _says_enough(self) -> Self:
        missing = [name for name in CheckName if name not in self.checks]
        if missing:
            listed = ", ".join(missing)
            raise _fault(f"[checks] 中缺少 {listed}", f"[checks] says nothing of {listed}")
        for name in NEVER_IGNORED:
            if self.checks[name] is Weight.IGNORED:
                raise _fault(f"{name} 不可为 ignored：失败时一律拒绝", f"{name} cannot be ignored: failed, it refuses")
        if Weight.REQUIRED not in self.checks.values():
            raise _fault("至少一项应为 required", "at least one check must be required")
        return self


@cache
def default_policy() -> Policy:
    """Return the policy that is shipped."""
    return Policy.load(SHIPPED)


def _fault(zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError(_FAULT, "{en}", {"zh": zh, "en": en})


def _words(found: Mapping[str, Any], location: tuple[str, ...]) -> tuple[str, str]:
    """Return pydantic's error in words for people who write policies."""
    word = location[-1] if location else ""
    match found["type"]:
        case str(kind) if kind == _FAULT:
            return found["ctx"]["zh"], found["ctx"]["en"]
        case str(kind) if kind == _UNKNOWN or "[key]" in found["loc"]:
            known = list(CheckName) if len(location) > 1 else list(Policy.model_fields)
            near = get_close_matches(word, [str(name) for name in known], n=1)
            zh, en = (f"，是否应为 {near[0]}？", f"; did you mean {near[0]}?") if near else ("", "")
            return f"不认识“{word}”{zh}", f"there is no word {word!r}{en}"
        case "missing":
            return "缺少该项", "it is missing"
        case "enum":
            return f"应为 {'、'.join(Weight)} 之一", f"must be {found['ctx']['expected']}"
        case _:
            return f"值不对（{found['msg']}）", str(found["msg"])


def _line(text: str, location: tuple[str, ...]) -> int | None:
    """Return the line that gives a word its value: in the table of its name, or above the first table."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[(.*?)\]", line)
        if header is not None:
            table = header[1].strip()
        key = re.match(r"""\s*["']?([\w-]+)["']?\s*=""", line)
        if key is not None and (*filter(None, [table]), key[1]) == location:
            return number
    return None
