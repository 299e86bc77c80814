"""A SAM that replaces another: the PSAM card first, the HSM where the PSAM cannot compute.

Callers of the national interface do this by hand: they go to the HSM on −2201, −2202, −2203, −24 and −27272, and on no
other code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from cardio.security.errors import NoSamError, SamError
from cardio.security.sam.base import (
    Authorisation,
    CardKey,
    Mac2,
    Purchase,
    Sam,
    SamKind,
    SamSource,
    identity_of,
    label_of,
)

Result = TypeVar("Result")


class FallbackSource:
    """The sources of SAMs, in the order in which they are tried."""

    def __init__(self, sources: Sequence[SamSource]) -> None:
        self._sources = tuple(sources)

    def open(self) -> Sam:
        """Open the first SAM that is available.

        Raises:
            SamError: none is available; it is the error of the first one.
            ConfigurationError: a SAM is configured wrongly.
        """
        fallback = FallbackSam(self._sources)
        fallback.open_one()
        return fallback


class FallbackSam:
    """A group of SAMs. It opens the next SAM when the one before cannot compute; a key stays with the SAM that
    has it.
    """

    def __init__(self, sources: Sequence[SamSource]) -> None:
        self._waiting = list(sources)
        self._open: list[Sam] = []
        self._first_fault: SamError | None = None
        self._used: dict[str, Sam] = {}
        """The SAM that has computed with a key, by the key's name."""
        self._authorised_by: Sam | None = None
        """The SAM that has begun the present debit."""

    def open_one(self) -> Sam:
        """Return the first SAM that is available.

        Raises:
            SamError: none is available; it is the error of the first one.
        """
        if self._open:
            return self._open[0]
        opened = self._open_next()
        if opened is None:
            raise self._first_fault or NoSamError()
        return opened

    def _open_next(self) -> Sam | None:
        while self._waiting:
            source = self._waiting.pop(0)
            try:
                sam = source.open()
            except SamError as error:
                if not error.calls_for_hsm:
                    raise
                self._first_fault = self._first_fault or error
                continue
            self._open.append(sam)
            return sam
        return None

    def _sams(self) -> list[Sam]:
        """Return the open SAMs; open the first one if none is open."""
        self.open_one()
        return list(self._open)

    def _for(self, key: CardKey) -> Sam:
        """Return the SAM that computes with a key, as far as the SAMs know.

        Raises:
            SamError: opening one failed.
        """
        tried = 0
        while True:
            for sam in self._sams()[tried:]:
                fault = sam.unavailable_reason(key)
                if fault is None or not fault.calls_for_hsm:
                    return sam
                tried += 1
            if self._open_next() is None:
                return self._open[0]

    def _computed(self, key: CardKey, compute: Callable[[Sam], Result]) -> Result:
        """Compute with the SAM that has the key; if it turns out that it cannot, compute with the next."""
        sam = self._used[key.name] = self._for(key)
        try:
            return compute(sam)
        except SamError as error:
            if not error.calls_for_hsm:
                raise
            place = self._open.index(sam) + 1
            other = self._open[place] if place < len(self._open) else self._open_next()
            if other is None:
                raise
            self._used[key.name] = other
            return compute(other)

    @property
    def kind(self) -> SamKind:
        return self.open_one().kind

    @property
    def test_keys(self) -> bool:
        # A SAM that is opened later counts too, because its keys are still unknown.
        return any(sam.test_keys for sam in self._all())

    def _all(self) -> list[Sam]:
        """Return all SAMs that can compute. A SAM that cannot be opened, or does not say whose keys it has, is left
        out.
        """
        while self._waiting:
            with suppress(SamError):
                self._open_next()
        for sam in list(self._open):
            try:
                sam.test_keys  # noqa: B018 - read only for the error that it may raise
            except SamError as error:
                self._first_fault = self._first_fault or error
                self._open.remove(sam)
                sam.close()
        return self._sams()

    @property
    def terminal_number(self) -> str | None:
        """Return the number of the first SAM that has one.

        Raises:
            SamError: none has one, and a SAM that may have one could not be asked.
        """
        self.open_one()
        fault, tried = self._first_fault, 0
        while True:
            for sam in self._open[tried:]:
                tried += 1
                try:
                    number = sam.terminal_number
                except SamError as error:
                    fault = fault or error
                    continue
                if number is not None:
                    return number
            try:
                if self._open_next() is None:
                    break
            except SamError as error:
                fault = fault or error
        fault = fault or self._first_fault
        if fault is not None:
            raise fault
        return None

    def identity(self, key: CardKey) -> bytes:
        return identity_of(self._for(key), key)

    def used_for(self, key: CardKey) -> Sam:
        return self._used.get(key.name) or self._for(key)

    def label(self, key: CardKey) -> str:
        return label_of(self._for(key), key)

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return self._for(key).versions(key)

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        return self._for(key).unavailable_reason(key)

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        return self._computed(key, lambda sam: sam.cryptogram(key, challenge, source))

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        return self._computed(key, lambda sam: sam.certificate(key, data))

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        return self._computed(key, lambda sam: sam.mac(key, challenge, data, initial_value))

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        return self._computed(key, lambda sam: sam.encipher(key, challenge, block))

    def purchase_index(self) -> int | None:
        return self.open_one().purchase_index()

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        self._authorised_by = None
        return self._computed(purchase.key, lambda sam: self._authorised(sam, purchase))

    def _authorised(self, sam: Sam, purchase: Purchase) -> Authorisation:
        authorisation = sam.authorise_purchase(purchase)
        self._authorised_by = sam
        return authorisation

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        sam = self._authorised_by or self._for(purchase.key)
        return sam.check_purchase(purchase, terminal_transaction_number, mac2)

    def close(self) -> None:
        for sam in self._open:
            sam.close()
