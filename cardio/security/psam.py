"""A PSAM card in a reader's slot: it diversifies its keys by the card's factors and computes with them.

Commands as public libraries of two regions send them (docs/algorithms.md): ``BF DE usage index`` derives the process
key, ``80 FA 00 00`` enciphers with it, ``80 FA 05 00`` makes a MAC; ``80 70`` begins a debit, ``80 72`` checks its end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from cardio.apdu.channel import Channel
from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import read_binary, select_by_name
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.apdu.trace import Trace
from cardio.errors import CardError, ReaderError
from cardio.readers.base import Connection, Reader
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
_NO_SUCH_COMMAND = frozenset({0x6D00, 0x6E00, 0x6A81, 0x6A86})
_AUTHORISATION = 8
"""Bytes that 80 70 answers: the terminal's number and MAC1."""
_SECONDS = 20.0
_TEST_REGION = "000000"
"""No region has this code: terminals with it are the simulators'."""

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


class PsamCard:
    """Computes on a PSAM card, held from `connect` to `close`.

    A fault of the PSAM's reader or card is a SamError: it says nothing about the card of the person at the counter.
    """

    kind: SamKind = "psam"

    def __init__(self, connection: Connection, settings: PsamSettings, *, simulated: bool, trace: Trace | None) -> None:
        self._connection = connection
        self._settings = settings
        self._trace = trace
        self._selected: str | None = None
        self._began: tuple[Purchase, bytes] | None = None
        self.terminal_number = self._guarded(self._read_terminal_number)
        self.test_keys = simulated or (self.terminal_number or "").startswith(_TEST_REGION)

    @classmethod
    def connect(cls, reader: Reader, settings: PsamSettings | None = None, *, trace: Trace | None = None) -> PsamCard:
        """Powers the PSAM card and reads its terminal number.

        Raises:
            NoSamError: the slot, or the card in it, is not there.
            SamFailedError: it does not answer as a PSAM card does.
        """
        try:
            connection = reader.connect()
        except (CardError, ReaderError) as error:
            raise _no_psam(error) from error
        try:
            return cls(connection, settings or PsamSettings(), simulated=reader.simulated, trace=trace)
        except SamError:
            connection.close()
            raise

    def __repr__(self) -> str:
        return f"PsamCard({self.terminal_number})"

    def close(self) -> None:
        self._connection.close()

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
            self._select("3DES")
            response = self._transmit(read_binary(0, 1, facts["purchase_index_sfi"]))
            whole = response.status_word == StatusWord.SUCCESS and len(response.data) == 1
            return response.data[0] if whole else None

        try:
            return self._guarded(read)
        except AlgorithmNotSupportedError:
            return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        key = purchase.key
        fault = self.lacks(key)
        if fault is not None:
            raise fault
        self._began = None
        numbers = bytes((key.version or 0, purchase.algorithm_number))
        data = purchase.challenge + purchase.transaction_number.to_bytes(2, "big") + purchase.amounts
        data += bytes((purchase.transaction_type,)) + purchase.time + numbers
        data += b"".join(reversed(key.factors.of_levels((self._usage(key) or 0) >> 13)))

        def begin() -> bytes:
            self._select(key.algorithm)
            response = self._transmit(CommandApdu(0x80, 0x70, 0x01, 0x00, data, _AUTHORISATION))
            if response.status_word in _NO_SUCH_KEY | _NO_SUCH_COMMAND:
                raise key_missing(key.name, "PSAM 卡", "the PSAM card")
            if response.status_word in _LEVEL:
                raise PsamKeyLevelError(status_word=response.status_word)
            _expect_success(response)
            return _whole(response.data, _AUTHORISATION)

        answer = self._guarded(begin)
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
            self._select(key.algorithm)
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

        return self._guarded(both)

    def _select(self, algorithm: str) -> None:
        if self._selected == algorithm:
            return
        self._selected = None
        for name in _facts()["select"][algorithm]:
            response = self._transmit(select_by_name(bytes.fromhex(name), want_fci=False))
            if response.sw1 in (0x90, 0x61):
                self._selected = algorithm
                return
        raise AlgorithmNotSupportedError(
            f"PSAM 卡没有 {algorithm} 环境", f"the PSAM card has no environment for {algorithm}"
        )

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

    def _read_terminal_number(self) -> str | None:
        facts = _facts()
        response = self._transmit(read_binary(0, facts["terminal_number_length"], facts["terminal_number_sfi"]))
        digits = response.data.hex()
        whole = response.status_word == StatusWord.SUCCESS and len(response.data) == facts["terminal_number_length"]
        return digits if whole and digits.isdecimal() else None

    def _transmit(self, command: CommandApdu) -> ResponseApdu:
        # A channel of its own for each: its deadline counts from when it is made.
        return Channel(self._connection, trace=self._trace, seconds=_SECONDS).transmit(command)

    def _guarded(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except (CardError, ReaderError) as error:
            self._selected = None
            raise _no_psam(error) from error


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
    kind = SamFailedError if error.code in ("reader-timeout", "card-garbled", "card-mute") else NoSamError
    return kind(f"PSAM 卡槽：{error.detail}", f"PSAM slot: {error.detail_en}", hresult=error.hresult)


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads((files("cardio.security") / "psam.toml").read_text(encoding="utf-8"))
