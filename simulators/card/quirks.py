"""The quirks of a software card: the points in which real cards differ although they follow one specification."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from simulators.card.bank import BankNumberPlace


class WrongLength(StrEnum):
    """The reaction of a card if Le is not the length of the record."""

    TELL = "6C"
    """The answer is 6Cxx with the right length, also to Le = 00."""
    REFUSE = "6700"
    """The answer is 6700, except to Le = 00, which it takes for "all"."""
    IGNORE = "ignore"
    """The answer is the whole record for any Le."""
    CUT = "cut"
    """The answer has the number of bytes that Le gives."""


def _hex_set(value: Any) -> Any:
    return frozenset(int(v, 16) if isinstance(v, str) else v for v in value)


Tries = Annotated[int, Field(ge=0, le=15)]
HexSet = Annotated[frozenset[int], BeforeValidator(_hex_set)]


class CardQuirks(BaseModel, frozen=True, extra="forbid"):
    """The behaviour of a card on points where real cards differ."""

    wrong_length: WrongLength = WrongLength.TELL
    bank_number: BankNumberPlace = "free"
    """The place of the number in the bank's application, on a card that has one."""
    data_at_once: bool = False
    """True if SELECT answers the FCI itself; otherwise ``61xx`` comes first."""
    select_file_p1: HexSet = frozenset({0x00, 0x02})
    """The P1 values that SELECT accepts for an EF."""
    select_application_p1: HexSet = frozenset({0x00, 0x01, 0x04})
    """The P1 values that SELECT accepts for a DF; 04 is by name."""
    sfi: bool = True
    """True if READ RECORD and READ BINARY accept a short file identifier."""
    record_modes: frozenset[int] = frozenset({0, 1, 2, 3, 4, 5, 6})
    """The modes (low three bits of P2) that READ RECORD accepts."""
    read_all_as_one: bool = False
    """True if mode 5 returns the one record with the number P1, as mode 4 does."""
    environment_by: frozenset[Literal["name", "file-id", "root"]] = frozenset({"name", "file-id"})
    """The ways to select the social security environment; ``root``: the root (3F00) is the environment itself."""
    application_at_power_up: bool = False
    """True if the social security environment is current after reset (single-application cards)."""
    all_files_open: bool = False
    """True if no file needs a right to be read: a laboratory's card."""
    open_files: frozenset[str] = frozenset()
    """Files that the issuer left open although the layout closes them."""
    closed_files: frozenset[str] = frozenset()
    """Files that answer 6982 although the layout leaves them free."""
    pin_survives_selection: bool = False
    """True if the PIN stays verified when another DF is selected."""
    pin_tries: Tries = 3
    key_tries: Tries = 3
    """The number of times that the authentication with a key may fail in a row."""
    key_versions: frozenset[int] = frozenset({1})
    """The version groups that the card holds of keys with several groups."""
    forged: bool = False
    """True for a copy: it has the files, and none of the keys."""
    secure_messaging: Literal["accepted", "required", "absent"] = "accepted"
    """The rule for a MAC (CLA 04) in writing commands: optional, required (6987 without), or impossible (6E00)."""
    mac_initial_value: Literal["zero", "challenge"] = "zero"
    """The initial value of a MAC; ``challenge`` is its first four bytes and zeros, as bank cards (PBOC) have it."""
    debits_without_pin: bool = False
    """True if debits need no PIN, because the holder has set none."""
    debit_number: Literal["after", "before"] = "after"
    """The number of a debit in its detail and proof: the counter after the debit, or before it."""
    transaction_proof: bool = True
    """True if the card knows GET TRANSACTION PROVE; no source says whether social security cards do."""
