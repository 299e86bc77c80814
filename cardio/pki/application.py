"""The certificate application (证书应用) of third-generation cards: its contents, and signing with it.

The functions are flows, like everything that talks to a card: `cardio.apdu.channel.Channel` runs them. The known facts
of the application, and their reliability, are in ``pki.toml``. docs/pki.md says what has never been tried on a real
card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from cardio.apdu.channel import Flow
from cardio.apdu.commands import read_binary, select_by_name, select_file
from cardio.apdu.effect import CommandEffect
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.bilingual import Bilingual
from cardio.errors import CardBlockedError, CardError, CardRefusedError
from cardio.pki.certificate import Certificate, decode_certificate
from cardio.pki.der import announced_length
from cardio.pki.errors import (
    CertificateUnusableError,
    NoCertificateError,
    NoPkiError,
    PkiPinNeededError,
    SignatureNotValidError,
)
from cardio.pki.layout import PkiCommand, PkiFile, PkiLayout
from cardio.pki.sm2 import DEFAULT_USER_ID, POINT_LENGTH, PublicKey

_NOT_HERE = frozenset(
    {
        StatusWord.FILE_NOT_FOUND,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.WRONG_LENGTH,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
    }
)
_BLOCKED = frozenset({StatusWord.SELECTED_FILE_INVALIDATED, StatusWord.FUNCTION_NOT_SUPPORTED})
_NOTHING_WRITTEN = frozenset({StatusWord.FILE_NOT_FOUND, StatusWord.RECORD_NOT_FOUND, StatusWord.WRONG_P1_P2})
_NOT_KNOWN = frozenset(
    {
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_LENGTH,
        StatusWord.FUNCTION_NOT_SUPPORTED,
    }
)
_FILLS = (0x00, 0xFF)

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class PkiContents:
    """The freely readable contents of the application. A part that could not be read is None, and ``problems`` says
    why.
    """

    signature_key: PublicKey | None
    signature_certificate: Certificate | None
    encryption_certificate: Certificate | None
    problems: tuple[Bilingual, ...] = ()


def select_pki(layout: PkiLayout) -> Flow[None]:
    """Make the certificate application current; the selection before, and its rights, are lost.

    Raises:
        NoPkiError: the card has no such application.
        CardBlockedError, CardRefusedError: the application cannot be selected.
    """
    response = yield select_by_name(layout.selection.environment, want_fci=True)
    _check_selected(response)
    response = yield select_by_name(layout.selection.application, want_fci=True)
    if response.status_word in _NOT_HERE:
        response = yield select_file(int.from_bytes(layout.selection.application_id, "big"), 0x00)
    _check_selected(response)


def read_contents(layout: PkiLayout) -> Flow[PkiContents]:
    """Read both certificates and the signature key, as far as the card gives them. The application must be current."""
    problems: list[Bilingual] = []
    key = yield from _tolerant(read_signature_key(layout), problems)
    files = layout.files
    signature = yield from _tolerant(read_certificate(layout, files.signature_certificate), problems)
    encryption = yield from _tolerant(read_certificate(layout, files.encryption_certificate), problems)
    if key is not None and signature is not None and signature.public_key is not None:
        if signature.public_key[-POINT_LENGTH:] != key.point:
            problems.append(
                Bilingual(
                    "签名证书中的公钥与卡内签名公钥不一致",
                    "the signature certificate's key is not the signature key on the card",
                )
            )
    return PkiContents(key, signature, encryption, tuple(problems))


def read_signature_key(layout: PkiLayout) -> Flow[PublicKey]:
    """Read the signature public key. The application must be current.

    Raises:
        NoCertificateError: no key has been generated, or its file is missing.
        PublicKeyError: the content is no key.
        CardRefusedError: the card does not give it.
    """
    file = layout.files.signature_public_key
    content = yield from _read_file(layout, file)
    point = content[file.header : file.header + POINT_LENGTH]
    if _is_fill(point):
        raise _nothing(file)
    return PublicKey.from_bytes(point)


def read_certificate(layout: PkiLayout, file: PkiFile) -> Flow[Certificate]:
    """Read one certificate; a damaged one is decoded as far as possible. The application must be current.

    Raises:
        NoCertificateError: there is none.
        CertificateUnusableError: its announced length is greater than that of any certificate.
        CardRefusedError: the card does not give it.
    """
    content = yield from _read_file(layout, file)
    if _is_fill(content):
        raise _nothing(file)
    return decode_certificate(content)


def sign(layout: PkiLayout, key: PublicKey, message: bytes, user_id: bytes = DEFAULT_USER_ID) -> Flow[bytes]:
    """Let the card sign a message. The hash with ZA is computed here. The user PIN must have been presented.

    This is experimental: no source gives the command.

    Args:
        layout: the facts of the application.
        key: the holder's signature key, preferably from the certificate: the signature is checked with it.
        message: the message.
        user_id: 用户身份标识.

    Returns:
        r and s, 32 bytes each.

    Raises:
        PkiPinNeededError: the PIN was not presented.
        SignatureNotValidError: the card's answer is not its signature; it is not returned.
        CardRefusedError: the card does not sign.
    """
    digest = key.digest(message, user_id)
    private_key = layout.files.signature_private_key.id
    response = yield from ask_card(layout.commands.sign, digest=digest, private_key=private_key)
    if not key.verify_digest(digest, response.data):
        raise SignatureNotValidError()
    return response.data


def ask_card(command: PkiCommand, **values: bytes) -> Flow[ResponseApdu]:
    """Send a command that needs the user PIN, and return a successful answer.

    Raises:
        PkiPinNeededError: the PIN was not presented.
        CardRefusedError: the card refuses, or does not know the command.
    """
    # Signing, deciphering and a session key leave nothing on the card.
    response = yield replace(command.build(**values), known_effect=CommandEffect.NONE)
    if response.status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
        raise PkiPinNeededError(status_word=response.status_word)
    if response.sw1 not in (0x90, 0x61):
        header = command.header.hex().upper()
        zh, en = f"卡片拒绝命令 {header}", f"the card refuses the command {header}"
        if command.experimental and response.status_word in _NOT_KNOWN:
            zh, en = (
                f"{zh}，该命令为试验性，可在自己的 pki.toml 中更改",
                f"{en}, which is experimental; a pki.toml of your own may name another",
            )
        raise refusal(zh, en, response)
    return response


def refusal(zh: str, en: str, response: ResponseApdu) -> CardRefusedError:
    """Return an error that names the refused action and the status word."""
    meaning = describe(response.status_word)
    return CardRefusedError(
        f"{zh}：{response.status_word:04X} {meaning.zh}",
        f"{en}: {response.status_word:04X} {meaning.en}",
        status_word=response.status_word,
    )


def _check_selected(response: ResponseApdu) -> None:
    if response.status_word in _NOT_HERE:
        raise NoPkiError(status_word=response.status_word)
    if response.status_word in _BLOCKED:
        raise CardBlockedError("证书应用已被锁定", "the certificate application is blocked")
    if response.sw1 not in (0x90, 0x61):
        raise refusal("卡片拒绝选择证书应用", "the card refuses to select the certificate application", response)


def _tolerant(plan: Flow[Read], problems: list[Bilingual]) -> Flow[Read | None]:
    """Return the result of a flow; None if the card makes that impossible, with the reason in ``problems``."""
    try:
        return (yield from plan)
    except CardError as error:
        problems.append(Bilingual(error.detail, error.detail_en))
        return None


def _read_file(layout: PkiLayout, file: PkiFile) -> Flow[bytes]:
    """Read a file block by block, to its length where that is known, else to the length of the certificate in it."""
    response = yield select_file(int.from_bytes(file.id, "big"), 0x00)
    if response.status_word in _NOTHING_WRITTEN:
        raise _nothing(file)
    if response.sw1 not in (0x90, 0x61):
        raise refusal(f"卡片拒绝选择{file.name.zh}", f"the card refuses to select {file.name.en}", response)
    content = b""
    block, *smaller = layout.reading.blocks
    length = file.length or block
    while len(content) < length:
        asked = min(block, length - len(content))
        response = yield read_binary(len(content), asked)
        if response.status_word == StatusWord.WRONG_LENGTH and smaller:
            block = smaller.pop(0)
            continue
        if not _has_data(response):
            if content:
                break
            raise _unread(file, response)
        content += response.data[:asked]
        if file.length is None:
            length = announced_length(content) or len(content)
        if length > layout.reading.largest:
            raise CertificateUnusableError(
                f"{file.name.zh}声称有 {length} 字节，过长", f"{file.name.en} says that it has {length} bytes"
            )
        if len(response.data) < asked:
            break
    return content


def _has_data(response: ResponseApdu) -> bool:
    return (response.ok or response.sw1 == 0x62) and bool(response.data)


def _unread(file: PkiFile, response: ResponseApdu) -> CardError:
    if response.ok or response.status_word in _NOTHING_WRITTEN:
        return _nothing(file)
    if response.status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
        return PkiPinNeededError(status_word=response.status_word)
    return refusal(f"卡片拒绝读取{file.name.zh}", f"the card refuses to read {file.name.en}", response)


def _nothing(file: PkiFile) -> NoCertificateError:
    return NoCertificateError(f"卡内没有{file.name.zh}", f"the card does not hold {file.name.en}")


def _is_fill(content: bytes) -> bool:
    return not content or (content[0] in _FILLS and content.count(content[0]) == len(content))
