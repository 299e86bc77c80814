"""The means of the bridge for closed cards: the SAM, the count of wrong PINs, the policy and the loss list."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from cardio.errors import CardioError
from cardio.identity.kept_loss_list import KeptLossList
from cardio.identity.loss_list import LossList
from cardio.identity.policy import Policy, default_policy
from cardio.security.credentials import Credentials
from cardio.security.pin.card_pin import PinGuard
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import SamSource
from cardio.security.settings import SecuritySettings


@dataclass(frozen=True, slots=True)
class SecurityContext:
    """The means for closed cards, one object for the whole bridge.

    All readers and callers share the count of wrong PINs.
    """

    sam: SamSource | None = None
    settings: SecuritySettings = field(default_factory=SecuritySettings)
    guard: PinGuard = field(default_factory=PinGuard)
    policy: Policy = field(default_factory=default_policy)
    loss_list_file: Path | None = None
    kept_loss_list: KeptLossList = field(default_factory=KeptLossList)
    sam_places: tuple[str, ...] = ()
    """The places of PSAM card and HSM, as the settings name them."""
    pad_digits: int = 6
    """The number of digits of a PIN that is entered on the reader's own key pad."""
    simulated_sam: SamSource | None = None
    """The published test keys in a demonstration: they open cards in simulated readers only."""

    def for_reader(self, *, simulated: bool) -> SecurityContext:
        """Return the means for cards in this kind of reader; wrong PINs are counted together."""
        if not simulated or self.simulated_sam is None:
            return self
        policy = self.policy.model_copy(update={"accept_test_keys": True})
        return replace(self, sam=self.simulated_sam, policy=policy)

    def credentials(
        self, origin: str, pin: Pin | None = None, *, accept_last_try: bool = False, on_pad: bool = False
    ) -> Credentials:
        """Return the credentials of a caller: the bridge's SAM, and the caller's PIN or the key pad.

        Args:
            origin: the caller's origin.
            pin: the PIN; None without one.
            accept_last_try: True if the holder consents to use the last try.
            on_pad: True to have the PIN entered on the key pad.
        """
        return Credentials(
            sam=self.sam,
            pin=pin,
            pad_digits=self.pad_digits if on_pad else None,
            accept_last_try=accept_last_try,
            origin=origin,
            guard=self.guard,
            settings=self.settings.terminal,
            pin_policy=self.settings.pin_policy,
            proof_policy=self.settings.proof_policy,
            laboratory=self.settings.laboratory,
        )

    def for_steps(self, origin: str) -> Credentials:
        """Return the credentials for functions in steps: the caller asks an HSM of its own, and no step makes a MAC.

        If the bridge has a SAM, it is used only for the card's proof.
        """
        return Credentials(
            sam=self.sam,
            keys_by_caller=True,
            origin=origin,
            guard=self.guard,
            settings=replace(self.settings.terminal, mac=False),
            proof_policy=self.settings.proof_policy,
            laboratory=self.settings.laboratory,
        )

    def for_reading_steps(self, origin: str) -> Credentials:
        """Return the credentials of `for_steps`, with the terminal's number for the answer.

        This may take seconds with a PSAM card.
        """
        try:
            number = self.terminal_number_for_steps()
        except CardioError:
            number = ""  # there is one, but it cannot be read; for this reason the caller asks its own HSM
        return replace(self.for_steps(origin), terminal_number=number)

    def for_debit(self, origin: str, pin: Pin | None, accept_last_try: bool) -> Credentials:
        """Return the credentials of a debit: the caller's PIN, or the key pad.

        Each is used only if the card requires it.
        """
        return self.credentials(origin, pin, accept_last_try=accept_last_try, on_pad=pin is None)

    def for_debit_steps(self, origin: str, pin: Pin | None, accept_last_try: bool) -> Credentials:
        """Return the credentials of `for_debit` if the caller's own HSM makes MAC1.

        The bridge's SAM is used only for the card's proof.
        """
        return replace(self.for_debit(origin, pin, accept_last_try), keys_by_caller=True)

    def terminal_number_for_steps(self) -> str | None:
        """Return the 终端机编号 for callers that ask an HSM of their own.

        It is the number of the settings, else the SAM's.
        """
        if self.settings.hsm.terminal_number is not None or self.sam is None:
            return self.settings.hsm.terminal_number
        sam = self.sam.open()
        try:
            return sam.terminal_number
        finally:
            sam.close()

    def for_reading(self, origin: str) -> Credentials | None:
        """Return the credentials of a reading without a PIN; None if there is no SAM and no card must be proved."""
        if self.sam is None and not self.settings.require_proof:
            return None
        return self.credentials(origin)

    def loss_list(self) -> LossList | None:
        """Return the list in its present file: an authority replaces it while the bridge runs.

        A long list takes seconds to read, so this must not run on the event loop.

        Raises:
            PolicyError: the file is wrong.
        """
        return None if self.loss_list_file is None else self.kept_loss_list.load(self.loss_list_file)
