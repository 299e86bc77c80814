"""A PSAM card in a reader's slot: it diversifies its keys by the card's factors and computes with them.

Other programs use the same card, and what they selected stays selected when they have gone. So each use begins with a
SELECT (ISO/IEC 7816-4 §11.1.1): of the MF for the terminal's number, of an algorithm's environment for keys.

Commands as public libraries of two regions send them (docs/algorithms.md): ``BF DE usage index`` derives the process
key, ``80 FA 00 00`` enciphers with it, ``80 FA 05 00`` makes a MAC; ``80 70`` begins a debit, ``80 72`` checks its end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from cardio.apdu.channel import Channel
from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import read_binary, select_by_name, select_file
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import Meaning, StatusWord, describe
from cardio.apdu.trace import Trace
from cardio.errors import CardChangedError, CardError, CardResetError, ReaderError
from cardio.readers.base import Connection, Reader
from cardio.readers.deadline import Worker
from cardio.security.algorithms import MAC_LENGTH, suite_for
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    NoSamError,
    PsamKeyLevelError,
    SamError,
    SamFailedError,
)
from cardio.security.sam import Authorisation, CardKey, Mac2, Purchase, SamKind, key_missing

_NO_SUCH_KEY = frozenset({0x6A88, 0x6A83, 0x6A82, 0x9403})
_LEVEL = frozenset({0x6982, 0x6985, 0x6700})
_SELECTED = (0x90, 0x61)
"""SW1 of a SELECT that succeeded, its FCI fetched or not."""
_GONE = frozenset({"card-removed", "card-changed", "no-card", "reader-gone", "card-mute", "pcsc-unavailable"})
"""Errors after which the card that was met is not the one in the slot, as far as is known."""
_NO_SUCH_COMMAND = frozenset({0x6D00, 0x6E00, 0x6A81, 0x6A86})
_AUTHORISATION = 8
"""Bytes that 80 70 answers: the terminal's number and MAC1."""
_SECONDS = 20.0
CONNECT_SECONDS = 3.0
"""How long a slot may keep a caller waiting: another program may hold it for good."""
_TEST_REGION = "000000"
"""No region has this code: terminals with it are the simulators'."""
_TEST_MARK = b"TEST"
"""Stands in the historical bytes of the simulators' PSAM cards."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PsamSettings:
    """What differs from PSAM card to PSAM card; a site's configuration says it."""

    levels: int | None = None
    """How many diversifications it has yet to do: 3, 2 or 1; None takes the usage bytes as the layout has them."""
    region: str = ""
    """Whose keys it holds, where it holds a province's or a city's: two or six digits."""
    keys: dict[str, int] = field(default_factory=dict)
    """Usage and index of single keys, as 0x670A, where they are not the layout's."""
    terminal_number: str | None = None
    """终端机编号 of a PSAM card that has none in its file: twelve digits."""


class PsamCard:
    """Computes on a PSAM card, held from `connect` to `close`.

    What it knows belongs to the card that was in the slot at `connect`. Once that card is out, nothing more is told and
    nothing computed, whichever card is in by then.

    A fault of the PSAM's reader or card is a SamError: it says nothing about the card of the person at the counter.
    """

    kind: SamKind = "psam"

    def __init__(self, reader: Reader, connection: Connection, settings: PsamSettings, *, trace: Trace | None) -> None:
        self._reader = reader
        self._connection = connection
        self._settings = settings
        self._trace = trace
        self._atr = connection.atr
        self._began: tuple[Purchase, bytes] | None = None
        self._lost: SamError | None = None
        """Why nothing can be had any more: the card that was met here has gone."""
        self._event_counter = self._guarded(connection.event_counter)
        self._number = self._from_known_state(self._read_terminal_number)
        """What the card says of its terminal's number: its digits, or why there are none."""

    @classmethod
    def connect(cls, reader: Reader, settings: PsamSettings | None = None, *, trace: Trace | None = None) -> PsamCard:
        """Powers the PSAM card and reads its terminal number.

        Raises:
            NoSamError: the slot, or the card in it, is not there.
            SamFailedError: it does not answer as a card does.
        """
        try:
            connection = reader.connect()
        except (CardError, ReaderError) as error:
            raise _no_psam(error) from error
        try:
            return cls(reader, connection, settings or PsamSettings(), trace=trace)
        except SamError:
            connection.close()
            raise

    def __repr__(self) -> str:
        return f"PsamCard({self._number if isinstance(self._number, str) else '-'})"

    def close(self) -> None:
        self._connection.close()

    @property
    def terminal_number(self) -> str:
        """终端机编号.

        Raises:
            SamError: the card in the slot does not give it, or it is not the card any more that was met here.
        """
        self._guarded(self._require_same_card)
        if isinstance(self._number, str):
            return self._number
        if self._settings.terminal_number is not None:
            return self._settings.terminal_number
        zh, en = self._number
        raise SamFailedError(f"PSAM 卡没有给出终端机编号：{zh}", f"the PSAM card gives no terminal number: {en}")

    @property
    def test_keys(self) -> bool:
        """Whether its keys are the simulators'.

        Raises:
            SamError: nothing tells: the card gives no terminal number.
        """
        if self._reader.simulated or _TEST_MARK in self._atr:
            return True
        return self.terminal_number.startswith(_TEST_REGION)

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return ()

    def lacks(self, key: CardKey) -> SamError | None:
        try:
            suite_for(key.algorithm)
        except AlgorithmNotSupportedError as error:
            return error
        if self._usage(key) is None:
            return key_missing(key.name, "PSAM 卡", "the PSAM card")
        if not key.factors.city_code.startswith(self._settings.region):
            return PsamKeyLevelError(
                f"PSAM 卡属于 {self._settings.region} 地区，卡片属于 {key.factors.city_code}",
                f"the PSAM card is of region {self._settings.region}, the card is of {key.factors.city_code}",
            )
        return None

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        suite = suite_for(key.algorithm)
        enciphered = self.encipher(key, challenge, source.ljust(suite.block, b"\x00"))
        return suite.fold_cryptogram(enciphered)

    def certificate(self, key: CardKey, data: bytes) -> None:
        """None: no command is known that uses a key without a challenge."""

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        suite = suite_for(key.algorithm)
        chain = (initial_value or b"").ljust(suite.block, b"\x00")
        command = CommandApdu(0x80, 0xFA, 0x05, 0x00, chain + data, SHORT_MAXIMUM)
        answer = self._compute(key, challenge, command)
        # Some give the four bytes, others the whole last block.
        return answer if len(answer) == MAC_LENGTH else suite.fold_mac(_whole(answer, suite.block))

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        command = CommandApdu(0x80, 0xFA, 0x00, 0x00, block, SHORT_MAXIMUM)
        return _whole(self._compute(key, challenge, command), len(block))

    # -- debits ---------------------------------------------------------------------------------

    def purchase_index(self) -> int | None:
        facts = _facts()

        def read() -> int | None:
            self._select_environment("3DES")
            response = self._transmit(read_binary(0, 1, facts["purchase_index_sfi"]))
            whole = response.status_word == StatusWord.SUCCESS and len(response.data) == 1
            return response.data[0] if whole else None

        try:
            return self._from_known_state(read)
        except AlgorithmNotSupportedError:
            return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        key = purchase.key
        fault = self.lacks(key)
        if fault is not None:
            raise fault
        numbers = bytes((key.version or 0, purchase.algorithm_number))
        data = purchase.challenge + purchase.transaction_number.to_bytes(2, "big") + purchase.amounts
        data += bytes((purchase.transaction_type,)) + purchase.time + numbers
        data += b"".join(reversed(key.factors.of_levels((self._usage(key) or 0) >> 13)))

        def begin() -> bytes:
            self._select_environment(key.algorithm)
            response = self._transmit(CommandApdu(0x80, 0x70, 0x01, 0x00, data, _AUTHORISATION))
            if response.status_word in _NO_SUCH_KEY | _NO_SUCH_COMMAND:
                raise key_missing(key.name, "PSAM 卡", "the PSAM card")
            if response.status_word in _LEVEL:
                raise PsamKeyLevelError(status_word=response.status_word)
            _expect_success(response)
            return _whole(response.data, _AUTHORISATION)

        answer = self._from_known_state(begin)
        authorisation = Authorisation(answer[:4], answer[4:])
        self._began = (purchase, authorisation.terminal_transaction_number)
        return authorisation

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        began, self._began = self._began, None
        if began != (purchase, terminal_transaction_number):
            return Mac2.UNCHECKED

        def check() -> Mac2:
            response = self._transmit(CommandApdu(0x80, 0x72, 0x00, 0x00, mac2))
            if response.status_word == StatusWord.MAC_INVALID:
                return Mac2.WRONG
            _expect_success(response)
            return Mac2.RIGHT

        return self._guarded(check)

    def _compute(self, key: CardKey, challenge: bytes, command: CommandApdu) -> bytes:
        """Derives the process key and uses it: it serves one conversation only."""
        fault = self.lacks(key)
        if fault is not None:
            raise fault
        usage = self._usage(key) or 0
        derive = CommandApdu(0xBF, 0xDE, usage >> 8, usage & 0xFF, _factors(key, challenge, usage >> 13))

        def both() -> bytes:
            self._select_environment(key.algorithm)
            response = self._transmit(derive)
            if response.status_word in _NO_SUCH_KEY:
                raise key_missing(key.name, "PSAM 卡", "the PSAM card")
            if response.status_word in _LEVEL:
                raise PsamKeyLevelError(status_word=response.status_word)
            _expect_success(response)
            answer = self._transmit(command)
            if answer.status_word in _NO_SUCH_COMMAND:
                raise AlgorithmNotSupportedError(status_word=answer.status_word)
            _expect_success(answer)
            return answer.data

        return self._from_known_state(both)

    # -- where it is, and whether it is still the same -------------------------------------------

    def _select_environment(self, algorithm: str) -> None:
        """Makes an algorithm's environment current. Some cards find it from the MF only.

        Raises:
            AlgorithmNotSupportedError: the card has none.
        """
        ways = [select_by_name(bytes.fromhex(name), want_fci=False) for name in _facts()["select"][algorithm]]
        if self._selected(ways) or (self._select_mf() and self._selected(ways)):
            return
        raise AlgorithmNotSupportedError(
            f"PSAM 卡没有 {algorithm} 环境", f"the PSAM card has no environment for {algorithm}"
        )

    def _select_mf(self) -> bool:
        facts = _facts()["mf"]
        by_name = select_by_name(bytes.fromhex(facts["name"]), want_fci=False)
        return self._selected([select_file(facts["file_id"], 0x00), by_name])

    def _selected(self, ways: Iterable[CommandApdu]) -> bool:
        """Whether the card takes one of these SELECTs. A debit that has begun ends with any of them."""
        self._began = None
        return any(self._transmit(way).sw1 in _SELECTED for way in ways)

    def _require_same_card(self) -> None:
        """Raises: SamError: the card that was met here has gone; another one's facts are not told for its own."""
        if self._lost is not None:
            raise self._lost
        if self._connection.event_counter() != self._event_counter:
            raise CardChangedError("PSAM 卡已被取出或更换", "the PSAM card was taken out, or replaced")

    def _connect_again(self) -> None:
        """After a reset by another program: that took nothing but the state, if it is still the same card."""
        self._connection.close()
        granted: list[Connection] = []

        def connect() -> Connection:
            granted.append(self._reader.connect())
            return granted[0]

        try:
            with Worker() as worker:
                self._connection = worker.run_within(
                    CONNECT_SECONDS, connect, if_given_up=lambda: granted[0].close() if granted else None
                )
        except (CardError, ReaderError) as error:
            self._lost = _no_psam(error)
            raise
        self._require_same_card()

    def _from_known_state(self, work: Callable[[], Result]) -> Result:
        """Does something that begins with a SELECT; once more where another program has reset the card."""

        def try_twice() -> Result:
            self._require_same_card()
            try:
                return work()
            except CardResetError:
                self._connect_again()
                return work()

        return self._guarded(try_twice)

    def _usage(self, key: CardKey) -> int | None:
        """Usage byte and index, with the levels of this PSAM card."""
        named = self._settings.keys.get(key.name)
        if named is not None:
            return named
        if key.usage is None or key.index is None:
            return None
        levels = self._settings.levels
        usage = key.usage if levels is None else levels << 5 | key.usage & 0x1F
        return usage << 8 | key.index

    def _read_terminal_number(self) -> str | Meaning:
        """The number, or what the card gave in its place."""
        facts = _facts()
        if not self._select_mf():
            return Meaning("主控文件（MF）不能选择", "its master file cannot be selected")
        response = self._transmit(read_binary(0, facts["terminal_number_length"], facts["terminal_number_sfi"]))
        if response.status_word != StatusWord.SUCCESS:
            meaning, status_word = describe(response.status_word), f"{response.status_word:04X}"
            return Meaning(f"{status_word} {meaning.zh}", f"{status_word} {meaning.en}")
        digits = response.data.hex()
        if len(response.data) != facts["terminal_number_length"] or not digits.isdecimal():
            return Meaning("文件内容不是 12 位数字", "what its file holds is not twelve digits")
        return digits

    def _transmit(self, command: CommandApdu) -> ResponseApdu:
        # A channel of its own for each: its deadline counts from when it is made.
        return Channel(self._connection, trace=self._trace, seconds=_SECONDS).transmit(command)

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except (CardError, ReaderError) as error:
            self._began = None
            fault = _no_psam(error)
            if error.code in _GONE:
                self._lost = fault
            raise fault from error


def _factors(key: CardKey, challenge: bytes, levels: int) -> bytes:
    """Card, city and province as far as this PSAM card needs them, then the challenge."""
    block = suite_for(key.algorithm).block
    return b"".join(reversed(key.factors.of_levels(levels))) + challenge.ljust(block, b"\x00")


def _expect_success(response: ResponseApdu) -> None:
    if response.status_word != StatusWord.SUCCESS:
        meaning, status_word = describe(response.status_word), response.status_word
        raise SamFailedError(
            f"PSAM 卡返回 {status_word:04X} {meaning.zh}",
            f"the PSAM card answered {status_word:04X}: {meaning.en}",
            status_word=status_word,
        )


def _whole(answer: bytes, length: int) -> bytes:
    if len(answer) != length:
        raise SamFailedError(
            f"PSAM 卡返回 {len(answer)} 字节，应为 {length} 字节",
            f"the PSAM card answered {len(answer)} bytes, not {length}",
        )
    return answer


def _no_psam(error: CardError | ReaderError) -> SamError:
    kind = SamFailedError if error.code in ("reader-timeout", "card-garbled", "card-mute", "card-reset") else NoSamError
    return kind(f"PSAM 卡槽：{error.detail}", f"PSAM slot: {error.detail_en}", hresult=error.hresult)


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads((files("cardio.security") / "psam.toml").read_text(encoding="utf-8"))
