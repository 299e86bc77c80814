"""The credentials with which a caller opens a card: a SAM, the holder's PIN, or both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cardio.security.pin.card_pin import PinGuard
from cardio.security.pin.count import PinPolicy
from cardio.security.pin.pin import Pin
from cardio.security.proof import ProofPolicy
from cardio.security.sam.base import SamSource
from cardio.security.terminal import TerminalSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """A SAM and a PIN, each if there is one, and the caller that presents them."""

    sam: SamSource | None = None
    pin: Pin | None = None
    pad_digits: int | None = None
    """The number of digits of a PIN that the holder enters on the reader's own key pad; None without the pad."""
    accept_last_try: bool = False
    """True if the holder consents to spend the last try of the PIN."""
    origin: str = "local"
    guard: PinGuard = field(default_factory=PinGuard)
    """The guard that counts wrong PINs; a program with several callers shares one."""
    settings: TerminalSettings = field(default_factory=TerminalSettings)
    pin_policy: PinPolicy = field(default_factory=PinPolicy)
    proof_policy: ProofPolicy = field(default_factory=ProofPolicy)
    keys_by_caller: bool = False
    """True if the SAM is only used to prove the card; keys are presented by a caller's own HSM."""

    terminal_number: str | None = None
    """终端机编号 where a caller's own HSM takes the SAM's place; empty where there is one that cannot be read."""
    laboratory: bool = False
    """True if test keys may be used with cards that are not simulated."""

    def with_pin(self, pin: Pin | None) -> Credentials:
        """Return these credentials with a PIN that was entered meanwhile, in place of the key pad; unchanged without a
        PIN.
        """
        return self if pin is None else replace(self, pin=pin, pad_digits=None)

    def with_consent(self, accept_last_try: bool) -> Credentials:
        """Return these credentials with the holder's consent to spend the last try, if it is given."""
        return replace(self, accept_last_try=True) if accept_last_try else self
