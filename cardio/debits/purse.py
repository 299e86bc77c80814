"""The purse of the card: the commands of a debit (消费), the card's answers, and its record of transactions.

This module has bytes and models. `cardio.debits.execution` exchanges them in their order, `cardio.debits.transaction`
defines what is on disk before each step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Self

from construct import Bytes, Int8ub, Int16ub, Int32ub, Struct

from cardio.apdu.channel import Flow
from cardio.apdu.commands import debit_for_purchase, get_transaction_proof, initialize_for_purchase
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import CardGarbledError, CardRefusedError, NotSupportedError, UsageError
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.filesystem.layouts.access import PIN
from cardio.filesystem.layouts.model import Key, Layout, Purse
from cardio.filesystem.reading.decode import DecodedRecord, decode_records
from cardio.filesystem.reading.result import FileReading
from cardio.security.algorithms import MAC_LENGTH
from cardio.security.sam.base import Authorisation

AMOUNTS = ("personal_account_amount", "self_paid_amount", "pooled_fund_amount")
"""The amounts of a record of the card, by the names of its layout, in their order there."""
_MOST = 0xFFFFFFFF
_AMOUNT = 4
"""The bytes of an amount on the card."""
_ILLEGAL = -23
_STARTED = Struct(
    "personal_account_balance" / Int32ub,
    "self_paid_total" / Int32ub,
    "pooled_fund_total" / Int32ub,
    "payment_year" / Bytes(2),
    "transaction_number" / Int16ub,
    "key_version" / Int8ub,
    "algorithm_number" / Int8ub,
    "challenge" / Bytes(4),
)
"""The structure of the answer to INITIALIZE FOR PURCHASE. The split of its first fourteen bytes is inferred."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """The amounts of one debit, in fen (分)."""

    personal_account: int = 0
    self_paid: int = 0
    pooled_fund: int = 0

    def __post_init__(self) -> None:
        parts = astuple(self)
        if not all(0 <= part <= _MOST for part in parts) or not any(parts):
            raise UsageError(
                "消费金额应大于 0，且每项不超过 42949672.95 元",
                "a debit takes more than 0, and at most 42949672.95 yuan each",
                driver_code=_ILLEGAL,
            )

    @property
    def total(self) -> int:
        return sum(astuple(self))

    def __bytes__(self) -> bytes:
        return b"".join(part.to_bytes(_AMOUNT, "big") for part in astuple(self))


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums that the card keeps, in fen; the two totals are those of one year."""

    personal_account_balance: int
    self_paid_total: int
    pooled_fund_total: int
    payment_year: str

    def matches(self, now: Totals) -> bool:
        """Return True if these totals equal ``now``; the balance may have been increased by a load meanwhile."""
        mine = (self.self_paid_total, self.pooled_fund_total, self.payment_year)
        same = mine == (now.self_paid_total, now.pooled_fund_total, now.payment_year)
        return same and now.personal_account_balance >= self.personal_account_balance

    def after(self, amounts: Amounts, year: str) -> Totals:
        """Return the totals after a debit; the first debit of a new year restarts them."""
        same = year <= self.payment_year
        return Totals(
            self.personal_account_balance - amounts.personal_account,
            (self.self_paid_total if same else 0) + amounts.self_paid,
            (self.pooled_fund_total if same else 0) + amounts.pooled_fund,
            self.payment_year if same else year,
        )


@dataclass(frozen=True, slots=True)
class PurchaseStart:
    """The card's answer before it is debited."""

    totals: Totals
    transaction_number: int
    """交易序号, before the debit."""
    key_version: int
    algorithm_number: int
    challenge: bytes

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Parse the answer to INITIALIZE FOR PURCHASE.

        Raises:
            CardGarbledError: it has not 22 bytes.
        """
        if len(raw) != _STARTED.sizeof():
            raise CardGarbledError("消费初始化的应答长度不正确", "INITIALIZE FOR PURCHASE is answered by 22 bytes")
        parsed: Any = _STARTED.parse(raw)
        totals = Totals(
            parsed.personal_account_balance,
            parsed.self_paid_total,
            parsed.pooled_fund_total,
            parsed.payment_year.hex(),
        )
        return cls(
            totals, parsed.transaction_number, parsed.key_version, parsed.algorithm_number, bytes(parsed.challenge)
        )


@dataclass(frozen=True, slots=True)
class CardProof:
    """The card's proof of a debit: TAC for its issuer, MAC2 for the terminal."""

    tac: bytes
    mac2: bytes


@dataclass(frozen=True, slots=True)
class Detail:
    """One record of 医疗交易明细文件; a malformed field is None."""

    transaction_number: int | None
    terminal_number: str | None
    time: str | None
    """YYYYMMDDhhmmss."""
    amounts: tuple[int | None, int | None, int | None]
    """个人账户, 自付, 统筹, in fen."""


def yuan(fen: int) -> str:
    """Return an amount in yuan as text: 10 fen are 0.10."""
    return f"{fen // 100}.{fen % 100:02}"


def purse_of(layout: Layout) -> Purse:
    """Return the purse of a layout.

    Raises:
        NotSupportedError: nothing is known of debits on cards of this generation.
    """
    if layout.purse is None:
        raise NotSupportedError(f"{layout.title}没有消费功能", f"no debits are known on {layout.title_en}")
    return layout.purse


def debit_key(layout: Layout, index: int | None) -> Key:
    """Return the debit key (消费密钥) with an index, which is its id; the first key if the index is None.

    Raises:
        NotSupportedError: the layout has no debit key with this index.
    """
    purse = purse_of(layout)
    keys = [key for name in purse.purchase_keys if (key := layout.key(name)) is not None]
    found = next((key for key in keys if index is None or key.id == index), None)
    if found is None:
        raise NotSupportedError(f"没有索引为 {index} 的消费密钥", f"there is no debit key with the index {index}")
    return found


def key_of_debit(layout: Layout, name: str) -> Key:
    """Return the debit key that a journal names.

    Raises:
        NotSupportedError: cards of this generation have no such key.
    """
    found = layout.key(name) if name in purse_of(layout).purchase_keys else None
    if found is None:
        raise NotSupportedError(f"没有消费密钥 {name}", f"there is no debit key {name}")
    return found


def begin_purchase(
    file_system: CardFileSystem,
    key: Key,
    amounts: Amounts,
    terminal_number: bytes,
    *,
    first: Callable[[], Flow[None]] | None = None,
) -> Flow[PurchaseStart]:
    """Run INITIALIZE FOR PURCHASE: nothing is deducted yet. A PIN is presented only where the card wants one.

    Args:
        file_system: the file system of the card.
        key: the debit key.
        amounts: the amounts of the debit.
        terminal_number: 终端机编号, six bytes, packed.
        first: a flow that runs once the card accepts the debit and the PIN was presented. Its commands end what
            INITIALIZE FOR PURCHASE began, so that is sent again afterwards.

    Raises:
        CardRefusedError: the card takes no debits, or not this one.
        AccessNotGrantedError: the card wants a PIN and none was given.
        WrongPinError, PinEntryError: as for `AccessRights.acquire`.
    """
    purse = purse_of(file_system.layout)
    refusal = yield from file_system.select_application(purse.application)
    if refusal is not None:
        raise _refused(f"{purse.application} 不能选择", f"{purse.application} cannot be selected", refusal)
    command = initialize_for_purchase(key.id, bytes(amounts), terminal_number)
    response = yield command
    if response.status_word == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
        fault = yield from file_system.rights.acquire(frozenset({PIN}))
        if fault is not None:
            raise fault
        if first is not None:
            yield from first()
        response = yield command
    elif first is not None and response.status_word == StatusWord.SUCCESS:
        yield from first()
        response = yield command
    if response.status_word != StatusWord.SUCCESS:
        raise _refused("卡片拒绝消费初始化", "the card refuses to begin the debit", response.status_word)
    return PurchaseStart.from_bytes(response.data)


def send_debit(authorisation: Authorisation, time: bytes) -> Flow[ResponseApdu]:
    """Send DEBIT FOR PURCHASE: the card deducts the amount or not, and only a whole answer shows which."""
    return (yield debit_for_purchase(authorisation.terminal_transaction_number, time, authorisation.mac1))


def proof_in_answer(response: ResponseApdu) -> CardProof:
    """Return the proof in the card's answer to a debit that it has done.

    Raises:
        CardGarbledError: the answer has not eight bytes.
    """
    if len(response.data) != 2 * MAC_LENGTH:
        raise CardGarbledError("消费的应答长度不正确", "the answer to DEBIT FOR PURCHASE is not eight bytes long")
    return CardProof(tac=response.data[:MAC_LENGTH], mac2=response.data[MAC_LENGTH:])


def ask_for_proof(transaction_number: int) -> Flow[CardProof | None]:
    """Return the proof that the card still gives of a debit; None if it gives none, or does not know the command."""
    try:
        response = yield get_transaction_proof(transaction_number)
    except CardGarbledError:
        return None
    if response.status_word != StatusWord.SUCCESS or len(response.data) != 2 * MAC_LENGTH:
        return None
    return CardProof(mac2=response.data[:MAC_LENGTH], tac=response.data[MAC_LENGTH:])


def details_in(reading: FileReading) -> Iterator[Detail]:
    """Return the card's records of its transactions, the newest first."""
    return map(detail_of, decode_records(reading))


def detail_of(record: DecodedRecord) -> Detail:
    """Decode one record of a transaction."""
    values = {item.item.name: item.value for item in record.items}
    time = values.get("transaction_time")
    account, self_paid, pooled_fund = (_number(values.get(name)) for name in AMOUNTS)
    return Detail(
        transaction_number=_number(values.get("transaction_number")),
        terminal_number=_text(values.get("terminal_number")),
        time=f"{time:%Y%m%d%H%M%S}".rjust(14, "0") if isinstance(time, datetime) else None,
        amounts=(account, self_paid, pooled_fund),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _refused(zh: str, en: str, status_word: int) -> CardRefusedError:
    meaning = describe(status_word)
    return CardRefusedError(
        f"{zh}：{status_word:04X} {meaning.zh}", f"{en}: {status_word:04X} {meaning.en}", status_word=status_word
    )
