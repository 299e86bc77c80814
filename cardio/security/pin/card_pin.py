"""The protection of a card's PIN tries from programs: the checks before VERIFY is sent, and the notes afterwards.

One guard serves all callers of a process. A PIN is never sent twice automatically. An error in the middle of a
verification counts as a spent try. The last try is not spent without consent. A caller with too many wrong PINs has to
wait.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.command_watch import means_not_executed
from cardio.apdu.status_word import StatusWord, tries_in
from cardio.errors import CardGarbledError, CardRefusedError, ReaderBusyError
from cardio.security.errors import (
    LastTryError,
    PinAlreadyWrongError,
    PinBlockedError,
    PinOutcomeUnknownError,
    PinQuotaError,
    WrongPinError,
)
from cardio.security.key_memory import KeyMemory
from cardio.security.pin.count import VERIFICATION_FAILED, PinCount, PinPolicy, TriesCounter
from cardio.security.pin.memory import CopiedMemory, CountQuery, PinMemory, VolatileMemory
from cardio.security.pin.pad_status import entry_error_of
from cardio.security.pin.pin import Pin

_EXCLUSIVE_SECONDS = 5.0
WRONG_CARDS = 3
WRONG_SECONDS = 10 * 60.0
SUSPENDED_SECONDS = 15 * 60.0
_CARDS_KEPT = 256
_ORIGINS_KEPT = 256


@dataclass(slots=True)
class _CardRecord:
    """The record of one card's PIN. The wrong PIN itself is not kept, only its keyed hash."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    wrong: bytes | None = field(default=None, repr=False)
    left_after_wrong: int = 0


@dataclass(slots=True)
class _OriginRecord:
    wrong: deque[tuple[float, bytes]] = field(default_factory=deque)
    suspended_until: float = 0.0


class PinGuard:
    """The counter of wrong PINs over all cards and callers of this process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._memory = VolatileMemory()
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._cards: OrderedDict[bytes, _CardRecord] = OrderedDict()
        self._origins: OrderedDict[str, _OriginRecord] = OrderedDict()
        self.keys = KeyMemory(None)
        """The answers of cards to keys, where no file stores them."""

    def card(
        self,
        identity: bytes,
        origin: str,
        *,
        family: str = "",
        memory: PinMemory | None = None,
        policy: PinPolicy | None = None,
    ) -> CardPin:
        """Return the PIN of one card, for one caller.

        Args:
            identity: identifies the card; only its keyed hash is kept.
            origin: the caller: a page's origin, a program, the command line.
            family: the card family; its cards answer alike when asked for the count.
            memory: stores the counts that cards gave and their cost; without one they are kept in this guard.
            policy: the site's rules for an unknown count.
        """
        policy = policy or PinPolicy()
        known = self._memory if memory is None else CopiedMemory(memory, self._memory)
        counter = TriesCounter(known, policy, family=family, identity=identity)
        key = self._digest(identity)
        with self._lock:
            record = self._cards.setdefault(key, _CardRecord())
            self._cards.move_to_end(key)
            while len(self._cards) > _CARDS_KEPT:
                oldest = next((k for k, one in self._cards.items() if not one.lock.locked() and k != key), None)
                if oldest is None:
                    break
                del self._cards[oldest]
        return CardPin(self, key, record, origin, counter, policy)

    def allow(self, origin: str) -> None:
        """Check that this caller may try a PIN.

        Raises:
            PinQuotaError: this caller had wrong PINs on too many cards and has to wait.
        """
        with self._lock:
            record = self._origins.get(origin)
            left = record.suspended_until - self._clock() if record else 0.0
        if left > 0:
            raise PinQuotaError(
                f"密码功能暂停，约 {left / 60:.0f} 分钟后恢复",
                f"the PIN is suspended for about {left / 60:.0f} minutes",
            )

    def note_wrong_pin(self, origin: str, card: bytes) -> None:
        now = self._clock()
        with self._lock:
            record = self._origins.setdefault(origin, _OriginRecord())
            self._origins.move_to_end(origin)
            if len(self._origins) > _ORIGINS_KEPT:
                # The caller that was wrong least recently and is not suspended.
                idle = next((o for o, one in self._origins.items() if one.suspended_until <= now and o != origin), None)
                if idle is not None:
                    del self._origins[idle]
            record.wrong.append((now, card))
            while record.wrong and record.wrong[0][0] <= now - WRONG_SECONDS:
                record.wrong.popleft()
            if len({one for _, one in record.wrong}) >= WRONG_CARDS:
                record.suspended_until = now + SUSPENDED_SECONDS
                record.wrong.clear()

    def digest_of(self, pin: Pin) -> bytes:
        return self._digest(b"pin" + pin.digits.encode())

    def _digest(self, value: bytes) -> bytes:
        return hmac.new(self._secret, value, hashlib.sha256).digest()


class CardPin:
    """One card's PIN: the flows that present it, each sent at most once."""

    def __init__(
        self,
        guard: PinGuard,
        key: bytes,
        record: _CardRecord,
        origin: str,
        counter: TriesCounter,
        policy: PinPolicy,
    ) -> None:
        self._counter = counter
        self._policy = policy
        self._guard = guard
        self._key = key
        self._record = record
        self._origin = origin

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock this card's PIN against other threads of this process while it is being tried.

        Raises:
            ReaderBusyError: another thread is still trying it; nothing was sent.
        """
        if not self._record.lock.acquire(timeout=_EXCLUSIVE_SECONDS):
            raise ReaderBusyError(
                "该卡的密码正在验证，尚无结果，本次未发送",
                "the PIN of this card is being tried, and no answer has come yet: nothing was sent this time",
            )
        try:
            yield
        finally:
            self._record.lock.release()

    def count(self) -> Flow[PinCount]:
        """Return how many tries are left, as far as that can be known without spending a try that matters."""
        return (yield from self._counter.ask())

    def probe_after_success(self) -> Flow[None]:
        """Run `TriesCounter.probe_after_success`."""
        yield from self._counter.probe_after_success()

    def submit(self, pin: Pin, command: CommandApdu, *, accept_last_try: bool, known_right: bool = False) -> Flow[None]:
        """Send one command that spends a try if the PIN is wrong.

        Args:
            pin: the PIN that the card compares.
            command: the command that carries it.
            accept_last_try: the holder consents to spend the last try.
            known_right: this card has just accepted this PIN, in another application.

        Raises:
            PinQuotaError, PinAlreadyWrongError, LastTryError: nothing was sent.
            WrongPinError, PinBlockedError: the card has said so.
            PinOutcomeUnknownError: the answer is malformed, or does not say what the card has done.
            CardRefusedError: the card refused for another reason.
        """
        digest = self._guard.digest_of(pin)
        yield from self._may_try(digest, accept_last_try=accept_last_try, known_right=known_right)
        try:
            response = yield command
        except CardGarbledError as error:
            raise PinOutcomeUnknownError() from error
        self._judge(response.status_word, digest)

    def submit_on_pad(self, ask: Callable[[], int], *, accept_last_try: bool) -> Flow[None]:
        """Submit a PIN that the holder enters on the reader's own key pad, as `submit` does.

        Args:
            ask: waits for the holder and returns the card's status word, or the pad's own.
            accept_last_try: the holder consents to spend the last try.

        Raises:
            PinEntryError: the holder did not enter a PIN; nothing was sent.
            PinQuotaError, LastTryError, WrongPinError and others: as for `submit`.
        """
        before = yield from self._may_try(None, accept_last_try=accept_last_try, known_right=False)
        try:
            status_word = ask()
        except CardGarbledError as error:
            raise PinOutcomeUnknownError() from error
        entry_error = entry_error_of(status_word)
        if entry_error is not None:
            self._counter.note_answer(before)
            raise entry_error
        self._judge(status_word, None)

    def _may_try(self, digest: bytes | None, *, accept_last_try: bool, known_right: bool) -> Flow[int | None]:
        """Return how many tries are left before this one, as far as that is known.

        Raises:
            PinQuotaError, PinBlockedError, PinAlreadyWrongError, LastTryError: nothing may be sent.
        """
        self._guard.allow(self._origin)
        if known_right:
            return None
        # The count protects the holder. A holder who consents to the last try does not need it.
        asks = not accept_last_try or self._counter.query is CountQuery.FREE
        count = (yield from self._counter.ask(once=True)) if asks else self._counter.remembered()
        if count.left == 0 and count.source == "told":
            raise PinBlockedError()
        if self._was_wrong(digest, count.left):
            raise PinAlreadyWrongError()
        if not accept_last_try:
            self._refuse_last_try(count)
        self._counter.begin_try(count.left)
        return count.left

    def _refuse_last_try(self, count: PinCount) -> None:
        """Check that this is not the last try.

        Raises:
            LastTryError: it would be the last try, or the count is unknown and the site's policy refuses that.
        """
        if count.left == 1:
            raise LastTryError(
                "密码只剩最后一次机会，未发送给卡片", "only the last try of the PIN is left: nothing was sent"
            )
        if count.left is None and self._policy.unknown_count == "refuse":
            raise LastTryError(
                "卡片未告知剩余次数，可能是最后一次机会，未发送给卡片",
                "the card does not say how many tries are left. This may be the last one: nothing was sent",
            )

    def _was_wrong(self, digest: bytes | None, left: int | None) -> bool:
        """Return True if the card has refused this PIN, and its counter has not been reset since."""
        record = self._record
        if digest is None or record.wrong is None or not hmac.compare_digest(record.wrong, digest):
            return False
        return left is None or left <= record.left_after_wrong

    def unblocked(self) -> None:
        """Forget the wrong PIN, because the tries were restored or the PIN was replaced: it may be right now."""
        self._record.wrong = None
        self._counter.restored()

    def _judge(self, status_word: int, digest: bytes | None) -> None:
        if status_word == StatusWord.SUCCESS:
            self._record.wrong = None
            self._counter.restored()
            return
        left = tries_in(status_word)
        self._counter.note_answer(left)
        if left is None and status_word != VERIFICATION_FAILED:
            if not means_not_executed(status_word >> 8):
                # 6108, 6581, 9100: the card may have compared or replaced the PIN before an error occurred.
                raise PinOutcomeUnknownError(
                    f"卡片返回 {status_word:04X}，不能确定密码操作是否完成",
                    f"the card answered {status_word:04X} to the PIN, which does not say what it has done",
                    status_word=status_word,
                )
            raise CardRefusedError(
                f"卡片返回 {status_word:04X}，密码未通过",
                f"the card answered {status_word:04X} to the PIN",
                status_word=status_word,
            )
        if digest is not None:
            self._record.wrong, self._record.left_after_wrong = digest, left or 0
        self._guard.note_wrong_pin(self._origin, self._key)
        if left == 0:
            raise PinBlockedError(status_word=status_word)
        zh = "卡片未告知剩余次数" if left is None else f"还剩 {left} 次"
        en = f"tries left: {'the card does not say' if left is None else left}"
        raise WrongPinError(f"密码错误，{zh}", f"the PIN is wrong; {en}", tries_left=left, status_word=status_word)
