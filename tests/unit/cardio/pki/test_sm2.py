"""SM2 against the worked examples of GB/T 32918.5 (GM/T 0003.5) and against OpenSSL 3.0's command line."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulators
from cardio.errors import UsageError
from cardio.pki.errors import PublicKeyError
from cardio.pki.sm2 import PublicKey, sm3
from simulators.crypto import sm

# GB/T 32918.5-2017, annexes A and C: one key pair for the signature and for the encryption.
PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
POINT = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
DIGEST = bytes.fromhex("F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640")
SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
ONCE = bytes.fromhex("59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21")
ENCRYPTED = bytes.fromhex(
    "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73"
    "E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0"
    "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766"
    "21886CA989CA9C7D58087307CA93092D651EFA"
)
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
PRIME = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93

# The key of simulators/card/certificates/TEST-signature.pem, as `openssl ec -text` shows it.
TEST_POINT = bytes.fromhex(
    "45F13BB0718ECE4D8D30271CB4116DCDF4289C892368633D8CB63BDF7A28B6CF"
    "0AC818C3AB406A7F57A508EEBE2D5DE5D8BA20C4798860627748838B2A1C0173"
)
# printf 'TEST message' > m; openssl pkeyutl -sign -rawin -digest sm3 -inkey key.pem -pkeyopt distid:… -in m | asn1parse
BY_OPENSSL = {
    b"1234567812345678": "A8E0903E6D8A2F01124CABB691ACDB0CA1A8472DAC9B1220A575CEAB744304C8"
    "866B39DB8361F871C7B777DB20310D392BC2152E268967E12F3DAE4289D155F8",
    b"TEST-user@example": "46C27EB683E16CF9982CF48FE54F9D562FFB312A8C87CC70100EE82A434DC3FA"
    "907AFD4041294269F25AE241C917B79EC233624152498F029B49C847D9F58180",
}
ISSUER_POINT = bytes.fromhex(
    "DC85B2197312DE81DDD2F331839797C6EB88C0BDE36F51164352F6B266481CFB"
    "765B6C048D805D586A2FE2064A27162C219C871FA2B9457318B4E4A8F3E1BAC1"
)
# The last object of that certificate, which `openssl ca` signed: openssl asn1parse -strparse 392
ISSUERS_SIGNATURE = bytes.fromhex(
    "99BC65AB7154BB9796F98F979FAF4C67733363E8842D7FCCBDD32B40B1D97880"
    "67F1990B4AD0D601DF96DC9B4B0C6AEF425E9491FF0178766BEBC7A76B9B3473"
)


def given_bytes(*parts: bytes) -> Callable[[int], bytes]:
    """A source of numbers that gives these, in order."""
    left = list(parts)

    def random(size: int) -> bytes:
        assert len(left[0]) == size
        return left.pop(0)

    return random


def test_sm3_of_the_standards_example() -> None:
    """GB/T 32905 annex A.1."""
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def test_the_standards_signature() -> None:
    key = PublicKey(POINT)
    assert key.digest(b"message digest") == DIGEST
    assert key.verify(b"message digest", SIGNATURE)
    assert key.verify_digest(DIGEST, SIGNATURE)


@pytest.mark.parametrize("user_id", BY_OPENSSL)
def test_signatures_that_openssl_made(user_id: bytes) -> None:
    signature = bytes.fromhex(BY_OPENSSL[user_id])
    assert PublicKey(TEST_POINT).verify(b"TEST message", signature, user_id)
    assert not PublicKey(TEST_POINT).verify(b"TEST message", signature, b"another user")
    assert not PublicKey(TEST_POINT).verify(b"TEST messagf", signature, user_id)
    assert not PublicKey(POINT).verify(b"TEST message", signature, user_id)


def test_the_signature_in_a_certificate_that_openssl_made() -> None:
    text = (Path(simulators.__file__).parent / "card" / "certificates" / "TEST-signature.pem").read_text(
        encoding="utf-8"
    )
    der = base64.b64decode(text.split("CERTIFICATE-----")[1].removesuffix("-----END "))
    # openssl asn1parse: the signed part begins at 4, with four bytes of header and 372 of content.
    assert PublicKey(ISSUER_POINT).verify(der[4 : 4 + 4 + 372], ISSUERS_SIGNATURE)


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_one_bit_spoils_a_signature(place: int) -> None:
    spoilt = bytearray(SIGNATURE)
    spoilt[place] ^= 1
    assert not PublicKey(POINT).verify(b"message digest", bytes(spoilt))


@pytest.mark.parametrize(
    ("r", "s"),
    [(0, 1), (1, 0), (0, 0), (ORDER, 1), (1, ORDER), (1, ORDER - 1), (ORDER + 1, 1), (2**256 - 1, 2**256 - 1)],
)
def test_numbers_out_of_range_are_no_signature(r: int, s: int) -> None:
    """Zero, the order and beyond; and r + s equal to the order (GB/T 32918.2 §7.1, B1, B2, B5)."""
    assert not PublicKey(POINT).verify_digest(DIGEST, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


@pytest.mark.parametrize(("r", "s"), [(0, 5), (7, 0), (ORDER - 5, 5), (7, 5 + ORDER)], ids=["r", "s", "t", "s beyond"])
def test_a_forged_hash_does_not_help_a_number_that_may_not_be(r: int, s: int) -> None:
    """With the private key: a hash for which everything but the range is right, x being that of (s + (r + s)·d)·G."""
    x = int.from_bytes(sm.public_key((s + (r + s) * PRIVATE) % ORDER)[:32], "big")
    forged = ((r - x) % ORDER).to_bytes(32, "big")
    assert not PublicKey(POINT).verify_digest(forged, r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    x = int.from_bytes(sm.public_key((5 + 12 * PRIVATE) % ORDER)[:32], "big")
    allowed = ((7 - x) % ORDER).to_bytes(32, "big")
    assert PublicKey(POINT).verify_digest(allowed, (7).to_bytes(32, "big") + (5).to_bytes(32, "big"))


def test_a_signature_that_leads_to_no_point_is_none() -> None:
    """With s = -r·d / (1 + d), s·G + (r + s)·P is the point at infinity."""
    r = 1
    s = -r * PRIVATE * pow(1 + PRIVATE, -1, ORDER) % ORDER
    assert not PublicKey(POINT).verify_digest(DIGEST, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


@pytest.mark.parametrize("size", [0, 1, 63, 65, 71, 128])
def test_a_signature_has_64_bytes(size: int) -> None:
    assert not PublicKey(POINT).verify(b"message digest", (SIGNATURE * 2)[:size])


@pytest.mark.parametrize("digest", [b"", DIGEST[:31], b"\x00" + DIGEST])
def test_a_digest_has_32_bytes(digest: bytes) -> None:
    assert not PublicKey(POINT).verify_digest(digest, SIGNATURE)


@given(digest=st.binary(min_size=32, max_size=32), signature=st.binary(min_size=64, max_size=64))
def test_no_bytes_at_all_pass_or_raise(digest: bytes, signature: bytes) -> None:
    assert not PublicKey(TEST_POINT).verify_digest(digest, signature)


def test_a_key_is_read_with_and_without_its_mark() -> None:
    assert PublicKey.from_bytes(b"\x04" + POINT) == PublicKey.from_bytes(POINT) == PublicKey(POINT)
    assert bytes(PublicKey(POINT)) == POINT


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        POINT[:63],
        POINT + b"\x00",
        b"\x05" + POINT,
        b"\x06" + POINT,
        b"\x02" + POINT[:32],
        bytes(64),
        b"\xff" * 64,
        POINT[:-1] + b"\x14",
        POINT[32:] + POINT[:32],
        PRIME.to_bytes(32, "big") + pow(B, (PRIME + 1) // 4, PRIME).to_bytes(32, "big"),
    ],
    ids=[
        "empty",
        "short",
        "long",
        "mark 05",
        "hybrid",
        "compressed",
        "zeros",
        "ones",
        "off the curve",
        "turned",
        "beyond p",
    ],
)
def test_what_is_no_point_is_no_key(raw: bytes) -> None:
    """The last is the point (0, root of b) with p in place of 0: a coordinate is less than p."""
    with pytest.raises(PublicKeyError):
        PublicKey.from_bytes(raw)


def test_the_standards_encryption() -> None:
    assert PublicKey(POINT).encrypt(b"encryption standard", random=given_bytes(ONCE)) == ENCRYPTED


def test_numbers_that_may_not_be_used_are_drawn_again() -> None:
    random = given_bytes(bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, ONCE)
    assert PublicKey(POINT).encrypt(b"encryption standard", random=random) == ENCRYPTED


def test_encryption_differs_each_time() -> None:
    assert PublicKey(POINT).encrypt(b"the same") != PublicKey(POINT).encrypt(b"the same")


def test_there_must_be_something_to_encrypt() -> None:
    with pytest.raises(UsageError):
        PublicKey(POINT).encrypt(b"")


def test_a_user_id_is_told_in_two_bytes_of_bits() -> None:
    PublicKey(POINT).digest(b"", b"A" * 8191)
    with pytest.raises(UsageError):
        PublicKey(POINT).digest(b"", b"A" * 8192)
