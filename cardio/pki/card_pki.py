"""The certificate application of a held card: its contents, and signing with the holder's PIN."""

from __future__ import annotations

from cardio.apdu.channel import Flow
from cardio.card.social_security_card import SocialSecurityCard
from cardio.pki.application import PkiContents, read_contents, read_signature_key, select_pki, sign
from cardio.pki.layout import PkiLayout, pki_layout
from cardio.pki.pin import verify_pin
from cardio.pki.sm2 import DEFAULT_USER_ID, PublicKey
from cardio.security.pin.pin import Pin


class CardPki:
    """The operations of a third-generation card with its certificates; docs/pki.md says which are experimental."""

    def __init__(self, card: SocialSecurityCard, layout: PkiLayout | None = None) -> None:
        self._card = card
        self._layout = layout or pki_layout()

    def contents(self) -> PkiContents:
        """Return key and certificates, as far as they can be read.

        Raises:
            NoPkiError: the card has no such application.
            CardioError: the application cannot be used.
        """
        return self._card.run_outside_environment(self._contents())

    def sign(
        self, message: bytes, pin: Pin, *, user_id: bytes = DEFAULT_USER_ID, accept_last_try: bool = False
    ) -> bytes:
        """Return an SM2 signature, r and s, verified with the card's own key; experimental.

        Raises:
            WrongPinError, PinBlockedError, LastTryError: the PIN of the certificate application is wrong, blocked, or
                at its last try.
            PinOutcomeUnknownError: the card was lost while it had the PIN.
            SignatureNotValidError: the card's answer is no signature of this message.
            CardioError: the card refuses.
        """
        self._card.admit_pin()
        key = self._card.run_outside_environment(self._key())
        self._card.run_outside_environment(
            verify_pin(self._layout, self._layout.pins.user, pin, accept_last_try=accept_last_try)
        )
        return self._card.run_outside_environment(sign(self._layout, key, message, user_id))

    def _contents(self) -> Flow[PkiContents]:
        yield from select_pki(self._layout)
        return (yield from read_contents(self._layout))

    def _key(self) -> Flow[PublicKey]:
        yield from select_pki(self._layout)
        return (yield from read_signature_key(self._layout))
