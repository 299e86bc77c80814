"""What the command prints: tables for people, one JSON document for programs, errors for both."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TextIO

from cardio.errors import CardioError


class Output:
    """Standard output, kept clean: with ``--json`` nothing but JSON is on it."""

    def __init__(self, *, as_json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr

    @classmethod
    def guarded(cls, *, as_json: bool) -> Output:
        """Keeps file descriptor 1 for itself: PC/SC's C code prints there when its library is missing.

        It speaks the terminal's encoding, as standard error does.
        """
        sys.stdout.flush()
        own = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
        os.dup2(2, 1)
        return cls(as_json=as_json, stdout=own)

    def document(self, document: Any) -> None:
        """The one JSON document."""
        print(self._json(document, indent=2), file=self._stdout, flush=True)

    def json_line(self, document: Any) -> None:
        """One of several JSON objects, a line each."""
        print(self._json(document), file=self._stdout, flush=True)

    def _json(self, document: Any, *, indent: int | None = None) -> str:
        """JSON that every program reads: in an encoding that has not every character it is plain ASCII."""
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        unicode = encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")
        return json.dumps(document, ensure_ascii=not unicode, indent=indent)

    def text(self, text: str = "") -> None:
        print(text, file=self._stdout, flush=True)

    def note(self, text: str) -> None:
        """For people, beside the answer: on standard error. Where that cannot be written the answer stands alone."""
        with suppress(OSError):
            print(text, file=self._stderr, flush=True)

    def table(self, rows: Iterable[Sequence[str]], *, gap: int = 2) -> None:
        """Columns as wide as their widest cell, Chinese characters counting two."""
        listed = [list(row) for row in rows]
        if not listed:
            return
        widths = [max(display_width(row[column]) for row in listed) for column in range(len(listed[0]))]
        for row in listed:
            cells = [cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)]
            self.text((" " * gap).join(cells).rstrip())

    def error(self, error: CardioError) -> None:
        """What happened and what to do now; with ``--json`` the problem object under ``error``."""
        if self.as_json:
            from cardio.models.problem import Problem

            self.document({"error": Problem.of(error).document()})
            return
        self.note(f"错误：{error.detail}")
        self.note(f"处理：{error.remedy}")
        self.note(f"Error: {error.detail_en} [{error.code}]")
        self.note(f"Do:    {error.remedy_en}")


def display_width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
