"""The side of a card that receives keys and PINs: proofs, the holder's PIN, changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from cardio.apdu.channel import Channel, Flow
from cardio.apdu.command import CommandApdu
from cardio.errors import (
    AccessNotGrantedError,
    CardGarbledError,
    CardioError,
    CardRefusedError,
    NotASocialSecurityCardError,
)
from cardio.filesystem.card_file_system import ISSUER_FILE, CardContents, CardFileSystem, text_of
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import Layout
from cardio.models.reading import NO_SAM, Proof
from cardio.security.errors import ForgedCardError, NoSamError
from cardio.security.outcome import as_outcome
from cardio.security.sam.diversification import known_reset_information, reset_information

if TYPE_CHECKING:
    from cardio.card.update import PreparedUpdate
    from cardio.models.files import FileWritten
    from cardio.security.authenticator import CardAuthenticator
    from cardio.security.key_guard import KeyTrial
    from cardio.security.pin.count import PinCount
    from cardio.security.pin.holder_pin import HolderPin
    from cardio.security.pin.pin import Pin
    from cardio.security.sam.base import CardKey, Sam

Result = TypeVar("Result")


def identity_in(contents: CardContents, historical_bytes: bytes) -> bytes | None:
    """Return `SecuredCard.identity` from the files that were read of a card; None if they do not contain it."""
    issuer = contents.files.get(ISSUER_FILE)
    code = None if issuer is None else text_of(issuer, "identification_code")
    return code.upper().encode("ascii", "replace") + historical_bytes if code else None


class SecuredCard(ABC):
    """A card together with its keys and PINs: the base of `SocialSecurityCard`."""

    def __init__(self, channel: Channel, authenticator: CardAuthenticator | None) -> None:
        self._channel = channel
        self._authenticator = authenticator

    @property
    @abstractmethod
    def opened_file_system(self) -> CardFileSystem:
        """Return the file system of this card, started when it is first needed. The card need not have proved
        itself.
        """

    @property
    def file_system(self) -> CardFileSystem:
        """Return the file system of this card, after the card has proved itself where there are keys for it.

        Raises:
            ForgedCardError, ProofDeclinedError, ProofRequiredError: as for `CardFileSystem.prove_card`.
        """
        file_system = self.opened_file_system
        if self._authenticator is not None and self._authenticator.challenges_every_card:
            self.run(file_system.prove_card())
        return file_system

    @property
    @abstractmethod
    def atr(self) -> bytes: ...

    @property
    def historical_bytes(self) -> bytes:
        """Return 卡复位信息; empty bytes where the ATR does not contain it."""
        return known_reset_information(self.atr)

    @property
    def reset_information(self) -> bytes:
        """Return 卡复位信息, for callers that need it.

        Raises:
            NoCardFactorError, CardGarbledError: the ATR does not contain it.
        """
        return reset_information(self.atr)

    @abstractmethod
    def invalidate_file_system(self) -> None:
        """Forget the file system, because the current application of the card is unknown; the next access starts a new
        one.
        """

    @abstractmethod
    def _confirm_first(self) -> None:
        """Make the card identify itself, if its identity must be compared and has not been yet."""

    @property
    def layout(self) -> Layout:
        """Return the layout of this card."""
        return self.opened_file_system.layout

    @property
    def identity(self) -> bytes:
        """Return the identity of this card, which no other card shares: its 卡识别码 and its historical bytes.

        Raises:
            NoCardFactorError, CardGarbledError: the card does not give it.
        """
        _ = self.reset_information
        found = identity_in(self.opened_file_system.contents, self.historical_bytes)
        if found is None:
            raise CardGarbledError("卡片没有卡识别码", "the card has no identification code")
        return found

    def card_key(self, name: str) -> CardKey:
        """Return a key of the layout, on this card.

        Raises:
            SamError, CardGarbledError: as for `CardAuthenticator.terminal`.
        """
        return self._required_authenticator.terminal.key(name)

    def run(self, conversation: Flow[Result]) -> Result:
        """Run a flow to its end.

        Raises:
            PinOutcomeUnknownError, WriteOutcomeUnknownError: it broke off, and it is not known what the card has done.
            CardioError: it broke off at another point.
        """
        try:
            return self._channel.run(conversation)
        except CardioError as error:
            outcome = as_outcome(error, self._channel.watch.pop_unanswered())
            if outcome is error:
                raise
            raise outcome from error

    # -- proofs ---------------------------------------------------------------------------------

    @property
    def proof(self) -> Proof:
        """Return how far the card has been proved genuine since it is held."""
        return NO_SAM if self._authenticator is None else self._authenticator.proof

    def prove(self) -> None:
        """Run internal authentication (内部认证) with a card of any generation, once for as long as the card is held.

        Raises:
            ForgedCardError: the card does not know its key. No key and no PIN is presented to it afterwards.
            ProofDeclinedError: the card declines, although cards of its generation do not.
            CardRefusedError: the card declines, as cards of its generation may.
            ClaimsContradictError: the card's claims fit no generation.
            SamError: the answer cannot be judged here.
        """
        if self._authenticator is None:
            raise NoSamError()
        file_system = self.opened_file_system
        self.run(file_system.select_application(file_system.layout.environment.id))
        self.run(self._authenticator.ask_for_proof())
        if not self.proof.is_genuine:
            raise self._authenticator.unproved_reason or NoSamError()

    def proved_by_caller(self) -> None:
        """Note that the caller's own HSM has found the card's answer to internal authentication right.

        Raises:
            ProofRequiredError: as for `CardAuthenticator.proved_by_caller`.
        """
        self._required_authenticator.proved_by_caller(self.opened_file_system.algorithm)

    def refuted_by_caller(self) -> ForgedCardError:
        """Note that the caller's own HSM has found the card's answer wrong; the card gets neither key nor PIN
        any more.
        """
        return self._required_authenticator.refuted_by_caller()

    def declined_before_caller(self, error: CardRefusedError) -> CardioError:
        """Note that the card gives the caller's own HSM no answer, and return the error for it."""
        return self._required_authenticator.declined_before_caller(error)

    def certificate(self, data: bytes) -> bytes | None:
        """Return the expected 认证码 of 卡识别码; None if the SAM cannot compute it.

        Raises:
            SamError: the SAM failed, or there is none.
        """
        from cardio.security.terminal import INTERNAL_KEY

        terminal = self._required_authenticator.terminal
        return terminal.sam.certificate(terminal.key(INTERNAL_KEY), data)

    @property
    def sam(self) -> Sam:
        """Return the SAM.

        Raises:
            SamError: there is none.
        """
        return self._required_authenticator.sam

    @property
    def has_presented(self) -> bool:
        """Return True if a PIN or a key was presented to the card."""
        return self._authenticator is not None and self._authenticator.granted

    @property
    def has_pin(self) -> bool:
        """Return True if the credentials have a PIN."""
        return self._authenticator is not None and self._authenticator.has_pin

    @property
    def was_given_pin(self) -> bool:
        """Return True if the credentials have a PIN that was given, not one that is to be entered on the key pad."""
        return self._authenticator is not None and self._authenticator.was_given_pin

    @property
    def terminal_number(self) -> str | None:
        """Return 终端机编号 of the SAM, or of the credentials; None where there is neither, or the SAM has none.

        Raises:
            SamError: a SAM should have it, and cannot be asked.
            TestKeysError: as for `CardAuthenticator.sam`.
        """
        return None if self._authenticator is None else self._authenticator.terminal_number

    # -- changes --------------------------------------------------------------------------------

    def prepare(self, path: str, values: Mapping[str, str] | bytes) -> PreparedUpdate:
        """Return the planned new content of a file; nothing is changed yet.

        Args:
            path: the file in the layout.
            values: by item, ``{"residence": "…", "degree[2].degree_code": "101"}``, or the bytes of a transparent file.

        Raises:
            UsageError: the layout has no such file or item, or a value does not fit it.
            CardioError: the file cannot be read, or the right to write it cannot be obtained.
        """
        from cardio.card import update as card_update

        file_system = self.file_system
        change = self.run(card_update.prepare(file_system, file_system.layout.required_file(path), values))
        return replace(change, proof=self.proof)

    def write(self, change: PreparedUpdate) -> FileWritten:
        """Write a prepared change; each record is read back and compared.

        Raises:
            CardChangedError: the card or the file is not the one of the preparation; nothing was written.
            WriteOutcomeUnknownError: an answer never came.
            CardioError: the card refused, or a MAC was damaged; the detail says what was written before.
        """
        from cardio.card import update as card_update

        written = self.run(card_update.write(self.file_system, change, self._required_authenticator))
        return written.model_copy(update={"proof": self.proof})

    # -- the holder's PIN -----------------------------------------------------------------------

    def grant(self, right: str) -> None:
        """Note a right that another command sequence has obtained in the current application."""
        self.file_system.rights.grant(right)
        self._required_authenticator.granted = True

    def key_trial(self, key: str) -> KeyTrial:
        """Allow one presentation of a key that the caller's own HSM computes with.

        Raises:
            KeyAlreadyRefusedError, SamRefusedError, KeyMemoryError, SamError: as for `CardKeys.trial`.
        """
        return self._required_authenticator.trial_of_caller(key)

    def forget_refused_keys(self) -> int:
        """Forget the keys that this card has refused, and their tries, because the issuer has restored them.

        Returns:
            the number of keys with known refusals or tries.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        _ = self.file_system  # this identifies the card
        return self._required_authenticator.keys.forget()

    def pin_restored(self) -> None:
        """Note that the tries of the PIN were restored by a command that the caller has built."""
        self._required_authenticator.pin.unblocked()

    def change_by(self, command: CommandApdu) -> Flow[None]:
        """Send a command that the caller has built and that changes the card.

        Raises:
            MacRefusedError, CardRefusedError: the card refuses.
        """
        from cardio.security.pin.holder_pin import expect_success

        _ = self._required_authenticator
        expect_success((yield command))

    def pin_tries(self) -> int | None:
        """Return how many tries are left, 0 when blocked; None if that is unknown. `pin_count` also gives the
        source.
        """
        return self.pin_count().left

    def pin_count(self) -> PinCount:
        """Return how many tries are left, and the source of the number.

        The card is asked only where asking is known to cost no try, or once for its family to find that out.
        """
        return self.run(self._holder_pin().count())

    def verify_pin(self) -> None:
        """Make the card check the PIN of the credentials.

        Raises:
            WrongPinError, PinBlockedError: the card has said so.
            LastTryError, PinAlreadyWrongError, PinQuotaError: nothing was sent.
            PinOutcomeUnknownError: the answer never came; a try may be spent.
        """
        self.run(self._holder_pin().verify())

    def change_pin(self, new: Pin) -> None:
        """Replace the PIN of the credentials.

        Raises:
            WrongPinError, PinBlockedError, LastTryError and others: as for `verify_pin`.
        """
        self.run(self._holder_pin().change(new))

    def change_pin_on_pad(self) -> None:
        """Change the PIN, with the old and the new one entered on the reader's key pad.

        Raises:
            NoPinPadError: the reader has no key pad.
            WrongPinError, PinBlockedError, LastTryError and others: as for `verify_pin`.
        """
        self.run(self._holder_pin().change_on_pad())

    def unblock_pin(self) -> None:
        """Restore the tries with the authority's key.

        Raises:
            SamError, CardError: as for `HolderPin.unblock`.
        """
        self.run(self._holder_pin().unblock())

    def reload_pin(self, new: Pin) -> None:
        """Set a new PIN with the authority's key.

        Raises:
            SamError, CardError: as for `HolderPin.reload`.
        """
        self.run(self._holder_pin().reload(new))

    @property
    def _required_authenticator(self) -> CardAuthenticator:
        if self._authenticator is None:
            raise AccessNotGrantedError()
        return self._authenticator

    def _holder_pin(self) -> HolderPin:
        from cardio.security.pin.holder_pin import HolderPin

        file_system = self.file_system
        if not file_system.is_recognised:
            raise NotASocialSecurityCardError()
        self.run(file_system.select_application(file_system.layout.environment.id))
        self.run(self._required_authenticator.prove_card())
        return HolderPin(self._required_authenticator)

    def run_outside_environment(self, conversation: Flow[Result]) -> Result:
        """Run a flow that leaves the social security environment. The rights held there are lost afterwards."""
        self._confirm_first()
        self._prove_first(for_pin=False)
        self.invalidate_file_system()
        return self.run(conversation)

    def require_not_forged(self) -> None:
        """Check that the card has not failed to prove itself since it is held.

        Raises:
            ForgedCardError, ProofDeclinedError: it has failed.
        """
        if self._authenticator is not None:
            self._authenticator.require_not_forged()

    def admit_pin(self) -> None:
        """Make the card prove itself before a PIN of another application, where there are keys for it.

        Raises:
            ForgedCardError, ProofDeclinedError: the card does not prove itself.
            CardioError: it was to be asked, and has not been.
        """
        self._prove_first(for_pin=True)
        if self._authenticator is not None:
            self._authenticator.admit(PIN)

    def _prove_first(self, *, for_pin: bool) -> None:
        """Make the card prove itself before another application is selected.

        That is done where there are keys for it, or where this site accepts only proved cards.

        Args:
            for_pin: a PIN may follow.
        """
        authenticator = self._authenticator
        if authenticator is None or not (authenticator.has_sam or authenticator.lacks_required_proof):
            return
        if for_pin or authenticator.challenges_every_card:
            if not authenticator.is_proof_decided:
                file_system = self.opened_file_system
                self.run(file_system.select_application(file_system.layout.environment.id))
            self.run(authenticator.prove_card())
