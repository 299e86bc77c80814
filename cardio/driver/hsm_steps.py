"""The national interface's HSM functions (iReadCardBas_HSM_Step1 and the like): the caller carries the data.

A desk without keys holds the card, gives the caller the data for an authority's HSM, and accepts the HSM's answer in
the next step. The methods are named after the interface's functions; each method describes the string of its step.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cardio.apdu.channel import Flow
from cardio.apdu.command import CommandApdu
from cardio.apdu.commands import external_authentication, get_challenge, internal_authentication
from cardio.apdu.status_word import StatusWord, describe
from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.basic_info import basic_string, terminal_field
from cardio.errors import AccessNotGrantedError, CardChangedError, CardRefusedError, UsageError
from cardio.filesystem.access_rights import reading_rights
from cardio.filesystem.address import Address, values_at
from cardio.filesystem.card_file_system import HOLDER_FILE, ISSUER_FILE, text_of
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import File, Key
from cardio.models.reading import Proof
from cardio.security.algorithms import HALF, MAC_LENGTH, requires_key_version, suite_for
from cardio.security.authenticator import SSSE_MAC_KEY
from cardio.security.errors import HsmNotNeededError, StepError
from cardio.security.pin.holder_pin import RELOAD, UNBLOCK, UNBLOCK_KEY
from cardio.security.pin.pin import Pin
from cardio.security.sam.base import key_address
from cardio.security.sam.hsm import ALGORITHM_MARKS
from cardio.security.terminal import authentication_refused

_AUTHENTICATION = re.compile(r"[0-9A-Fa-f]{32}")
_VERSION = b"\x01"
"""The version group of the HSM's answer: the interface has no field to name another."""


@dataclass(frozen=True, slots=True, repr=False)
class _Next:
    """The step that may follow, and its work with the caller's data."""

    function: str
    step: int
    finish: Callable[[str], str]


class HsmSteps:
    """The functions over one card that is held from the first step to the last.

    A first step starts anew. All steps raise StepError out of order, UsageError for malformed data, CardChangedError
    for an answer to another question, and the card's errors. After an error the function starts again with its first
    step.
    """

    def __init__(self, card: SocialSecurityCard, *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._card = card
        self._random = random
        self._next: _Next | None = None
        self._data_to_write = ""
        self._device = ""

    @property
    def awaits_step(self) -> bool:
        """Return True if there is a step that may follow."""
        return self._next is not None

    @property
    def card(self) -> SocialSecurityCard:
        return self._card

    @property
    def proof(self) -> Proof:
        """Return how far the card was proved genuine, by the caller's HSM or by a SAM of this desk."""
        return self._card.proof

    def restart(self) -> None:
        """Forget the step that was expected."""
        self._next = None

    def expect(self, function: str, step: int, finish: Callable[[str], str]) -> None:
        """Set the step that may follow, and its work with the caller's data."""
        self._next = _Next(function, step, finish)

    def run_step(self, function: str, step: int, answer: str) -> str:
        """Take a step.

        Raises:
            StepError: it is not the step that may follow.
        """
        expected, self._next = self._next, None
        if expected is None or (expected.function, expected.step) != (function, step):
            before = f"Step{step - 1}"
            raise StepError(
                f"{function}_HSM_Step{step} 之前没有相应的 {before}", f"{function}_HSM_Step{step} without its {before}"
            )
        return expected.finish(answer.strip())

    # -- iReadCardBas_HSM -----------------------------------------------------------------------

    def read_basic_1(self) -> str:
        """Return ``发卡地区行政区划代码|卡复位信息|算法标识|卡识别码|过程因子|原始信息|外部认证过程因子|原始信息|``.

        The card answers internal authentication at once, so that no command comes between the challenge for external
        authentication and its use. The last two fields are empty where the holder's file is open.
        """
        self.restart()
        reset_information = self._card.reset_information
        challenge, source = self._random(HALF), self._random(HALF)
        file_system = self._card.opened_file_system  # not `file_system`: here the caller's HSM checks the card's proof
        proof = self._card.run(self._card_proof(challenge + source))
        opening = self._card.run(file_system.read(HOLDER_FILE)).closed
        outer_source = self._random(HALF) if opening else b""
        outer_challenge = self._card.run(_challenge()) if opening else b""

        def finish(answer: str) -> str:
            inner, _, outer = answer.rstrip("|").partition("|")
            if not hmac.compare_digest(_cryptogram(inner, source), proof):
                raise self._card.refuted_by_caller()
            self._card.proved_by_caller()
            if opening:
                self._authenticate(self._opening_key(HOLDER_FILE), outer, outer_source)
            device = self._device or self._card.device_number
            return basic_string(self._card.reading_of_visit(), terminal=terminal_field(self._card), device=device)

        self.expect("iReadCardBas", 2, finish)
        code = self._identification_code
        fields = [code[:6], reset_information.hex().upper(), self.algorithm_mark, code]
        fields += [part.hex().upper() for part in (challenge, source, outer_challenge, outer_source)]
        return joined(fields)

    def read_basic_2(self, answer: str, *, device: str = "") -> str:
        """Return the eleven fields of iReadCardBas, for ``内部认证数据|外部认证数据|``.

        Args:
            answer: the two values, 32 hex digits each: authentication data and original information.
            device: 终端设备号; without it the reader's own.

        Raises:
            ForgedCardError: the card's answer is not the HSM's.
        """
        self._device = device
        return self.run_step("iReadCardBas", 2, answer)

    # -- iReadCard_HSM --------------------------------------------------------------------------

    def read_1(self, address: str) -> str:
        """Return ``算法标识|密钥地址|随机数1|随机数2|`` for the files of a national address.

        Raises:
            HsmNotNeededError: the files are open.
            AccessNotGrantedError: the files need keys of more than one kind, or also a PIN.
        """
        self.restart()
        wanted = Address.parse(address)
        file_system = self._card.file_system
        closed = [part.file for part in wanted.parts if self._card.run(file_system.read(part.file)).closed]
        if not closed:
            raise HsmNotNeededError()
        keys = {path: self._opening_key(path).name for path in closed}
        if len(set(keys.values())) > 1:
            listed = ", ".join(f"{path} {key}" for path, key in keys.items())
            raise AccessNotGrantedError(
                f"这些文件需要不同的密钥，请分次读取：{listed}",
                f"these files want different keys, read them apart: {listed}",
            )
        return self._ask_for_key("iReadCard", self._opening_key(closed[0]), then=lambda: self._card.values(wanted))

    def read_2(self, answer: str) -> str:
        """Return the values in the address's shape, for 32 hex digits: authentication data and original information."""
        return self.run_step("iReadCard", 2, answer)

    # -- iWriteCard_HSM -------------------------------------------------------------------------

    def write_1(self, address: str) -> str:
        """Return ``算法标识|密钥地址|随机数1|随机数2|`` for the key that writes the files of a national address.

        Raises:
            AccessNotGrantedError: the files need keys of more than one kind, or also a PIN, or they cannot be written.
        """
        self.restart()
        wanted = Address.parse(address)
        keys = {part.file: self._writing_key(part.file) for part in wanted.parts}
        if len({key.name for key in keys.values()}) > 1:
            raise AccessNotGrantedError(
                "这些文件需要不同的密钥，请分次写入", "these files want different keys: write them apart"
            )

        def write() -> str:
            changes = [self._card.prepare(file, values) for file, values in values_at(wanted, self._data_to_write)]
            for change in changes:
                self._card.write(change)
            return ""

        return self._ask_for_key("iWriteCard", next(iter(keys.values())), then=write)

    def write_2(self, answer: str, data: str) -> str:
        """Write the data, for 32 hex digits: authentication data and original information."""
        self._data_to_write = data
        return self.run_step("iWriteCard", 2, answer)

    # -- iUnblockPIN_HSM, iReloadPIN_HSM --------------------------------------------------------

    def unblock_1(self) -> str:
        """Return ``算法标识|密钥地址|随机数1|随机数2|`` for the key that unblocks."""
        return self._begin_pin("iUnblockPIN", UNBLOCK, MAC_LENGTH, "")

    def reload_1(self, new: Pin) -> str:
        """Return the same fields as `unblock_1`, for setting a new PIN."""
        return self._begin_pin("iReloadPIN", RELOAD, suite_for(self._card.algorithm).block + MAC_LENGTH, new.digits)

    def pin_2(self, function: str, answer: str) -> str:
        """Return ``算法标识|密钥地址|过程因子|命令头|PIN明文|`` for the secure message, for 32 hex digits.

        The header (命令头) has five bytes with Lc, because the MAC covers them.
        """
        return self.run_step(function, 2, answer)

    def pin_3(self, function: str, answer: str) -> str:
        """Send the whole command, given in hex, if it is the requested one."""
        return self.run_step(function, 3, answer)

    def _begin_pin(self, function: str, command: CommandApdu, length: int, digits: str) -> str:
        self.restart()
        self._card.run(self._card.file_system.select_application(self._card.layout.environment.id))

        def after_authentication() -> str:
            challenge = self._card.run(_challenge())
            self.expect(function, 3, lambda answer: self._send_secured(command, length, answer))
            header = f"{command.header.hex().upper()}{length:02X}"
            address = self.address_of(self._key(SSSE_MAC_KEY))
            return joined([self.algorithm_mark, address, challenge.hex().upper(), header, digits])

        return self._ask_for_key(function, self._key(UNBLOCK_KEY), then=after_authentication)

    def _send_secured(self, command: CommandApdu, length: int, answer: str) -> str:
        try:
            whole = CommandApdu.from_bytes(bytes.fromhex(answer))
        except (ValueError, UsageError):
            raise UsageError("第三步的数据不是完整命令", "the third step takes a whole command in hex") from None
        if whole.header != command.header or len(whole.data) != length:
            raise UsageError("第三步的命令不是所请求的命令", "the command of the third step is not the one asked for")
        self._card.run(self._card.change_by(whole))
        self._card.pin_restored()
        return ""

    # -- what they share ------------------------------------------------------------------------

    def _ask_for_key(self, function: str, key: Key, *, then: Callable[[], str]) -> str:
        """Return a challenge for external authentication. Then the HSM's answer is presented to the card and the work
        continues.
        """
        _ = self._card.reset_information  # checked here, because the HSM computes with it
        file_system = self._card.file_system
        self._card.run(file_system.select_application(key.application))
        source = self._random(HALF)
        challenge = self._card.run(_challenge())

        def finish(answer: str) -> str:
            self._authenticate(key, answer.rstrip("|"), source)
            return then()

        self.expect(function, 2, finish)
        return joined([self.algorithm_mark, self.address_of(key), challenge.hex().upper(), source.hex().upper()])

    def _card_proof(self, data: bytes) -> Flow[bytes]:
        response = yield internal_authentication(data + self._version_byte)
        if response.status_word != StatusWord.SUCCESS or len(response.data) != HALF:
            refusal = _refusal("卡片拒绝内部认证", "the card refuses internal authentication", response.status_word)
            raise self._card.declined_before_caller(refusal)
        return response.data

    def _authenticate(self, key: Key, answer: str, source: bytes) -> None:
        data = _cryptogram(answer, source) + source + self._version_byte
        self._card.require_not_forged()
        trial = self._card.key_trial(key.name)

        def plan() -> Flow[None]:
            trial.sending()
            response = yield external_authentication(key.id, data)
            trial.answered(response.status_word)
            if response.status_word != StatusWord.SUCCESS:
                raise authentication_refused(key.name, response)
            self._card.grant(key.name)

        self._card.run(plan())

    def _opening_key(self, path: str) -> Key:
        """Return the cheapest key that opens a file by itself."""
        file: File = self._card.layout.required_file(path)
        for needed in reading_rights(file):
            if len(needed) == 1 and PIN not in needed:
                return self._key(next(iter(needed)))
        raise AccessNotGrantedError(f"{path} 不能只凭密钥打开", f"{path} is not opened by a key alone")

    def _writing_key(self, path: str) -> Key:
        """Return the key that alone allows writing a file."""
        for needed in self._card.layout.required_file(path).update.alternatives:
            if len(needed) == 1 and PIN not in needed:
                return self._key(next(iter(needed)))
        raise AccessNotGrantedError(f"{path} 不能只凭密钥写入", f"{path} is not written by a key alone")

    def _key(self, name: str) -> Key:
        key = self._card.layout.key(name)
        if key is None:
            raise AccessNotGrantedError(f"该代卡没有密钥 {name}", f"cards of this generation have no key {name}")
        return key

    @staticmethod
    def address_of(key: Key) -> str:
        """Return 密钥地址."""
        return key_address(key.hsm, None if key.psam is None else key.psam & 0xFF)

    @property
    def _identification_code(self) -> str:
        return text_of(self._card.opened_file_system.contents.files[ISSUER_FILE], "identification_code") or ""

    @property
    def algorithm_mark(self) -> str:
        """Return 算法标识."""
        return ALGORITHM_MARKS[self._card.algorithm]

    @property
    def _version_byte(self) -> bytes:
        return _VERSION if requires_key_version(self._card.algorithm) else b""


def _challenge() -> Flow[bytes]:
    response = yield get_challenge(HALF)
    if response.status_word != StatusWord.SUCCESS or len(response.data) != HALF:
        raise _refusal("卡片没有给出随机数", "the card gives no challenge", response.status_word)
    return response.data


def _cryptogram(answer: str, source: bytes) -> bytes:
    """Return the authentication data in an HSM's answer, which repeats the original information.

    Raises:
        UsageError: it is not 32 hex digits.
        CardChangedError: it is the answer to another question.
    """
    if not _AUTHENTICATION.fullmatch(answer):
        raise UsageError(
            "应为 32 位十六进制的认证数据", "32 hex digits are wanted: authentication data", driver_code=-42
        )
    cryptogram, repeated = bytes.fromhex(answer[:16]), bytes.fromhex(answer[16:])
    if not hmac.compare_digest(repeated, source):
        raise CardChangedError("传入的认证数据不属于本次读卡", "the authentication data belong to another step 1")
    return cryptogram


def _refusal(zh: str, en: str, status_word: int) -> CardRefusedError:
    meaning = describe(status_word)
    return CardRefusedError(
        f"{zh}：{status_word:04X} {meaning.zh}", f"{en}: {status_word:04X} {meaning.en}", status_word=status_word
    )


def joined(fields: list[str]) -> str:
    """Return the fields, each closed by a bar."""
    return "".join(f"{field}|" for field in fields)
