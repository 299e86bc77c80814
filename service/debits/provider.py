"""The provider of the journal: it opens the journal on first use, or at the start if the file exists."""

from __future__ import annotations

import threading
from pathlib import Path

from cardio.errors import CardioError
from service.audit.chain import Chain
from service.debits.errors import JournalRestoredError, JournalUnavailableError, NoJournalError
from service.debits.journal import Journal
from service.debits.journal_file.file import lock_of, moved_journal_error
from service.debits.journal_file.marks import Marks
from service.debits.journal_file.setting_aside import keep_its_own_log, set_aside
from service.storage.secret_file import load_token


class JournalProvider:
    """The provider of the journal, one object for the whole bridge."""

    def __init__(self, path: Path | None, elsewhere: Path | None = None) -> None:
        """Prepare without opening the journal.

        Args:
            path: the journal's file; None if this bridge does no debits.
            elsewhere: a folder for marks, outside the journal's own.
        """
        self._path = path
        self._elsewhere = elsewhere
        self._journal: Journal | None = None
        self._opening = threading.Lock()

    def open(self) -> Journal:
        """Return the journal. A journal that is not at its place is not used; it is used again when it is back.

        Raises:
            NoJournalError: this bridge has no journal.
            JournalUnavailableError: the journal cannot be used; the next caller tries again.
            ConfigurationError: its key file is not as it should be; the next caller tries again.
        """
        if self._path is None:
            raise NoJournalError()
        with self._opening:
            return self._opened(self._path)

    def _opened(self, path: Path) -> Journal:
        journal = self._journal
        if journal is not None and not journal.is_in_place:
            # Another file at the path is examined as at a start, once no debit needs the present one.
            if journal.is_working or not path.exists():
                raise moved_journal_error(path)
            journal.abandon()
            self._journal = None
        if self._journal is None:
            self._journal = Journal(path, self._elsewhere)
        return self._journal

    def accept(self) -> Journal:
        """Accept the file at the path, because a person has decided that debits continue.

        They continue with a restored or copied file, or, if the file is lost, with a new one. Files that cannot be used
        any more are set aside, never deleted.

        Raises:
            NoJournalError: this bridge has no journal.
            JournalUnavailableError: the journal still cannot be used.
            ConfigurationError: its key file is not as it should be.
        """
        if self._path is None:
            raise NoJournalError()
        with self._opening:
            try:
                opened = self._opened(self._path)
            except JournalUnavailableError as error:
                if not error.gone and not isinstance(error, JournalRestoredError):
                    raise
                if self._journal is not None and self._journal.is_working:
                    raise
                if self._journal is not None:
                    self._journal.abandon()
                    self._journal = None
                lock = lock_of(self._path)  # another bridge may use the file that seems to be lost
                try:
                    self._make_way(self._path)
                finally:
                    lock.release()
                opened = self._opened(self._path)
            if opened.restored is not None:
                opened.accept()
            return opened

    def _make_way(self, path: Path) -> None:
        """Set aside the files that cannot be used.

        A log that belongs to the database stays with it, because it holds debits.
        """
        marks, key = Marks(path, self._elsewhere), path.with_suffix(".key")
        if not (key.is_file() and keep_its_own_log(path, marks, Chain(load_token(key)))):
            set_aside(path, marks)

    def blocking_error(self) -> CardioError | None:
        """Return the reason why debits stand still although there is a journal, or was one.

        The journal is not in its place, was restored or copied, or cannot be used. If another bridge uses it, only the
        caller of a debit gets that error.
        """
        if self._path is None:
            return None
        journal = self._journal
        if journal is not None:
            return journal.restored if journal.is_in_place else moved_journal_error(self._path)
        if not self._path.exists():
            return moved_journal_error(self._path) if Marks(self._path, self._elsewhere).exist else None
        try:
            return self.open().restored
        except JournalUnavailableError as error:  # another bridge may use it for good reasons
            return None if error.in_use else error
        except CardioError as error:
            return error

    @property
    def opened(self) -> Journal | None:
        return self._journal

    @property
    def exists(self) -> bool:
        return self._path is not None and (self._path.exists() or Marks(self._path, self._elsewhere).exist)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
