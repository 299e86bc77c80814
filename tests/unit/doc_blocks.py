"""The fenced blocks of the documents, and the commands in them with what they are said to answer."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^ *```(\S*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s+)#(?:\s.*)?$")
_PROGRAMS = re.compile(r"\$ |cardio [a-z]|(?:make|sudo|apt-get|printf|journalctl|pcscd) |packaging/")
"""The beginnings of a block of commands without `$`."""
_AS_ANOTHER = re.compile(r"sudo -u \S+ (?:env (?:\w+=\S+ )*)?")
"""The words before a command that another user runs."""
_CALL = re.compile(r"(?:^|[\s|&;(/])cardio ([a-z]+(?:[^\n|&;)>\"'#]|'[^']*'|\"[^\"]*\")*)")


def documents() -> list[Path]:
    """Every document that people write; the reference is made from the code."""
    written = [one for one in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in one.parts]
    return [ROOT / "README.md", ROOT / "README.en.md", *written]


def stem(document: Path) -> str:
    """The document's name in both of its editions."""
    return document.name.removesuffix(".md").removesuffix(".en")


def language(document: Path) -> str:
    """A locale for the document's commands: that of its edition, none where it has one edition only."""
    if document.name.endswith(".en.md"):
        return "en_US.UTF-8"
    return "zh_CN.UTF-8" if document.with_name(f"{stem(document)}.en.md").exists() else "C.UTF-8"


def without_comment(line: str) -> str:
    return _COMMENT.sub("", line).rstrip()


@dataclass(frozen=True)
class Command:
    """One command as a shell takes it, and the lines that it is said to answer."""

    text: str
    answer: str = ""


@dataclass(frozen=True)
class Block:
    document: Path
    kind: str
    """The word behind the fence."""
    text: str

    @property
    def is_of_commands(self) -> bool:
        first = next((line for line in map(without_comment, self.text.splitlines()) if line), "")
        return self.kind in ("console", "sh") or (not self.kind and _PROGRAMS.match(first) is not None)

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, where its first line says so."""
        first = re.match(r"# ([\w-]+\.(?:py|toml))$", self.text.partition("\n")[0])
        return first[1] if first else None

    def commands(self) -> list[Command]:
        """Each command of the block. With `$` before them, what follows is their answer."""
        marked = self.text.startswith("$ ") or "\n$ " in self.text
        found: list[Command] = []
        goes_on = False
        for line in self.text.splitlines():
            if goes_on:
                found[-1] = Command(f"{found[-1].text}\n{without_comment(line)}")
            elif not marked or line.startswith("$ "):
                if not (command := without_comment(line.removeprefix("$ "))):
                    continue
                found.append(Command(command))
            elif found:
                found[-1] = Command(found[-1].text, f"{found[-1].answer}{line}\n")
                continue
            else:
                continue
            goes_on = found[-1].text.endswith(("\\", "|"))
        return found

    def cardio_calls(self) -> list[list[str]]:
        """The words of each call of `cardio`, wherever it stands in the block."""
        if self.kind in ("python", "toml", "json", "mermaid"):
            return []
        joined = "\n".join(map(without_comment, self.text.replace("\\\n", " ").splitlines()))
        joined = _AS_ANOTHER.sub("", re.sub(r"\$\((?!cardio)[^()]*\)", "VALUE", joined))
        marked = self.kind == "console" or "$ " in joined
        lines = [one for one in joined.splitlines() if not marked or one.startswith(("$ ", "  "))]
        return [shlex.split(one) for line in lines for one in _CALL.findall(line)]


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = [Block(document, kind, textwrap.dedent(inside)) for kind, inside in _FENCE.findall(text)]
    assert 2 * len(found) == len(re.findall(r"^ *```", text, re.MULTILINE)), f"{document.name}: a fence is left open"
    return found
