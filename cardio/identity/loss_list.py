"""The loss list (挂失名单): cards reported lost or stolen, as a text file that the site keeps fresh.

::

    # updated = 2026-11-24T08:00:00+08:00
    370200D15600000500000001            卡识别码, without its 认证码 or with it
    370200,A00000011                    region code, card number

The list has no names and no numbers of people: other text in a line is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cardio.filesystem.codes.tables import REGION_DIGITS
from cardio.identity.packed_entries import PackedCodes, PackedNumbers
from cardio.models.reading import Card
from cardio.security.errors import PolicyError

KEY_DIGITS = 24
"""The hex digits of a 卡识别码 without its 认证码, by which back offices identify a card."""
_LENGTHS = (KEY_DIGITS, KEY_DIGITS + 8)
_CODE = re.compile(rf"([0-9A-F]{{{KEY_DIGITS}}})(?:[0-9A-F]{{8}})?")
_NUMBER = re.compile(r"([0-9]{6})\s*,\s*([0-9A-Z]{9})")
_UPDATED = re.compile(r"#\s*updated\s*=\s*(.*)")


@dataclass(frozen=True, slots=True)
class LossList:
    """The cards that are reported lost, as of a moment."""

    updated: datetime
    codes: Set[str] = field(default=frozenset(), repr=False)
    """卡识别码, each without its 认证码."""
    numbers: Set[tuple[str, str]] = field(default=frozenset(), repr=False)
    """Region code and card number."""
    origin: str = ""

    @classmethod
    def load(cls, path: Path) -> LossList:
        """Read a list.

        Raises:
            PolicyError: it cannot be read, has no time of its update, or a line is no entry; the text names file and
                line, never the content.
        """
        try:
            with path.open(encoding="utf-8-sig") as stream:
                return _parse(stream, path)
        except UnicodeDecodeError as error:
            raise PolicyError(f"{path}：请另存为 UTF-8", f"{path}: save it as UTF-8") from error
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise PolicyError(f"{path}：不能读取（{why}）", f"{path}: cannot be read ({why})") from error

    @property
    def entries(self) -> int:
        return len(self.codes) + len(self.numbers)

    def contains(self, card: Card) -> bool:
        """Return True if a card is on the list, by its 卡识别码 or by its region and number."""
        code = card.identification_code or ""
        return code[:KEY_DIGITS] in self.codes or (code[:REGION_DIGITS], card.card_number) in self.numbers

    def age(self, now: datetime) -> timedelta:
        """Return the time since its update; negative if the update is in the future."""
        return now - self.updated


def _parse(lines: Iterable[str], path: Path) -> LossList:
    updated: datetime | None = None
    codes: list[bytes] = []
    numbers: list[bytes] = []
    for count, line in enumerate(lines, 1):
        entry = line.strip()
        # Nearly every line of a long list.
        if len(entry) in _LENGTHS and entry.isalnum() and entry.isascii():
            try:
                codes.append(bytes.fromhex(entry)[: KEY_DIGITS // 2])
                continue
            except ValueError:
                pass  # no code, so the other forms are tried
        place = f"{path}:{count}"
        if entry.startswith("#"):
            header = _UPDATED.fullmatch(entry)
            if header is not None:
                if updated is not None:
                    raise PolicyError(f"{place}：updated 出现两次", f"{place}: updated stands twice")
                updated = _moment(header[1], place)
        elif code := _CODE.fullmatch(entry.upper()):
            codes.append(bytes.fromhex(code[1]))
        elif number := _NUMBER.fullmatch(entry):
            numbers.append((number[1] + number[2]).encode("ascii"))
        elif entry:
            # The content is not quoted: it may be a person's name.
            raise PolicyError(
                f"{place}：应为 24 或 32 位十六进制的卡识别码，或“行政区划代码,卡号”",
                f"{place}: must be 24 or 32 hex digits of an identification code, or: region code,card number",
            )
    if updated is None:
        raise PolicyError(
            f"{path}：缺少“# updated = 时间”，不知名单何时更新",
            f"{path}: no line says when it was updated: # updated = 2026-11-24T08:00:00+08:00",
        )
    return LossList(updated, PackedCodes(codes), PackedNumbers(numbers), str(path))


def _moment(text: str, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise PolicyError(
            f"{place}：updated 应为带时区的时间，如 2026-11-24T08:00:00+08:00",
            f"{place}: updated must be a time with its zone, such as 2026-11-24T08:00:00+08:00",
        )
    return moment
