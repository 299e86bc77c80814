"""The callers of the dialects that were refused lately, and what gets them admitted.

The list is bounded: any page can ask.

A page sees nothing of a refused handshake, and a program often shows nothing. So the refusal is kept for people: in the
log, in ``cardio doctor`` and on the page ``/pair``.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.gate.origin_advice import advice, shown_origin
from service.gate.origin_syntax import is_origin
from service.sites.site import site_of

_MOST = 32
_KEPT_SECONDS = 3600.0
_MOST_LINES = 20
"""The number of lines in the log for each hour; the page shows the rest."""
_log = logging.getLogger("cardio.service")


@dataclass(slots=True)
class DialectRefusal:
    """One kind of caller that was refused."""

    origin: str
    dialect: str
    remedy: str
    remedy_en: str
    count: int
    last: float


class Refusals:
    """The last refusals, one for each site and dialect."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], DialectRefusal] = OrderedDict()
        self._lines: list[float] = []

    def note(self, origin: str | None, dialect: str, words: tuple[str, str] | None = None) -> tuple[str, str]:
        """Keep a refusal; return the advice for it, in Chinese and English.

        Args:
            origin: the caller's origin; None for a program that sent none.
            dialect: the name of the dialect.
            words: the advice, if it does not follow from the origin.
        """
        sent = "" if origin is None else origin
        chinese, english = words or advice(sent)
        place = _place(sent, dialect)
        now = self._clock()
        known = self._kept.pop(place, None)
        if known is None or now - known.last > _KEPT_SECONDS:
            self._say(dialect, english, now)
            known = DialectRefusal(shown_origin(sent), dialect, chinese, english, 0, now)
        known.count, known.last = known.count + 1, now
        self._kept[place] = known
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return chinese, english

    def forget(self, origin: str | None, dialect: str) -> None:
        """Forget the refusal of a caller that was admitted since."""
        self._kept.pop(_place(origin or "", dialect), None)

    def _say(self, dialect: str, english: str, now: float) -> None:
        self._lines = [at for at in self._lines if now - at < _KEPT_SECONDS]
        if len(self._lines) < _MOST_LINES:
            self._lines.append(now)
            _log.warning("a caller of the dialect %s was refused: %s", dialect, english)

    def list_refusals(self) -> list[tuple[DialectRefusal, int]]:
        """Return the refusals, the last one first, with the seconds since each was last seen."""
        now = self._clock()
        fresh = [one for one in reversed(self._kept.values()) if now - one.last <= _KEPT_SECONDS]
        return [(one, int(now - one.last)) for one in fresh]


def _place(origin: str, dialect: str) -> tuple[str, str]:
    return site_of(origin) if is_origin(origin) else shown_origin(origin), dialect
