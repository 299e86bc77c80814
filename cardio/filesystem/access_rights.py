"""The way into closed files: the rights held on a card, and the protocol of an object that presents PINs and keys."""

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
    """The interface of an object that presents rights to one card. The caller calls `bind` first."""

    def bind(self, layout: Layout, algorithm: str | None, identification_code: str | None, claims: CardClaims) -> None:
        """Bind this authenticator to the card that is being read.

        Args:
            layout: the layout chosen for the card.
            algorithm: the card's algorithm; None where the card names an unknown one.
            identification_code: 卡识别码, in hex; None where the card has none.
            claims: what follows from the card's claims for its proof.
        """

    def unavailable_reason(self, right: str) -> CardioError | None:
        """Return why a right cannot be presented; None when it can be tried."""

    def present(self, right: str) -> Flow[None]:
        """Obtain a right in the current application.

        Raises:
            CardioError: the card did not grant it. A wrong PIN aborts the reading; after a refused key
                `unavailable_reason` returns that error.
        """

    @property
    def challenges_every_card(self) -> bool:
        """Return True if every card is asked to prove itself, whether or not a key or a PIN is wanted."""

    @property
    def is_proof_decided(self) -> bool:
        """Return True if the card was asked to prove itself, or cannot be asked."""

    def denial_reason(self, right: str) -> CardioError | None:
        """Return why the card is not given a right. The answer depends on how far the card was proved genuine."""

    @property
    def missing_proof_reason(self) -> CardioError | None:
        """Return why the card has not proved itself, where its generation does and there are keys for it."""

    def prove_card(self) -> Flow[None]:
        """Make the card prove that it is genuine, once. The environment must be current, because its key is there.

        Raises:
            ForgedCardError, ProofDeclinedError: the card does not prove itself; it gets neither key nor PIN.
            ProofRequiredError: the card could not be asked, and this site does not accept such a card.
        """

    def protect(self, command: CommandApdu, application: str) -> Flow[ResponseApdu]:
        """Send a writing command with the MAC of an application."""


class CardInUse(Protocol):
    """The interface of a card on which rights are acquired."""

    @property
    def environment_id(self) -> str: ...

    @property
    def current_application(self) -> str | None: ...

    @property
    def is_recognised(self) -> bool:
        """Return True if a PIN or a key may be presented to this card."""

    def select_application(self, application_id: str) -> Flow[int | None]:
        """Make an application current; return None, or the status word of a refusal."""


class AccessRights:
    """The rights held in the current application, and the steps that acquire more."""

    def __init__(self, authenticator: Authenticator | None, card: CardInUse) -> None:
        """Set up without any rights.

        Args:
            authenticator: presents PINs and keys; without one only free files open.
            card: the card on which the rights are acquired.
        """
        self._authenticator = authenticator
        self._card = card
        self.held: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Drop all rights: another application was selected, so the card has withdrawn them (ISO/IEC 7816-4 §9.3.3)."""
        self.held = frozenset()

    def grant(self, right: str) -> None:
        """Note a right that another command sequence has obtained in the current application."""
        self.held |= {right}

    def opened_by(self, file: File) -> str:
        """Return the smallest set of rights that opens a file. A file that opens without any is free, whatever its
        layout says.
        """
        held = [needed for needed in reading_rights(file) if needed <= self.held]
        return FREE if file.read.free or not held else " and ".join(sorted(held[0]))

    def open(self, file: File) -> Flow[CardioError | None]:
        """Acquire the cheapest set of rights that opens a file; return the error if none could be had."""
        if self._authenticator is None:
            return None
        access_error: CardioError | None = None
        for needed in reading_rights(file):
            if needed <= self.held:
                continue  # this right is held, and the card refused all the same
            fault = yield from self.acquire(needed)
            if fault is None:
                return None
            if access_error is None or isinstance(access_error, AccessNotGrantedError):
                access_error = fault  # "no right was given" says less than a real error
        return access_error

    def acquire(self, needed: frozenset[str]) -> Flow[CardioError | None]:
        """Acquire rights in the current application; return the first error instead of raising it.

        Everything that can be checked is checked before anything is sent.

        Raises:
            PinEntryError, WrongPinError, PinBlockedError: a PIN is needed, and it is wrong or must not be tried.
        """
        authenticator = self._authenticator
        if authenticator is None:
            return AccessNotGrantedError()
        if not self._card.is_recognised:
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
        # For its proof the card may have selected the environment and come back, which loses the rights held.
        missing = list(in_order(needed - self.held))
        for right in missing:
            fault = authenticator.denial_reason(right)
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
        """Make the card prove itself before the first key or PIN is presented. The proof costs no try.

        So a SAM of another issuer is detected by the proof, and not by a key that the card refuses and at last blocks.
        """
        if authenticator.is_proof_decided:
            return None
        application = self._card.current_application or ""
        yield from self._card.select_application(self._card.environment_id)
        fault: CardioError | None = None
        try:
            yield from authenticator.prove_card()
        except CardioError as error:
            fault = error
        # Also after an error: the next file to be read belongs to this application.
        yield from self._card.select_application(application)
        return fault


def reading_rights(file: File) -> list[frozenset[str]]:
    """Return the sets of rights that open a file, cheapest first: PIN, reading keys, then the file's
    own writing key.
    """
    ways = [needed for needed in file.read.alternatives if needed]
    # V2.0: a right that allows writing a file also allows reading it.
    ways += [needed for needed in file.update.alternatives if needed and needed not in ways]
    return sorted(ways, key=lambda needed: (_cost(file, needed), sorted(needed)))


def _cost(file: File, needed: frozenset[str]) -> tuple[int, int]:
    writing = file.update.names - file.read.names
    return max(0 if right == PIN else 2 if right in writing else 1 for right in needed), len(needed)


def in_order(needed: frozenset[str]) -> Iterator[str]:
    """Yield the rights with keys first, so that no PIN try is spent where a key fails."""
    yield from sorted(needed, key=lambda right: (right == PIN, right))
