"""One SAM that stands in for another: the PSAM card first, the HSM where the PSAM cannot.

As callers of the national interface do it by hand: they go to the HSM on −2201, −2202, −2203, −24 and −27272, and on
nothing else.
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
    """SAMs in the order in which they are asked."""

    def __init__(self, sources: Sequence[SamSource]) -> None:
        self._sources = tuple(sources)

    def open(self) -> Sam:
        """Raises: SamError: none is to be had; the first one's reason.

        ConfigurationError: one is set up wrongly.
        """
        fallback = FallbackSam(self._sources)
        fallback.open_one()
        return fallback


class FallbackSam:
    """Opens the next SAM when the one before cannot; a key stays with the SAM that has it."""

    def __init__(self, sources: Sequence[SamSource]) -> None:
        self._waiting = list(sources)
        self._open: list[Sam] = []
        self._first_fault: SamError | None = None
        self._used: dict[str, Sam] = {}
        """Which SAM has computed with a key, by its name."""
        self._authorised_by: Sam | None = None
        """Who has begun the debit that is going on."""

    def open_one(self) -> Sam:
        """The first SAM that is to be had. Raises: SamError: the first one's reason, where none is."""
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
        """Those that are open, the first opened where none is."""
        self.open_one()
        return list(self._open)

    def _for(self, key: CardKey) -> Sam:
        """The SAM that computes with a key, as far as they know. Raises: SamError: opening one failed."""
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
        """Computes with the SAM that has the key; with the next where it finds out only now that it cannot."""
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
        # One that is opened later counts too: nobody has seen its keys yet.
        return any(sam.test_keys for sam in self._all())

    def _all(self) -> list[Sam]:
        """All that can compute: who cannot be opened, or does not say whose keys it has, computes nothing."""
        while self._waiting:
            with suppress(SamError):
                self._open_next()
        for sam in list(self._open):
            try:
                sam.test_keys  # noqa: B018 - asked for what it raises
            except SamError as error:
                self._first_fault = self._first_fault or error
                self._open.remove(sam)
                sam.close()
        return self._sams()

    @property
    def terminal_number(self) -> str | None:
        """Of the first that says one. Raises: SamError: none does, and one that may have it could not be asked."""
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
