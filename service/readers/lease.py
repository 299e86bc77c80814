"""The lease of a reader: one page or program reserves it for a while and gives a reason.

It can be asked to release it.
"""

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
"""The time in which the owner can answer that it still needs the reader."""


@dataclass(slots=True)
class Lease:
    id: str
    """A secret: a caller that names it is the owner."""
    grant: str
    owner: str
    purpose: str
    seconds: int
    ends: float
    wanted_by: str | None = None
    """The grant that has asked for a take-over."""
    passes_at: float = math.inf
    """The time at which the lease passes to that grant, unless the owner refuses."""


@dataclass(frozen=True, slots=True)
class TakeoverRequested:
    """The answer that the owner has been asked to release the reader."""

    answer_within: float


class LeaseBook:
    """The lease of one reader. An expired lease counts as none."""

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

    def claim(self, caller: Caller, purpose: str, seconds: int, *, take_over: bool) -> Lease | TakeoverRequested:
        """Return a lease for a caller. With ``take_over``, ask the current owner to release the reader.

        Args:
            caller: the caller that wants the lease.
            purpose: the caller's reason, for other callers.
            seconds: the length of the lease.
            take_over: True to ask an owner to release it.

        Raises:
            LeasedError: another caller has it, or another tab of this caller.
        """
        lease, now = self.current, self._clock()
        if lease is not None:
            if not take_over:
                raise self._refusal(lease)
            if lease.wanted_by != caller.grant:
                if lease.wanted_by is not None and now < lease.passes_at + ANSWER_SECONDS:
                    raise self._refusal(lease)  # another caller asked before
                lease.wanted_by, lease.passes_at = caller.grant, now + ANSWER_SECONDS
                return TakeoverRequested(ANSWER_SECONDS)
            if now < lease.passes_at:
                return TakeoverRequested(lease.passes_at - now)
        self._lease = Lease(
            secrets.token_urlsafe(16), caller.grant, caller.label, purpose, seconds, self._clock() + seconds
        )
        return self._lease

    def keep(self, lease_id: str) -> Lease:
        """Renew the owner's lease for the same time again; a caller that asked for it must ask again.

        Raises:
            LeaseLostError: the lease has ended, or the id is another lease's.
        """
        lease = self._mine(lease_id)
        lease.ends = self._clock() + lease.seconds
        lease.wanted_by, lease.passes_at = None, math.inf
        return lease

    def release(self, lease_id: str) -> None:
        """End the owner's lease.

        Raises:
            LeaseLostError: the lease has ended already, or the id is another lease's.
        """
        self._mine(lease_id)
        self._lease = None

    def check(self, lease_id: str | None) -> None:
        """Check that a call may go to the reader.

        Raises:
            LeasedError: another caller has the reader, and the call does not name that lease.
            LeaseLostError: the call names a lease that has ended.
        """
        if lease_id is not None:
            self._mine(lease_id)
            return
        lease = self.current
        if lease is not None:
            raise self._refusal(lease)

    def drop_grant(self, grant: str) -> bool:
        """End the lease of a grant that was revoked; return True if there was one."""
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
