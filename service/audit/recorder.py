"""The recorder that writes the bridge's audit log; a problem of the log never stops a reading."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError
from cardio.models.reading import NO_SAM, Proof
from cardio.readers.supervision import Supervisor
from service.audit.card_binding import CardBinding
from service.audit.log import AuditLog, now
from service.audit.schema import AuditEntry
from service.gate.context import RequestContext

AuditState = Literal["on", "off", "failing"]
_TASK = "audit-log"
LOST = "audit-entries-lost"
"""The action of an entry that says: before it the log could not be written.

Its target is the number of missing entries.
"""
REMEMBERED = "remembered"
"""The target of an entry whose answer is an earlier reading."""
_REST_SECONDS = 1.0
"""The time for which a log that cannot be written is left alone."""
_MOST_WAITING = 1000
"""The number of entries that may wait to be written; a disk that does not respond must not fill the memory."""
_END_SECONDS = 1.0
"""The time that the end of the bridge waits for entries that are still to be written."""
_log = logging.getLogger("cardio.service")


@dataclass(slots=True)
class CardUse:
    """One use of the card in a reader, up to now."""

    card_session: str | None = None
    event_counter: int | None = None
    """The number of the card's insertion in its reader."""
    card: SocialSecurityCard | None = None
    """The card, which is asked for its identity when the entry is written.

    It may have given its identity before a reading that never ended.
    """
    binding: CardBinding | None = None
    """The binding of its session at the time of the use."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """An entry on its way, with the card's identity, because its mark needs the log's key."""

    entry: AuditEntry
    identity: bytes | None


class AuditRecorder:
    """The recorder, one object for the whole bridge; may be used from any thread.

    A thread of its own writes the entries: neither a card nor an answer waits for the disk.
    """

    def __init__(self, path: Path | None) -> None:
        """Prepare without opening the log.

        Args:
            path: the log's file; None to write nothing.
        """
        self._path = path
        self.supervisor = Supervisor()
        """The supervisor that gets a failure of the writer; the bridge sets its own here."""
        self._log: AuditLog | None = None
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Noted | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False
        self._ended = threading.Event()
        self._rests_until = 0.0
        self._marks: dict[str, tuple[str, str]] = {}
        """The card session and the mark of its card, by reader, for later actions that do not ask for the identity."""
        self.lost = 0
        """The number of entries that could not be written since the last successful one."""

    @property
    def state(self) -> AuditState:
        if self._path is None:
            return "off"
        down = any(one.task == _TASK for one in self.supervisor.failed_tasks)
        return "failing" if self.lost or down else "on"

    @contextmanager
    def recording(self, context: RequestContext, reader: str, card_use: CardUse) -> Iterator[None]:
        """Record one use of a card, which fills ``card_use``: the entry is added when the use ends in any way."""
        outcome = "internal"
        try:
            yield
            outcome = "ok" if card_use.card is None else _proved("ok", card_use.card.proof)
        except CardioError as error:
            outcome = error.code
            raise
        finally:
            identity = None if card_use.card is None else card_use.card.known_identity
            noted = replace(_entry(context), reader=reader, card_session=card_use.card_session or "", outcome=outcome)
            self._enqueue(_Noted(noted, identity))

    def note_remembered(self, context: RequestContext, reader: str, card_session: str, proof: Proof) -> None:
        """Record an answer that was given without asking the card again."""
        noted = replace(_entry(context), reader=reader, card_session=card_session, outcome=_proved("ok", proof))
        self._enqueue(_Noted(replace(noted, target=REMEMBERED), None))

    def note(self, context: RequestContext, *, action: str | None = None, target: str | None = None) -> None:
        """Record an action without a card."""
        entry = _entry(context)
        self._enqueue(_Noted(replace(entry, action=action or entry.action, target=target or entry.target), None))

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until all entries so far are written, or could not be; return False if that took too long."""
        written = threading.Event()
        with self._lock:
            if self._writer is None:
                return True
            self._queue.put(written)
        return written.wait(seconds)

    def close(self, last: RequestContext | None = None) -> None:
        """End with a last entry, which is tried even if nothing could be written a moment ago."""
        self._rests_until = 0.0
        if last is not None:
            self.note(last)
        in_time = self.flush(_END_SECONDS)
        with self._lock:
            self._closed = True
            writer, self._writer = self._writer, None
            self._queue.put(None)
            if not in_time:
                self._ended.set()
        if writer is not None and in_time:
            writer.join(_END_SECONDS)

    def _enqueue(self, noted: _Noted) -> None:
        if self._path is None:
            return
        with self._lock:
            if self._closed:  # a card's thread that came back after the end: a thread for this one
                threading.Thread(target=self._write_late, args=(self._path, noted), daemon=True).start()
                return
            if self._queue.qsize() >= _MOST_WAITING:
                self.lost += 1
                return
            if self._writer is None:
                self._writer = threading.Thread(
                    target=self.supervisor.keep_thread,
                    args=(_TASK, partial(self._run, self._path), self._ended),
                    name="cardio-audit",
                    daemon=True,
                )
                self._writer.start()
            self._queue.put(noted)

    # -- on the writer's thread -------------------------------------------------------------------

    def _run(self, path: Path) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            elif time.monotonic() < self._rests_until:
                self._miss()
            else:
                before = self.lost
                try:
                    self._write(path, item)
                except BaseException:  # an unplanned error: this entry is missing, the next ones are not
                    if self.lost <= before:
                        self._miss()
                    with suppress(Exception):  # it fails already
                        self._close_log()
                    raise
        self._close_log()

    def _write(self, path: Path, noted: _Noted) -> None:
        try:
            log = self._opened(path)
            entry = replace(noted.entry, card=self._mark(log, noted))
            if self.lost:
                missing = self.lost
                log.append(AuditEntry(now(), "local", "local", LOST, target=str(missing)))
                with self._lock:
                    self.lost -= missing
            log.append(entry)
        except Exception as error:  # any error: it is the log's problem, and a clerk has a queue to serve
            first = not self.lost
            self._miss()
            self._rests_until = time.monotonic() + _REST_SECONDS
            if first:
                words = error.detail_en if isinstance(error, CardioError) else type(error).__name__
                _log.error("nothing is written into the audit log: %s", words)
            self._close_log()

    def _write_late(self, path: Path, noted: _Noted) -> None:
        with (
            self.supervisor.guard(_TASK),
            suppress(CardioError),
        ):  # the bridge has ended: no caller is left to inform
            log = AuditLog(path)
            try:
                log.append(replace(noted.entry, card=self._mark(log, noted)))
            finally:
                log.close()

    def _miss(self) -> None:
        with self._lock:
            self.lost += 1

    def _opened(self, path: Path) -> AuditLog:
        if self._log is not None and not self._log.is_in_place:
            self._close_log()  # the file was removed or replaced: entries written there would be lost
        if self._log is None:
            self._log = AuditLog(path)
        return self._log

    def _mark(self, log: AuditLog, noted: _Noted) -> str:
        reader, session = noted.entry.reader, noted.entry.card_session
        if noted.identity is not None:
            self._marks[reader] = (session, log.chain.mark(noted.identity))
        known_session, mark = self._marks.get(reader, ("", ""))
        return mark if known_session == session and (session or noted.identity is not None) else ""

    def _close_log(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()


def _proved(outcome: str, proof: Proof) -> str:
    """Return an outcome, with the reason why the card was not proved genuine if there is a SAM."""
    return outcome if proof.is_genuine or proof == NO_SAM else f"{outcome} {proof.outcome} {proof.reason}"


def _entry(context: RequestContext) -> AuditEntry:
    return AuditEntry(
        time=now(), origin=context.origin, grant=context.grant, action=context.action, target=context.target,
        request_id=context.request_id,
    )  # fmt: skip
