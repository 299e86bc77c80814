"""What a caller brings to open a card with: a SAM, the holder's PIN, or both."""

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
    """A SAM and a PIN, each if there is one, and who presents them."""

    sam: SamSource | None = None
    pin: Pin | None = None
    pad_digits: int | None = None
    """The holder enters the PIN, of so many digits, on the reader's own key pad."""
    accept_last_try: bool = False
    """The holder consents to spend the last try of the PIN."""
    origin: str = "local"
    guard: PinGuard = field(default_factory=PinGuard)
    """Keeps count of wrong PINs; a program with several callers shares one."""
    settings: TerminalSettings = field(default_factory=TerminalSettings)
    pin_policy: PinPolicy = field(default_factory=PinPolicy)
    proof_policy: ProofPolicy = field(default_factory=ProofPolicy)
    keys_by_caller: bool = False
    """The SAM only has the card prove itself; keys are presented by a caller's own HSM."""

    terminal_number: str | None = None
    """终端机编号 where a caller's own HSM takes the SAM's place; empty where there is one that cannot be read."""
    laboratory: bool = False
    """Test keys may meet cards that are not simulated."""

    def with_pin(self, pin: Pin | None) -> Credentials:
        """These with a PIN that was entered meanwhile, in place of the key pad; without one unchanged."""
        return self if pin is None else replace(self, pin=pin, pad_digits=None)

    def with_consent(self, accept_last_try: bool) -> Credentials:
        """These, where the holder has consented to spend the last try."""
        return replace(self, accept_last_try=True) if accept_last_try else self
