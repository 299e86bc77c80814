"""A PSAM card in a reader's slot: it diversifies its keys by the card's factors and computes with them.

Other programs use the same card, and their selection stays after they have ended. So each use begins with a SELECT
(ISO/IEC 7816-4 §11.1.1): of the MF for the terminal's number, of an algorithm's environment for keys.

The commands are those of public libraries of two regions (docs/algorithms.md): ``BF DE usage index`` derives the
process key, ``80 FA 00 00`` enciphers with it, ``80 FA 05 00`` makes a MAC; ``80 70`` begins a debit, ``80 72`` checks
its end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import read_binary, select_by_name, select_file
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.apdu.trace import Trace
from cardio.bilingual import Bilingual
from cardio.readers.base import Reader
from cardio.security.algorithms import MAC_LENGTH, suite_for
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    PsamKeyLevelError,
    SamError,
    SamFailedError,
)
from cardio.security.sam.base import Authorisation, CardKey, Mac2, Purchase, SamKind, key_missing
from cardio.security.sam.psam_connection import PsamConnection

_NO_SUCH_KEY = frozenset({0x6A88, 0x6A83, 0x6A82, 0x9403})
_LEVEL = frozenset({0x6982, 0x6985, 0x6700})
_NO_SUCH_COMMAND = frozenset({0x6D00, 0x6E00, 0x6A81, 0x6A86})
_AUTHORISATION = 8
"""The number of bytes in the answer to 80 70: the terminal's number and MAC1."""
_TEST_REGION = "000000"
"""The region code of the simulators' terminals; no real region has it."""
_TEST_MARK = b"TEST"
"""The mark in the historical bytes of the simulators' PSAM cards."""


@dataclass(frozen=True, slots=True)
class PsamSettings:
    """The settings that differ from PSAM card to PSAM card; a site's configuration gives them."""

    levels: int | None = None
    """The number of diversifications that the PSAM still has to do: 3, 2 or 1; None keeps the usage bytes of the
    layout.
    """
    region: str = ""
    """The region of its keys, if they are a province's or a city's: two or six digits."""
    keys: dict[str, int] = field(default_factory=dict)
    """Usage and index of single keys, as 0x670A, where they are not the layout's."""
    terminal_number: str | None = None
    """终端机编号 of a PSAM card that has none in its file: twelve digits."""


class PsamCard:
    """A SAM that computes on a PSAM card, which is held from `connect` to `close`.

    Its data belongs to the card that was in the slot at `connect`. Once that card has been removed, it gives no data
    and computes nothing, whichever card is in the slot then.
    """

    kind: SamKind = "psam"

    def __init__(self, connection: PsamConnection, settings: PsamSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._began: tuple[Purchase, bytes] | None = None
        self._number = connection.from_known_place(self._read_terminal_number)
        """The digits of the terminal's number, or the reason why the card gave none."""

    @classmethod
    def connect(cls, reader: Reader, settings: PsamSettings | None = None, *, trace: Trace | None = None) -> PsamCard:
        """Power the PSAM card and read its terminal number.

        Raises:
            NoSamError: the slot, or a card in it, is missing.
            SamFailedError: it does not answer as a card does.
        """
        connection = PsamConnection(reader, trace)
        try:
            return cls(connection, settings or PsamSettings())
        except SamError:
            connection.close()
            raise

    def __repr__(self) -> str:
        return f"PsamCard({self._number if isinstance(self._number, str) else '-'})"

    def close(self) -> None:
        self._connection.close()

    @property
    def terminal_number(self) -> str:
        """Return 终端机编号.

        Raises:
            SamError: the card in the slot does not give it, or it is another card than at `connect`.
        """
        self._connection.require_same_card()
        if isinstance(self._number, str):
            return self._number
        if self._settings.terminal_number is not None:
            return self._settings.terminal_number
        zh, en = self._number
        raise SamFailedError(f"PSAM 卡没有给出终端机编号：{zh}", f"the PSAM card gives no terminal number: {en}")

    @property
    def test_keys(self) -> bool:
        """Return True if its keys are the simulators'.

        Raises:
            SamError: that cannot be found out, because the card gives no terminal number.
        """
        if self._connection.simulated or _TEST_MARK in self._connection.atr:
            return True
        return self.terminal_number.startswith(_TEST_REGION)

    def identity(self, key: CardKey) -> bytes:
        """Return ATR, terminal number, and the settings of its keys: a corrected setting makes it another SAM."""
        settings = self._settings
        asked = f"{settings.levels} {settings.region} {sorted(settings.keys.items())}"
        return b"psam" + self._connection.atr + f"{self._shown_number} {asked}".encode()

    def label(self, key: CardKey) -> str:
        return f"psam {self._shown_number}".rstrip()

    @property
    def _shown_number(self) -> str:
        return self._number if isinstance(self._number, str) else self._settings.terminal_number or ""

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return ()

    def unavailable_reason(self, key: CardKey) -> SamError | None:
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
        """Return None: no command is known that uses a key without a challenge."""

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        suite = suite_for(key.algorithm)
        chain = (initial_value or b"").ljust(suite.block, b"\x00")
        command = CommandApdu(0x80, 0xFA, 0x05, 0x00, chain + data, SHORT_MAXIMUM)
        answer = self._compute(key, challenge, command)
        # Some cards return the four bytes, others the whole last block.
        return answer if len(answer) == MAC_LENGTH else suite.fold_mac(_whole(answer, suite.block))

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        command = CommandApdu(0x80, 0xFA, 0x00, 0x00, block, SHORT_MAXIMUM)
        return _whole(self._compute(key, challenge, command), len(block))

    # -- debits ---------------------------------------------------------------------------------

    def purchase_index(self) -> int | None:
        facts = _facts()

        def read() -> int | None:
            self._select_environment("3DES")
            response = self._connection.transmit(read_binary(0, 1, facts["purchase_index_sfi"]))
            whole = response.status_word == StatusWord.SUCCESS and len(response.data) == 1
            return response.data[0] if whole else None

        try:
            return self._connection.from_known_place(read)
        except AlgorithmNotSupportedError:
            return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        key = purchase.key
        fault = self.unavailable_reason(key)
        if fault is not None:
            raise fault
        numbers = bytes((key.version or 0, purchase.algorithm_number))
        data = purchase.challenge + purchase.transaction_number.to_bytes(2, "big") + purchase.amounts
        data += bytes((purchase.transaction_type,)) + purchase.time + numbers
        data += b"".join(reversed(key.factors.of_levels((self._usage(key) or 0) >> 13)))

        def begin() -> bytes:
            self._select_environment(key.algorithm)
            response = self._connection.transmit(CommandApdu(0x80, 0x70, 0x01, 0x00, data, _AUTHORISATION))
            if response.status_word in _NO_SUCH_KEY | _NO_SUCH_COMMAND:
                raise key_missing(key.name, "PSAM 卡", "the PSAM card")
            if response.status_word in _LEVEL:
                raise PsamKeyLevelError(status_word=response.status_word)
            _expect_success(response)
            return _whole(response.data, _AUTHORISATION)

        answer = self._connection.from_known_place(begin)
        authorisation = Authorisation(answer[:4], answer[4:])
        self._began = (purchase, authorisation.terminal_transaction_number)
        return authorisation

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        began, self._began = self._began, None
        if began != (purchase, terminal_transaction_number):
            return Mac2.UNCHECKED

        def check() -> Mac2:
            response = self._connection.transmit(CommandApdu(0x80, 0x72, 0x00, 0x00, mac2))
            if response.status_word == StatusWord.MAC_INVALID:
                return Mac2.WRONG
            _expect_success(response)
            return Mac2.RIGHT

        return self._connection.guarded(check)

    def _compute(self, key: CardKey, challenge: bytes, command: CommandApdu) -> bytes:
        """Derive the process key and use it; it serves one exchange only."""
        fault = self.unavailable_reason(key)
        if fault is not None:
            raise fault
        usage = self._usage(key) or 0
        derive = CommandApdu(0xBF, 0xDE, usage >> 8, usage & 0xFF, _factors(key, challenge, usage >> 13))

        def both() -> bytes:
            self._select_environment(key.algorithm)
            response = self._connection.transmit(derive)
            if response.status_word in _NO_SUCH_KEY:
                raise key_missing(key.name, "PSAM 卡", "the PSAM card")
            if response.status_word in _LEVEL:
                raise PsamKeyLevelError(status_word=response.status_word)
            _expect_success(response)
            answer = self._connection.transmit(command)
            if answer.status_word in _NO_SUCH_COMMAND:
                raise AlgorithmNotSupportedError(status_word=answer.status_word)
            _expect_success(answer)
            return answer.data

        return self._connection.from_known_place(both)

    def _select_environment(self, algorithm: str) -> None:
        """Make an algorithm's environment current. Some cards find it from the MF only.

        Raises:
            AlgorithmNotSupportedError: the card has no such environment.
        """
        ways = [select_by_name(bytes.fromhex(name), want_fci=False) for name in _facts()["select"][algorithm]]
        if self._select(ways) or (self._select_mf() and self._select(ways)):
            return
        raise AlgorithmNotSupportedError(
            f"PSAM 卡没有 {algorithm} 环境", f"the PSAM card has no environment for {algorithm}"
        )

    def _select_mf(self) -> bool:
        facts = _facts()["mf"]
        by_name = select_by_name(bytes.fromhex(facts["name"]), want_fci=False)
        return self._select([select_file(facts["file_id"], 0x00), by_name])

    def _select(self, ways: Iterable[CommandApdu]) -> bool:
        self._began = None  # any SELECT ends a debit that has begun
        return self._connection.select(ways)

    def _usage(self, key: CardKey) -> int | None:
        """Return usage byte and index, with the levels of this PSAM card."""
        named = self._settings.keys.get(key.name)
        if named is not None:
            return named
        if key.usage is None or key.index is None:
            return None
        levels = self._settings.levels
        usage = key.usage if levels is None else levels << 5 | key.usage & 0x1F
        return usage << 8 | key.index

    def _read_terminal_number(self) -> str | Bilingual:
        """Return the terminal's number, or the reason why the card gives none."""
        facts = _facts()
        if not self._select_mf():
            return Bilingual("主控文件（MF）不能选择", "its master file cannot be selected")
        response = self._connection.transmit(
            read_binary(0, facts["terminal_number_length"], facts["terminal_number_sfi"])
        )
        if response.status_word != StatusWord.SUCCESS:
            meaning, status_word = describe(response.status_word), f"{response.status_word:04X}"
            return Bilingual(f"{status_word} {meaning.zh}", f"{status_word} {meaning.en}")
        digits = response.data.hex()
        if len(response.data) != facts["terminal_number_length"] or not digits.isdecimal():
            return Bilingual("文件内容不是 12 位数字", "what its file holds is not twelve digits")
        return digits


def _factors(key: CardKey, challenge: bytes, levels: int) -> bytes:
    """Return card, city and province as far as this PSAM card needs them, then the challenge."""
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


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads((files("cardio.security.sam") / "psam.toml").read_text(encoding="utf-8"))
