"""What the bridge writes into its audit log, so that nothing about the log ever hinders a reading."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cardio.card import SocialSecurityCard
from cardio.errors import CardioError
from service.asking import Asking
from service.audit_entries import AuditEntry
from service.audit_log import AuditLog, now

AuditState = Literal["on", "off", "failing"]
LOST = "audit-entries-lost"
"""The action of an entry that says: before it the log could not be written; its target is how many are missing."""
_REST_SECONDS = 1.0
"""A log that cannot be written is left alone for so long: whoever reads a card does not wait for it again and again."""
_log = logging.getLogger("cardio.service")


@dataclass(slots=True)
class Touch:
    """One use of the card in a reader, as far as it has come."""

    card_session: str | None = None
    card: SocialSecurityCard | None = None
    """Asked who it is when the entry is written: it may have said so before a reading that never ended."""


class Audit:
    """One for the whole bridge; may be used from any thread."""

    def __init__(self, path: Path | None) -> None:
        """Args: ``path`` None: nothing is written."""
        self._path = path
        self._log: AuditLog | None = None
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._marks: dict[str, tuple[str, str]] = {}
        """By reader: the card session, and the mark of its card, for what is done later without asking who it is."""
        self._closed = False
        self.lost = 0
        """Entries that could not be written since one could."""

    @property
    def state(self) -> AuditState:
        if self._path is None:
            return "off"
        return "failing" if self.lost else "on"

    @contextmanager
    def touching(self, asking: Asking, reader: str) -> Iterator[Touch]:
        """Around one use of a card: an entry when it ends, however it ends."""
        touch = Touch()
        outcome = "internal"
        try:
            yield touch
            outcome = "ok"
        except CardioError as error:
            outcome = error.code
            raise
        finally:
            self._note(asking, reader=reader, touch=touch, outcome=outcome)

    def note(self, asking: Asking, *, action: str | None = None, target: str | None = None) -> None:
        """An entry of what touches no card."""
        self._note(asking, action=action, target=target)

    def _note(
        self,
        asking: Asking,
        *,
        action: str | None = None,
        target: str | None = None,
        reader: str = "",
        touch: Touch | None = None,
        outcome: str = "ok",
    ) -> None:
        if self._path is None:
            return
        with self._lock:
            if time.monotonic() < self._rests_until:
                self.lost += 1
                return
            try:
                log = self._opened(self._path)
                session = "" if touch is None else touch.card_session or ""
                entry = AuditEntry(
                    time=now(), origin=asking.origin, grant=asking.grant, action=action or asking.action,
                    target=asking.target if target is None else target, reader=reader, card_session=session,
                    card="" if touch is None else self._mark(log, reader, session, touch.card),
                    outcome=outcome, request_id=asking.request_id,
                )  # fmt: skip
                if self.lost:
                    log.append(AuditEntry(now(), "local", "local", LOST, target=str(self.lost)))
                    self.lost = 0
                log.append(entry)
                if self._closed:  # a card's thread that came back late
                    self._let_go()
            except Exception as error:  # whatever it is: it is the log's trouble, and a clerk has a queue to serve
                self._rest(error)

    def _opened(self, path: Path) -> AuditLog:
        if self._log is not None and not self._log.is_in_place:
            self._let_go()  # somebody has removed or replaced the file: what is written there nobody would find
        if self._log is None:
            self._log = AuditLog(path)
        return self._log

    def _mark(self, log: AuditLog, reader: str, session: str, card: SocialSecurityCard | None) -> str:
        identity = None if card is None else card.known_identity
        if identity is not None:
            self._marks[reader] = (session, log.chain.mark(identity))
        known_session, mark = self._marks.get(reader, ("", ""))
        return mark if known_session == session and (session or identity is not None) else ""

    def _rest(self, error: Exception) -> None:
        if not self.lost:
            words = error.detail_en if isinstance(error, CardioError) else type(error).__name__
            _log.error("nothing is written into the audit log: %s", words)
        self.lost += 1
        self._rests_until = time.monotonic() + _REST_SECONDS
        self._let_go()

    def _let_go(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def close(self, last: Asking | None = None) -> None:
        """Ends with a last entry, which is tried even where nothing could be written a moment ago."""
        with self._lock:
            self._rests_until = 0.0
        if last is not None:
            self.note(last)
        with self._lock:
            self._closed = True
            self._let_go()
