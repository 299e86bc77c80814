"""X.509 certificates of the card's holder, decoded field by field (RFC 5280 §4.1; GM/T 0015).

Libraries refuse a whole certificate for one damaged field, and do not know the key's curve. The operator wants to see
whose certificate it is and whether it is still valid, so each field is decoded independently here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar
from unicodedata import category

from cardio.bilingual import Bilingual
from cardio.pki.der import (
    DAMAGE,
    OBJECT,
    SEQUENCE,
    Element,
    announced_length,
    children,
    elements,
    object_identifier,
)
from cardio.pki.errors import CertificateUnusableError, PublicKeyError
from cardio.pki.sm2 import PublicKey

_SET, _INTEGER, _BIT_STRING, _VERSION = 0x31, 0x02, 0x03, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_CENTURY_TURNS = 50
"""The limit of the year in UTCTime: years below are of this century (RFC 5280 §4.1.2.5.1)."""
_CODECS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_ALGORITHMS = {
    "1.2.156.10197.1.501": "SM2-with-SM3",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
}
_SM2_CURVE = "1.2.156.10197.1.301"
# Control characters, marks that reorder text on a screen, line ends.
_UNSHOWABLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
_PEM = re.compile("-----BEGIN [^-]*-----(.*?)-----END", re.DOTALL)
_PEM_LINE = 64

Decoded = TypeVar("Decoded")


class NamePart(NamedTuple):
    """One attribute of a name: ``CN`` (or its OID) and its value."""

    type: str
    value: str


@dataclass(frozen=True, slots=True, repr=False)
class Certificate:
    """A certificate. A field that could not be read is None, and ``damage`` says why."""

    der: bytes
    subject: tuple[NamePart, ...] | None = None
    issuer: tuple[NamePart, ...] | None = None
    serial_number: str | None = None
    """The serial number, in hex."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    algorithm: str | None = None
    """The algorithm of its signature."""
    public_key: bytes | None = None
    """The holder's key as the certificate has it: for SM2, ``04``, X and Y."""
    curve: str | None = None
    """The OID of the key's parameters."""
    damage: tuple[Bilingual, ...] = ()

    @property
    def common_name(self) -> str | None:
        return next((part.value for part in self.subject or () if part.type == "CN"), None)

    @property
    def pem(self) -> str:
        text = base64.b64encode(self.der).decode("ascii")
        lines = [text[start : start + _PEM_LINE] for start in range(0, len(text), _PEM_LINE)]
        return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])

    @property
    def sm2_key(self) -> PublicKey:
        """Return the holder's key.

        Raises:
            CertificateUnusableError: it cannot be read, or is not for SM2.
        """
        if self.public_key is None or self.curve != _SM2_CURVE:
            raise CertificateUnusableError("证书中没有 SM2 公钥", "the certificate holds no SM2 public key")
        try:
            return PublicKey.from_bytes(self.public_key)
        except PublicKeyError as error:
            raise CertificateUnusableError(
                f"证书中的公钥不正确：{error.detail}", f"the certificate's public key is wrong: {error.detail_en}"
            ) from error

    def valid_at(self, moment: datetime) -> bool | None:
        """Return True if a moment (with its time zone) is within the validity; None where that cannot be read."""
        if self.not_before is None or self.not_after is None:
            return None
        return self.not_before <= moment <= self.not_after

    def __repr__(self) -> str:
        """Leave the holder's name out."""
        return f"Certificate({len(self.der)} bytes, serial number {self.serial_number})"


def name_text(name: tuple[NamePart, ...]) -> str:
    """Return a name as text for people: ``C=CN, O=TEST, CN=测试甲``."""
    return ", ".join(f"{part.type}={part.value}" for part in name)


def from_pem(text: str) -> bytes:
    """Return the bytes of a certificate in PEM, or in Base64 without its frame.

    Raises:
        CertificateUnusableError: it is neither.
    """
    framed = _PEM.search(text)
    try:
        return base64.b64decode("".join((framed[1] if framed else text).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CertificateUnusableError("证书不是 PEM 文本", "the certificate is not PEM text") from error


def decode_certificate(raw: bytes) -> Certificate:
    """Decode as many fields as possible; the result is always a certificate, perhaps a damaged one."""
    damage: list[Bilingual] = []
    length = announced_length(raw)
    if length is None:
        return Certificate(raw, damage=(Bilingual("不是 DER 编码的证书", "this is no certificate in DER"),))
    if length > len(raw):
        damage.append(Bilingual(f"证书不完整，缺 {length - len(raw)} 字节", f"{length - len(raw)} bytes are missing"))
    fields = _fields(raw)

    def read(number: int, tag: int, zh: str, en: str, decode: Callable[[bytes], Decoded]) -> Decoded | None:
        try:
            found = fields[number]
            if found.tag == tag and found.whole:
                return decode(found.value)
        except DAMAGE:
            pass
        damage.append(Bilingual(f"{zh}不能读取", f"the {en} cannot be read"))
        return None

    serial_number = read(0, _INTEGER, "序列号", "serial number", _serial_number)
    algorithm = read(1, SEQUENCE, "签名算法", "signature algorithm", _algorithm)
    issuer = read(2, SEQUENCE, "颁发者", "issuer", _name)
    validity = read(3, SEQUENCE, "有效期", "validity", _validity)
    subject = read(4, SEQUENCE, "主体", "subject", _name)
    key = read(5, SEQUENCE, "公钥", "public key", _key)
    not_before, not_after = validity or (None, None)
    curve, public_key = key or (None, None)
    return Certificate(
        raw[:length],
        subject,
        issuer,
        serial_number,
        not_before,
        not_after,
        algorithm,
        public_key,
        curve,
        tuple(damage),
    )


def _fields(raw: bytes) -> list[Element]:
    """Return the fields of a certificate (TBSCertificate), from its serial number on, as far as they are there."""
    outer = next(elements(raw), None)
    inner = next(elements(outer.value), None) if outer is not None else None
    fields = list(elements(inner.value)) if inner is not None and inner.tag == SEQUENCE else []
    return fields[1:] if fields and fields[0].tag == _VERSION else fields


def _serial_number(value: bytes) -> str:
    if not value:
        raise ValueError("empty")
    return (value.lstrip(b"\x00") or b"\x00").hex().upper()


def _algorithm(value: bytes) -> str:
    found = object_identifier(children(value)[0])
    return _ALGORITHMS.get(found, found)


def _name(value: bytes) -> tuple[NamePart, ...]:
    parts = []
    for one in children(value):
        if one.tag != _SET:
            raise ValueError("not a name")
        for attribute in children(one.value):
            kind, content = children(attribute.value)[:2]
            found = object_identifier(kind)
            parts.append(NamePart(_ATTRIBUTES.get(found, found), _text(content)))
    return tuple(parts)


def _text(element: Element) -> str:
    """Return a text to show; hex after ``#`` where it is no text (RFC 4514 §2.4)."""
    try:
        text = element.value.decode(_CODECS[element.tag])
    except (KeyError, UnicodeDecodeError):
        return "#" + element.value.hex().upper()
    return "".join(c for c in text if category(c) not in _UNSHOWABLE)


def _validity(value: bytes) -> tuple[datetime, datetime]:
    first, last = children(value)[:2]
    return _time(first), _time(last)


def _time(element: Element) -> datetime:
    text = element.value.decode("ascii")
    if element.tag == _UTC_TIME:
        text = f"{20 if int(text[:2]) < _CENTURY_TURNS else 19}{text}"
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    if len(text) != len("YYYYMMDDHHMMSSZ") or not text[:-1].isdecimal():
        raise ValueError("no time of RFC 5280")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _key(value: bytes) -> tuple[str | None, bytes]:
    """Return the key's parameters, where they are an OID, and its bits."""
    about, bits = children(value)[:2]
    if bits.tag != _BIT_STRING or not bits.value.startswith(b"\x00"):
        raise ValueError("no whole bytes of key")
    described = children(about.value)
    curve = object_identifier(described[1]) if len(described) > 1 and described[1].tag == OBJECT else None
    return curve, bits.value[1:]
