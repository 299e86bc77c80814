"""Where keys live: one small protocol for a file, a PSAM card and an HSM. Nothing above knows which it is."""

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
    """A key of one card: which it is, where a SAM finds it, what it is diversified by. Never what it is."""

    name: str
    id: int
    """What EXTERNAL AUTHENTICATION calls it, in P2."""
    length: int
    algorithm: str
    factors: DiversificationFactors
    usage: int | None = None
    """What a PSAM calls it: usage byte and index."""
    index: int | None = None
    hsm_address: int | None = None
    """What an HSM calls it; the index follows as a third byte."""
    version: int | None = None
    """The version group (密钥版本); None leaves it to the SAM and the card."""

    @classmethod
    def of(cls, key: Key, algorithm: str, factors: DiversificationFactors) -> Self:
        """A key of the layout, on one card."""
        usage, index = (None, None) if key.psam is None else divmod(key.psam, 0x100)
        return cls(key.name, key.id, key.length, algorithm, factors, usage, index, key.hsm)

    @property
    def address(self) -> str:
        """密钥地址 (see `key_address`)."""
        return key_address(self.hsm_address, self.index)

    def with_version(self, version: int | None) -> Self:
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class Purchase:
    """One debit, as the card has begun it."""

    key: CardKey
    """With the version group that the card named."""
    challenge: bytes
    """Four bytes of the card's."""
    transaction_number: int
    """The card's, before the debit."""
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
        """Return what the process key is made from: eight bytes."""
        return self.challenge + self.transaction_number.to_bytes(2, "big") + terminal_transaction_number[-2:]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """With what the terminal moves the card's money."""

    terminal_transaction_number: bytes
    """终端交易序号, four bytes."""
    mac1: bytes


class Mac2(Enum):
    """What a SAM says of the MAC by which a card proves that it has done a debit."""

    RIGHT = auto()
    WRONG = auto()
    UNCHECKED = auto()
    """It cannot tell."""


class Sam(Protocol):
    """Computes with keys that it does not show.

    Every method raises SamError when it cannot: the algorithm, the key or the SAM itself is missing, or it answers
    nonsense. Nothing has been sent to the card then, so no try is spent.
    """

    @property
    def kind(self) -> SamKind:
        """A key file, a PSAM card or an HSM."""

    @property
    def test_keys(self) -> bool:
        """Its keys are the published ones of the simulators. Where nothing tells, that is a SamError, not a no."""

    @property
    def terminal_number(self) -> str | None:
        """终端机编号, twelve digits; None where this SAM has none. One that cannot be read is a SamError."""

    def versions(self, key: CardKey) -> tuple[int, ...]:
        """The version groups that it holds of a key, the best first; none leaves it to the card."""

    def unavailable_reason(self, key: CardKey) -> SamError | None:
        """Return why it cannot compute with a key, as far as it knows without trying."""

    def cryptogram(self, key: CardKey, challenge: bytes, source: bytes) -> bytes:
        """Eight bytes, for internal and external authentication. Challenge and source are eight bytes each."""

    def close(self) -> None:
        """Lets go what it holds: a PSAM card, a line."""

    def certificate(self, key: CardKey, data: bytes) -> bytes | None:
        """Four bytes over data by the key itself, without a challenge (认证码 of 卡识别码); None: it cannot."""

    def mac(self, key: CardKey, challenge: bytes, data: bytes, initial_value: bytes | None = None) -> bytes:
        """Four bytes over data that is padded already, under the process key of the challenge."""

    def encipher(self, key: CardKey, challenge: bytes, block: bytes) -> bytes:
        """Whole blocks under the process key of the challenge: a new PIN on its way to the card."""

    def purchase_index(self) -> int | None:
        """Return which of the debit keys (DPK) it wants to be asked for; None where any will do."""

    def authorise_purchase(self, purchase: Purchase) -> Authorisation:
        """MAC1 of a debit, and the terminal's number of it."""

    def check_purchase(self, purchase: Purchase, terminal_transaction_number: bytes, mac2: bytes) -> Mac2:
        """A PSAM card checks once, and only what it began last."""


@runtime_checkable
class IdentifiedSam(Protocol):
    """A SAM that says which it is. Those that come by an entry point need not."""

    def identity(self, key: CardKey) -> bytes:
        """Return what tells the SAM that computes with a key from others, as far as it can be told; no
        secret is in it.
        """

    def label(self, key: CardKey) -> str:
        """Return what people call it: a file, a terminal's number, an address."""


@runtime_checkable
class SeveralSams(Protocol):
    """SAMs that stand in for each other."""

    def used_for(self, key: CardKey) -> Sam:
        """The one that has computed with a key, or would."""


class SamSource(Protocol):
    """Where a SAM is to be had; it is opened when a key is first needed, and closed with the card."""

    def open(self) -> Sam:
        """Raises: SamError, ConfigurationError: it is not to be had."""


def identity_of(sam: Sam, key: CardKey) -> bytes:
    """As `IdentifiedSam.identity`; of another SAM its kind."""
    return sam.identity(key) if isinstance(sam, IdentifiedSam) else sam.kind.encode()


def kind_of(sam: Sam, key: CardKey) -> SamKind:
    """The kind of the SAM that computes with a key: of several, of the one that has done it."""
    return sam.used_for(key).kind if isinstance(sam, SeveralSams) else sam.kind


def label_of(sam: Sam, key: CardKey) -> str:
    """As `IdentifiedSam.label`; of another SAM its kind."""
    return sam.label(key) if isinstance(sam, IdentifiedSam) else sam.kind


def key_address(hsm_address: int | None, index: int | None) -> str:
    """密钥地址, six hex digits: the HSM's address and the PSAM's index; zeros where none is known."""
    return f"{hsm_address or 0:04X}{index or 0:02X}"


def key_missing(name: str, holder: str, holder_en: str) -> KeyNotInSamError:
    """The error for a key that a SAM does not hold; the reading key of SSSE has a driver code of its own."""
    return KeyNotInSamError(
        f"{holder}中没有密钥 {name}",
        f"{holder_en} does not hold the key {name}",
        driver_code=_NO_RKSSSE if name == "RKSSSE" else None,
    )
