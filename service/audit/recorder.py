"""What the bridge writes into its audit log, so that nothing about the log ever hinders a reading."""

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
"""The action of an entry that says: before it the log could not be written; its target is how many are missing."""
REMEMBERED = "remembered"
"""The target of an entry whose answer is an earlier reading."""
_REST_SECONDS = 1.0
"""A log that cannot be written is left alone for so long."""
_MOST_WAITING = 1000
"""Entries that may wait to be written; a disk that hangs must not fill the memory."""
_END_SECONDS = 1.0
"""How long the end of the bridge waits for what is still to be written."""
_log = logging.getLogger("cardio.service")


@dataclass(slots=True)
class CardUse:
    """One use of the card in a reader, as far as it has come."""

    card_session: str | None = None
    event_counter: int | None = None
    """Which insertion of its reader the card is."""
    card: SocialSecurityCard | None = None
    """Asked who it is when the entry is written: it may have said so before a reading that never ended."""
    binding: CardBinding | None = None
    """What its session stood for when it was touched."""


@dataclass(frozen=True, slots=True)
class _Noted:
    """An entry on its way: with who the card is, for its mark takes the log's key."""

    entry: AuditEntry
    identity: bytes | None


class AuditRecorder:
    """One for the whole bridge; may be used from any thread.

    A thread of its own writes what is noted: neither a card nor an answer waits for the disk.
    """

    def __init__(self, path: Path | None) -> None:
        """Args: ``path`` None: nothing is written."""
        self._path = path
        self.supervisor = Supervisor()
        """Told when the writer fails; the bridge puts its own here."""
        self._log: AuditLog | None = None
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Noted | threading.Event | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._closed = False
        self._ended = threading.Event()
        self._rests_until = 0.0
        self._marks: dict[str, tuple[str, str]] = {}
        """By reader: the card session, and the mark of its card, for what is done later without asking who it is."""
        self.lost = 0
        """Entries that could not be written since one could."""

    @property
    def state(self) -> AuditState:
        if self._path is None:
            return "off"
        down = any(one.task == _TASK for one in self.supervisor.down)
        return "failing" if self.lost or down else "on"

    @contextmanager
    def recording(self, context: RequestContext, reader: str, card_use: CardUse) -> Iterator[None]:
        """Around one use of a card, which fills ``touch``: an entry when it ends, however it ends."""
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
            self._take(_Noted(noted, identity))

    def note_remembered(self, context: RequestContext, reader: str, card_session: str, proof: Proof) -> None:
        """An entry of an answer that was given without asking the card again."""
        noted = replace(_entry(context), reader=reader, card_session=card_session, outcome=_proved("ok", proof))
        self._take(_Noted(replace(noted, target=REMEMBERED), None))

    def note(self, context: RequestContext, *, action: str | None = None, target: str | None = None) -> None:
        """An entry of what touches no card."""
        entry = _entry(context)
        self._take(_Noted(replace(entry, action=action or entry.action, target=target or entry.target), None))

    def flush(self, seconds: float = 5.0) -> bool:
        """Waits until what was noted so far is written, or could not be; False: it took too long."""
        written = threading.Event()
        with self._lock:
            if self._writer is None:
                return True
            self._queue.put(written)
        return written.wait(seconds)

    def close(self, last: RequestContext | None = None) -> None:
        """Ends with a last entry, which is tried even where nothing could be written a moment ago."""
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

    def _take(self, noted: _Noted) -> None:
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
                except BaseException:  # what was not planned for: this entry is missing, and the next ones are not
                    if self.lost <= before:
                        self._miss()
                    with suppress(Exception):  # it fails already
                        self._let_go()
                    raise
        self._let_go()

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
        except Exception as error:  # whatever it is: it is the log's trouble, and a clerk has a queue to serve
            first = not self.lost
            self._miss()
            self._rests_until = time.monotonic() + _REST_SECONDS
            if first:
                words = error.detail_en if isinstance(error, CardioError) else type(error).__name__
                _log.error("nothing is written into the audit log: %s", words)
            self._let_go()

    def _write_late(self, path: Path, noted: _Noted) -> None:
        with (
            self.supervisor.guard(_TASK),
            suppress(CardioError),
        ):  # the bridge has ended: nobody is there to be told
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
            self._let_go()  # somebody has removed or replaced the file: what is written there nobody would find
        if self._log is None:
            self._log = AuditLog(path)
        return self._log

    def _mark(self, log: AuditLog, noted: _Noted) -> str:
        reader, session = noted.entry.reader, noted.entry.card_session
        if noted.identity is not None:
            self._marks[reader] = (session, log.chain.mark(noted.identity))
        known_session, mark = self._marks.get(reader, ("", ""))
        return mark if known_session == session and (session or noted.identity is not None) else ""

    def _let_go(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()


def _proved(outcome: str, proof: Proof) -> str:
    """An outcome, and why the card was not proved genuine where there is a SAM to ask it."""
    return outcome if proof.is_genuine or proof == NO_SAM else f"{outcome} {proof.outcome} {proof.reason}"


def _entry(context: RequestContext) -> AuditEntry:
    return AuditEntry(
        time=now(), origin=context.origin, grant=context.grant, action=context.action, target=context.target,
        request_id=context.request_id,
    )  # fmt: skip
