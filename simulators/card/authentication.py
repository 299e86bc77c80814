"""Challenges, authentication in both directions and MACs of a software card (LB002-2000, as public code has it)."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from simulators.card.apdu import (
    CONDITIONS,
    NO_CHALLENGE,
    NO_KEY,
    OK,
    WRONG_LENGTH,
    WRONG_MAC,
    WRONG_P1_P2,
    CommandRefused,
    expected_length,
    required_data,
    tries_answer,
)
from simulators.card.keys import SoftwareCardKeys
from simulators.card.persistent_state import CardState
from simulators.card.volatile_state import VolatileState
from simulators.crypto import card_crypto as cryptography

MAC_LENGTH = 4
_PROOF = (16, 17)
"""The allowed lengths: two times eight bytes; the seventeenth is the key's version."""


class CardAuthentication:
    """The commands that need keys. A card with SSF33 answers 6985 to them, because the algorithm is not published."""

    def __init__(
        self,
        session: VolatileState,
        keys: SoftwareCardKeys,
        state: CardState,
        keep: Callable[[], None],
        random: Callable[[int], bytes],
    ) -> None:
        """Prepare the commands.

        Args:
            session: the volatile state.
            keys: the card's keys.
            state: the persistent state.
            keep: saves the persistent state.
            random: returns random bytes.
        """
        self._session = session
        self._keys = keys
        self._state = state
        self._keep = keep
        self._random = random

    def get_challenge(self, command: bytes) -> bytes:
        """Carry out GET CHALLENGE (获取随机数)."""
        if command[2] or command[3]:
            return WRONG_P1_P2
        asked = expected_length(command)
        if asked not in (4, 8, 16):
            return WRONG_LENGTH
        self._session.challenge = self._random(asked)
        return self._session.challenge + OK

    # -- EXTERNAL AUTHENTICATION (外部鉴别), INTERNAL AUTHENTICATION (内部鉴别) --------------------

    def external_authentication(self, command: bytes) -> bytes:
        """Carry out EXTERNAL AUTHENTICATION: a terminal that knows a key holds its right until the next selection.

        A try is used up, and saved, before the comparison.
        """
        if command[2]:
            return WRONG_P1_P2
        # SM4 cards are known only with the key's version.
        data = required_data(command, *(_PROOF[1:] if self._keys.algorithm == "SM4" else _PROOF))
        self._check_algorithm()
        challenge = self._session.offered_challenge
        if challenge is None or len(challenge) != 8:
            return NO_CHALLENGE
        key = self._keys.authenticating(self._session.application_id, command[3])
        value = None if key is None else self._keys.value(key, *data[16:])
        if key is None or value is None:
            return NO_KEY
        left = self._state.key_tries.get(key.name, self._session.quirks.key_tries)
        if left == 0:
            return tries_answer(0)
        self._state.key_tries[key.name] = left - 1
        self._keep()
        if not hmac.compare_digest(self._cryptogram(value, challenge, data[8:16]), data[:8]):
            self._session.rights.discard(key.name)
            return tries_answer(left - 1)
        del self._state.key_tries[key.name]
        self._keep()
        self._session.rights.add(key.name)
        return OK

    def internal_authentication(self, command: bytes) -> bytes:
        """Carry out INTERNAL AUTHENTICATION: the card proves that it knows IRK."""
        if command[2] or command[3]:
            return WRONG_P1_P2
        data = required_data(command, *_PROOF)
        self._check_algorithm()
        key = self._keys.proving(self._session.application_id)
        value = None if key is None else self._keys.value(key, *data[16:])
        if value is None:
            return NO_KEY
        return self._session.answer_with(self._cryptogram(value, data[:8], data[8:16]))

    def _cryptogram(self, key: bytes, random: bytes, source: bytes) -> bytes:
        algorithm = self._keys.algorithm
        return cryptography.cryptogram(algorithm, cryptography.process_key(algorithm, key, random), source)

    # -- under the maintenance key (应用维护密钥) of the current application -----------------------

    def without_mac(self, command: bytes) -> bytes:
        """Return the data of a secured command after its MAC, which is at the end, was verified.

        The MAC is over the header as it came, whose Lc includes the MAC, and over the data.

        Raises:
            CommandRefused: there is no challenge or no key, or the MAC is wrong.
        """
        data = required_data(command)
        if len(data) < MAC_LENGTH or command[4] == 0:
            raise CommandRefused(WRONG_LENGTH)
        plain, mac = data[:-MAC_LENGTH], data[-MAC_LENGTH:]
        key, challenge = self._process_key()
        start = challenge[:4] if self._session.quirks.mac_initial_value == "challenge" else b""
        if not hmac.compare_digest(cryptography.mac(self._keys.algorithm, key, command[:5] + plain, start), mac):
            raise CommandRefused(WRONG_MAC)
        return plain

    def deciphered(self, blocks: bytes) -> bytes:
        key, _ = self._process_key()
        return cryptography.deciphered(self._keys.algorithm, key, blocks)

    @property
    def block_size(self) -> int:
        return cryptography.block_size(self._keys.algorithm)

    def _process_key(self) -> tuple[bytes, bytes]:
        """Return the key of this command, and the challenge that it is made from."""
        self._check_algorithm()
        challenge = self._session.offered_challenge
        if challenge is None or len(challenge) > 8:
            raise CommandRefused(NO_CHALLENGE)
        key = self._keys.maintaining(self._session.application_id)
        value = None if key is None else self._keys.value(key)
        if value is None:
            raise CommandRefused(NO_KEY)
        return cryptography.process_key(self._keys.algorithm, value, challenge.ljust(8, b"\x00")), challenge

    def _check_algorithm(self) -> None:
        if not self._keys.usable:
            raise CommandRefused(CONDITIONS)
