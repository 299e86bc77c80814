"""The choice of the readers for a command: PC/SC, or simulated ones of other packages."""

from __future__ import annotations

from collections.abc import Callable

from cardio.errors import CardioError, ReaderNotFoundError
from cardio.readers.base import Reader, ReaderSource, choose_reader

_GROUP = "cardio.reader_sources"


def plugin_sources() -> dict[str, Callable[[], ReaderSource]]:
    """Return the makers of reader sources by the prefix of their names: ``sim`` for ``sim:adult``."""
    from importlib.metadata import entry_points

    return {entry_point.name: entry_point.load() for entry_point in entry_points(group=_GROUP)}


def find_reader(wanted: str | None, sam: str | None = None) -> Reader:
    """Return the reader that ``--reader`` names; without a name, the one whose card is meant.

    Args:
        wanted: the text of ``--reader``.
        sam: the text of ``--sam``; its slot never holds the holder's card.

    Raises:
        CardioError: there is no such reader, or PC/SC does not run.
    """
    prefix, colon, _ = (wanted or "").partition(":")
    maker = plugin_sources().get(prefix) if colon else None
    if maker is not None:
        found = maker().reader(wanted or "")
        if found is None:
            raise ReaderNotFoundError(f"没有模拟读卡器 {wanted}", f"there is no simulated reader {wanted}")
        return found
    from cardio.readers.pcsc import PcscSource

    readers = PcscSource().readers()
    if wanted is not None:
        return choose_reader(readers, wanted)
    from cardio.card.runner import find_card
    from cardio.readers.policy_settings import ReaderSettings, bridges_sam
    from cardio.security.settings import SecuritySettings

    policy = ReaderSettings.of_this_computer().policy(SecuritySettings.load().named(sam), bridges_sam())
    return find_card(readers, policy)


def all_readers() -> tuple[list[Reader], CardioError | None]:
    """Return every reader, and the error if PC/SC's readers are missing."""
    from cardio.readers.pcsc import PcscSource

    found: list[Reader] = []
    problem: CardioError | None = None
    try:
        found += PcscSource().readers()
    except CardioError as error:
        problem = error
    for maker in plugin_sources().values():
        found += maker().readers()
    return found, problem
