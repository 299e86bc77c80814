"""A copy of a card: what was once heard from a genuine one, said again, whatever is asked.

All bytes are written by hand from the public structure of the card (V2.0 tables 3 to 10); people and keys are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAME = "7378312E73682EC9E7BBE1B1A3D5CF"
"""sx1.sh.社会保障"""

THIRD: Mapping[str, str] = {
    "atr": "3B6D0000" + "0081544C968684329900000014",
    "select": "611E",
    "fci": "6F1C840F" + NAME + "A50988011E9F0C03860103" + "9000",  # SM4
    "EF05-1": "0110" + "320200D15600000500000014FFFFFFFF" + "9000",
    "EF05-2": "020133" + "9000",
    "EF05-3": "0304332E3030" + "9000",
    "EF05-4": "040C" + "9156000002320200320200D5" + "9000",
    "EF05-5": "050420190520" + "9000",
    "EF05-6": "060420390520" + "9000",
    "EF05-7": "0709" + "413030303030303134" + "9000",
    "EF06-1": "0812" + "333230323030313939303031303130303138" + "9000",
    "EF06-2": "091E" + "B2E2CAD4C8C9" + "00" * 24 + "9000",  # 测试壬
    "EF06-3": "4E14" + "00" * 20 + "9000",
    "EF06-4": "0A0131" + "9000",
    "EF06-5": "0B0101" + "9000",
    "EF06-6": "0C03320200" + "9000",
    "EF06-7": "0D0419900101" + "9000",
    # What the card answered to 1122334455667788 and 0102030405060708: SM4, by IRK of the published test keys.
    "proof": "10B765A6F61F1E55" + "9000",
}
SECOND: Mapping[str, str] = {
    **THIRD,
    "atr": "3B6D0000" + "0081544C978684430200000042",
    "select": "6118",
    "fci": "6F16840F" + NAME + "A50388011E" + "9000",  # no algorithm named: 3DES
    "EF05-1": "0110" + "430200D1560000050000004282" + "79D94E" + "9000",
    "EF05-3": "0304322E3030" + "9000",
    # The answer to the same by 3DES: docs/algorithms.md.
    "proof": "08B6B3146B624BA0" + "9000",
}
_LAST_RECORD = 7


@dataclass(slots=True)
class CopiedCard:
    """Says what was recorded; takes every key and every PIN."""

    parts: dict[str, bytes]
    sent: list[bytes] = field(default_factory=list)
    _waiting: bytes = b""
    _challenges: int = 0
    _elsewhere: bool = False
    """Another application than the environment is current: its files want a key."""

    @classmethod
    def of(cls, recorded: Mapping[str, str], **changed: str) -> CopiedCard:
        return cls({name: bytes.fromhex(text) for name, text in {**recorded, **changed}.items()})

    @property
    def atr(self) -> bytes:
        return self.parts["atr"]

    def reset(self) -> None:
        self._waiting = b""

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        match command[1]:
            case 0xA4 if command[5:] == bytes.fromhex(NAME):
                self._waiting, self._elsewhere = self.parts["fci"], False
                return self.parts["select"]
            case 0xA4:
                self._elsewhere = command[5] in (0xDF, 0xD1)
                return b"\x90\x00"
            case 0xC0:
                return self._waiting
            case 0xB2:
                return self._records(command[2], command[3])
            case 0x88:
                self._waiting = self.parts["proof"]
                # Of T=0: so many bytes wait. What has no data is said at once.
                return bytes((0x61, len(self._waiting) - 2)) if len(self._waiting) > 2 else self._waiting
            case 0x84:
                self._challenges += 1
                return self._challenges.to_bytes(8, "big") + b"\x90\x00"
            case _:
                return b"\x90\x00"

    def _records(self, number: int, reference: int) -> bytes:
        if self._elsewhere:
            return b"\x69\x82"
        file = {0x05: "EF05", 0x06: "EF06"}.get(reference >> 3)
        if file is None or not 1 <= number <= _LAST_RECORD or reference & 0x07 not in (4, 5):
            return b"\x6a\x83"
        if reference & 0x07 == 4:
            return self.parts[f"{file}-{number}"]
        found = [self.parts[f"{file}-{one}"] for one in range(number, _LAST_RECORD + 1)]
        return b"".join(one[:-2] for one in found) + found[-1][-2:]

    @property
    def was_given_a_key(self) -> bool:
        """EXTERNAL AUTHENTICATION was sent."""
        return any(one[1] == 0x82 for one in self.sent)

    @property
    def was_given_a_pin(self) -> bool:
        """VERIFY with digits was sent, or a change of the PIN."""
        return any((one[1] == 0x20 and len(one) > 5) or one[1] == 0x5E for one in self.sent)
