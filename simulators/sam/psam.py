"""The software PSAM: the card in the reader that holds the issuer's keys.

It returns results of its keys, never the keys.

Its files and commands are those that public libraries use (``BF DE``, ``80 FA``). Its keys are the published test keys.
It answers as a T=0 card behind a reader does, with ``61xx`` and ``6Cxx``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.model import Key
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import ALGORITHMS, TERMINAL_NUMBER, root_key

CARD_NUMBER = "00009999000000000001"
HISTORICAL_BYTES = b"TEST PSAM 001"
PSAM_APPLICATION = bytes.fromhex("D15600000590")
ENVIRONMENTS = {
    "3DES": "sx1.sh.社会保障".encode("gbk"),
    "SSF33": "sx2.sh.社会保障".encode("gbk"),
    "SM4": "sx3.sh.社会保障".encode("gbk"),
}
_MF, _DF01 = 0x3F00, 0xDF01
_CARD_NUMBER_FILE, _TERMINAL_NUMBER_FILE = 0x15, 0x16
_NUMBER_FILE, _INDEX_FILE = 0x19, 0x1C
_PURCHASES = 0x02
"""The type of keys for debits (消费)."""
_DEBIT_DATA = 28
_TYPE, _LEVELS = 0x1F, 5
"""The parts of a usage byte: the bits of the key's type, and the position of the levels."""
_FACTOR = 8

_OK, _WRONG_LENGTH, _CONDITIONS = b"\x90\x00", b"\x67\x00", b"\x69\x85"
_NO_KEY_INDEX, _WRONG_MAC = b"\x94\x03", b"\x93\x02"
_NO_FILE, _WRONG_P1_P2, _NO_KEY, _WRONG_OFFSET = b"\x6a\x82", b"\x6a\x86", b"\x6a\x88", b"\x6b\x00"


class SoftwarePsam:
    """One PSAM card. Not safe for several threads at once: a real slot serialises too."""

    def __init__(
        self,
        *,
        keys: Iterable[str] | None = None,
        algorithms: Iterable[str] = ("3DES",),
        levels: int | None = None,
        region: str = "43",
        terminal_number: str = TERMINAL_NUMBER,
        card_number: str = CARD_NUMBER,
        version: int = 1,
        historical_bytes: bytes = HISTORICAL_BYTES,
        transaction_number: int = 0,
        purchase_index: int = 1,
    ) -> None:
        """Make a card.

        Args:
            keys: the names of its keys; by default all that have a place in a PSAM.
            algorithms: 3DES, SM4; each brings an environment that can be selected.
            levels: the number of times that its keys are still to be diversified: 3 for national roots, 2 for a
                province's, 1 for a city's; by default it answers for three and, as if it were the card's own
                province's, for two.
            region: the region of the keys: two digits of a province, six of a city; national roots belong to none.
            terminal_number: twelve digits.
            card_number: twenty digits.
            version: the group of keys; for a key with fewer groups it holds the last.
            historical_bytes: the thirteen bytes of its ATR.
            transaction_number: the 终端交易序号, the number of debits that it has begun.
            purchase_index: the index of the debit key that it says it uses.

        Raises:
            ValueError: a key is in no PSAM, an algorithm is not published, or a length is wrong.
        """
        known = {key.name: key for key in layout_of(3).keys if key.psam is not None}
        held = set(known) if keys is None else set(keys)
        if held - set(known):
            raise ValueError(f"no PSAM holds {', '.join(sorted(held - set(known)))}")
        self._algorithms = tuple(algorithms)
        if set(self._algorithms) - set(ALGORITHMS):
            raise ValueError(f"algorithms are {' and '.join(ALGORITHMS)}; SSF33 is not published")
        digits = {1: 6, 2: 2}.get(levels or 0)
        if levels not in (None, 1, 2, 3) or (digits and not re.fullmatch(rf"[0-9]{{{digits}}}", region)):
            raise ValueError("levels are 3, 2 with the two digits of a province, 1 with the six of a city")
        if not re.fullmatch("[0-9]{12}", terminal_number) or not re.fullmatch("[0-9]{20}", card_number):
            raise ValueError("a terminal number has twelve digits, a card number twenty")
        if len(historical_bytes) != 13 or version < 1:
            raise ValueError("there are thirteen historical bytes, and versions from 1")
        self.atr = b"\x3b\x6d\x00\x00" + historical_bytes
        self._files = {
            _CARD_NUMBER_FILE: bytes.fromhex(card_number),
            _TERMINAL_NUMBER_FILE: bytes.fromhex(terminal_number),
        }
        self._keys = {_place(known[name]): known[name] for name in held}
        self.transaction_number = transaction_number
        self._purchase_index = purchase_index
        self._debit: tuple[str, bytes, bytes] | None = None
        self._levels = levels
        self._region = region
        self._version = version
        self._handlers: dict[bytes, Callable[[bytes], bytes]] = {
            b"\x00\xa4": self._select,
            b"\x00\xb0": self._read_binary,
            b"\xbf\xde": self._derive,
            b"\x80\xfa": self._compute,
            b"\x80\x70": self._begin_debit,
            b"\x80\x72": self._check_debit,
        }
        self.reset()

    def reset(self) -> None:
        """Reset the card, as after power on or a warm reset: the MF is current, and there is no process key."""
        self._algorithm: str | None = None
        self._process_key: bytes | None = None
        self._debit = None
        self._waiting = b""

    def transmit(self, command: bytes) -> bytes:
        """Return the answer to one command; any bytes are answered."""
        if len(command) < 4:
            return _WRONG_LENGTH
        if command[:2] == b"\x00\xc0":
            return self._get_response(command)
        self._waiting = b""
        handler = self._handlers.get(command[:2])
        if handler is None:
            known = command[0] in {name[0] for name in self._handlers}
            return b"\x6d\x00" if known else b"\x6e\x00"
        return handler(command)

    # -- SELECT (选择文件), READ BINARY (读取二进制) ------------------------------------------------

    def _select(self, command: bytes) -> bytes:
        data = _command_data(command)
        if command[2] not in (0x00, 0x01, 0x02, 0x04) or command[3]:
            return _WRONG_P1_P2
        if not data or (command[2] != 0x04 and len(data) != 2):
            return _WRONG_LENGTH
        if command[2] == 0x04:
            names = {ENVIRONMENTS[algorithm]: algorithm for algorithm in self._algorithms}
            if "3DES" in self._algorithms:
                names[PSAM_APPLICATION] = "3DES"
            return self._enter(names[data]) if data in names else _NO_FILE
        file_id = int.from_bytes(data, "big")
        if file_id == _MF:
            return self._enter(None)
        return self._enter("3DES") if file_id == _DF01 and "3DES" in self._algorithms else _NO_FILE

    def _enter(self, algorithm: str | None) -> bytes:
        self._algorithm = algorithm
        self._process_key = None
        return _OK

    def _read_binary(self, command: bytes) -> bytes:
        """Carry out READ BINARY by short file identifier.

        Card and terminal number are in the MF, the files for debits in the application.
        """
        if command[2] & 0xE0 != 0x80:
            return _WRONG_P1_P2
        if len(command) != 5:
            return _WRONG_LENGTH
        sfi = command[2] & 0x1F
        own = {_NUMBER_FILE: self.transaction_number.to_bytes(4, "big"), _INDEX_FILE: bytes((self._purchase_index,))}
        content = (self._files if self._algorithm is None else own).get(sfi)
        if content is None:
            return _NO_FILE
        left = content[command[3] :]
        if not left:
            return _WRONG_OFFSET
        asked = command[4] or len(left)
        return left[:asked] + _OK if asked <= len(left) else bytes((0x6C, len(left)))

    # -- the use of the keys: BF DE, 80 FA, GET RESPONSE (获取响应) -----------------------------------

    def _derive(self, command: bytes) -> bytes:
        """Carry out ``BF DE usage index``, which makes a process key (过程密钥).

        It is made from a key, the factors of the levels and a random.
        """
        self._process_key = None
        if self._algorithm is None:
            return _CONDITIONS
        usage, index = command[2], command[3]
        key = self._keys.get((usage & _TYPE) << 8 | index)
        if key is None:
            return _NO_KEY
        levels = usage >> _LEVELS
        if levels not in ((2, 3) if self._levels is None else (self._levels,)):
            return _CONDITIONS
        data = _command_data(command)
        factors = levels * _FACTOR
        if data is None or len(data) != factors + cryptography.block_size(self._algorithm):
            return _WRONG_LENGTH
        sub_key = self._sub_key(key, self._algorithm, data[:factors])
        self._process_key = cryptography.enciphered(self._algorithm, sub_key, data[factors:])
        return _OK

    def _sub_key(self, key: Key, algorithm: str, factors: bytes) -> bytes:
        """Return a card's key by the factors.

        The card's factor comes first and the province's last; the keys use them in reverse.
        """
        sub_key = self._root(key, algorithm)
        if self._levels is None and len(factors) == 2 * _FACTOR:
            # As if it were the card's own province's: the city's factor begins with the province's digits.
            sub_key = cryptography.diversified(algorithm, sub_key, factors[_FACTOR : _FACTOR + 2] + b"0000sh")
        for start in reversed(range(0, len(factors), _FACTOR)):
            sub_key = cryptography.diversified(algorithm, sub_key, factors[start : start + _FACTOR])
        return sub_key

    def _root(self, key: Key, algorithm: str) -> bytes:
        """Return the key as this card holds it: of the nation, of its province or of its city."""
        root = root_key(key.name, algorithm, key.length, min(self._version, key.versions))
        above = (f"{self._region[:2]}0000sh", f"{self._region}sx")
        for factor in above[: 3 - (self._levels or 3)]:
            root = cryptography.diversified(algorithm, root, factor.encode("ascii"))
        return root

    def _compute(self, command: bytes) -> bytes:
        """Carry out ``80 FA``.

        P1 P2 00 00 enciphers whole blocks. P1 P2 05 00 makes a MAC of an initial value and whole blocks.
        """
        if (command[2], command[3]) not in ((0x00, 0x00), (0x05, 0x00)):
            return _WRONG_P1_P2
        if self._algorithm is None or self._process_key is None:
            return _CONDITIONS
        data = _command_data(command)
        size = cryptography.block_size(self._algorithm)
        least = 2 * size if command[2] else size
        if data is None or len(data) < least or len(data) % size:
            return _WRONG_LENGTH
        if command[2]:
            answer = cryptography.padded_mac(self._algorithm, self._process_key, data[size:], data[:size])
        else:
            answer = cryptography.enciphered(self._algorithm, self._process_key, data)
        self._waiting = answer
        return bytes((0x61, len(answer)))

    # -- debits: 80 70, 80 72 -------------------------------------------------------------------

    def _begin_debit(self, command: bytes) -> bytes:
        """Return 终端交易序号 and MAC1 for the card's answer and the amounts of the debit.

        The data are: random 4, number 2, amounts 12, type 1, time 7, key version and algorithm 1 byte each, then the
        factors.
        """
        self._debit = None
        if (command[2], command[3]) != (0x01, 0x00):
            return _WRONG_P1_P2
        if self._algorithm is None:
            return _CONDITIONS
        key = self._keys.get(_PURCHASES << 8 | self._purchase_index)
        if key is None:
            return _NO_KEY_INDEX
        data = _command_data(command) or b""
        told, factors = data[:_DEBIT_DATA], data[_DEBIT_DATA:]
        levels = (2, 3) if self._levels is None else (self._levels,)
        if len(told) < _DEBIT_DATA or len(factors) not in [level * _FACTOR for level in levels]:
            return _WRONG_LENGTH
        if told[26] != min(self._version, key.versions):
            return _NO_KEY_INDEX
        self.transaction_number += 1
        own = self.transaction_number.to_bytes(4, "big")
        sub_key = self._sub_key(key, self._algorithm, factors)
        session_key = cryptography.process_key(self._algorithm, sub_key, told[:6] + own[2:])
        amounts, kind, time = told[6:18], told[18:19], told[19:26]
        message = amounts + kind + self._files[_TERMINAL_NUMBER_FILE] + time
        mac1 = cryptography.mac(self._algorithm, session_key, message)
        self._debit = (self._algorithm, session_key, amounts)
        self._waiting = own + mac1
        return bytes((0x61, len(self._waiting)))

    def _check_debit(self, command: bytes) -> bytes:
        """Check the card's MAC2, once for each debit."""
        debit, self._debit = self._debit, None
        if command[2] or command[3]:
            return _WRONG_P1_P2
        if debit is None:
            return _CONDITIONS
        mac2 = _command_data(command)
        if mac2 is None or len(mac2) != 4:
            return _WRONG_LENGTH
        algorithm, session_key, amounts = debit
        return _OK if cryptography.mac(algorithm, session_key, amounts) == mac2 else _WRONG_MAC

    def _get_response(self, command: bytes) -> bytes:
        if not self._waiting:
            return _CONDITIONS
        if command[2] or command[3]:
            return _WRONG_P1_P2
        asked = (command[4] or 256) if len(command) == 5 else 256
        if asked > len(self._waiting):
            return bytes((0x6C, len(self._waiting)))
        answer, self._waiting = self._waiting[:asked], self._waiting[asked:]
        return answer + (bytes((0x61, len(self._waiting))) if self._waiting else _OK)


def _place(key: Key) -> int:
    """Return type and index. The levels in the layout's usage byte are those of the PSAM that the list was made for."""
    return (key.psam or 0) & (_TYPE << 8 | 0xFF)


def _command_data(command: bytes) -> bytes | None:
    """Return the data field of a short command, with or without Le after it; None if the lengths do not agree."""
    length, data = (command[4], command[5:]) if len(command) > 4 else (0, b"")
    return data[:length] if len(data) in (length, length + 1) else None
