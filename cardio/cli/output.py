"""The output of the command: tables for people, one JSON document for programs, errors for both."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice, zip_longest
from textwrap import indent
from typing import Any, TextIO

from cardio.cli.language import Language, in_language, title_in
from cardio.errors import CardioError

_LEAST_ROOM = 16
"""The least number of columns at which the last column of a table is broken; the terminal breaks narrower ones."""


class Output:
    """The standard output, kept clean: with ``--json`` it has nothing but JSON."""

    def __init__(
        self,
        *,
        as_json: bool,
        language: Language = Language.BOTH,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.as_json = as_json
        self.language = language
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr

    @classmethod
    def guarded(cls, *, as_json: bool, language: Language = Language.BOTH) -> Output:
        """Return an output that keeps file descriptor 1 for itself: PC/SC's C code prints there when its library is
        missing.

        The output has the terminal's encoding, as standard error does.
        """
        sys.stdout.flush()
        own = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
        os.dup2(2, 1)
        return cls(as_json=as_json, language=language, stdout=own)

    def document(self, document: Any) -> None:
        """Print the one JSON document."""
        print(self._json(document, indent=2), file=self._stdout, flush=True)

    def document_of(self, name: str, items: Iterable[Any]) -> None:
        """The one JSON document, an object with one list, written item by item: as `document` would write it."""
        print(f'{{\n  "{name}": [', end="", file=self._stdout)
        separator = "\n"
        for item in items:
            print(separator + indent(self._json(item, indent=2), "    "), end="", file=self._stdout)
            separator = ",\n"
        print("]\n}" if separator == "\n" else "\n  ]\n}", file=self._stdout, flush=True)

    def json_line(self, document: Any) -> None:
        """Print one of several JSON objects, a line each."""
        print(self._json(document), file=self._stdout, flush=True)

    def _json(self, document: Any, *, indent: int | None = None) -> str:
        """Return JSON that every program can read: plain ASCII if the encoding lacks characters."""
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        unicode = encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")
        return json.dumps(document, ensure_ascii=not unicode, indent=indent)

    def words(self, chinese: str, english: str) -> str:
        """Return a sentence in the language of the command."""
        return in_language(self.language, chinese, english)

    def label(self, chinese: str, english: str) -> str:
        """Return a name or a heading in the language of the command."""
        return in_language(self.language, chinese, english, between=" ")

    def titles(self, *declared: str) -> tuple[str, ...]:
        """Return short names in the language of the command; each is declared as ``中文 english``."""
        return tuple(title_in(self.language, one) for one in declared)

    def columns(self, chinese: str, english: str) -> tuple[str, ...]:
        """Return the cells of a table: one for each language of the command."""
        match self.language:
            case Language.CHINESE:
                return (chinese,)
            case Language.ENGLISH:
                return (english,)
        return chinese, english

    def text(self, text: str = "", english: str | None = None) -> None:
        """Print the result. With ``english`` the text is the Chinese of the same sentence."""
        print(text if english is None else self.words(text, english), file=self._stdout, flush=True)

    def note(self, text: str, english: str | None = None) -> None:
        """Print a note for people on standard error. If that cannot be written, only the result is printed.

        Args:
            text: the note.
            english: the same sentence, where the text is Chinese.
        """
        with suppress(OSError):
            print(text if english is None else self.words(text, english), file=self._stderr, flush=True)

    def table(self, rows: Iterable[Sequence[str]], *, gap: int = 2) -> None:
        """Print columns as wide as their widest cell; Chinese characters count two.

        On a terminal the last column is broken where it would not fit; a program gets one line for each row.
        """
        listed = [list(row) for row in rows]
        self.long_table(lambda: listed, gap=gap)

    def long_table(self, rows: Callable[[], Iterable[Sequence[str]]], *, gap: int = 2) -> None:
        """A table of rows that are not in memory together.

        Args:
            rows: gives them, once to measure and once to write. Rows that came in between may be wider.
        """
        widths: list[int] = []
        count = 0
        for row in rows():
            count += 1
            widths = [max(*both) for both in zip_longest(widths, map(display_width, row), fillvalue=0)]
        if not count:
            return
        before = sum(widths[:-1]) + gap * (len(widths) - 1)
        columns = self._columns()
        room = None if columns is None or columns - before < _LEAST_ROOM else columns - before
        for row in islice(rows(), count):
            cells = [cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)]
            last, *more = [cells[-1]] if room is None else wrapped(row[-1], room)
            self.text((" " * gap).join([*cells[:-1], last]).rstrip())
            for line in more:
                self.text(" " * before + line)

    def _columns(self) -> int | None:
        """Return the width of the terminal; None if the output is no terminal, whatever ``$COLUMNS`` says."""
        try:
            return os.get_terminal_size(self._stdout.fileno()).columns or None
        except (OSError, ValueError):
            return None

    def error(self, error: CardioError) -> None:
        """Print the error and its remedy; with ``--json`` the problem object under ``error``."""
        if self.as_json:
            from cardio.models.problem import Problem

            self.document({"error": Problem.of(error).document()})
            return
        if self.language is not Language.ENGLISH:
            named = f" [{error.code}]" if self.language is Language.CHINESE else ""
            self.note(f"错误：{error.detail}{named}")
            self.note(f"处理：{error.remedy}")
        if self.language is not Language.CHINESE:
            self.note(f"Error: {error.detail_en} [{error.code}]")
            self.note(f"Do:    {error.remedy_en}")


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text within a width; it is broken at blanks, and between Chinese characters."""
    lines, line = [], ""
    # A Chinese character is a word of its own, with the blank or the mark that follows.
    for word in re.findall(r"[\u2e80-\u9fff\uff00-\uffef][，。；：、）]?|[^\s\u2e80-\u9fff\uff00-\uffef]+|\s+", text):
        if display_width(line + word.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = ""
        line = (line + word) if line or word.strip() else ""
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def display_width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
