"""Where the journal of debits is: opened when it is first needed, and at the start where there is one already."""

from __future__ import annotations

import threading
from pathlib import Path

from service.errors import NoJournalError
from service.journal import Journal


class JournalPlace:
    """One for the whole bridge."""

    def __init__(self, path: Path | None) -> None:
        """Args: ``path`` None: no debits here."""
        self._path = path
        self._journal: Journal | None = None
        self._opening = threading.Lock()

    def open(self) -> Journal:
        """Raises: JournalUnavailableError, ConfigurationError: it cannot be used; whoever comes next tries again."""
        if self._path is None:
            raise NoJournalError()
        with self._opening:
            if self._journal is None:
                self._journal = Journal(self._path)
            return self._journal

    @property
    def opened(self) -> Journal | None:
        return self._journal

    @property
    def exists(self) -> bool:
        return self._path is not None and self._path.exists()

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
