"""The side of a card that takes keys and PINs: proofs, the holder's PIN, changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from cardio.apdu.channel import Channel, Flow
from cardio.apdu.command import CommandApdu
from cardio.card import update as changing
from cardio.card.update import PreparedUpdate
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
from cardio.models.files import FileWritten
from cardio.models.reading import NO_SAM, Proof
from cardio.security.authenticator import CardAuthenticator
from cardio.security.errors import ForgedCardError, NoSamError
from cardio.security.holder_pin import HolderPin, expect_success
from cardio.security.key_guard import KeyTrial
from cardio.security.outcome import as_outcome
from cardio.security.pin.count import PinCount
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import CardKey, Sam
from cardio.security.sam.diversification import known_reset_information, reset_information
from cardio.security.terminal import INTERNAL_KEY

Result = TypeVar("Result")


def identity_in(contents: CardContents, historical_bytes: bytes) -> bytes | None:
    """`SecuredCard.identity`, by what was read of a card; None where that does not say."""
    issuer = contents.files.get(ISSUER_FILE)
    code = None if issuer is None else text_of(issuer, "identification_code")
    return code.upper().encode("ascii", "replace") + historical_bytes if code else None


class SecuredCard(ABC):
    """A card with what is presented to it: what `SocialSecurityCard` does with keys and PINs."""

    def __init__(self, channel: Channel, authenticator: CardAuthenticator | None) -> None:
        self._channel = channel
        self._authenticator = authenticator

    @property
    @abstractmethod
    def begun_visit(self) -> CardFileSystem:
        """The visit to this card, begun when it is first needed; the card need not have proved itself."""

    @property
    def file_system(self) -> CardFileSystem:
        """The visit to this card, in which the card has proved itself where there are keys for it.

        Raises:
            ForgedCardError, ProofDeclinedError, ProofRequiredError: as `CardFileSystem.prove_card`.
        """
        file_system = self.begun_visit
        if self._authenticator is not None and self._authenticator.asks_every_card:
            self.run(file_system.prove_card())
        return file_system

    @property
    @abstractmethod
    def atr(self) -> bytes: ...

    @property
    def historical_bytes(self) -> bytes:
        """卡复位信息; none where the ATR does not tell it."""
        return known_reset_information(self.atr)

    @property
    def reset_information(self) -> bytes:
        """卡复位信息, for what hangs on it.

        Raises:
            NoCardFactorError, CardGarbledError: the ATR does not tell it.
        """
        return reset_information(self.atr)

    @abstractmethod
    def invalidate_file_system(self) -> None:
        """What is current on the card is not known any more: the next visit begins anew."""

    @abstractmethod
    def _confirm_first(self) -> None:
        """Has the card say who it is, where that is to be compared and was not yet."""

    @property
    def layout(self) -> Layout:
        """Return what is known of cards like this one."""
        return self.begun_visit.layout

    @property
    def identity(self) -> bytes:
        """By what this card is known from every other one: its 卡识别码 and its historical bytes.

        Raises:
            NoCardFactorError, CardGarbledError: it does not say who it is.
        """
        _ = self.reset_information
        found = identity_in(self.begun_visit.contents, self.historical_bytes)
        if found is None:
            raise CardGarbledError("卡片没有卡识别码", "the card has no identification code")
        return found

    def card_key(self, name: str) -> CardKey:
        """A key of the layout, on this card. Raises: SamError, CardGarbledError: as `CardAuthenticator.terminal`."""
        return self._required_authenticator.terminal.key(name)

    def run(self, conversation: Flow[Result]) -> Result:
        """Carries a plan to its end.

        Raises:
            PinOutcomeUnknownError, WriteOutcomeUnknownError: it broke off where nobody knows what the card has done.
            CardioError: it broke off elsewhere.
        """
        try:
            return self._channel.run(conversation)
        except CardioError as error:
            outcome = as_outcome(error, self._channel.watch.take_unanswered())
            if outcome is error:
                raise
            raise outcome from error

    # -- proofs ---------------------------------------------------------------------------------

    @property
    def proof(self) -> Proof:
        """Return how far the card was proved genuine, since it is held."""
        return NO_SAM if self._authenticator is None else self._authenticator.proof

    def prove(self) -> None:
        """Internal authentication (内部认证), on cards of every generation; once for as long as the card is held.

        Raises:
            ForgedCardError: the card does not know its key. No key and no PIN is presented to it afterwards.
            ProofDeclinedError: it declines, and its generation does not.
            CardRefusedError: it declines, as cards of its generation may.
            ClaimsContradictError: what it says of itself fits no generation.
            SamError: it cannot be judged here.
        """
        if self._authenticator is None:
            raise NoSamError()
        file_system = self.begun_visit
        self.run(file_system.enter(file_system.layout.environment.id))
        self.run(self._authenticator.ask_for_proof())
        if not self.proof.is_genuine:
            raise self._authenticator.why_not or NoSamError()

    def proved_by_caller(self) -> None:
        """Note that the caller's own HSM has found the card's answer to internal authentication right.

        Raises: ProofRequiredError: as `CardAuthenticator.proved_by_caller`.
        """
        self._required_authenticator.proved_by_caller(self.begun_visit.algorithm)

    def refuted_by_caller(self) -> ForgedCardError:
        """As `CardAuthenticator.refuted_by_caller`: the card gets neither key nor PIN any more."""
        return self._required_authenticator.refuted_by_caller()

    def declined_before_caller(self, error: CardRefusedError) -> CardioError:
        """As `CardAuthenticator.declined_before_caller`."""
        return self._required_authenticator.declined_before_caller(error)

    def certificate(self, data: bytes) -> bytes | None:
        """Return what the 认证码 of 卡识别码 must be; None where the SAM cannot tell. Raises: SamError."""
        terminal = self._required_authenticator.terminal
        return terminal.sam.certificate(terminal.key(INTERNAL_KEY), data)

    @property
    def sam(self) -> Sam:
        """Raises: SamError: there is none."""
        return self._required_authenticator.sam

    @property
    def has_presented(self) -> bool:
        """A PIN or a key was presented to the card."""
        return self._authenticator is not None and self._authenticator.granted

    @property
    def has_pin(self) -> bool:
        """The credentials hold a PIN."""
        return self._authenticator is not None and self._authenticator.has_pin

    @property
    def was_given_pin(self) -> bool:
        """The credentials hold a PIN that was given, not one that is to be entered on the key pad."""
        return self._authenticator is not None and self._authenticator.was_given_pin

    @property
    def terminal_number(self) -> str | None:
        """终端机编号 of the SAM, or of the credentials; None where there is neither, or the SAM has none.

        Raises:
            SamError: there is a SAM that should say it, and it cannot be asked.
            TestKeysError: as `CardAuthenticator.sam`.
        """
        return None if self._authenticator is None else self._authenticator.terminal_number

    # -- changes --------------------------------------------------------------------------------

    def prepare(self, path: str, values: Mapping[str, str] | bytes) -> PreparedUpdate:
        """Return what a file is to become; nothing is changed yet.

        Args: ``values`` by item, ``{"residence": "…", "degree[2].degree_code": "101"}``, or the bytes of a
        transparent file.

        Raises:
            UsageError: the layout has no such file or item, or a value does not fit it.
            CardioError: the file cannot be read, or the right to write it is not to be had.
        """
        file_system = self.file_system
        change = self.run(changing.prepare(file_system, file_system.layout.required_file(path), values))
        return replace(change, proof=self.proof)

    def write(self, change: PreparedUpdate) -> FileWritten:
        """Writes what was prepared, each record read back and compared.

        Raises:
            CardChangedError: the card or the file is another than it was prepared for; nothing was written.
            WriteOutcomeUnknownError: an answer never came.
            CardioError: the card refused, or a MAC was broken; the detail says what was written before.
        """
        written = self.run(changing.write(self.file_system, change, self._required_authenticator))
        return written.model_copy(update={"proof": self.proof})

    # -- the holder's PIN -----------------------------------------------------------------------

    def grant(self, right: str) -> None:
        """Note a right that another conversation has obtained in the current application."""
        self.file_system.rights.grant(right)
        self._required_authenticator.granted = True

    def key_trial(self, key: str) -> KeyTrial:
        """Allow one presentation of a key that the caller's own HSM computes with. Raises as `CardKeys.trial`."""
        return self._required_authenticator.trial_of_caller(key)

    def forget_refused_keys(self) -> int:
        """Forget what this card has refused of keys, and how many tries they have: the issuer has restored them.

        Returns: of how many keys something was known.

        Raises:
            KeyMemoryError: it cannot be noted.
        """
        _ = self.file_system  # it says which card it is
        return self._required_authenticator.keys.forget()

    def pin_restored(self) -> None:
        """Note that the tries of the PIN were restored by a command of the caller's making."""
        self._required_authenticator.pin.unblocked()

    def change_by(self, command: CommandApdu) -> Flow[None]:
        """Send a command that the caller has made, and that changes the card.

        Raises:
            MacRefusedError, CardRefusedError: the card refuses.
        """
        _ = self._required_authenticator
        expect_success((yield command))

    def pin_tries(self) -> int | None:
        """Return how many tries are left, 0 when blocked; None where that is not known: `pin_count`
        without its source.
        """
        return self.pin_count().left

    def pin_count(self) -> PinCount:
        """Return how many tries are left, and how that is known.

        The card is asked only where asking is known to cost no try, or once of its family to find that out.
        """
        return self.run(self._holder_pin().count())

    def verify_pin(self) -> None:
        """Has the card check the PIN of the credentials.

        Raises:
            WrongPinError, PinBlockedError: the card has said so.
            LastTryError, PinAlreadyWrongError, PinQuotaError: nothing was sent.
            PinOutcomeUnknownError: the answer never came; a try may be spent.
        """
        self.run(self._holder_pin().verify())

    def change_pin(self, new: Pin) -> None:
        """Replaces the PIN of the credentials. Raises as `verify_pin`."""
        self.run(self._holder_pin().change(new))

    def change_pin_on_pad(self) -> None:
        """As `change_pin`, all of it on the reader's key pad. Raises: NoPinPadError: it has none."""
        self.run(self._holder_pin().change_on_pad())

    def unblock_pin(self) -> None:
        """Restores the tries with the authority's key. Raises: SamError, CardError: as `HolderPin.unblock`."""
        self.run(self._holder_pin().unblock())

    def reload_pin(self, new: Pin) -> None:
        """Sets a new PIN with the authority's key. Raises as `unblock_pin`."""
        self.run(self._holder_pin().reload(new))

    @property
    def _required_authenticator(self) -> CardAuthenticator:
        if self._authenticator is None:
            raise AccessNotGrantedError()
        return self._authenticator

    def _holder_pin(self) -> HolderPin:
        file_system = self.file_system
        if not file_system.is_certainly_ours:
            raise NotASocialSecurityCardError()
        self.run(file_system.enter(file_system.layout.environment.id))
        self.run(self._required_authenticator.prove_card())
        return HolderPin(self._required_authenticator)

    def run_outside_environment(self, conversation: Flow[Result]) -> Result:
        """As `run`, for a conversation that leaves the social security environment: its rights are gone afterwards."""
        self._confirm_first()
        self._prove_first(for_pin=False)
        self.invalidate_file_system()
        return self.run(conversation)

    def refuse_copy(self) -> None:
        """Raises: ForgedCardError, ProofDeclinedError: since it is held the card has failed to prove itself."""
        if self._authenticator is not None:
            self._authenticator.refuse_copy()

    def admit_pin(self) -> None:
        """Before a PIN of another application: has the card prove itself, where there are keys for it.

        Raises:
            ForgedCardError, ProofDeclinedError: it does not. CardioError: it was to be asked, and has not been.
        """
        self._prove_first(for_pin=True)
        if self._authenticator is not None:
            self._authenticator.admit(PIN)

    def _prove_first(self, *, for_pin: bool) -> None:
        """Before the social security environment is left: has the card prove itself, where there are keys for it, or
        where this site takes no other.

        Args: ``for_pin``: what follows may bring a PIN.
        """
        authenticator = self._authenticator
        if authenticator is None or not (authenticator.has_sam or authenticator.lacks_required_proof):
            return
        if for_pin or authenticator.asks_every_card:
            if not authenticator.is_asked:
                file_system = self.begun_visit
                self.run(file_system.enter(file_system.layout.environment.id))
            self.run(authenticator.prove_card())
