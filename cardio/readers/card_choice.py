"""The choice of the card where the caller names no reader: one policy for library, command line, bridge, dialects,
pages.

A desk has more than one card: a SAM card in its slot, a clerk's own token, a bank's card in the terminal beside it, the
previous patient's card in the other reader. The policy says which readers count, which card is passed over, and when a
person has to choose. It sees names and ATRs only; its users ask a card for its kind (`CardSlot.ours`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from importlib.resources import files

from cardio.apdu.atr import is_made_by_reader
from cardio.errors import CardioError, NoCardError, NoReaderError, ReaderNotFoundError, SeveralCardsError
from cardio.readers.base import choose_name


class Interface(StrEnum):
    CONTACT = "contact"
    CONTACTLESS = "contactless"
    UNKNOWN = "unknown"


class Preference(IntEnum):
    """The values of iType in the national interface."""

    CONTACT = 1
    CONTACTLESS = 2
    CONTACT_FIRST = 3
    CONTACTLESS_FIRST = 4


@dataclass(frozen=True, slots=True)
class CardSlot:
    """A reader as the policy sees it."""

    name: str
    occupied: bool
    """True if a card is in it, even a mute one or one that another program holds."""
    atr: bytes = b""
    ours: bool | None = None
    """True if its card is a social security card; None where the card has not been asked."""
    fault: CardioError | None = None
    """The reason why the card could not give its kind."""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class ReaderPolicy:
    """A site's settings for its readers: names, or parts of names."""

    use: tuple[str, ...] = ()
    """The readers that count; empty: all of them."""
    contact: tuple[str, ...] = ()
    contactless: tuple[str, ...] = ()
    sam: tuple[str, ...] = ()
    """The slots of the configured SAM cards: they never hold a patient's card."""

    def counting(self, names: Sequence[str], simulated: Collection[str] = ()) -> list[str]:
        """Return the readers that a patient's card may be in.

        Args:
            names: the names of all readers.
            simulated: the names of readers that are not PC/SC's; they have no number in the setting of a SAM.
        """
        numbered = [name for name in names if name not in simulated]
        found = (_slot_of(numbered if wanted.isdecimal() else names, wanted) for wanted in self.sam)
        slots = {slot for slot in found if slot is not None}
        return [
            name
            for name in names
            if name not in slots and (contains_any(name, self.use) if self.use else _hinted(name) is not Hint.SAM)
        ]

    def interface(self, name: str, atr: bytes = b"") -> Interface:
        """Return how a reader reads its card: by the settings, by the ATR of the present card, by the reader's name."""
        if contains_any(name, self.contactless):
            return Interface.CONTACTLESS
        if contains_any(name, self.contact):
            return Interface.CONTACT
        if atr:
            return Interface.CONTACTLESS if is_made_by_reader(atr) else Interface.CONTACT
        hint = _hinted(name)
        return Interface(hint.value) if hint in (Hint.CONTACT, Hint.CONTACTLESS) else Interface.UNKNOWN

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the texts in the settings that fit no reader."""
        named = dict.fromkeys((*self.use, *self.contact, *self.contactless, *self.sam))
        return [
            wanted
            for wanted in named
            if not any(contains_any(name, (wanted,)) for name in names) and not wanted.isdecimal()
        ]


def contains_any(name: str, wanted: Sequence[str]) -> bool:
    """Return True if a name contains one of the wanted texts."""
    return any(one.casefold() in name.casefold() for one in wanted)


@dataclass(frozen=True, slots=True)
class Choice:
    """The reader that is meant, or the readers whose cards must first be asked for their kind."""

    reader: str | None
    ask: tuple[str, ...] = ()


def choose_card(slots: Sequence[CardSlot], policy: ReaderPolicy, preference: Preference | None = None) -> Choice:
    """Choose between the readers of a desk.

    A reader with a card goes before an empty one, and a social security card before another card. Between two social
    security cards a person chooses. A card whose kind is unknown is not passed over for a less preferred one.

    Args:
        slots: the readers.
        policy: the site's settings.
        preference: iType; None: contact and contactless are equal.

    Raises:
        NoReaderError: no reader counts.
        NoCardError: no reader of the wanted interface has a card.
        SeveralCardsError: a person has to choose.
        CardioError: a card beside another could not give its kind.
    """
    names = policy.counting([slot.name for slot in slots], {slot.name for slot in slots if slot.simulated})
    counting = [slot for slot in slots if slot.name in names]
    if not counting:
        raise _none_counts([slot.name for slot in slots])
    groups = _groups(counting, policy, preference)
    eligible = [slot for group in groups for slot in group]
    if not eligible:
        raise NoCardError(*_NO_CARD_THERE[preference or Preference.CONTACT])
    occupied = [slot for slot in eligible if slot.occupied]
    if len(occupied) < 2:
        return Choice((occupied or eligible)[0].name)
    unasked = [slot.name for slot in occupied if slot.ours is None and slot.fault is None]
    if unasked:
        return Choice(None, tuple(unasked))
    for group in groups:
        for slot in group:
            if slot.occupied and slot.fault is not None:
                raise _at(slot.name, slot.fault)  # the card may be the patient's
        ours = [slot.name for slot in group if slot.occupied and slot.ours]
        if len(ours) > 1:
            raise SeveralCardsError.between(ours)
        if ours:
            return Choice(ours[0])
    return Choice(occupied[0].name)


def _at(reader: str, fault: CardioError) -> CardioError:
    """Return the error with its reader's name: with cards in several readers, a clerk could check the wrong one."""
    if reader not in fault.detail:
        fault.detail = f"读卡器“{reader}”：{fault.detail}"
        fault.detail_en = f"reader {reader!r}: {fault.detail_en}"
    return fault


def _none_counts(names: Sequence[str]) -> NoReaderError:
    if not names:
        return NoReaderError()
    error = NoReaderError(
        f"已连接的读卡器都不用于读社会保障卡：{'、'.join(names)}",
        f"of the readers that are connected none counts: {', '.join(names)}",
    )
    error.remedy = "请改正 bridge.toml 中 [readers] 的 use：SAM 卡槽和未列出的读卡器不读卡。"
    error.remedy_en = (
        "Fix `use` of [readers] in bridge.toml: slots of SAM cards and readers that it does not name are not used."
    )
    return error


_NO_CARD_THERE = {
    Preference.CONTACT: ("接触式读卡器中没有卡", "there is no card in a contact reader"),
    Preference.CONTACTLESS: ("非接触读卡区没有卡", "there is no card on a contactless reader"),
}


def _groups(
    slots: Sequence[CardSlot], policy: ReaderPolicy, preference: Preference | None
) -> tuple[list[CardSlot], ...]:
    """Return the readers that may be chosen, the preferred ones first."""
    if preference is None:
        return (list(slots),)
    interface = {slot.name: policy.interface(slot.name, slot.atr) for slot in slots}
    contact = [slot for slot in slots if interface[slot.name] is not Interface.CONTACTLESS]
    contactless = [slot for slot in slots if interface[slot.name] is Interface.CONTACTLESS]
    # An empty reader of an unknown kind may be the one for the card.
    perhaps = [slot for slot in slots if interface[slot.name] is Interface.UNKNOWN and not slot.occupied]
    return {
        Preference.CONTACT: (contact,),
        Preference.CONTACTLESS: (contactless + perhaps,),
        Preference.CONTACT_FIRST: (contact, contactless),
        Preference.CONTACTLESS_FIRST: (contactless, contact),
    }[preference]


def _slot_of(names: Sequence[str], wanted: str) -> str | None:
    """Return the slot that a SAM setting means; None if it fits several readers."""
    try:
        return choose_name(names, wanted)
    except ReaderNotFoundError:  # AmbiguousReaderError too
        return None


class Hint(StrEnum):
    """The kind that a reader's name shows, where the settings say nothing."""

    SAM = "sam"
    CONTACTLESS = "contactless"
    CONTACT = "contact"


@cache
def _hints() -> tuple[tuple[Hint, re.Pattern[str]], ...]:
    given = tomllib.loads(files("cardio.readers").joinpath("reader_hints.toml").read_text(encoding="utf-8"))
    return tuple((Hint(one["hint"]), re.compile(one["pattern"], re.IGNORECASE)) for one in given["hints"])


def _hinted(name: str) -> Hint | None:
    return next((hint for hint, pattern in _hints() if pattern.search(name)), None)
