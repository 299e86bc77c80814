"""The place where keys are: one small protocol for a file, a PSAM card and an HSM. No caller needs to know which."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Literal, Protocol, Self, runtime_checkable

from cardio.filesystem.layouts.model import Key
from cardio.security.errors import KeyNotInSamError, SamError
from cardio.security.sam.diversification import DiversificationFactors

_NO_RKSSSE = -2203


SamKind = Literal["soft", "psam", "hsm"]


@dataclass(frozen=True, slots=True)
class CardKey:
    """A key of one card: its name, its address in a SAM, and the factors that diversify it. It never contains the key
    itself.
    """

    name: str
    id: int
    """The number of the key in EXTERNAL AUTHENTICATION, in P2."""
    length: int
    algorithm: str
    factors: DiversificationFactors
    usage: int | None = None
    """The usage byte in a PSAM; the index is in `index`."""
    index: int | None = None
    hsm_address: int | None = None
    """The address in an HSM; the index follows as a third byte."""
    version: int | None = None
    """The version group (密钥版本); None leaves it to the SAM and the card."""

    @classmethod
    def of(cls, key: Key, algorithm: str, factors: DiversificationFactors) -> Self:
        """Return a key of the layout, on one card."""
        usage, index = (None, None) if key.psam is None else divmod(key.psam, 0x100)
        return cls(key.name, key.id, key.length, algorithm, factors, usage, index, key.hsm)

    @property
    def address(self) -> str:
        """Return 密钥地址 (see `key_address`)."""
        return key_address(self.hsm_address, self.index)

    def with_version(self, version: int | None) -> Self:
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class Purchase:
    """One debit, as the card has begun it."""

    key: CardKey
    """The debit key, with the version group that the card named."""
    challenge: bytes
    """Four bytes of the card's."""
    transaction_number: int
    """The card's number, before the debit."""
    amounts: bytes
    """个人账户, 自付, 统筹: four bytes each, in fen."""
    transaction_type: int
    terminal_number: bytes
    """Six bytes, packed."""
    time: bytes
    """Seven bytes, packed: YYYYMMDDhhmmss."""
    algorithm_number: int
    """算法标识, as the card named it; a PSAM card wants it back."""

    @property
    def text_of_mac1(self) -> bytes:
        return self.amounts + bytes((self.transaction_type,)) + self.terminal_number + self.time

    @property
    def text_of_mac2(self) -> bytes:
        return self.amounts

    def factor(self, terminal_transaction_number: bytes) -> bytes:
        """Return the eight bytes that the process key is made from."""
        return self.challenge + self.transaction_number.to_bytes(2, "big") + terminal_transaction_number[-2:]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The terminal's part of a debit, with which the card deducts the amount."""

    terminal_transaction_number: bytes
    """终端交易序号, four bytes."""
    mac1: bytes


class Mac2(Enum):
    """The result of a SAM's check of MAC2, by which a card proves that it has done a debit."""

    RIGHT = auto()
    WRONG = auto()
    UNCHECKED = auto()
    """The SAM cannot check it."""


class Sam(Protocol):
    """The interface of a SAM, which computes with keys that it does not show.

    Every method raises SamError when it cannot compute: the algorithm, the key or the SAM itself is missing, or its
    answer is malformed. Nothing has been sent to the card then, so no try is spent.
    """

    @property
    def kind(self) -> SamKind:
        """Return the kind: a key file, a PSAM card or an HSM."""

    @property
    def test_keys(self) -> bool:
        """Return True if its keys are the published ones of the simulators.

        Raises:
            SamError: it cannot be found out; that is an error, not False.
        """

    @property
    def terminal_number(self) -> str | None:
        """Return 终端机编号, twelve digits; None where this SAM has none.

        Raises:
            SamError: there is one, and it cannot be read.
        """

    def versions(self, key: CardKey) -> tuple[int, ...]:
        """Return the version groups that it holds of a key, the best first; none leaves the choice to the card."""

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        """Return why it cannot compute with a key, as far as it knows without trying."""

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        """Return eight bytes, for internal and external authentication. Challenge and source are eight bytes each."""

    def close(self) -> None:
        """Release what it holds: a PSAM card, a connection."""

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        """Return four bytes over data by the key itself, without a challenge (认证码 of 卡识别码); None if it
        cannot.
        """

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Return four bytes over data that is padded already, under the process key of the challenge."""

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        """Encipher whole blocks under the process key of the challenge, for example a new PIN for the card."""

    def purchase_index(self) -> int | None:
        """Return the index of the debit key (DPK) that it requires; None where any will do."""

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        """Return MAC1 of a debit, and the terminal's number of it."""

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        """Check MAC2 of a debit. A PSAM card checks only once, and only the debit that it began last."""


@runtime_checkable
class IdentifiedSam(Protocol):
    """A SAM that says which one it is. SAMs from an entry point need not."""

    def identity(self, key: CardKey) -> bytes:
        """Return the identity of the SAM that computes with a key, as far as it is known. It contains no secret."""

    def label(self, key: CardKey) -> str:
        """Return the SAM's name for people: a file, a terminal's number, an address."""


@runtime_checkable
class SeveralSams(Protocol):
    """A group of SAMs that replace each other."""

    def used_for(self, key: CardKey) -> Sam:
        """Return the SAM that has computed with a key, or would."""


class SamSource(Protocol):
    """The source of a SAM; it is opened when a key is first needed, and closed with the card."""

    def open(self) -> Sam:
        """Open the SAM.

        Raises:
            SamError: it is not available.
            ConfigurationError: it is configured wrongly.
        """


def identity_of(sam: Sam, key: CardKey) -> bytes:
    """Return the SAM's identity (see `IdentifiedSam.identity`); for a SAM without one its kind."""
    return sam.identity(key) if isinstance(sam, IdentifiedSam) else sam.kind.encode()


def kind_of(sam: Sam, key: CardKey) -> SamKind:
    """Return the kind of the SAM that computes with a key; in a group, of the SAM that has computed with it."""
    return sam.used_for(key).kind if isinstance(sam, SeveralSams) else sam.kind


def label_of(sam: Sam, key: CardKey) -> str:
    """Return the SAM's name for people (see `IdentifiedSam.label`); for a SAM without one its kind."""
    return sam.label(key) if isinstance(sam, IdentifiedSam) else sam.kind


def key_address(hsm_address: int | None, index: int | None) -> str:
    """Return 密钥地址, six hex digits: the HSM's address and the PSAM's index; zeros where none is known."""
    return f"{hsm_address or 0:04X}{index or 0:02X}"


def key_missing(name: str, holder: str, holder_en: str) -> KeyNotInSamError:
    """Return the error for a key that a SAM does not hold; the reading key of SSSE has a driver code of its own."""
    return KeyNotInSamError(
        f"{holder}中没有密钥 {name}",
        f"{holder_en} does not hold the key {name}",
        driver_code=_NO_RKSSSE if name == "RKSSSE" else None,
    )
