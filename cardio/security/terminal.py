"""The terminal's side of authentication: it proves the card, proves itself to the card, and protects commands.

Flows yield commands for the card; the SAM does the computing in between. Flows and byte forms: docs/algorithms.md.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.commands import external_authentication, get_challenge, internal_authentication
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe, tries_in
from cardio.errors import CardRefusedError
from cardio.filesystem.layouts.model import Layout
from cardio.security.algorithms import HALF, MAC_LENGTH, pad, suite_for
from cardio.security.errors import (
    AuthenticationFailedError,
    ForgedCardError,
    KeyBlockedError,
    ReplayedChallengeError,
    SamError,
)
from cardio.security.key_guard import CardKeys, is_refusal
from cardio.security.key_memory import Presenter
from cardio.security.sam.base import CardKey, Sam, identity_of, key_missing, label_of
from cardio.security.sam.diversification import DiversificationFactors

INTERNAL_KEY = "IRK"
_SECURED = 0x04
"""The CLA bit of a command that carries a MAC (ISO/IEC 7816-4 §5.4.1)."""
_NO_SUCH_KEY = frozenset({StatusWord.KEY_NOT_FOUND, StatusWord.KEY_INDEX_NOT_SUPPORTED})
_WANTS_ITS_OWN_CHALLENGE = frozenset({StatusWord.NO_CHALLENGE, StatusWord.CONDITIONS_NOT_SATISFIED})


class MacStart(Enum):
    """The initial value of a MAC; sources differ, so a site may choose."""

    ZERO = "zero"
    """Zeros, because the challenge is in the process key already: two public libraries."""
    CHALLENGE = "challenge"
    """Four bytes of the challenge, then zeros: PBOC cards."""

    def value_for(self, challenge: bytes) -> bytes | None:
        return None if self is MacStart.ZERO else challenge[:MAC_LENGTH] + bytes(HALF - MAC_LENGTH)


@dataclass(frozen=True, slots=True)
class TerminalSettings:
    """The settings that a site may choose."""

    mac_start: MacStart = MacStart.ZERO
    mac: bool = True
    """True if writes carry a MAC; off only for cards that know none."""


class Terminal:
    """One SAM together with one card."""

    def __init__(
        self,
        sam: Sam,
        layout: Layout,
        algorithm: str,
        factors: DiversificationFactors,
        *,
        settings: TerminalSettings | None = None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Set up for one card.

        Args:
            sam: the SAM.
            layout: the layout of the card.
            algorithm: the algorithm that the card names in its FCI, or that its layout names.
            factors: the diversification factors of the card.
            settings: the site's choices.
            random: returns the given number of random bytes.
        """
        self.sam = sam
        self._layout = layout
        self._algorithm = algorithm
        self._factors = factors
        self._settings = settings or TerminalSettings()
        self._random = random
        self._challenge = b""

    def key(self, name: str) -> CardKey:
        """Return a key of the layout, on this card.

        Raises:
            KeyNotInSamError: the layout has no key of this name.
        """
        key = self._layout.key(name)
        if key is None:
            raise key_missing(name, self._layout.title, self._layout.title_en)
        return CardKey.of(key, self._algorithm, self._factors)

    def unavailable_reason(self, name: str) -> SamError | None:
        """Return why the terminal cannot use a key, as far as is known without trying."""
        try:
            suite_for(self._algorithm)
            return self.sam.unavailable_reason(self.key(name))
        except SamError as error:
            return error

    def prove_card(self) -> Flow[None]:
        """Run internal authentication (内部认证): the card shows that it knows its key.

        Raises:
            ForgedCardError: the card does not know its key.
            CardRefusedError: the card refuses to be asked.
            SamError: the answer could not be computed here.
        """
        key = self.key(INTERNAL_KEY)
        versions = self._versions(key)
        for version in versions:
            source = self._random(HALF)
            challenge = self._random(HALF)
            response = yield internal_authentication(challenge + source + _version_byte(version))
            if response.status_word in _WANTS_ITS_OWN_CHALLENGE:
                challenge = yield from self.challenge()
                response = yield internal_authentication(challenge + source + _version_byte(version))
            if response.status_word in _NO_SUCH_KEY or _wants_no_version(response, version, versions):
                continue
            if response.status_word != StatusWord.SUCCESS:
                raise _refusal("卡片拒绝内部认证", "the card refuses internal authentication", response)
            expected = self.sam.cryptogram(key.with_version(version), challenge, source)
            if not hmac.compare_digest(expected, response.data):
                raise ForgedCardError()
            return
        raise _refusal("卡片没有内部认证密钥", "the card has no key for internal authentication", response)

    def identity(self, name: str) -> bytes:
        """Return the identity of the SAM that computes with a key.

        Raises:
            KeyNotInSamError: as for `key`.
        """
        return identity_of(self.sam, self.key(name))

    def label(self, name: str) -> str:
        """Return the name for people of the SAM that computes with a key.

        Raises:
            KeyNotInSamError: as for `key`.
        """
        return label_of(self.sam, self.key(name))

    def presenter(self, name: str) -> Presenter:
        """Return this SAM as the presenter of a key to this card: see `cardio.security.key_guard`.

        Raises:
            KeyNotInSamError: as for `key`.
        """
        key = self.key(name)

        def probe(of: str) -> bytes | None:
            return self._probe(self.key(of))

        def probe_of_sam(of: str, city: str, algorithm: str) -> bytes | None:
            return self._probe(
                replace(self.key(of), factors=DiversificationFactors(bytes(HALF), city), algorithm=algorithm)
            )

        return Presenter(
            identity_of(self.sam, key),
            label_of(self.sam, key),
            self._factors.city_code,
            self._algorithm,
            probe,
            probe_of_sam,
        )

    def _probe(self, key: CardKey) -> bytes | None:
        """Return the result of the SAM's key for a fixed challenge; None where it cannot compute with it."""
        try:
            return b"".join(
                self.sam.cryptogram(key.with_version(version), bytes(HALF), bytes(HALF))
                for version in self._versions(key)
            )
        except SamError:
            return None

    def prove_terminal(self, name: str, keys: CardKeys, *, proved: bool = False) -> Flow[None]:
        """Run external authentication (外部认证) with a key by name: the card grants its right.

        If the card has the key in another version only, the next version that the SAM holds is tried. After a wrong key
        no other is tried.

        Args:
            name: the name of the key.
            keys: the known facts of this card's keys.
            proved: the card has proved that it is genuine.

        Raises:
            AuthenticationFailedError, KeyBlockedError: the card does not accept the key.
            KeyAlreadyRefusedError, SamRefusedError, KeyMemoryError: the key is not presented.
            CardRefusedError: the card refuses for another reason.
            SamError: the cryptogram cannot be computed; nothing was sent then, and no try is spent.
        """
        key = self.key(name)
        fault = self.sam.unavailable_reason(key)
        if fault is not None:
            raise fault
        trial = keys.trial(name, self.presenter(name), proved=proved)
        versions = self._versions(key)
        for version in versions:
            source = self._random(HALF)
            challenge = yield from self.challenge()
            cryptogram = self.sam.cryptogram(key.with_version(version), challenge, source)
            trial.sending()
            response = yield external_authentication(key.id, cryptogram + source + _version_byte(version))
            trial.answered(response.status_word)
            if response.status_word == StatusWord.SUCCESS:
                return
            if response.status_word not in _NO_SUCH_KEY and not _wants_no_version(response, version, versions):
                raise authentication_refused(name, response)
        raise _refusal(f"卡片没有密钥 {name}", f"the card does not have the key {name}", response)

    def challenge(self) -> Flow[bytes]:
        """Return eight fresh bytes of the card's.

        Raises:
            CardRefusedError: the card gives none.
            ReplayedChallengeError: the card gives the same as the last time.
        """
        response = yield get_challenge(HALF)
        if response.status_word != StatusWord.SUCCESS or len(response.data) != HALF:
            raise _refusal("卡片没有给出随机数", "the card gives no challenge", response)
        if hmac.compare_digest(response.data, self._challenge):
            raise ReplayedChallengeError()
        self._challenge = response.data
        return response.data

    def with_mac(self, command: CommandApdu, key_name: str, challenge: bytes) -> CommandApdu:
        """Return a command with its MAC (安全报文), over a challenge that was just taken from the card.

        Raises:
            SamError: it cannot be computed.
        """
        secured = replace(command, cla=command.cla | _SECURED)
        message = secured.header + bytes((len(command.data) + MAC_LENGTH,)) + command.data
        block = suite_for(self._algorithm).block
        initial_value = self._settings.mac_start.value_for(challenge)
        mac = self.sam.mac(self.key(key_name), challenge, pad(message, block), initial_value)
        return replace(secured, data=command.data + mac)

    def encipher(self, key_name: str, challenge: bytes, plain: Callable[[int], bytes]) -> bytes:
        """Encipher data under the process key of the challenge.

        Args:
            key_name: the name of the key.
            challenge: the challenge that was just taken from the card.
            plain: returns the data, given the bytes of a block.
        """
        block = suite_for(self._algorithm).block
        return self.sam.encipher(self.key(key_name), challenge, plain(block))

    def _versions(self, key: CardKey) -> list[int | None]:
        """Return the version groups to try.

        They are named if the SAM knows them, and on SM4 cards, which want the byte. Without a name, a card whose
        key is of another group would compute with that key, and would look forged.
        """
        held = list(self.sam.versions(key))
        return [*held] or ([1] if suite_for(key.algorithm).requires_key_version else [None])


def authentication_refused(
    name: str, response: ResponseApdu
) -> CardRefusedError | AuthenticationFailedError | KeyBlockedError:
    """Return the error for an answer to EXTERNAL AUTHENTICATION."""
    left = tries_in(response.status_word)
    if left is None and not is_refusal(response.status_word):
        return _refusal(f"卡片拒绝密钥 {name} 的外部认证", f"the card refuses authentication with {name}", response)
    if response.status_word == StatusWord.AUTHENTICATION_BLOCKED:
        return KeyBlockedError(
            f"卡片的密钥 {name} 已锁定", f"the card's key {name} is blocked", status_word=response.status_word
        )
    zh = "卡片未告知剩余次数" if left is None else f"还剩 {left} 次"
    en = f"tries left: {'the card does not say' if left is None else left}"
    return AuthenticationFailedError(
        f"密钥 {name} 外部认证失败，{zh}",
        f"external authentication with {name} failed; {en}",
        tries_left=left,
        status_word=response.status_word,
        driver_code=-response.status_word,
    )


def _wants_no_version(response: ResponseApdu, version: int | None, versions: list[int | None]) -> bool:
    """Return True if a card finds the version byte too much; the SAM's best version is then tried without it."""
    too_long = response.status_word == StatusWord.WRONG_LENGTH and version is not None
    if too_long:
        versions[versions.index(version) + 1 :] = [None]
    return too_long


def _version_byte(version: int | None) -> bytes:
    return b"" if version is None else bytes((version,))


def _refusal(detail: str, detail_en: str, response: ResponseApdu) -> CardRefusedError:
    status_word = response.status_word
    meaning = describe(status_word)
    return CardRefusedError(
        f"{detail}：{status_word:04X} {meaning.zh}",
        f"{detail_en}: {status_word:04X} {meaning.en}",
        status_word=status_word,
    )
