"""The certificate application (证书应用) of a third-generation card, in software.

It follows what issuing tools send (docs/pki.md). Where no source says anything, it does what a card might well do. Keys
and certificates belong to no real person: each private key is the number whose bytes are a published text.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from simulators.crypto import sm

ENVIRONMENT = "PKI.社会保障".encode("gbk")
APPLICATION = b"SS.CERT.ADF1"
SIGNATURE_KEY_TEXT = b"TEST signature key, not a secret"
ENCRYPTION_KEY_TEXT = b"TEST encryption key, no secret!!"
SIGNATURE_PUBLIC, SIGNATURE_PRIVATE, ENCRYPTION_PUBLIC, ENCRYPTION_PRIVATE = 0x0012, 0x0013, 0x0014, 0x0015
SIGNATURE_CERTIFICATE, ENCRYPTION_CERTIFICATE = 0x0018, 0x0019

_OK = b"\x90\x00"
_USER, _ADMINISTRATOR = 0x81, 0x00
_CERTIFICATE_FILE_SIZE = 1020
_SIGN = (0x9E, 0x9A)
_FCI_OF_ENVIRONMENT = b"\x6f\x14\x84\x0c" + ENVIRONMENT + bytes.fromhex("7304 92023330")
_FCI_OF_APPLICATION = b"\x6f\x0e\x84\x0c" + APPLICATION


@dataclass(slots=True)
class _PinState:
    key: bytes
    left: int
    verified: bool = False


@cache
def invented_files() -> Mapping[int, bytes]:
    """Return the files of the application: keys and certificates of 测试甲, who does not exist."""
    made = {}
    for private, public, text in (
        (SIGNATURE_PRIVATE, SIGNATURE_PUBLIC, SIGNATURE_KEY_TEXT),
        (ENCRYPTION_PRIVATE, ENCRYPTION_PUBLIC, ENCRYPTION_KEY_TEXT),
    ):
        made[private] = text
        made[public] = b"\xca\x40" + sm.public_key(int.from_bytes(text, "big"))
    for number, name in (
        (SIGNATURE_CERTIFICATE, "TEST-signature.pem"),
        (ENCRYPTION_CERTIFICATE, "TEST-encryption.pem"),
    ):
        text_file = (files("simulators.card") / "certificates" / name).read_text(encoding="utf-8")
        content = base64.b64decode(text_file.split("CERTIFICATE-----")[1].removesuffix("-----END "))
        made[number] = content.ljust(_CERTIFICATE_FILE_SIZE, b"\x00")
    return made


class PkiApplication:
    """The certificate application of one card. Not safe for several threads at once."""

    def __init__(
        self,
        *,
        user_pin: str = "123456",
        administrator_pin: str = "12345678",
        tries: int = 3,
        contents: Mapping[int, bytes] | None = None,
        data_at_once: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Make the application.

        Args:
            user_pin: the user's PIN.
            administrator_pin: the administrator's PIN.
            tries: the tries of each PIN.
            contents: replaces single files.
            data_at_once: True to answer as behind T=1, without ``61xx``.
            random: returns random bytes.
        """
        self._contents = {**invented_files(), **(contents or {})}
        self._tries = tries
        self._pins = {
            _USER: _PinState(_pin_key(_packed(user_pin)), tries),
            _ADMINISTRATOR: _PinState(_pin_key(_packed(administrator_pin)), tries),
        }
        self._data_at_once = data_at_once
        self._random = random
        self._commands: dict[tuple[int, int], Callable[[bytes, bytes | None], bytes]] = {
            (0x00, 0xA4): self._select_file,
            (0x00, 0xC0): self._get_response,
            (0x00, 0xB0): self._read_binary,
            (0x00, 0x84): self._get_challenge,
            (0x00, 0x20): self._verify,
            (0x84, 0x5E): self._change,
            (0x00, 0x2A): self._sign,
            (0x80, 0x4E): self._decipher,
            (0x80, 0x4A): self._import_session_key,
        }
        self.session_key: bytes | None = None
        self.reset()

    def reset(self) -> None:
        """Reset the application, as after power on or a warm reset. The numbers of tries left stay."""
        self._leave()
        self.session_key = None

    def tries_left(self, reference: int = _USER) -> int:
        return self._pins[reference].left

    def transmit(self, command: bytes) -> bytes | None:
        """Return the answer to one command; None for a command of another application."""
        data = _data(command)
        selects = command[:2] == b"\x00\xa4" and len(command) >= 4
        if selects and not self._is_for_me(command, data):
            self._leave()
        if not (self._current or (selects and data == ENVIRONMENT)):
            return None
        if len(command) < 4:
            return b"\x67\x00"
        handler = self._commands.get((command[0], command[1]))
        if handler is None:
            return b"\x6d\x00" if any(cla == command[0] for cla, _ in self._commands) else b"\x6e\x00"
        if command[1] != 0xC0:
            self._waiting = b""
        answer = handler(command, data)
        if command[1] != 0x84:
            # A challenge is valid for one command.
            self._challenge = b""
        return answer

    # -- SELECT (选择文件), GET RESPONSE (获取响应) ----------------------------------------------

    def _is_for_me(self, command: bytes, data: bytes | None) -> bool:
        if command[2] == 0x04:
            return data == ENVIRONMENT or (self._current and data == APPLICATION)
        return self._current and data not in (b"", b"\x3f\x00")

    def _leave(self) -> None:
        self._current = self._application = False
        self._file: int | None = None
        self._waiting = b""
        self._challenge = b""
        for pin in self._pins.values():
            pin.verified = False

    def _select_file(self, command: bytes, data: bytes | None) -> bytes:
        if command[3] or data is None:
            return b"\x6a\x86" if command[3] else b"\x67\x00"
        if command[2] == 0x04 or data == b"\xdf\x01":
            self._leave()
            self._current, self._application = True, data != ENVIRONMENT
            return self._give(_FCI_OF_APPLICATION if self._application else _FCI_OF_ENVIRONMENT)
        if command[2] not in (0x00, 0x02) or len(data) != 2:
            return b"\x6a\x86"
        number = int.from_bytes(data, "big")
        if not self._application or number not in self._contents:
            return b"\x6a\x82"
        self._file = number
        return _OK

    def _get_response(self, command: bytes, data: bytes | None) -> bytes:
        asked = command[4] or 256 if len(command) == 5 else 256
        if not self._waiting:
            return b"\x69\x85"
        if asked > len(self._waiting):
            return bytes((0x6C, len(self._waiting)))
        given, self._waiting = self._waiting[:asked], self._waiting[asked:]
        return given + (bytes((0x61, len(self._waiting))) if self._waiting else _OK)

    def _give(self, data: bytes) -> bytes:
        if self._data_at_once:
            return data + _OK
        self._waiting = data
        return bytes((0x61, len(data)))

    # -- READ BINARY (读取二进制), GET CHALLENGE (获取随机数) -------------------------------------

    def _read_binary(self, command: bytes, data: bytes | None) -> bytes:
        if command[2] & 0x80:
            return b"\x6a\x86"
        if self._file is None:
            return b"\x69\x86"
        if self._file in (SIGNATURE_PRIVATE, ENCRYPTION_PRIVATE):
            return b"\x69\x82"
        content, offset = self._contents[self._file], command[2] << 8 | command[3]
        if offset >= len(content):
            return b"\x6b\x00"
        asked = command[4] or 256 if len(command) == 5 else 256
        left = len(content) - offset
        return content[offset : offset + asked] + _OK if asked <= left else bytes((0x6C, left))

    def _get_challenge(self, command: bytes, data: bytes | None) -> bytes:
        if command[2] or command[3]:
            return b"\x6a\x86"
        if len(command) != 5 or command[4] not in (4, 8, 16):
            return b"\x67\x00"
        self._challenge = self._random(command[4])
        return self._challenge + _OK

    # -- VERIFY (校验个人密码), CHANGE PIN (修改个人密码) -----------------------------------------

    def _verify(self, command: bytes, data: bytes | None) -> bytes:
        pin = self._pins.get(command[3])
        if command[2] != 0x01 or pin is None or not self._application:
            return b"\x6a\x88" if command[2] == 0x01 else b"\x6a\x86"
        if pin.left == 0:
            return b"\x69\x83"
        if not data and data is not None:
            return _OK if pin.verified else bytes((0x63, 0xC0 | pin.left))
        if data is None or len(data) != 16:
            return b"\x67\x00"
        if not self._challenge:
            return b"\x69\x84"
        expected = sm.sm4_encipher(pin.key, self._challenge.ljust(16, b"\x00"))
        pin.verified = hmac.compare_digest(expected, data)
        pin.left = self._tries if pin.verified else pin.left - 1
        return _OK if pin.verified else bytes((0x63, 0xC0 | pin.left))

    def _change(self, command: bytes, data: bytes | None) -> bytes:
        pin = self._pins.get(command[3])
        if command[2] != 0x01 or pin is None:
            return b"\x6a\x86"
        if not pin.verified:
            return b"\x69\x82"
        if data is None or len(data) != 20:
            return b"\x67\x00"
        if not self._challenge:
            return b"\x69\x84"
        mac = sm.sm4_mac(pin.key, self._challenge.ljust(16, b"\x00"), command[:5] + data[:16])
        if not hmac.compare_digest(mac, data[16:]):
            return b"\x69\x88"
        block = sm.sm4_decipher(pin.key, data[:16])
        size = block[0]
        if not 2 <= size <= 8 or block[1 + size :] != b"\x80".ljust(15 - size, b"\x00"):
            return b"\x6a\x80"
        pin.key, pin.left = _pin_key(block[1 : 1 + size]), self._tries
        return _OK

    # -- with the private keys -------------------------------------------------------------------

    def _sign(self, command: bytes, data: bytes | None) -> bytes:
        if (command[2], command[3]) != _SIGN:
            return b"\x6a\x86"
        if not self._pins[_USER].verified:
            return b"\x69\x82"
        if data is None or len(data) != 32:
            return b"\x67\x00"
        return self._give(sm.sign(self._private(SIGNATURE_PRIVATE), data, self._random))

    def _decipher(self, command: bytes, data: bytes | None) -> bytes:
        if command[2:4] != b"\x00\x01":
            return b"\x6a\x86"
        if not self._pins[_USER].verified:
            return b"\x69\x82"
        if data is None or len(data) < 8:
            return b"\x67\x00"
        length = int.from_bytes(data[6:8], "big")
        if data[:2] != b"\xc2\x02" or data[4:6] != b"\xc1\x82" or length != len(data) - 8:
            return b"\x6a\x80"
        number = int.from_bytes(data[2:4], "big")
        if number not in (SIGNATURE_PRIVATE, ENCRYPTION_PRIVATE):
            return b"\x6a\x88"
        plain = sm.decipher(self._private(number), data[8:])
        return self._give(plain) if plain is not None else b"\x6a\x80"

    def _import_session_key(self, command: bytes, data: bytes | None) -> bytes:
        if command[2:4] != b"\x02\x10":
            return b"\x6a\x86"
        if not self._pins[_USER].verified:
            return b"\x69\x82"
        if data is None or len(data) != 18 or data[:2] != b"\xc1\x10":
            return b"\x6a\x80"
        self.session_key = data[2:]
        return _OK

    def _private(self, number: int) -> int:
        return int.from_bytes(self._contents[number], "big")


def _packed(digits: str) -> bytes:
    return bytes.fromhex(digits if len(digits) % 2 == 0 else digits + "F")


def _pin_key(packed: bytes) -> bytes:
    return sm.sm3(packed)[:16]


def _data(command: bytes) -> bytes | None:
    """Return the data field of a short command; None if the lengths do not agree."""
    body = command[4:]
    if len(body) <= 1:
        return b""
    length = body[0]
    return body[1 : 1 + length] if len(body) in (1 + length, 2 + length) else None
