"""The authenticator of one caller: it proves a card, and presents keys and PINs to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord
from cardio.bilingual import Bilingual
from cardio.errors import AccessNotGrantedError, CardGarbledError, CardioError, CardRefusedError, ConfigurationError
from cardio.filesystem.claims import CardClaims
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import Layout
from cardio.models.reading import NO_SAM, Proof
from cardio.readers.pin_pad import PinPad
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    AuthenticationFailedError,
    ClaimsContradictError,
    ForgedCardError,
    KeyAlreadyRefusedError,
    MacRefusedError,
    NoPinPadError,
    NoSamError,
    ProofDeclinedError,
    ProofRequiredError,
    ReplayedChallengeError,
    SamError,
    SessionEndedError,
    TestKeysError,
)
from cardio.security.key_guard import CALLERS_SECONDS, CardKeys, KeyTrial
from cardio.security.key_memory import CARDS_IN_A_ROW, KeyMemory, Presenter
from cardio.security.pin.card_pin import CardPin
from cardio.security.pin.memory import PinMemory
from cardio.security.pin.pin import Pin, verify
from cardio.security.proof import NOT_YET, ProofOutcome, genuine, not_proved
from cardio.security.sam.base import Sam, kind_of
from cardio.security.sam.diversification import DiversificationFactors, known_reset_information, reset_information
from cardio.security.terminal import INTERNAL_KEY, Terminal

_UNKNOWN = "?"
"""The name in place of an algorithm that the card names and cardio does not know."""


SSSE_MAC_KEY, MAC_KEY = "STK", "STK{application}"


class CardAuthenticator:
    """The presenter of credentials to one card (`cardio.filesystem.access_rights.Authenticator`)."""

    def __init__(
        self,
        credentials: Credentials,
        atr: bytes,
        *,
        simulated: bool,
        pad: PinPad | None,
        family: str = "",
        memory: PinMemory | None = None,
        key_memory: KeyMemory | None = None,
    ) -> None:
        """Set up for one card in a reader.

        Args:
            credentials: the SAM, the PIN and the site's policies.
            atr: the card's ATR.
            simulated: the reader is a simulated one.
            pad: the reader's key pad, where there is one.
            family: the card family; its cards answer alike when asked for the count of PIN tries.
            memory: stores the counts of PIN tries that cards gave; without one they are kept in the guard.
            key_memory: stores the answers of cards to keys; without one they are kept in the guard.
        """
        self._credentials = credentials
        self._key_memory = key_memory or credentials.guard.keys
        self._pad = pad
        self._family = family
        self._memory = memory
        self._atr = atr
        self._historical_bytes = known_reset_information(atr)
        self._identity = self._historical_bytes or atr
        """The mark of this card: its historical bytes, or the whole ATR."""
        self._simulated = simulated
        self._faults: dict[str, CardioError] = {}
        self._failed: CardioError | None = None
        """The error with which the card failed to prove itself. It then gets neither key nor PIN."""
        self._outcome: ProofOutcome | None = None
        self._proved_algorithm: str | None = None
        """The algorithm with which the card has proved itself, where its FCI names none."""
        self._claims = CardClaims((), proves_itself=True)
        self._refused: AuthenticationFailedError | KeyAlreadyRefusedError | None = None
        self._pin_proved = False
        self._card_pin: CardPin | None = None
        self._sam: Sam | None = None
        self._no_sam: CardioError | None = None
        self._card: tuple[Layout, str, str] | None = None
        self._terminal: Terminal | None = None
        self.granted = False
        """True if a PIN or a key was presented to the card."""

    def close(self) -> None:
        if self._sam is not None:
            self._sam.close()

    @property
    def has_sam(self) -> bool:
        """Return True if the credentials name a SAM, available or not."""
        return self._credentials.sam is not None

    @property
    def terminal_number(self) -> str | None:
        """Return 终端机编号, as `Sam.terminal_number` does.

        Raises:
            SamError, TestKeysError, ConfigurationError: as for `sam`.
        """
        by_sam = self.has_sam and not self._credentials.keys_by_caller
        return self.sam.terminal_number if by_sam else self._credentials.terminal_number

    @property
    def sam(self) -> Sam:
        """Return the SAM, which is opened when it is first needed.

        Raises:
            SamError: no SAM is available; it is not tried a second time.
            TestKeysError: the SAM holds test keys, and the card is real.
            ConfigurationError: the SAM is configured wrongly.
        """
        if self._sam is None:
            if self._no_sam is not None:
                raise self._no_sam
            try:
                self._sam = self._open_sam()
            except SamError as error:
                self._no_sam = error
                raise
        return self._sam

    def _open_sam(self) -> Sam:
        if self._credentials.sam is None:
            raise NoSamError()
        sam = self._credentials.sam.open()
        try:
            # If a SAM cannot say whose keys it has, this raises: it must not be used with a real card either.
            if not (self._simulated or self._credentials.laboratory) and sam.test_keys:
                raise TestKeysError()
        except CardioError:
            sam.close()
            raise
        return sam

    @property
    def pin(self) -> CardPin:
        """Return this card's PIN; before `bind`, the PIN of a card known by its ATR only."""
        if self._card_pin is None:
            self._card_pin = self._pin_of(self._identity)
        return self._card_pin

    @property
    def keys(self) -> CardKeys:
        """Return this card's keys; before `bind`, the keys of a card known by its ATR only."""
        return CardKeys(self._key_memory, self._identity, self._credentials.guard.keys)

    def _pin_of(self, identity: bytes) -> CardPin:
        credentials = self._credentials
        return credentials.guard.card(
            identity, credentials.origin, family=self._family, memory=self._memory, policy=credentials.pin_policy
        )

    @property
    def holders_pin(self) -> Pin | None:
        return self._credentials.pin

    @property
    def accepts_last_try(self) -> bool:
        return self._credentials.accept_last_try

    @property
    def terminal(self) -> Terminal:
        """Return the SAM bound to this card.

        Raises:
            NoCardFactorError, CardGarbledError: the card's factors cannot be computed; no SAM was asked.
            SamError, ConfigurationError: as for `sam`.
        """
        if self._terminal is None:
            self._terminal = self._terminal_by(self._proved_algorithm)
        return self._terminal

    def _terminal_by(self, algorithm: str | None) -> Terminal:
        """Return the SAM bound to this card, with an algorithm; None means the card's own.

        Raises:
            NoCardFactorError, CardGarbledError, SamError, ConfigurationError: as for `terminal`.
            SessionEndedError: `bind` has not been called.
        """
        if self._card is None:
            raise SessionEndedError()
        layout, own, code = self._card
        factors = DiversificationFactors.of(reset_information(self._atr), code)
        return Terminal(self.sam, layout, algorithm or own, factors, settings=self._credentials.settings)

    def bind(self, layout: Layout, algorithm: str | None, identification_code: str | None, claims: CardClaims) -> None:
        code = identification_code or ""
        # A card with two interfaces has one PIN and two ATRs, so it is identified by its own 卡识别码.
        is_telling = len(set(code)) > 1
        self._identity = code.encode() if is_telling else self._historical_bytes + code.encode()
        self._card_pin = self._pin_of(self._identity)
        if self._card is not None and (code, claims) != (self._card[2], self._claims):
            self._outcome, self._proved_algorithm = None, None  # the card claims to be another one: it is asked again
        self._card = (layout, algorithm or _UNKNOWN, code)
        self._claims = claims
        self._terminal = None

    def unavailable_reason(self, right: str) -> CardioError | None:
        if self._failed is not None:
            return self._failed
        if right in self._faults:
            return self._faults[right]
        if right != PIN and self._refused is not None:
            return self._refused
        if right == PIN:
            return None if self.has_pin else AccessNotGrantedError("未提供密码", "no PIN was given")
        if self._credentials.keys_by_caller:
            return NoSamError()
        try:
            return self.terminal.unavailable_reason(right)
        except (SamError, CardGarbledError) as error:
            return error

    def require_not_forged(self) -> None:
        """Check that the card has not failed to prove itself.

        Raises:
            ForgedCardError, ProofDeclinedError: it has failed, and gets neither key nor PIN.
        """
        if self._failed is not None:
            raise self._failed

    def admit(self, right: str) -> None:
        """Check that the card may be given a key or a PIN.

        Raises:
            CardioError: the error that `denial_reason` returns.
        """
        fault = self.denial_reason(right)
        if fault is not None:
            raise fault

    def present(self, right: str) -> Flow[None]:
        self.admit(right)
        self.granted = True  # set before sending: another caller must not inherit the right
        try:
            if right == PIN:
                yield from self._present_pin()
            else:
                yield from self.terminal.prove_terminal(right, self.keys, proved=self.proof.is_genuine)
        except (AuthenticationFailedError, KeyAlreadyRefusedError) as error:
            # One refusal is enough: every other key of this SAM would also cost the card a try.
            self._refused = error
            raise
        except CardioError as error:
            self._faults[right] = error
            raise

    def trial_of_caller(self, key: str) -> KeyTrial:
        """Allow one presentation of a key that the caller's own HSM computes with.

        Raises:
            KeyAlreadyRefusedError, SamRefusedError, KeyMemoryError, SamError: as for `CardKeys.trial`.
        """
        origin = self._credentials.origin
        presenter = Presenter(b"caller" + origin.encode(), origin, seconds=CALLERS_SECONDS)
        return self.keys.trial(key, presenter, proved=self.proof.is_genuine)

    @property
    def has_pin(self) -> bool:
        """Return True if the holder's PIN was given, or will be entered on the key pad."""
        return self._credentials.pin is not None or self._credentials.pad_digits is not None

    @property
    def was_given_pin(self) -> bool:
        """Return True if the holder's PIN was given, so that presenting it needs no action of the holder."""
        return self._credentials.pin is not None

    def on_pad(self, entry: Callable[[PinPad, int], bytes]) -> Flow[None]:
        """Make the holder enter a PIN on the reader's key pad.

        Args:
            entry: runs the pad's operation, with the number of digits; it returns the card's answer.

        Raises:
            NoPinPadError: the reader has no key pad, or the credentials do not ask for one.
            CardioError: an error of `denial_reason` or of `CardPin.submit_on_pad`.
        """
        self.admit(PIN)
        pad, digits = self._pad, self._credentials.pad_digits
        if pad is None or digits is None:
            raise NoPinPadError()

        def ask() -> int:
            return ResponseApdu.from_bytes(entry(pad, digits)).status_word

        with self.pin.exclusive():
            yield from self.pin.submit_on_pad(ask, accept_last_try=self._credentials.accept_last_try)

    def _present_pin(self) -> Flow[None]:
        if self._credentials.pad_digits is not None:
            yield from self.on_pad(lambda pad, digits: pad.verify(digits))
            return
        pin = self._credentials.pin
        if pin is None:
            raise AccessNotGrantedError("未提供密码", "no PIN was given")
        with self.pin.exclusive():
            yield from self.pin.submit(
                pin,
                verify(pin),
                accept_last_try=self._credentials.accept_last_try,
                known_right=self._pin_proved,
            )
        self._pin_proved = True

    # -- the card's proof -------------------------------------------------------------------------

    @property
    def challenges_every_card(self) -> bool:
        return self._credentials.proof_policy.challenges_every_card

    @property
    def proof(self) -> Proof:
        """Return how far the card has been proved until now."""
        if self._outcome is not None:
            return self._outcome.proof
        return NOT_YET[self._credentials.proof_policy.when] if self.has_sam else NO_SAM

    @property
    def answered(self) -> bool:
        """Return True if the card has answered a fresh challenge correctly."""
        return self._outcome is not None and self._outcome.answered

    @property
    def unproved_reason(self) -> CardioError | None:
        """Return why the card is not proved genuine, where it was asked or should have been asked."""
        return self._failed or (None if self._outcome is None else self._outcome.unproved_reason)

    @property
    def missing_proof_reason(self) -> CardioError | None:
        """Return why the card has not proved itself, where its generation does and there are keys for it."""
        if self._outcome is None or not self.has_sam or not self._claims.proves_itself:
            return None
        return self._outcome.unproved_reason

    @property
    def is_proof_decided(self) -> bool:
        return not self.has_sam or self._outcome is not None or self._failed is not None

    def denial_reason(self, right: str) -> CardioError | None:
        """Return why the card is not given a key or a PIN; None if it may be given one.

        There are four reasons. The card failed to prove itself. It was to be asked, and has not been. Its generation
        proves itself, and it has not. Or this site accepts only proved cards, and it is not proved.
        """
        if self._failed is not None:
            return self._failed
        if self.lacks_required_proof:
            return self._proof_required()
        if self._outcome is None or self._outcome.answered or not self.has_sam:
            return None
        return (self.missing_proof_reason if right != PIN else None) or self._outcome.pin_denial_reason

    def prove_card(self) -> Flow[None]:
        yield from self.ask_for_proof()
        if self.lacks_required_proof:
            raise self._proof_required()

    def ask_for_proof(self) -> Flow[None]:
        """Make the card prove itself as `prove_card` does, but do not require that it succeeds."""
        self.require_not_forged()
        if self._outcome is not None:
            return
        try:
            self._outcome = yield from self._asked()
        except (ForgedCardError, ProofDeclinedError, ReplayedChallengeError) as error:
            # A copy could pass on the keys and PINs presented to it: from now on it gets neither.
            self._failed = error
            raise
        finally:
            if self._credentials.keys_by_caller and self._sam is not None:
                self._sam.close()  # the SAM is not needed any more, and other callers may wait for it
                self._sam, self._terminal = None, None

    def proved_by_caller(self, algorithm: str) -> None:
        """Note that the caller's own HSM has found the card's answer right.

        Args:
            algorithm: the algorithm of the proof.

        Raises:
            ProofRequiredError: the card's claims fit no generation all the same, and this site does not accept such a
                card.
        """
        if self._claims.fault is None:
            self._outcome = genuine(algorithm, "hsm", test_keys=False)
            return
        self._outcome = not_proved(_contradiction(self._claims.fault), answered=True)
        if self.lacks_required_proof:
            raise self._proof_required()

    def refuted_by_caller(self) -> ForgedCardError:
        """Note that the caller's own HSM has found the card's answer wrong, and return the error for it."""
        error = ForgedCardError()
        self._failed = error
        return error

    def declined_before_caller(self, error: CardRefusedError) -> CardioError:
        """Note that the card gives the caller's own HSM no answer, and return the error for it."""
        try:
            self._declined(error)
        except ProofDeclinedError as declined:
            self._failed = declined
            return declined
        return error

    @property
    def lacks_required_proof(self) -> bool:
        """Return True if this site accepts only cards that are proved genuine, and this one is not, or not yet."""
        return self._credentials.proof_policy.require and not self.proof.is_genuine

    def _proof_required(self) -> ProofRequiredError:
        return ProofRequiredError(self.proof.detail, self.proof.detail_en)

    def _asked(self) -> Flow[ProofOutcome]:
        """Make the card answer a fresh challenge, by each algorithm that its claims leave open.

        Raises:
            ForgedCardError: the card's answer is wrong.
            ProofDeclinedError: the card declines, and may not.
        """
        if not self.has_sam:
            return ProofOutcome(NO_SAM)
        claims = self._claims
        access_error: CardioError | None = None
        wrong: tuple[ForgedCardError, Terminal] | None = None
        declined: CardioError | None = None
        for algorithm in claims.algorithms:
            try:
                terminal = self._terminal_by(algorithm)
            except CardGarbledError as error:
                access_error = error  # the data that diversifies its keys is not on the card
                break
            except SamError as error:
                return not_proved(error)
            except ConfigurationError as error:
                if claims.proves_itself:
                    raise
                return not_proved(error)
            fault = terminal.unavailable_reason(INTERNAL_KEY)
            if fault is not None:
                access_error = access_error or fault
                continue
            try:
                yield from terminal.prove_card()
            except ForgedCardError as error:
                wrong = error, terminal
            except (CardRefusedError, CardGarbledError) as error:
                declined = error
            except SamError as error:
                return not_proved(error)
            else:
                return self._answered_rightly(algorithm, terminal)
        if claims.fault is not None and access_error is not None:
            return not_proved(_contradiction(claims.fault))
        if wrong is not None:
            raise self._as_one_of_many(*wrong)
        if declined is not None:
            return self._declined(declined)
        return not_proved(access_error or AlgorithmNotSupportedError())

    def _as_one_of_many(self, error: ForgedCardError, terminal: Terminal) -> ForgedCardError:
        """Return the error for a wrong answer. If several cards in a row answer wrongly, the SAM's keys are doubted
        first.

        It stays a refusal all the same: three copies must not make a fourth one acceptable.
        """
        with suppress(SamError):
            cards = self._key_memory.found_forged(self._identity, terminal.identity(INTERNAL_KEY))
            if cards >= CARDS_IN_A_ROW:
                place = terminal.label(INTERNAL_KEY)
                return ForgedCardError.one_of_many(cards, place)
        return error

    def _answered_rightly(self, algorithm: str, terminal: Terminal) -> ProofOutcome:
        with suppress(SamError):
            self._key_memory.note_genuine(terminal.identity(INTERNAL_KEY))
        if self._claims.fault is not None:
            return not_proved(_contradiction(self._claims.fault), answered=True)
        self._terminal, self._proved_algorithm = terminal, algorithm
        kind = kind_of(terminal.sam, terminal.key(INTERNAL_KEY))
        return genuine(algorithm, kind, test_keys=self._has_test_keys(terminal.sam))

    def _declined(self, error: CardioError) -> ProofOutcome:
        if self._claims.proves_itself or not self._credentials.proof_policy.old_cards_may_decline:
            raise ProofDeclinedError(error.detail, error.detail_en, status_word=error.status_word) from error
        return not_proved(error, reason="declined")

    def _has_test_keys(self, sam: Sam) -> bool:
        """Return True if the keys are test keys, where test keys are allowed; elsewhere opening the SAM refuses
        them.
        """
        if not (self._simulated or self._credentials.laboratory):
            return False
        try:
            return sam.test_keys
        except SamError:
            return True  # a SAM that does not say whose keys it has proves no more than test keys do

    def protect(self, command: CommandApdu, application: str) -> Flow[ResponseApdu]:
        if not self._credentials.settings.mac:
            return (yield command)
        return (yield from self.secured(command, mac_key(application)))

    def secured(self, command: CommandApdu, key_name: str, challenge: bytes | None = None) -> Flow[ResponseApdu]:
        """Send a command that changes the card, with a MAC over a challenge.

        Args:
            command: the command without its MAC.
            key_name: the key of the MAC.
            challenge: a challenge that was just taken from the card; without one a fresh one is taken.

        Raises:
            MacRefusedError: the card says that the MAC is wrong; it has changed nothing.
            SamError: the MAC cannot be computed; the command was not sent then.
        """
        challenge = challenge or (yield from self.terminal.challenge())
        response = yield self.terminal.with_mac(command, key_name, challenge)
        if response.status_word == StatusWord.MAC_WRONG:
            raise MacRefusedError(status_word=response.status_word)
        return response


def _contradiction(fault: Bilingual) -> ClaimsContradictError:
    return ClaimsContradictError(fault.zh, fault.en)


def mac_key(application: str) -> str:
    """Return the name of the key that makes the MACs of an application (应用维护密钥)."""
    return SSSE_MAC_KEY if not application.startswith("DF") else MAC_KEY.format(application=application)
