"""The layout of tables within the width of a terminal: Chinese characters count two, cells are broken or stacked."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

_WHOLE = 24
"""The width up to which a word is kept whole: a number or a name is copied; longer ones are bytes and addresses."""
_PIECE = 16
"""The least width of the pieces of a longer word."""
_NARROWEST = 10
"""The least width of a column that is broken: a column of single characters cannot be read."""
# A Chinese character is a word of its own, with the blank or the mark that follows.
_WORD = r"[\u2e80-\u9fff\uff00-\uffef][，。；：、）]?|[^\s\u2e80-\u9fff\uff00-\uffef]+|\s+"


def display_width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text within a width; it is broken at blanks, and between Chinese characters."""
    lines, line = [], ""
    for word in _pieces(text, width):
        if display_width(line + word.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = ""
        line = (line + word) if line or word.strip() else ""
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield the words of a text; very long ones in pieces."""
    for word in re.findall(_WORD, text):
        step = max(width, 1) if len(word) > _WHOLE else len(word)
        yield from (word[start : start + step] for start in range(0, len(word), step))


def indented(text: str, width: int) -> list[str]:
    """Return the lines of a text within a width; all begin as far in as the first."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    return [(indent + line).rstrip() for line in wrapped(text, width - len(indent))]


def padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _least_width(cell: str) -> int:
    """Return the width that a cell needs at least."""
    words = max((_least_of(word) for word in re.findall(_WORD, cell.strip())), default=0)
    indent = len(cell) - len(cell.lstrip(" "))
    return indent + max(words, min(_NARROWEST, display_width(cell) - indent))


def _least_of(word: str) -> int:
    width = display_width(word.rstrip())
    return width if width <= _WHOLE else _PIECE


@dataclass(slots=True)
class Columns:
    """The columns of a table: what they would take, and what they need at least."""

    gap: int
    room: int | None
    """The width of the terminal; None for no limit."""
    natural: list[int] = field(default_factory=list)
    least: list[int] = field(default_factory=list)

    def measure(self, row: Sequence[str]) -> None:
        self.natural = [max(*both) for both in zip_longest(self.natural, map(display_width, row), fillvalue=0)]
        if self.room is not None:
            self.least = [max(*both) for both in zip_longest(self.least, map(_least_width, row), fillvalue=0)]

    def fitted(self) -> list[int] | None:
        """Return the widths of the columns; None if they do not fit even when their cells are broken.

        The last resort is a narrower gap between them.
        """
        if self.room is None:
            return self.natural
        if self.gap > 1 and sum(self.least) + self.gap * (len(self.least) - 1) > self.room:
            self.gap = 1
        widths = [min(width, self.room) for width in self.natural]
        over = sum(widths) + self.gap * (len(widths) - 1) - self.room
        while over > 0:
            # The last column is the one that is read as a text: it is broken before another one of the same width.
            widest = max(
                (at for at, width in enumerate(widths) if width > self.least[at]),
                key=lambda at: (widths[at], at),
                default=None,
            )
            if widest is None:
                return None
            widths[widest] -= 1
            over -= 1
        return widths


def lines_of(row: Sequence[str], widths: Sequence[int]) -> Iterator[list[str]]:
    """Yield the lines of one row, each as its cells, padded to the widths of the columns."""
    broken = [
        [cell] if display_width(cell) <= width else indented(cell, width)
        for cell, width in zip(row, widths, strict=True)
    ]
    for cells in zip_longest(*broken, fillvalue=""):
        yield [padded(cell, width) for cell, width in zip(cells, widths, strict=True)]


def stacked(row: Sequence[str], head: Sequence[str] | None, room: int, gap: int) -> Iterator[tuple[str, str]]:
    """Yield the cells of one row under each other, each line as its label and its text. Empty cells are left out.

    Args:
        row: the cells.
        head: the labels of the columns; without them all but the first cell are moved in.
        room: the width of the terminal.
        gap: the width between a label and its text.
    """
    width = max(map(display_width, head)) + gap if head else gap
    for at, cell in enumerate(row):
        if not cell.strip():
            continue
        first = padded(head[at], width) if head else " " * width if at else ""
        for line in wrapped(cell.strip(), max(1, room - display_width(first))):
            yield first, line
            first = " " * display_width(first)


def hanging(lead: str, text: str, room: int | None) -> Iterable[str]:
    """Return the lines of a text behind a lead; those that follow begin where the text began."""
    width = display_width(lead)
    lines = [text] if room is None or room - width < _PIECE else wrapped(text, room - width)
    return [(lead if not at else " " * width) + line for at, line in enumerate(lines)]
