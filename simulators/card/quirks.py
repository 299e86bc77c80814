"""The field manners of a software card: where real cards differ although they follow one specification."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from simulators.card.bank import BankManner


class WrongLength(StrEnum):
    """What a card does when Le is not the length of the record."""

    TELL = "6C"
    """Answers 6Cxx with the right length, also to Le = 00."""
    REFUSE = "6700"
    """Answers 6700, except to Le = 00, which it takes for "all"."""
    IGNORE = "ignore"
    """Answers the whole record whatever Le says."""
    CUT = "cut"
    """Answers as many bytes as Le says."""


def _hex_set(value: Any) -> Any:
    return frozenset(int(v, 16) if isinstance(v, str) else v for v in value)


Tries = Annotated[int, Field(ge=0, le=15)]
HexSet = Annotated[frozenset[int], BeforeValidator(_hex_set)]


class CardQuirks(BaseModel, frozen=True, extra="forbid"):
    """How a card behaves where the field is not of one mind."""

    wrong_length: WrongLength = WrongLength.TELL
    bank_number: BankManner = "free"
    """Where the bank's application has its number, on a card that has one."""
    data_at_once: bool = False
    """SELECT answers the FCI itself; otherwise ``61xx`` first."""
    select_file_p1: HexSet = frozenset({0x00, 0x02})
    """P1 values that SELECT takes for an EF."""
    select_application_p1: HexSet = frozenset({0x00, 0x01, 0x04})
    """P1 values that SELECT takes for a DF; 04 is by name."""
    sfi: bool = True
    """READ RECORD and READ BINARY take a short file identifier."""
    record_modes: frozenset[int] = frozenset({0, 1, 2, 3, 4, 5, 6})
    """The modes (low three bits of P2) that READ RECORD takes."""
    read_all_as_one: bool = False
    """Mode 5 gives the one record with the number P1, as mode 4 does."""
    environment_by: frozenset[Literal["name", "file-id", "root"]] = frozenset({"name", "file-id"})
    """How the social security environment is reached; ``root``: the root (3F00) is the environment itself."""
    application_at_power_up: bool = False
    """The social security environment is current after reset (single-application cards)."""
    all_files_open: bool = False
    """No file asks for a right to be read: a laboratory's card."""
    open_files: frozenset[str] = frozenset()
    """Files that the issuer left open although the layout closes them."""
    closed_files: frozenset[str] = frozenset()
    """Files that answer 6982 although the layout leaves them free."""
    pin_survives_selection: bool = False
    """The PIN stays verified when another DF is selected."""
    pin_tries: Tries = 3
    key_tries: Tries = 3
    """How often the authentication with a key may fail in a row."""
    key_versions: frozenset[int] = frozenset({1})
    """The version groups that the card holds of keys that have several."""
    forged: bool = False
    """A copy: the files are there, and none of the keys."""
    secure_messaging: Literal["accepted", "required", "absent"] = "accepted"
    """Writing commands may carry a MAC (CLA 04), must (6987 without), or cannot (6E00)."""
    mac_initial_value: Literal["zero", "challenge"] = "zero"
    """What a MAC begins from; ``challenge`` is its first four bytes and zeros, as bank cards (PBOC) have it."""
    debits_without_pin: bool = False
    """Debits need no PIN: its holder has set none."""
    debit_number: Literal["after", "before"] = "after"
    """What a debit is called in its detail and proof: by the number counted to, or by the one it began with."""
    transaction_proof: bool = True
    """Knows GET TRANSACTION PROVE; whether social security cards do is in no source."""
