"""The purse of a software card (医疗保险金额文件): balances, debits (消费) and proofs, after LB002-2000 and 38号文.

A debit is saved with all its changes in one step before it is answered. So a card that loses its power has done it
completely or not at all, and the terminal cannot know which.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import Purse
from simulators.card.apdu import (
    CONDITIONS,
    NO_COMMAND,
    NO_KEY,
    NOT_ALLOWED,
    OK,
    WRONG_DATA,
    WRONG_P1_P2,
    CommandRefused,
    required_data,
)
from simulators.card.files import CardFile
from simulators.card.keys import SoftwareCardKeys
from simulators.card.persistent_state import CardState, LastDebit, PurseState
from simulators.card.volatile_state import VolatileState
from simulators.crypto import card_crypto as cryptography

_WRONG_MAC1, _TOO_LITTLE, _NO_SUCH_INDEX, _NO_PROOF = b"\x93\x02", b"\x94\x01", b"\x94\x03", b"\x94\x06"
_ALGORITHM_NUMBERS = {"3DES": 0x00, "SM4": 0x03}
"""The 算法标识 of INITIALIZE FOR PURCHASE; that of SM4 is a guess."""
_BALANCE, _SELF_PAID, _POOLED_FUND = 0x01, 0x02, 0x03
_MOST = 0xFFFFFFFF
_MOST_NUMBER = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Initialised:
    """The data of INITIALIZE FOR PURCHASE and of its answer, valid only for the next command."""

    key: bytes
    amounts: bytes
    terminal: bytes
    challenge: bytes


class CardPurse:
    """The commands that move money."""

    def __init__(
        self,
        session: VolatileState,
        keys: SoftwareCardKeys,
        state: CardState,
        keep: Callable[[], None],
        random: Callable[[int], bytes],
        purse: Purse,
        details: CardFile | None,
    ) -> None:
        """Prepare the commands.

        Args:
            session: the volatile state.
            keys: the card's keys.
            state: the persistent state.
            keep: saves the persistent state.
            random: returns random bytes.
            purse: the data of the layout about the purse.
            details: the file in which each debit is recorded, if this card has it.
        """
        self._session = session
        self._keys = keys
        self._state = state
        self._keep = keep
        self._random = random
        self._facts = purse
        self._details = details
        self._initialised: _Initialised | None = None

    def commands(self) -> dict[bytes, Callable[[bytes], bytes]]:
        """Return the handlers by CLA and INS."""
        return {
            b"\xb0\x26": self.get_balance,
            b"\xb0\x28": self.initialize_for_purchase,
            b"\xb0\x2c": self.debit_for_purchase,
            b"\x80\x5a": self.get_transaction_proof,
        }

    def forget(self) -> None:
        """Forget an initialised debit, because another command came, or the power went."""
        self._initialised = None

    # -- GET BALANCE (读余额) -------------------------------------------------------------------

    def get_balance(self, command: bytes) -> bytes:
        if command[2]:
            return WRONG_P1_P2
        purse = self._purse()
        year = bytes.fromhex(purse.payment_year)
        answers = {
            _BALANCE: purse.personal_account_balance.to_bytes(4, "big"),
            _SELF_PAID: purse.self_paid_total.to_bytes(4, "big") + year,
            _POOLED_FUND: purse.pooled_fund_total.to_bytes(4, "big") + year,
        }
        if command[3] not in answers:
            return WRONG_P1_P2
        self._require_pin()
        return answers[command[3]] + OK

    # -- INITIALIZE FOR PURCHASE (消费初始化) -----------------------------------------------------

    def initialize_for_purchase(self, command: bytes) -> bytes:
        """Carry out INITIALIZE FOR PURCHASE.

        Nothing changes on the card yet; the answer has its totals, its number and a random.
        """
        if (command[2], command[3]) != (0x01, 0x01):
            return WRONG_P1_P2
        data = required_data(command, 19)
        purse = self._purse()
        self._require_pin()
        if not self._keys.usable:
            return CONDITIONS
        key = self._keys.named(self._facts.purchase_keys, data[0])
        if key is None:
            return _NO_SUCH_INDEX
        version, value = self._keys.lowest(key)
        amounts, terminal = data[1:13], data[13:19]
        account, self_paid, pooled = _three(amounts)
        if account > purse.personal_account_balance:
            return _TOO_LITTLE
        if (
            purse.offline_counter == _MOST_NUMBER
            or max(purse.self_paid_total + self_paid, purse.pooled_fund_total + pooled) > _MOST
        ):
            return CONDITIONS
        self._initialised = _Initialised(value, amounts, terminal, self._random(4))
        totals = (purse.personal_account_balance, purse.self_paid_total, purse.pooled_fund_total)
        answer = b"".join(total.to_bytes(4, "big") for total in totals) + bytes.fromhex(purse.payment_year)
        answer += purse.offline_counter.to_bytes(2, "big")
        answer += bytes((version, _ALGORITHM_NUMBERS[self._keys.algorithm])) + self._initialised.challenge
        return self._session.answer_with(answer)

    # -- DEBIT FOR PURCHASE (消费) --------------------------------------------------------------

    def debit_for_purchase(self, command: bytes) -> bytes:
        """Carry out DEBIT FOR PURCHASE for a terminal with a right MAC1.

        Totals, number and detail change in one step.
        """
        if (command[2], command[3]) != (0x01, 0x00):
            return WRONG_P1_P2
        started, self._initialised = self._initialised, None
        if started is None:
            return CONDITIONS
        data = required_data(command, 15)
        terminal_number, time, mac1 = data[:4], data[4:11], data[11:]
        if not time.hex().isdecimal():
            return WRONG_DATA
        purse = self._purse()
        number = purse.offline_counter.to_bytes(2, "big")
        algorithm = self._keys.algorithm
        session_key = cryptography.process_key(algorithm, started.key, started.challenge + number + terminal_number[2:])
        kind = bytes((self._facts.transaction_type,))
        signed = started.amounts + kind + started.terminal
        if not hmac.compare_digest(cryptography.mac(algorithm, session_key, signed + time), mac1):
            return _WRONG_MAC1
        mac2 = cryptography.mac(algorithm, session_key, started.amounts)
        tac = cryptography.mac(algorithm, self._tac_key(), signed + terminal_number + time)
        self._book(purse, started, time, mac2, tac)
        return self._session.answer_with(tac + mac2)

    def _book(self, purse: PurseState, started: _Initialised, time: bytes, mac2: bytes, tac: bytes) -> None:
        account, self_paid, pooled = _three(started.amounts)
        if time[:2].hex() > purse.payment_year:
            purse.payment_year, purse.self_paid_total, purse.pooled_fund_total = time[:2].hex(), 0, 0
        purse.personal_account_balance -= account
        purse.self_paid_total += self_paid
        purse.pooled_fund_total += pooled
        before = purse.offline_counter
        purse.offline_counter += 1
        noted = purse.offline_counter if self._session.quirks.debit_number == "after" else before
        purse.last = LastDebit(number=noted, mac2=mac2.hex().upper(), tac=tac.hex().upper())
        if self._details is not None:
            number, kind = noted.to_bytes(2, "big"), bytes((self._facts.transaction_type,))
            self._details.records.insert(0, number + kind + started.terminal + time + started.amounts)
            del self._details.records[self._details.capacity :]
            self._state.note(self._details)
        self._keep()

    def _tac_key(self) -> bytes:
        """Return the key of the TAC; the two halves of a 3DES key are XORed to one of DES."""
        key = self._keys.named((self._facts.transaction_key,))
        if key is None:
            raise CommandRefused(NO_KEY)
        _, value = self._keys.lowest(key)
        if self._keys.algorithm == "SM4":
            return value
        return bytes(left ^ right for left, right in zip(value[:8], value[8:], strict=True))

    # -- GET TRANSACTION PROVE (取交易认证) -------------------------------------------------------

    def get_transaction_proof(self, command: bytes) -> bytes:
        """Carry out GET TRANSACTION PROVE, as bank cards (PBOC) have the command.

        The answer has MAC2 and TAC of the last debit, for its number.
        """
        if not self._session.quirks.transaction_proof:
            return NO_COMMAND
        if (command[2], command[3]) != (0x00, 0x06):
            return WRONG_P1_P2
        number = int.from_bytes(required_data(command, 2), "big")
        last = self._purse().last
        if last is None or last.number != number:
            return _NO_PROOF
        return self._session.answer_with(bytes.fromhex(last.mac2 + last.tac))

    def _purse(self) -> PurseState:
        """Return the state of the purse.

        Raises:
            CommandRefused: its application is not the current one.
        """
        if self._session.application_id != self._facts.application or self._state.purse is None:
            raise CommandRefused(CONDITIONS)
        return self._state.purse

    def _require_pin(self) -> None:
        if PIN not in self._session.rights and not self._session.quirks.debits_without_pin:
            raise CommandRefused(NOT_ALLOWED)


def opened(purse: PurseState, details: CardFile | None, *, after: bool) -> PurseState:
    """Return the purse of a card that is new to this simulator. A counter that is not given continues from its details.

    Args:
        purse: the purse of the persona.
        details: the file of the details, if there is one.
        after: True if a detail has the number after the debit, False if it has the number before it.
    """
    if purse.offline_counter or details is None or not details.records:
        return purse
    newest = int.from_bytes(details.records[0][:2], "big")
    return purse.model_copy(update={"offline_counter": newest if after else newest + 1})


def _three(amounts: bytes) -> tuple[int, int, int]:
    """Return 个人账户, 自付, 统筹, in fen."""
    account, self_paid, pooled = (int.from_bytes(amounts[start : start + 4], "big") for start in (0, 4, 8))
    return account, self_paid, pooled
