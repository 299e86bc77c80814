"""Keys in a file: who may keep one, that they show nowhere, and that three levels of roots are one key at the card."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError, ConfigurationError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.layouts.loader import layout_of
from cardio.security.credentials import Credentials
from cardio.security.errors import (
    AlgorithmNotSupportedError,
    KeyNotInSamError,
    PsamKeyLevelError,
    TestKeysError,
)
from cardio.security.sam.base import CardKey
from cardio.security.sam.diversification import DiversificationFactors
from cardio.security.sam.key_file import SoftSam
from simulators.crypto import card_crypto as cryptography
from simulators.crypto.published_keys import TERMINAL_NUMBER, key_file, root_key
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader

HISTORICAL_BYTES = bytes.fromhex("0081544C968684430154455354")
FACTORS = DiversificationFactors.of(HISTORICAL_BYTES, "430100D15600000554455354FFFFFFFF")
RANDOM, SOURCE = bytes.fromhex("1122334455667788"), bytes.fromhex("0102030405060708")
# As test_psam_card.py and test_hsm_service.py have it from openssl, for RKSSSE on this card.
CRYPTOGRAM = bytes.fromhex("150B18D7C1763B69")
HIDDEN = "5EC2E75EC2E75EC2E75EC2E75EC2E75E"
"""A key that must show nowhere."""


def key(name: str = "RKSSSE", algorithm: str = "3DES", version: int | None = None) -> CardKey:
    found = layout_of(3).key(name)
    assert found is not None
    return CardKey.of(found, algorithm, FACTORS).with_version(version)


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def keys_of(levels: int, region: str, algorithm: str, value: bytes, length: int = 16) -> str:
    assert len(value) == length
    return f'levels = {levels}\nregion = "{region}"\n[keys.{algorithm}]\nRKSSSE = {{ 1 = "{value.hex()}" }}\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


@pytest.fixture
def sam(place: Path) -> SoftSam:
    """With every test key."""
    return SoftSam.load(written(place, key_file(layout_of(3).keys)))


def shown_by(error: BaseException) -> str:
    """All that a program could print of an error, its causes included."""
    lines = traceback.format_exception(error, limit=None)
    whole = "".join(lines) + str(error) + repr(error) + repr(error.__cause__) + repr(error.args)
    return whole.upper()


# -- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610, 0o601, 0o602])
def test_a_file_that_others_may_use_is_refused(place: Path, mode: int) -> None:
    written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN)), mode)
    with pytest.raises(ConfigurationError) as raised:
        SoftSam.load(place)
    assert "chmod 600" in str(raised.value)
    assert HIDDEN not in shown_by(raised.value)


def test_a_link_is_refused(place: Path, tmp_path: Path) -> None:
    written(tmp_path / "other.toml", keys_of(3, "", "3DES", bytes.fromhex(HIDDEN)))
    place.symlink_to(tmp_path / "other.toml")
    with pytest.raises(ConfigurationError) as raised:
        SoftSam.load(place)
    assert HIDDEN not in shown_by(raised.value)


def test_another_users_file_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN)))
    owner = place.stat().st_uid
    monkeypatch.setattr("cardio.config.private_file.os.getuid", lambda: owner + 1)
    with pytest.raises(ConfigurationError, match="another user's") as raised:
        SoftSam.load(place)
    assert HIDDEN not in shown_by(raised.value)


def test_no_file_and_a_folder(place: Path, tmp_path: Path) -> None:
    for path in (place, tmp_path):
        with pytest.raises(ConfigurationError):
            SoftSam.load(path)


@pytest.mark.parametrize(
    "text",
    [
        f"levels = 3\n[keys.3DES]\nRKSSSE = {HIDDEN}",
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}',
        f'levels = 3\n"{HIDDEN}" = 1\n"{HIDDEN}" = 1',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN[:-1]}" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN[:-1]}G" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}AA" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN[:14]}" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ one = "{HIDDEN}" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = "{HIDDEN}"',
        f'levels = 3\n[keys.SSF33]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 4\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 2\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 3\nregion = "43"\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 1\nregion = "43"\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 3\nterminal_number = "{HIDDEN}"\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 3\nkey = "{HIDDEN}"\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}" }}',
        f'levels = 3\n[keys.3DES]\nRKSSSE = {{ 1 = "{HIDDEN}", 1 = "{HIDDEN}" }}',
        f'levels = 3\nkeys = "{HIDDEN}"',
        f'levels = 3\n[keys.3DES.RKSSSE.1]\nkey = "{HIDDEN}"',
    ],
)
def test_a_file_that_is_wrong_says_where_and_no_key(place: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SoftSam.load(written(place, text))
    told = shown_by(raised.value)
    assert str(place).upper() in told
    assert HIDDEN[:12] not in told
    assert raised.value.exit_status == 78


def test_bytes_that_are_no_text_are_not_quoted(place: Path) -> None:
    place.write_bytes(b"levels = 3\n# \xff\xfe" + HIDDEN.encode())
    place.chmod(0o600)
    with pytest.raises(ConfigurationError) as raised:
        SoftSam.load(place)
    assert HIDDEN[:12] not in shown_by(raised.value)


def test_a_key_of_another_length_than_the_cards(place: Path) -> None:
    """Eight bytes fit the file, but RKSSSE has sixteen: it cannot be told before the key is used."""
    sam = SoftSam.load(written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN[:16]), 8)))
    with pytest.raises(CardioError) as raised:
        sam.cryptogram(key(), RANDOM, SOURCE)
    assert "RKSSSE" in str(raised.value)
    assert HIDDEN[:12] not in shown_by(raised.value)


def test_keys_show_in_no_repr(place: Path) -> None:
    sam = SoftSam.load(written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN))))
    for shown in (repr(sam), str(sam), repr(sam._file), str(sam._file), repr(key()), f"{sam}"):
        assert HIDDEN not in shown.upper()
        assert repr(bytes.fromhex(HIDDEN))[2:-1] not in shown
    assert str(place) in repr(sam)


def test_its_errors_show_no_key(place: Path) -> None:
    sam = SoftSam.load(written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN))))
    for wanted in (key("IRK"), key(algorithm="SM4"), key(algorithm="SSF33"), key(version=3)):
        with pytest.raises(CardioError) as raised:
            sam.cryptogram(wanted, RANDOM, SOURCE)
        assert HIDDEN not in shown_by(raised.value)


# -- levels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["3DES", "SM4"])
def test_roots_of_every_level_are_one_key_at_the_card(tmp_path: Path, algorithm: str) -> None:
    root = root_key("RKSSSE", algorithm, 16)
    province = cryptography.diversified(algorithm, root, b"430000sh")
    city = cryptography.diversified(algorithm, province, b"430100sx")
    found = [
        SoftSam.load(written(tmp_path / f"{levels}.toml", keys_of(levels, region, algorithm, value)))
        for levels, region, value in ((3, "", root), (2, "43", province), (1, "430100", city))
    ]
    wanted = key(algorithm=algorithm)
    assert [sam.unavailable_reason(wanted) for sam in found] == [None] * 3
    assert len({sam.cryptogram(wanted, RANDOM, SOURCE) for sam in found}) == 1
    assert len({sam.mac(wanted, RANDOM, bytes(16)) for sam in found}) == 1


def test_the_cryptogram_is_openssls(sam: SoftSam) -> None:
    assert sam.cryptogram(key(), RANDOM, SOURCE) == CRYPTOGRAM


def test_every_level_gives_openssls_cryptogram(place: Path) -> None:
    # As test_psam_card.py has it: the key of the city is one step above D8EF49EADD97AAE4D819964A89041C3D.
    province = cryptography.diversified("3DES", root_key("RKSSSE", "3DES", 16), b"430000sh")
    sam = SoftSam.load(written(place, keys_of(2, "43", "3DES", province)))
    assert sam.cryptogram(key(), RANDOM, SOURCE) == CRYPTOGRAM


@pytest.mark.parametrize(("levels", "region"), [(2, "44"), (1, "430200"), (1, "440100")])
def test_keys_of_another_region(place: Path, levels: int, region: str) -> None:
    sam = SoftSam.load(written(place, keys_of(levels, region, "3DES", bytes.fromhex(HIDDEN))))
    fault = sam.unavailable_reason(key())
    assert isinstance(fault, PsamKeyLevelError)
    assert (fault.driver_code, fault.calls_for_hsm) == (-24, True)
    with pytest.raises(PsamKeyLevelError):
        sam.cryptogram(key(), RANDOM, SOURCE)


# -- what it lacks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [("RKSSSE", -2203), ("IRK", -27272), ("UK1DF01", -27272)])
def test_a_key_that_it_has_not(place: Path, name: str, code: int) -> None:
    sam = SoftSam.load(written(place, f'levels = 3\n[keys.3DES]\nBK = {{ 1 = "{HIDDEN}" }}'))
    fault = sam.unavailable_reason(key(name))
    assert isinstance(fault, KeyNotInSamError)
    assert (fault.driver_code, fault.calls_for_hsm) == (code, True)
    assert name in str(fault)


def test_a_version_that_it_has_not(sam: SoftSam) -> None:
    assert sam.versions(key()) == (1, 2, 3)
    with pytest.raises(KeyNotInSamError) as raised:
        sam.cryptogram(key(version=9), RANDOM, SOURCE)
    assert "v9" in str(raised.value)


def test_versions_are_different_keys(sam: SoftSam) -> None:
    assert sam.cryptogram(key(version=1), RANDOM, SOURCE) != sam.cryptogram(key(version=2), RANDOM, SOURCE)
    assert sam.cryptogram(key(), RANDOM, SOURCE) == sam.cryptogram(key(version=1), RANDOM, SOURCE)


@pytest.mark.parametrize("algorithm", ["SM4", "SSF33", "?"])
def test_an_algorithm_that_it_has_not(place: Path, algorithm: str) -> None:
    sam = SoftSam.load(written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN))))
    fault = sam.unavailable_reason(key(algorithm=algorithm))
    assert isinstance(fault, AlgorithmNotSupportedError)
    assert (fault.driver_code, fault.calls_for_hsm) == (-2202, True)


# -- test keys ---------------------------------------------------------------------------------------


class RealReader(SoftwareReader):
    """A software reader that says it is none."""

    simulated = False


class Source:
    def __init__(self, sam: SoftSam) -> None:
        self._sam = sam

    def open(self) -> SoftSam:
        return self._sam


def card_in(reader: SoftwareReader, sam: SoftSam, *, laboratory: bool = False) -> SocialSecurityCard:
    credentials = Credentials(sam=Source(sam), laboratory=laboratory)
    return SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials)


def test_test_keys_are_known(sam: SoftSam, place: Path) -> None:
    assert sam.test_keys
    assert sam.terminal_number == TERMINAL_NUMBER == "000000009999"
    assert not SoftSam.load(written(place, keys_of(3, "", "3DES", bytes.fromhex(HIDDEN)))).test_keys
    one = keys_of(3, "", "3DES", bytes.fromhex(HIDDEN)) + f'IRK = {{ 1 = "{b"TEST1DIRK.......".hex()}" }}'
    assert SoftSam.load(written(place, one)).test_keys


def test_test_keys_do_not_meet_a_real_card(sam: SoftSam) -> None:
    card = find_persona("third-closed").card()
    with card_in(RealReader("real", card), sam) as held, pytest.raises(TestKeysError) as raised:
        held.prove()
    assert (raised.value.code, raised.value.exit_status) == ("test-keys", 78)
    with card_in(RealReader("real", card), sam) as held, pytest.raises(TestKeysError):
        held.read()


def test_in_a_laboratory_they_do(sam: SoftSam) -> None:
    reader = RealReader("real", find_persona("third-closed").card())
    with card_in(reader, sam, laboratory=True) as held:
        reading = held.read()
    assert reading.holder is not None
    assert reading.holder.name == "测试壬"
    assert not reading.simulated


def test_a_software_card_is_no_real_one(sam: SoftSam) -> None:
    with card_in(SoftwareReader("software", find_persona("third-closed").card()), sam) as held:
        held.prove()
