"""Keys in a file: for laboratories and simulators, or where an authority hands sub-keys out.

The file is TOML and belongs to its owner alone (mode 0600)::

    levels = 3                  # 3: national root keys, 2: a province's, 1: a city's
    region = "43"               # with 2 or 1: the region of the keys, two or six digits
    terminal_number = "410100813475"

    [keys.3DES]
    IRK = { 1 = "0123…", 2 = "89AB…" }     # by version group, hex
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from cardio.config.private_file import read_private
from cardio.config.validation import in_chinese
from cardio.errors import CardioError, ConfigurationError
from cardio.security.algorithms import CipherSuite, pad, suite_for
from cardio.security.errors import AlgorithmNotSupportedError, PsamKeyLevelError, SamError
from cardio.security.sam.base import Authorisation, CardKey, Mac2, Purchase, SamKind, key_missing
from cardio.security.sam.purchase import authorise_by_mac, check_by_mac

_TEST_MARK = b"TEST"
"""The first bytes of every published test key."""
_LONGEST_FILE = 1 << 20
_REGION_DIGITS = {3: 0, 2: 2, 1: 6}


def _from_hex(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("not hex") from None  # the original error quotes the character, which is part of a key


KeyBytes = Annotated[bytes, BeforeValidator(_from_hex), Field(min_length=8, max_length=16)]


class KeyFile(BaseModel):
    """The content of a key file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    levels: Literal[1, 2, 3]
    region: Annotated[str, Field(pattern=r"^([0-9]{2}|[0-9]{6})?$")] = ""
    terminal_number: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None
    keys: Annotated[dict[Literal["3DES", "SM4"], dict[str, dict[int, KeyBytes]]], Field(repr=False)]

    @model_validator(mode="after")
    def _region_fits(self) -> Self:
        if len(self.region) != _REGION_DIGITS[self.levels]:
            raise ValueError(f"levels = {self.levels} wants a region of {_REGION_DIGITS[self.levels]} digits")
        return self


class SoftSam:
    """A SAM with keys from a file, which computes in this process. No repr, log, trace or error shows its keys."""

    kind: SamKind = "soft"

    def __init__(self, keys: KeyFile, name: str = "") -> None:
        self._file = keys
        self._name = name

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a key file.

        Raises:
            ConfigurationError: other users may read it, it belongs to another user, or its content is wrong.
        """
        try:
            document = tomllib.loads(read_private(path, "密钥文件", "key file", limit=_LONGEST_FILE))
            return cls(KeyFile.model_validate(document), str(path))
        except tomllib.TOMLDecodeError:
            # The error's message may quote a key.
            raise ConfigurationError(f"密钥文件 {path} 不是 TOML", f"the key file {path} is not TOML") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(
                f"密钥文件 {path}：{place}：{in_chinese(first)}", f"key file {path}: {place}: {first['msg']}"
            ) from None

    def __repr__(self) -> str:
        return f"SoftSam({self._name!r})"

    @property
    def test_keys(self) -> bool:
        tables: list[Mapping[str, Mapping[int, bytes]]] = list(self._file.keys.values())
        return any(
            key.startswith(_TEST_MARK) for table in tables for groups in table.values() for key in groups.values()
        )

    @property
    def terminal_number(self) -> str | None:
        return self._file.terminal_number

    def close(self) -> None:
        """Do nothing: this SAM holds no device."""

    def identity(self, key: CardKey) -> bytes:
        return self._hash_of_keys

    @cached_property
    def _hash_of_keys(self) -> bytes:
        """Return a hash over levels, region and keys: a file whose keys were changed is another SAM."""
        whole: list[object] = [self._file.levels, self._file.region]
        whole += [
            (algorithm, name, version, value.hex())
            for algorithm, names in sorted(self._file.keys.items())
            for name, groups in sorted(names.items())
            for version, value in sorted(groups.items())
        ]
        return b"soft" + hashlib.sha256(json.dumps(whole).encode()).digest()

    def label(self, key: CardKey) -> str:
        return f"soft:{self._name}"

    def versions(self, key: CardKey) -> tuple[int, ...]:
        return tuple(sorted(self._groups(key)))

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        try:
            suite_for(key.algorithm)
        except AlgorithmNotSupportedError as error:
            return error
        if key.algorithm not in self._file.keys:
            return AlgorithmNotSupportedError(
                f"密钥文件中没有 {key.algorithm} 密钥", f"the key file has no {key.algorithm} keys"
            )
        if not self._groups(key):
            return key_missing(key.name, "密钥文件", "the key file")
        if not key.factors.city_code.startswith(self._file.region):
            return PsamKeyLevelError(
                f"密钥属于 {self._file.region} 地区，卡片属于 {key.factors.city_code}",
                f"the keys are those of region {self._file.region}, the card is of {key.factors.city_code}",
            )
        return None

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        suite, process_key = self._process_key(key, challenge)
        return suite.cryptogram(process_key, source)

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        suite, sub_key = self._sub_key(key)
        return suite.mac(sub_key, pad(data, suite.block))

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        suite, process_key = self._process_key(key, challenge)
        return suite.mac(process_key, data, initial_value)

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        suite, process_key = self._process_key(key, challenge)
        return suite.encipher(process_key, block)

    def purchase_index(self) -> int | None:
        return None

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        return authorise_by_mac(self.mac, purchase)

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        return check_by_mac(self.mac, purchase, terminal_transaction_number, mac2)

    def _groups(self, key: CardKey) -> dict[int, bytes]:
        for algorithm, names in self._file.keys.items():
            if algorithm == key.algorithm:
                return names.get(key.name, {})
        return {}

    def _process_key(self, key: CardKey, challenge: bytes) -> tuple[CipherSuite, bytes]:
        suite, sub_key = self._sub_key(key)
        return suite, suite.process_key(sub_key, challenge)

    def _sub_key(self, key: CardKey) -> tuple[CipherSuite, bytes]:
        """Return the card's own key: the key of the file, diversified by the remaining levels."""
        fault = self.unavailable_reason(key)
        if fault is not None:
            raise fault
        suite, groups = suite_for(key.algorithm), self._groups(key)
        version = min(groups) if key.version is None else key.version
        if version not in groups:
            raise key_missing(f"{key.name} v{version}", "密钥文件", "the key file")
        own = groups[version]
        if len(own) != suite.key_length(key.length):
            raise _wrong_length(key.name)
        for factor in key.factors.of_levels(self._file.levels):
            own = suite.diversify(own, factor)
        return suite, own


def _wrong_length(name: str) -> CardioError:
    return ConfigurationError(f"密钥 {name} 的长度不正确", f"the key {name} is of the wrong length")
