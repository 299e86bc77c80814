"""What the bridge's own pages keep from run to run. A browser keeps it by address, and each run has another."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any, Literal, get_args

from cardio.config.private_file import read_private, write_private
from cardio.errors import ConfigurationError

Language = Literal["zh", "en"]
_log = logging.getLogger("cardio.service")
_KEPT_RUNS = 4
"""How many earlier runs' addresses are listened to."""
_FILE_LIMIT = 4096
_ADDRESS = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}")


class PageMemory:
    """The addresses of the last runs, and the language that was chosen last; in a file beside the grants."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file.

        Args:
            path: None to keep nothing beyond this run. A file that says nothing of use counts as none.
        """
        self._path = path
        found = {} if path is None else _read(path)
        addresses, language = found.get("addresses"), found.get("language")
        self._addresses = tuple(one for one in (addresses if isinstance(addresses, list) else ()) if _is_address(one))[
            :_KEPT_RUNS
        ]
        self._language: Language | None = language if language in get_args(Language) else None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Newest first."""
        return self._addresses

    @property
    def language(self) -> Language | None:
        """The language that was chosen last; None where none ever was."""
        return self._language

    def keep_address(self, address: str, earlier: tuple[str, ...]) -> None:
        """Keep this run's address before those of earlier runs that are still listened to."""
        self._addresses = (address, *earlier)[:_KEPT_RUNS]
        self._write()

    def keep_language(self, language: Language) -> None:
        """Keep a language. May wait for the disk."""
        self._language = language
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            write_private(self._path, json.dumps({"addresses": self._addresses, "language": self._language}))
        except OSError as error:  # done without: an old tab does not follow, and the language is Chinese
            _log.warning("the pages' file %s cannot be written: %s", self._path, error.strerror)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_private(path, "网页记录文件", "pages' file", limit=_FILE_LIMIT))
    except (ConfigurationError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_address(text: object) -> bool:
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None
