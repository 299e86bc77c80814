"""SAMs whose keys a card does not take, and many cards of one kind."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection
from pathlib import Path

from cardio.filesystem.layouts.loader import layout_of
from cardio.security.sam.key_file import KeyFile, SoftSam
from simulators.card.software_card import SoftwareCard
from simulators.crypto.published_keys import key_file
from simulators.personas.persona import Persona, find_persona

ALL = frozenset(key.name for key in layout_of(3).keys)


class Ready:
    """A SAM that is at hand."""

    def __init__(self, sam: SoftSam) -> None:
        self.sam = sam

    def open(self) -> SoftSam:
        return self.sam


def keys_right_for(right: Collection[str], *, wrong: str = "5A") -> str:
    """A key file whose keys are the test cards' for these names, and another issuer's for all others."""
    lines = []
    for line in key_file(layout_of(3).keys).splitlines():
        name, equals, groups = line.partition(" = ")
        if groups.startswith("{") and name not in right:
            keys = tomllib.loads(f"groups = {groups}")["groups"].items()
            groups = "{ " + ", ".join(f'{version} = "{wrong * (len(key) // 2)}"' for version, key in keys) + " }"
        lines.append(name + equals + groups)
    return "\n".join(lines) + "\n"


def sam_right_for(*right: str, wrong: str = "5A") -> Ready:
    return Ready(SoftSam(KeyFile.model_validate(tomllib.loads(keys_right_for(right, wrong=wrong)))))


def key_file_right_for(path: Path, *right: str, wrong: str = "5A") -> Path:
    path.write_text(keys_right_for(right, wrong=wrong), encoding="utf-8")
    path.chmod(0o600)
    return path


def holder_of(number: int, persona: str = "third-closed") -> Persona:
    """One of many cards of a kind: each has an identification code and a chip of its own."""
    template = find_persona(persona)
    files = {path: dict(items) for path, items in template.files.items()}
    code = files["SSSE/EF05"]["identification_code"]
    files["SSSE/EF05"]["identification_code"] = f"{code[:16]}{number:08X}FFFFFFFF"
    historical_bytes = template.historical_bytes[:9] + number.to_bytes(4, "big")
    return template.model_copy(update={"files": files, "historical_bytes": historical_bytes})


class CountingCard:
    """A software card, what was sent to it, and how many tries its keys have left."""

    def __init__(
        self, memory: Path, number: int = 9, persona: str = "third-closed", *, answer: bytes | None = None
    ) -> None:
        """Args:
        memory: the file in which the card keeps what outlives its power.
        answer: takes the place of the card's own to EXTERNAL AUTHENTICATION.
        """
        self._memory = memory
        self.card: SoftwareCard = holder_of(number, persona).card(memory)
        self.atr = self.card.atr
        self.presented: list[int] = []
        """The keys of EXTERNAL AUTHENTICATION, by their numbers."""
        self.answer = answer

    def reset(self) -> None:
        self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == b"\x00\x82":
            self.presented.append(command[3])
            if self.answer is not None:
                self.card.transmit(command)
                return self.answer
        return self.card.transmit(command)

    @property
    def tries(self) -> dict[str, int]:
        """Of the keys that were refused."""
        return dict(json.loads(self._memory.read_bytes())["key_tries"]) if self._memory.exists() else {}
