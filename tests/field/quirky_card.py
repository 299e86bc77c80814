"""Quirky cards of the field as data: one TOML file is one card and what must come of it.

A file holds::

    title = "what is odd about this card"
    source = "where it was reported"
    atr = "3B…"                    # hex; without it an ordinary ATR
    like = "adult"                 # a persona answers what the table does not; without it 6D00 does
    seconds = 0.0                  # how long the card takes for each command
    pcsc = false                   # run it over a real pcscd as well

    [answers]                      # beginning of a command in hex = answer in hex; the longest beginning wins
    "00A40400" = "9000"
    "0020" = ["63C2", "63C1"]      # one after another; the last stays

    [[step]]                       # one call after another on the same card
    do = "read"                    # see `tests.field.steps`
    error = "not-a-social-security-card"
    keys = true                    # the published test keys are at hand, as in a laboratory
    commands = 3                   # exactly so many reach the card
    [step.gives]                   # what the answer holds, by dotted path
    "holder.name" = "测试甲"
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.card.base import AnyCard
from simulators.personas.persona import find_persona

CARDS = Path(__file__).parent / "cards"
ORDINARY_ATR = bytes.fromhex("3B6D00000081544C928684370200000099")
_UNKNOWN_COMMAND = bytes.fromhex("6D00")


@dataclass(frozen=True, slots=True)
class FieldCase:
    """One report from the field: a card, the calls that are made to it, and the right outcome of each."""

    name: str
    title: str
    source: str
    atr: bytes
    like: str | None
    seconds: float
    pcsc: bool
    answers: Mapping[bytes, tuple[bytes, ...]]
    steps: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls, path: Path) -> FieldCase:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        answers = {
            bytes.fromhex(command): tuple(map(bytes.fromhex, [answer] if isinstance(answer, str) else answer))
            for command, answer in given.pop("answers", {}).items()
        }
        return cls(
            name=path.stem,
            title=given.pop("title"),
            source=given.pop("source"),
            atr=bytes.fromhex(given.pop("atr", "")),
            like=given.pop("like", None),
            seconds=given.pop("seconds", 0.0),
            pcsc=given.pop("pcsc", False),
            answers=answers,
            steps=tuple(given.pop("step")),
            **given,  # a misspelt key is an error
        )

    def card(self) -> QuirkyCard:
        behind = find_persona(self.like).card() if self.like is not None else None
        atr = self.atr or (behind.atr if behind is not None else ORDINARY_ATR)
        return QuirkyCard(atr, self.answers, behind, self.seconds)


@dataclass(slots=True)
class QuirkyCard:
    """A card that answers from a table."""

    atr: bytes
    answers: Mapping[bytes, tuple[bytes, ...]]
    behind: AnyCard | None = None
    seconds: float = 0.0
    commands: list[bytes] = field(default_factory=list)
    """Every command that reached the card."""
    _given: dict[bytes, int] = field(default_factory=dict)

    def reset(self) -> None:
        if self.behind is not None:
            self.behind.reset()

    def transmit(self, command: bytes) -> bytes:
        self.commands.append(command)
        if self.seconds:
            time.sleep(self.seconds)
        beginnings = [known for known in self.answers if command.startswith(known)]
        if not beginnings:
            return _UNKNOWN_COMMAND if self.behind is None else self.behind.transmit(command)
        beginning = max(beginnings, key=len)
        answers = self.answers[beginning]
        number = self._given.get(beginning, 0)
        self._given[beginning] = number + 1
        return answers[min(number, len(answers) - 1)]


def cases() -> list[FieldCase]:
    return [FieldCase.load(path) for path in sorted(CARDS.glob("*.toml"))]
