"""What opens closed files: who presents PINs and keys to a card while it is being visited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.errors import CardioError
from cardio.filesystem.claims import CardClaims
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import File, Layout


class Authenticator(Protocol):
    """Presents rights to one card; `meet` comes first."""

    def meet(self, layout: Layout, algorithm: str | None, identification_code: str | None, claims: CardClaims) -> None:
        """Learns which card this is. The algorithm is None where the card names one that nobody knows."""

    def unavailable_reason(self, right: str) -> CardioError | None:
        """Why a right cannot be presented; None when it can be tried."""

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
        """Why the card is not given a right, by how far it was proved."""

    @property
    def why_not_proved(self) -> CardioError | None:
        """Why the card has not proved itself, where its generation does and there are keys for it."""

    def prove_card(self) -> Flow[None]:
        """Has the card prove that it is genuine, once; in the environment, where its key is.

        Raises:
            ForgedCardError, ProofDeclinedError: it does not, and gets neither key nor PIN.
            ProofRequiredError: it could not be asked, and this site takes no such card.
        """

    def protect(self, command: CommandApdu, application: str) -> Flow[ResponseApdu]:
        """Sends a writing command with the MAC of an application."""


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
