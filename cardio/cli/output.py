"""The output of the command: tables for people, one JSON document for programs, errors for both."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from textwrap import indent
from typing import Any, TextIO

from cardio.cli.colour import Colour, is_coloured, is_terminal, marked, painted
from cardio.cli.language import Language, in_language, title_in
from cardio.cli.table import Columns, display_width, hanging, lines_of, stacked
from cardio.errors import CardioError

_COUNTED = 1000
"""The whole up to which progress is counted; of more the hundredth part is shown."""


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
        self._has_colour = not as_json and is_coloured(self._stdout)
        self._notes_have_colour = not as_json and is_coloured(self._stderr)
        self._progress = ""
        """The progress that stands on the terminal now."""

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

    @property
    def is_on_terminal(self) -> bool:
        """True if a person reads the result, on a terminal of some width."""
        return self._columns() is not None

    def words(self, chinese: str, english: str) -> str:
        """Return a sentence in the language of the command."""
        return in_language(self.language, chinese, english)

    def label(self, chinese: str, english: str) -> str:
        """Return a name or a heading in the language of the command."""
        return in_language(self.language, chinese, english, between=" ")

    def titles(self, *declared: str) -> tuple[str, ...]:
        """Return short names in the language of the command; each is declared as ``中文 english``."""
        return tuple(title_in(self.language, one) for one in declared)

    def named(self, chinese: str, english: str, text: str) -> str:
        """Return a text behind its name, with the colon of the language."""
        return f"{self.label(chinese, english)}{self.colon}{text}"

    @property
    def colon(self) -> str:
        return "：" if self.language is Language.CHINESE else ": "

    def bracketed(self, text: str) -> str:
        """Return a text in the brackets of the language, to stand behind another."""
        return f" ({text})" if self.language is Language.ENGLISH else f"（{text}）"

    def listed(self, words: Iterable[str]) -> str:
        return (", " if self.language is Language.ENGLISH else "、").join(words)

    def columns(self, chinese: str, english: str) -> tuple[str, ...]:
        """Return the cells of a table: one for each language of the command."""
        match self.language:
            case Language.CHINESE:
                return (chinese,)
            case Language.ENGLISH:
                return (english,)
        return chinese, english

    def text(self, text: str = "", english: str | None = None, *, colour: Colour | None = None) -> None:
        """Print the result. With ``english`` the text is the Chinese of the same sentence."""
        said = text if english is None else self.words(text, english)
        self._erase_progress()
        print(painted(said, colour if self._has_colour else None), file=self._stdout, flush=True)

    def note(self, text: str, english: str | None = None, *, colour: Colour | None = None) -> None:
        """Print a note for people on standard error. If that cannot be written, only the result is printed.

        Args:
            text: the note.
            english: the same sentence, where the text is Chinese.
            colour: its colour on a terminal.
        """
        said = text if english is None else self.words(text, english)
        self._erase_progress()
        with suppress(OSError):
            print(painted(said, colour if self._notes_have_colour else None), file=self._stderr, flush=True)

    def warning(self, text: str, english: str | None = None) -> None:
        """Print on standard error what a person should heed."""
        self.note(text, english, colour=Colour.WARNING)

    def heading(self, chinese: str, english: str, more: str = "") -> None:
        """Print the heading of a part of the result."""
        title = self.label(chinese, english)
        self.text((f"[{title}]" if self.language is Language.ENGLISH else f"【{title}】") + more)

    def item(self, lead: str, text: str) -> None:
        """Print one item of a list. On a terminal its text is broken, and every line begins where the first began."""
        for line in hanging(lead, text, self._columns()):
            self.text(marked(line) if self._has_colour else line)

    def table(self, rows: Iterable[Sequence[str]], *, head: bool = False, labels: int = 0, gap: int = 2) -> None:
        """Print columns as wide as their widest cell; Chinese characters count two.

        On a terminal the cells are broken where the table would not fit; where that is not enough, they are printed
        under each other. A program gets one line for each row.

        Args:
            rows: the rows.
            head: the first row has the titles of the columns.
            labels: so many columns at the left only name what stands beside them.
            gap: the width between columns.
        """
        listed = [list(row) for row in rows]
        self.long_table(lambda: listed, head=head, labels=labels, gap=gap)

    def long_table(
        self, rows: Callable[[], Iterable[Sequence[str]]], *, head: bool = False, labels: int = 0, gap: int = 2
    ) -> None:
        """A table of rows that are not in memory together.

        Args:
            rows: gives them, once to measure and once to write. Rows that came in between may be wider.
            head: as for `table`.
            labels: as for `table`.
            gap: as for `table`.
        """
        room = self._columns()
        columns = Columns(gap, room)
        count = 0
        for row in rows():
            count += 1
            columns.measure(row)
        widths = columns.fitted()
        if widths is None:
            self._stack(islice(rows(), count), head=head, room=room or 0, gap=gap)
            return
        for number, row in enumerate(islice(rows(), count)):
            for cells in lines_of(row, widths):
                shown = [
                    self._cell(cell, is_label=(head and not number) or at < labels) for at, cell in enumerate(cells)
                ]
                self.text((" " * columns.gap).join(shown).rstrip())

    def _cell(self, cell: str, *, is_label: bool) -> str:
        if not self._has_colour:
            return cell
        return painted(cell, Colour.LABEL) if is_label else marked(cell)

    def _stack(self, rows: Iterable[Sequence[str]], *, head: bool, room: int, gap: int) -> None:
        """Print the cells of each row under each other, with an empty line between rows that have titles."""
        every = iter(rows)
        titles = next(every) if head else None
        for number, row in enumerate(every):
            if number and titles:
                self.text()
            for label, text in stacked(row, titles, room, gap):
                self.text(self._cell(label, is_label=True) + self._cell(text, is_label=False))

    def _columns(self) -> int | None:
        """Return the width of the terminal; None if the output is no terminal, whatever ``$COLUMNS`` says."""
        return _columns_of(self._stdout)

    def progress(self, chinese: str, english: str) -> Callable[[int, int], None] | None:
        """Return a function that shows how far a long work is, in one line that is rewritten and gone at the end.

        None where no person would see it: standard error is no terminal, or one without a cursor.
        """
        if self.as_json or not is_terminal(self._stderr) or os.environ.get("TERM") == "dumb":
            return None

        def show(done: int, whole: int) -> None:
            if done >= whole:
                self._erase_progress()
                return
            part = f"{done}/{whole}" if whole < _COUNTED else f"{100 * done // whole} %"
            said = f"{self.label(chinese, english)} {part}"
            if said != self._progress and display_width(said) < (_columns_of(self._stderr) or 0):
                self._erase_progress()
                self._progress = said
                with suppress(OSError):
                    print(said, end="", file=self._stderr, flush=True)

        return show

    def close(self) -> None:
        """Leave nothing behind that is not the result: a work that was broken off has its progress still there."""
        self._erase_progress()

    def _erase_progress(self) -> None:
        if self._progress:
            with suppress(OSError):
                print(f"\r{' ' * display_width(self._progress)}\r", end="", file=self._stderr, flush=True)
        self._progress = ""

    def error(self, error: CardioError) -> None:
        """Print the error and its remedy; with ``--json`` the problem object under ``error``."""
        if self.as_json:
            from cardio.models.problem import Problem

            self.document({"error": Problem.of(error).document()})
            return
        if self.language is not Language.ENGLISH:
            named = f" [{error.code}]" if self.language is Language.CHINESE else ""
            self.note(f"错误：{error.detail}{named}", colour=Colour.ERROR)
            self.note(f"处理：{error.remedy}")
        if self.language is not Language.CHINESE:
            self.note(f"Error: {error.detail_en} [{error.code}]", colour=Colour.ERROR)
            self.note(f"Do:    {error.remedy_en}")


def _columns_of(stream: TextIO) -> int | None:
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None
