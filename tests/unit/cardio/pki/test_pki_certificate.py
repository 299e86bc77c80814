"""Certificates: what OpenSSL wrote is what is read, and damage stays where it is."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulators
from cardio.pki.certificate import Certificate, decode_certificate, from_pem, name_text
from cardio.pki.errors import CertificateUnusableError

FOLDER = Path(simulators.__file__).parent / "card" / "certificates"
SIGNATURE_PEM = (FOLDER / "TEST-signature.pem").read_text(encoding="utf-8")
# printf '…' | base64 -d: nothing of cardio.security
DER = base64.b64decode(SIGNATURE_PEM.split("CERTIFICATE-----")[1].removesuffix("-----END "))
# openssl req -new -x509 -newkey rsa:1024 -nodes -set_serial -5 -days 36500, with string_mask = default: version 1, a
# negative serial number, PrintableString, and a year that UTCTime cannot tell.
RSA = base64.b64decode(
    "MIIBzzCCATgCAfswDQYJKoZIhvcNAQELBQAwLzELMAkGA1UEBhMCQ04xDTALBgNVBAoTBFRFU1QxETAPBgNVBAMTCFRFU1QgUlNB"
    "MCAXDTI2MTEyNDAzNDA0NloYDzIxMjYxMDMxMDM0MDQ2WjAvMQswCQYDVQQGEwJDTjENMAsGA1UEChMEVEVTVDERMA8GA1UEAxMI"
    "VEVTVCBSU0EwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBANm3qFtVH5BthLg3sh2d3wrID/B9352sPHXW8DlUDp9s3a5nCZKA"
    "dJ/GiZPqmhSBI5EbLIwAFuXOw/OLc7TscTcQ1BS4vASdeBblyX2AzYbL5N4g2OuB3WUOZK62PrN1NcRhNtTtjh3pqegyNKNYIYgZ"
    "4tQZ81z/Wsi60ndIGFhnAgMBAAEwDQYJKoZIhvcNAQELBQADgYEAZeB7hO19p9xfHgqFER456LXFy5zR+QInHDsMt5oB8K+LYDGm"
    "EGttwQSy08lLTR/3ECddo8AGwg+B02a0VZPWmJhENk90+8+iqZDsPYj2uC6ZpsS1cOAIHciHYnoqOdFbHH13iVVBQRRPQdN3z5vf"
    "mnEsz5Jw2uy86mT/QZSMo1I="
)


def changed(old: str, new: str) -> Certificate:
    """The signature certificate with other bytes in a place; as many as before, so that lengths still fit."""
    was, now = bytes.fromhex(old), bytes.fromhex(new)
    assert DER.count(was) >= 1 and len(was) == len(now)
    return decode_certificate(DER.replace(was, now, 1))


def test_a_certificate_of_sm2() -> None:
    """As `openssl x509 -text -nameopt utf8` shows it."""
    certificate = decode_certificate(DER)
    assert certificate.damage == ()
    assert name_text(certificate.subject or ()) == "C=CN, ST=测试省, O=TEST, CN=测试甲"
    assert name_text(certificate.issuer or ()) == "C=CN, O=TEST, CN=TEST issuer 测试证书机构"
    assert certificate.common_name == "测试甲"
    assert certificate.serial_number == "5445535400000002"
    assert certificate.not_before == datetime(2024, 1, 1, tzinfo=UTC)
    assert certificate.not_after == datetime(2044, 1, 1, tzinfo=UTC)
    assert certificate.algorithm == "SM2-with-SM3"
    assert certificate.sm2_key.point.hex().upper() == (
        "45F13BB0718ECE4D8D30271CB4116DCDF4289C892368633D8CB63BDF7A28B6CF"
        "0AC818C3AB406A7F57A508EEBE2D5DE5D8BA20C4798860627748838B2A1C0173"
    )
    assert certificate.public_key == b"\x04" + certificate.sm2_key.point


def test_a_certificate_of_another_kind() -> None:
    """As `openssl x509 -text` shows it: serial number -5, until 31 October 2126."""
    certificate = decode_certificate(RSA)
    assert certificate.damage == ()
    assert certificate.serial_number == "FB"
    assert name_text(certificate.subject or ()) == "C=CN, O=TEST, CN=TEST RSA"
    assert certificate.not_before == datetime(2026, 11, 24, 3, 40, 46, tzinfo=UTC)
    assert certificate.not_after == datetime(2126, 10, 31, 3, 40, 46, tzinfo=UTC)
    assert certificate.algorithm == "sha256WithRSAEncryption"
    with pytest.raises(CertificateUnusableError):
        _ = certificate.sm2_key


def test_what_follows_a_certificate_in_its_file_is_left_out() -> None:
    assert decode_certificate(DER + bytes(500)) == decode_certificate(DER)


def test_pem_is_what_openssl_wrote() -> None:
    framed = re.search("-----BEGIN.*END CERTIFICATE-----\n", SIGNATURE_PEM, re.DOTALL)
    assert framed is not None
    assert decode_certificate(DER).pem == framed[0]
    assert from_pem(SIGNATURE_PEM) == from_pem(base64.b64encode(DER).decode()) == DER


@pytest.mark.parametrize("text", ["-----BEGIN CERTIFICATE-----\nnot base64!\n-----END", "测试", "AAA"])
def test_what_is_no_pem_is_refused(text: str) -> None:
    with pytest.raises(CertificateUnusableError):
        from_pem(text)


@pytest.mark.parametrize(
    ("moment", "valid"),
    [
        (datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2024, 1, 1, tzinfo=UTC), True),
        (datetime(2044, 1, 1, tzinfo=UTC), True),
        (datetime(2044, 1, 1, 0, 0, 1, tzinfo=UTC), False),
    ],
)
def test_validity_has_both_ends(moment: datetime, valid: bool) -> None:
    assert decode_certificate(DER).valid_at(moment) is valid


def test_no_name_shows_in_a_repr() -> None:
    assert repr(decode_certificate(DER)) == "Certificate(466 bytes, serial number 5445535400000002)"


@pytest.mark.parametrize(
    "raw", [b"", b"\x30", b"\x00" * 64, b"\xff" * 64, b"\x04\x02\x01\x02", b"\x30\x80\x01", b"0\x86" + b"\x01" * 9]
)
def test_what_is_no_certificate_is_a_damaged_one(raw: bytes) -> None:
    certificate = decode_certificate(raw)
    assert [fault.en for fault in certificate.damage] == ["this is no certificate in DER"]
    assert certificate.subject is None and certificate.valid_at(datetime.now(UTC)) is None


def test_a_certificate_cut_short_shows_what_is_there() -> None:
    """Cut within the key, which ends at byte 299 (openssl asn1parse)."""
    certificate = decode_certificate(DER[:280])
    assert certificate.common_name == "测试甲"
    assert certificate.public_key is None
    assert [fault.en for fault in certificate.damage] == ["186 bytes are missing", "the public key cannot be read"]


def test_half_a_serial_number_is_none() -> None:
    """It stands at bytes 13 to 22."""
    assert decode_certificate(DER[:20]).serial_number is None


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ("0208 5445535400000002", "0408 5445535400000002", "serial_number"),
        ("300A 06082A811CCF55018375", "300A 04082A811CCF55018375", "algorithm"),
        ("170D 3234303130313030303030305A", "170D 3234303130313030303030302B", "not_before"),
        ("170D 3234303130313030303030305A", "170D 3234313330313030303030305A", "not_after"),
        ("170D 3234303130313030303030305A", "180D 3234303130313030303030305A", "not_before"),
        ("170D 3234303130313030303030305A", "170D 3220303130313030303030305A", "not_before"),
        ("170D 3234303130313030303030305A", "170D 3234303120313030303030305A", "not_before"),
        ("170D 3434303130313030303030305A", "170B 34343031303130303030 5A 0500", "not_after"),
        ("3112 301006035504030C09E6B58B", "3012 301006035504030C09E6B58B", "subject"),
        ("3112 301006035504030C09E6B58B", "3112 301006045504030C09E6B58B", "subject"),
        ("3112 301006035504030C09E6B58B", "3112 301106035504030C09E6B58B", "subject"),
        ("03420004", "03420104", "public_key"),
        ("03420004", "04420004", "public_key"),
    ],
)
def test_one_damaged_field_does_not_take_the_others_away(old: str, new: str, gone: str) -> None:
    certificate = changed(old, new)
    assert getattr(certificate, gone) is None
    assert len(certificate.damage) == 1
    others = {"serial_number", "algorithm", "issuer", "not_before", "subject", "public_key"} - {gone}
    if gone == "not_after":
        others -= {"not_before"}
    assert all(getattr(certificate, name) is not None for name in others)


@pytest.mark.parametrize(
    ("old", "new"),
    [("06082A811CCF5501822D", "06082A8648CE3D030107"), ("03420004", "03420005")],
    ids=["curve P-256", "mark 05"],
)
def test_a_key_for_something_else_is_not_used(old: str, new: str) -> None:
    certificate = changed(old, new)
    assert certificate.damage == () and certificate.public_key is not None
    with pytest.raises(CertificateUnusableError):
        _ = certificate.sm2_key


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0C09 E6B58BE8AF95E794B2", "测试甲"),
        ("1309 544553542041204221", "TEST A B!"),
        ("1409 54C953542041204221", "TÉST A B!"),
        ("1E08 6D4B8BD575320041 00", "测试甲A"),
        ("1309 E6B58BE8AF95E794B2", "#E6B58BE8AF95E794B2"),
        ("0C09 E6B58BE8AF95E794FF", "#E6B58BE8AF95E794FF"),
        ("0409 E6B58BE8AF95E794B2", "#E6B58BE8AF95E794B2"),
        ("0C09 E6B58B0A00E280AE41", "测A"),
    ],
    ids=["UTF8", "Printable", "T61", "BMP, and a byte", "not ASCII", "not UTF-8", "octets", "marks that hide"],
)
def test_texts(value: str, shown: str | None) -> None:
    """In place of 测试甲; what would reorder or break a line on a screen is taken out."""
    certificate = changed("0C09 E6B58BE8AF95E794B2", value)
    assert certificate.common_name == shown


def test_an_attribute_without_a_short_name_keeps_its_number() -> None:
    certificate = changed("0603550403 0C09 E6B58B", "0603550463 0C09 E6B58B")
    assert ("2.5.4.99", "测试甲") in (certificate.subject or ())


@given(st.binary(max_size=600))
def test_any_bytes_at_all_decode(raw: bytes) -> None:
    assert decode_certificate(raw).damage


@given(
    st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(DER)),
)
def test_a_certificate_with_any_damage_decodes(changes: list[tuple[int, int]], end: int) -> None:
    raw = bytearray(DER)
    for place, byte in changes:
        raw[place] = byte
    for damaged in (bytes(raw), bytes(raw[:end]), bytes(raw[:end] + raw[end + 1 :])):
        certificate = decode_certificate(damaged)
        certificate.valid_at(datetime.now(UTC))
        name_text(certificate.subject or ())
        assert from_pem(certificate.pem) == certificate.der
        try:
            assert len(certificate.sm2_key.point) == 64
        except CertificateUnusableError:
            pass


@given(st.text(max_size=200))
def test_any_text_is_pem_or_refused(text: str) -> None:
    try:
        assert isinstance(from_pem(text), bytes)
    except CertificateUnusableError:
        pass
