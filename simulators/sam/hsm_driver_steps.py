"""The computations of the authority's service between the steps of a driver function.

The steps are ``…_HSM_Step1`` and ``…_HSM_Step2``. Strings in, strings out, with the published test keys: for hospital
software without a PSAM at its counter.
"""

from __future__ import annotations

import re

from cardio.filesystem.layouts.loader import layout_of
from cardio.filesystem.layouts.model import Key
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import root_key
from simulators.sam.hsm import ALGORITHM_NAMES, key_address

_CITY, _HISTORICAL_BYTES, _ALGORITHM = "[0-9]{6}", "[0-9A-Fa-f]{26}", "0[123]"
_ADDRESS, _EIGHT_BYTES = "[0-9A-Fa-f]{6}", "[0-9A-Fa-f]{16}"
_READ_FIELDS = {
    "发卡地区行政区划代码": _CITY,
    "卡复位信息": _HISTORICAL_BYTES,
    "算法标识": _ALGORITHM,
    "卡识别码": "[0-9A-Fa-f]{32}",
    "内部认证过程因子": _EIGHT_BYTES,
    "内部认证原始信息": _EIGHT_BYTES,
    "外部认证过程因子": f"({_EIGHT_BYTES})?",
    "外部认证原始信息": f"({_EIGHT_BYTES})?",
}
_TERMINAL_FIELD = {"终端编号": "[0-9]{12}"}
_GENERAL_FIELDS = {"算法标识": _ALGORITHM, "密钥地址": _ADDRESS, "随机数1": _EIGHT_BYTES, "随机数2": _EIGHT_BYTES}
_PIN_FIELDS = {
    "算法标识": _ALGORITHM,
    "密钥地址": _ADDRESS,
    "过程因子": _EIGHT_BYTES,
    "命令头": "[0-9A-Fa-f]{10}",
    "PIN明文": "([0-9]{4,16})?",
}
_DEBIT_FIELDS = {
    "算法标识": _ALGORITHM,
    "密钥地址": _ADDRESS,
    "随机数": "[0-9A-Fa-f]{8}",
    "交易序号": "[0-9A-Fa-f]{4}",
    "金额": "[0-9A-Fa-f]{16}",
    "交易类型": "[0-9A-Fa-f]{2}",
    "终端机编号": "[0-9]{12}",
    "交易时间": "[0-9]{14}",
}
_NOTHING_FROM_THE_ACCOUNT = "00000000"
_UNBLOCK, _RELOAD = bytes.fromhex("84240000"), bytes.fromhex("84240001")
_MAC = 4


def read_step_1_to_2(step_1: str) -> str:
    """Return the input of ``iReadCardBas_HSM_Step2`` for the output of ``iReadCardBas_HSM_Step1``.

    It has the proof for the internal authentication (IRK) and, if the card asked for it, the proof for the external one
    (RKSSSE). Each is a cryptogram and the original information, 32 hex digits and a bar.

    Raises:
        ValueError: the string is no such output; the text says what is wrong.
    """
    described = _READ_FIELDS | _TERMINAL_FIELD if step_1.count("|") > len(_READ_FIELDS) else _READ_FIELDS
    city, historical_bytes, mark, card, challenge, source, external_challenge, external_source, *_ = _fields(
        step_1, described
    )
    if card[:6] != city:
        raise ValueError(f"卡识别码 {card} is not of {city}")
    if bool(external_challenge) != bool(external_source):
        raise ValueError("of 外部认证过程因子 and 外部认证原始信息 one is empty")
    proofs = [_proof(_named("IRK"), mark, historical_bytes, city, challenge, source)]
    if external_challenge:
        key = _named("RKSSSE")
        proofs.append(_proof(key, mark, historical_bytes, city, external_challenge, external_source))
    return "".join(f"{proof}|" for proof in proofs)


def general_step_1_to_2(step_1: str, historical_bytes_hex: str, city: str) -> str:
    """Return the data of the external authentication, 32 hex digits, for ``算法标识|密钥地址|随机数1|随机数2|``.

    Args:
        step_1: the output of the first step.
        historical_bytes_hex: the card's 卡复位信息, 26 hex digits.
        city: six digits.

    Raises:
        ValueError: a value is wrong; the text says which.
    """
    mark, address, challenge, source = _fields(step_1, _GENERAL_FIELDS)
    _check_card(historical_bytes_hex, city)
    return _proof(_at(address), mark, historical_bytes_hex, city, challenge, source)


def pin_step_2_to_3(step_2: str, historical_bytes_hex: str, city: str) -> str:
    """Return the whole command that frees the PIN, in hex, for ``算法标识|密钥地址|过程因子|命令头|PIN明文|``.

    The header has its Lc: of PIN UNBLOCK, for which the PIN is empty, or of RELOAD PIN.

    Args:
        step_2: the output of the second step.
        historical_bytes_hex: the card's 卡复位信息, 26 hex digits.
        city: six digits.

    Raises:
        ValueError: a value is wrong; the text says which.
    """
    mark, address, challenge, header_hex, pin = _fields(step_2, _PIN_FIELDS)
    _check_card(historical_bytes_hex, city)
    key = _at(address)
    if key.name != "STK":
        raise ValueError(f"密钥地址 {address} is {key.name}, but STK secures this command")
    algorithm = _algorithm(mark)
    process_key = cryptography.process_key(
        algorithm, _card_key(key, algorithm, historical_bytes_hex, city), bytes.fromhex(challenge)
    )
    header = bytes.fromhex(header_hex)
    if header[:4] not in (_UNBLOCK, _RELOAD):
        raise ValueError(f"命令头 {header_hex} neither unblocks nor reloads a PIN")
    data = b""
    if header[:4] == _RELOAD:
        data = cryptography.enciphered(algorithm, process_key, _pin_block(algorithm, pin))
    elif pin:
        raise ValueError("PIN明文 is not empty, but unblocking sets no PIN")
    if header[4] != len(data) + _MAC:
        raise ValueError(f"命令头 {header_hex} has the wrong length; there are {len(data) + _MAC} bytes of data")
    message = header + data
    return (message + cryptography.mac(algorithm, process_key, message)).hex().upper()


def debit_step_1_to_2(step_1: str, historical_bytes_hex: str, city: str) -> str:
    """Return the input of the second step for ``算法标识|密钥地址|随机数|交易序号|金额|交易类型|终端机编号|交易时间|``.

    The service makes a MAC (MAC1) with the random and twice the number, over four zero bytes and the last four fields.
    The caller adds the rest: ``0000`` and the number, the time, MAC1.

    Args:
        step_1: the output of the first step.
        historical_bytes_hex: the card's 卡复位信息, 26 hex digits.
        city: six digits.

    Raises:
        ValueError: a value is wrong; the text says which.
    """
    mark, address, random, number, amounts, kind, terminal, time = _fields(step_1, _DEBIT_FIELDS)
    _check_card(historical_bytes_hex, city)
    key = _at(address)
    if not key.name.startswith("DPK"):
        raise ValueError(f"密钥地址 {address} is {key.name}, which authorises no debit")
    algorithm = _algorithm(mark)
    secret = _card_key(key, algorithm, historical_bytes_hex, city)
    process_key = cryptography.process_key(algorithm, secret, bytes.fromhex(random + number + number))
    mac1 = cryptography.mac(
        algorithm, process_key, bytes.fromhex(_NOTHING_FROM_THE_ACCOUNT + amounts + kind + terminal + time)
    )
    return f"0000{number.upper()}|{time}|{mac1.hex().upper()}|"


def _pin_block(algorithm: str, pin: str) -> bytes:
    """Return one block: length byte, packed digits, 80, zeros."""
    if not pin:
        raise ValueError("PIN明文 is empty")
    packed = bytes.fromhex(pin if len(pin) % 2 == 0 else pin + "F")
    block = bytes((len(packed),)) + packed + b"\x80"
    size = cryptography.block_size(algorithm)
    if len(block) > size:
        raise ValueError(f"PIN明文 has {len(pin)} digits; a block of {size} bytes does not hold them")
    return block.ljust(size, b"\x00")


def _proof(key: Key, mark: str, historical_bytes_hex: str, city: str, challenge: str, source: str) -> str:
    """Return the cryptogram and the original information."""
    algorithm = _algorithm(mark)
    secret = _card_key(key, algorithm, historical_bytes_hex, city)
    process_key = cryptography.process_key(algorithm, secret, bytes.fromhex(challenge))
    original = bytes.fromhex(source)
    return (cryptography.cryptogram(algorithm, process_key, original) + original).hex().upper()


def _card_key(key: Key, algorithm: str, historical_bytes_hex: str, city: str) -> bytes:
    root = root_key(key.name, algorithm, key.length)
    return cryptography.card_key(algorithm, root, bytes.fromhex(historical_bytes_hex), city)


def _algorithm(mark: str) -> str:
    if mark not in ALGORITHM_NAMES:
        raise ValueError(f"算法标识 {mark} is SSF33, which is not published")
    return ALGORITHM_NAMES[mark]


def _named(name: str) -> Key:
    return next(key for key in layout_of(3).keys if key.name == name)


def _at(address: str) -> Key:
    """Return the key that an HSM has at an address and index.

    Raises:
        ValueError: there is no such key.
    """
    for key in layout_of(3).keys:
        if key.psam is not None and key_address(key) == address.upper():
            return key
    raise ValueError(f"密钥地址 {address} is no key's")


def _check_card(historical_bytes_hex: str, city: str) -> None:
    for name, pattern, value in (("卡复位信息", _HISTORICAL_BYTES, historical_bytes_hex), ("城市码", _CITY, city)):
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{name} is not as it must be: {value!r}")


def _fields(text: str, described: dict[str, str]) -> list[str]:
    """Return the values of a string in which a bar closes each value.

    No error shows a value, which may be a PIN.

    Raises:
        ValueError: the string has a wrong form; the text says which.
    """
    *values, rest = text.split("|")
    if rest:
        raise ValueError("a bar closes each field; the last has none")
    if len(values) != len(described):
        raise ValueError(f"{len(described)} fields are needed, not {len(values)}: {'|'.join(described)}|")
    for (name, pattern), value in zip(described.items(), values, strict=True):
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{name} is not as it must be; it has {len(value)} characters")
    return values
