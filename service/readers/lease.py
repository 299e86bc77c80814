"""The lease of a reader: one page or program has it for a while, says why, and gives way when asked politely."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.gate.scopes import Caller
from service.readers.errors import LeasedError, LeaseLostError

LONGEST_SECONDS = 300
ANSWER_SECONDS = 5.0
"""How long the owner has to say that it still needs the reader."""


@dataclass(slots=True)
class Lease:
    id: str
    """A secret: who names it is the owner."""
    grant: str
    owner: str
    purpose: str
    seconds: int
    ends: float
    wanted_by: str | None = None
    """The grant that has asked for it."""
    passes_at: float = math.inf
    """When it passes on, unless the owner says no."""


@dataclass(frozen=True, slots=True)
class TakeoverRequested:
    """The owner has been asked to give way."""

    answer_within: float


class LeaseBook:
    """The lease of one reader. Time passes by itself: what is over is not there."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lease: Lease | None = None

    @property
    def current(self) -> Lease | None:
        if self._lease is not None and self._clock() >= self._lease.ends:
            self._lease = None
        return self._lease

    def seconds_left(self) -> int:
        lease = self.current
        return 0 if lease is None else max(1, math.ceil(lease.ends - self._clock()))

    def take(self, caller: Caller, purpose: str, seconds: int, *, take_over: bool) -> Lease | TakeoverRequested:
        """A lease for a caller; or, with ``take_over``, the question to the one who has it.

        Raises:
            LeasedError: somebody has it, this caller's other tab included.
        """
        lease, now = self.current, self._clock()
        if lease is not None:
            if not take_over:
                raise self._refusal(lease)
            if lease.wanted_by != caller.grant:
                if lease.wanted_by is not None and now < lease.passes_at + ANSWER_SECONDS:
                    raise self._refusal(lease)  # somebody else asked before
                lease.wanted_by, lease.passes_at = caller.grant, now + ANSWER_SECONDS
                return TakeoverRequested(ANSWER_SECONDS)
            if now < lease.passes_at:
                return TakeoverRequested(lease.passes_at - now)
        self._lease = Lease(
            secrets.token_urlsafe(16), caller.grant, caller.label, purpose, seconds, self._clock() + seconds
        )
        return self._lease

    def keep(self, lease_id: str) -> Lease:
        """The owner goes on: for as long again, and whoever asked must ask anew. Raises: LeaseLostError."""
        lease = self._mine(lease_id)
        lease.ends = self._clock() + lease.seconds
        lease.wanted_by, lease.passes_at = None, math.inf
        return lease

    def give_back(self, lease_id: str) -> None:
        """Raises: LeaseLostError: it is over already, or it is somebody else's."""
        self._mine(lease_id)
        self._lease = None

    def check(self, lease_id: str | None) -> None:
        """Whether a call may go to the reader.

        Raises:
            LeasedError: somebody has the reader, and the call does not name their lease.
            LeaseLostError: the call names one that is over.
        """
        if lease_id is not None:
            self._mine(lease_id)
            return
        lease = self.current
        if lease is not None:
            raise self._refusal(lease)

    def drop_grant(self, grant: str) -> bool:
        """Ends the lease of a grant that is no more; whether there was one."""
        lease = self.current
        if lease is None or lease.grant != grant:
            return False
        self._lease = None
        return True

    def _mine(self, lease_id: str) -> Lease:
        lease = self.current
        if lease is None or not secrets.compare_digest(lease.id.encode(), lease_id.encode()):
            raise LeaseLostError()
        return lease

    def _refusal(self, lease: Lease) -> LeasedError:
        return LeasedError(lease.owner, lease.purpose, self.seconds_left())
