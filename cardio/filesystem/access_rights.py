"""The way into closed files: the rights that are held on a card, and the protocol that presents PINs and keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.errors import AccessNotGrantedError, CardioError, NotASocialSecurityCardError
from cardio.filesystem.claims import CardClaims
from cardio.filesystem.layouts.access import FREE, PIN
from cardio.filesystem.layouts.model import File, Layout


class Authenticator(Protocol):
    """Presents rights to one card; `meet` comes first."""

    def meet(self, layout: Layout, algorithm: str | None, identification_code: str | None, claims: CardClaims) -> None:
        """Learns which card this is. The algorithm is None where the card names one that nobody knows."""

    def unavailable_reason(self, right: str) -> CardioError | None:
        """Return why a right cannot be presented; None when it can be tried."""

    def present(self, right: str) -> Flow[None]:
        """Obtains a right in the application that is current.

        Raises:
            CardioError: the card did not grant it. A wrong PIN aborts the reading; after a refused key
                `unavailable_reason` returns that error.
        """

    @property
    def asks_every_card(self) -> bool:
        """Every card is asked to prove itself, whether or not a key or a PIN is wanted."""

    @property
    def is_asked(self) -> bool:
        """The card was asked, or cannot be."""

    def keeps_from(self, right: str) -> CardioError | None:
        """Return why the card is not given a right, by how far it was proved."""

    @property
    def why_not_proved(self) -> CardioError | None:
        """Return why the card has not proved itself, where its generation does and there are keys for it."""

    def prove_card(self) -> Flow[None]:
        """Has the card prove that it is genuine, once; in the environment, where its key is.

        Raises:
            ForgedCardError, ProofDeclinedError: it does not, and gets neither key nor PIN.
            ProofRequiredError: it could not be asked, and this site takes no such card.
        """

    def protect(self, command: CommandApdu, application: str) -> Flow[ResponseApdu]:
        """Sends a writing command with the MAC of an application."""


class CardInUse(Protocol):
    """A card on which rights are acquired."""

    @property
    def environment_id(self) -> str: ...

    @property
    def current_application(self) -> str | None: ...

    @property
    def is_certainly_ours(self) -> bool:
        """True if a PIN or a key may be presented to this card."""

    def enter(self, application_id: str) -> Flow[int | None]:
        """Make an application current; return None, or the status word of a refusal."""


class AccessRights:
    """The rights held in the application that is current, and how more are acquired."""

    def __init__(self, authenticator: Authenticator | None, card: CardInUse) -> None:
        """Args: ``authenticator`` presents PINs and keys; without one only free files open."""
        self._authenticator = authenticator
        self._card = card
        self.held: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Another application was selected: the card has taken every right back (ISO/IEC 7816-4 §9.3.3)."""
        self.held = frozenset()

    def grant(self, right: str) -> None:
        """Note a right that another conversation with the card has obtained in the current application."""
        self.held |= {right}

    def opened_by(self, file: File) -> str:
        """Return the least rights that open a file; what opens without any is free, whatever its layout says."""
        held = [needed for needed in ways_to_read(file) if needed <= self.held]
        return FREE if file.read.free or not held else " and ".join(sorted(held[0]))

    def open(self, file: File) -> Flow[CardioError | None]:
        """Acquire the cheapest set of rights that opens a file; return what hindered it, if none could be had."""
        if self._authenticator is None:
            return None
        access_error: CardioError | None = None
        for needed in ways_to_read(file):
            if needed <= self.held:
                continue  # held, and the card refused all the same
            fault = yield from self.acquire(needed)
            if fault is None:
                return None
            if access_error is None or isinstance(access_error, AccessNotGrantedError):
                access_error = fault  # what was not even given says less than what went wrong
        return access_error

    def acquire(self, needed: frozenset[str]) -> Flow[CardioError | None]:
        """Acquire rights in the current application; return the first error instead of raising it.

        Everything that can be checked is checked before anything is sent.

        Raises:
            PinEntryError, WrongPinError, PinBlockedError: a PIN was to be presented, and is wrong or not to be tried.
        """
        authenticator = self._authenticator
        if authenticator is None:
            return AccessNotGrantedError()
        if not self._card.is_certainly_ours:
            return NotASocialSecurityCardError()
        missing = list(in_order(needed - self.held))
        for right in missing:
            fault = authenticator.unavailable_reason(right)
            if fault is not None:
                return fault
        if missing:
            fault = yield from self._prove_first(authenticator)
            if fault is not None:
                return fault
        # To prove itself the card may have gone to its environment and back, which costs the rights held.
        missing = list(in_order(needed - self.held))
        for right in missing:
            fault = authenticator.keeps_from(right)
            if fault is not None:
                return fault
        for right in missing:
            try:
                yield from authenticator.present(right)
            except CardioError as error:
                if right == PIN or authenticator.unavailable_reason(right) is None:
                    raise
                return error
            self.held |= {right}
        return None

    def _prove_first(self, authenticator: Authenticator) -> Flow[CardioError | None]:
        """Have the card prove itself before the first key or PIN is presented, which costs no try.

        A SAM of another issuer is found out so, and not by a key that is refused and at last blocked.
        """
        if authenticator.is_asked:
            return None
        application = self._card.current_application or ""
        yield from self._card.enter(self._card.environment_id)
        fault: CardioError | None = None
        try:
            yield from authenticator.prove_card()
        except CardioError as error:
            fault = error
        # Also after a fault: whatever is read next is to be this application's.
        yield from self._card.enter(application)
        return fault


def ways_to_read(file: File) -> list[frozenset[str]]:
    """The sets of rights that open a file, the cheapest first: PIN, then reading keys, then its own writing key."""
    ways = [needed for needed in file.read.alternatives if needed]
    # V2.0: who may write a file may read it too.
    ways += [needed for needed in file.update.alternatives if needed and needed not in ways]
    return sorted(ways, key=lambda needed: (_cost(file, needed), sorted(needed)))


def _cost(file: File, needed: frozenset[str]) -> tuple[int, int]:
    writing = file.update.names - file.read.names
    return max(0 if right == PIN else 2 if right in writing else 1 for right in needed), len(needed)


def in_order(needed: frozenset[str]) -> Iterator[str]:
    """Keys first: a PIN is not spent where a key fails."""
    yield from sorted(needed, key=lambda right: (right == PIN, right))
