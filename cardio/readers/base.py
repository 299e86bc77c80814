"""The source of cards: one small protocol. No caller needs to know which kind a reader is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from cardio.apdu.channel import Transport
from cardio.errors import AmbiguousReaderError, NoReaderError, ReaderNotFoundError
from cardio.models.readers import ReaderEvent, ReaderInfo


class Connection(Transport, Protocol):
    """The interface of a card that is powered and held. No other program can send commands in between."""

    @property
    def atr(self) -> bytes: ...

    def event_counter(self) -> int:
        """Return the reader's count of insertions and removals, as it stands with this card in.

        Raises:
            CardioError: the reader is gone.
        """

    def keep_alive(self) -> None:
        """Show the system that the card is still in use: Windows resets a held card after five idle seconds.

        Raises:
            CardioError: the card is not held any more.
        """

    def close(self, *, reset: bool = False) -> None:
        """Release the card. A broken connection closes without an error too.

        Args:
            reset: reset the card, so that it loses the rights that were granted over this connection.
        """


@contextmanager
def closing_on_error(connection: Connection) -> Iterator[None]:
    """Close a connection if the code inside fails, whatever the reason; for a ``with`` statement."""
    try:
        yield
    except BaseException:  # an interruption too: the card must not stay held
        connection.close()
        raise


class Reader(Protocol):
    """The interface of one slot for a card."""

    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool: ...

    def info(self) -> ReaderInfo:
        """Return the reader's present content, without touching the card."""

    def connect(self) -> Connection:
        """Power the card and hold it; wait as long as another program holds it (see `run_within`).

        Raises:
            CardioError: there is no card, the card is mute, another program holds the reader exclusively, or PC/SC is
                missing; each has its own class.
        """


Emit = Callable[[ReaderEvent], None]
"""A function that receives each event; it is called on the watcher's thread and must return at once."""


class Watch(Protocol):
    def stop(self) -> None:
        """End the watching and its thread."""


class ReaderSource(Protocol):
    """The interface of a kind of readers: PC/SC, or simulated ones."""

    def readers(self) -> Sequence[Reader]:
        """Return the readers that are there now; none is not an error.

        Raises:
            PcscUnavailableError: the readers cannot even be listed.
        """

    def reader(self, name: str) -> Reader | None:
        """Return the reader of this name, if it belongs to this source; it need not be connected now."""

    def watch(self, emit: Emit) -> Watch:
        """Tell the listener about the present readers and cards, then about every change, until stopped."""


def choose_reader(readers: Sequence[Reader], wanted: str) -> Reader:
    """Return the reader that a person means, by the rules of `choose_name`.

    Raises:
        NoReaderError: there is no reader at all.
        ReaderNotFoundError: the text fits no reader, or several.
    """
    if not readers:
        raise NoReaderError()
    names = [reader.name for reader in readers]
    chosen = choose_name(names, wanted, lambda name: readers[names.index(name)].info().atr is not None)
    return readers[names.index(chosen)]


def choose_name(names: Sequence[str], wanted: str, has_card: Callable[[str], bool] = lambda name: False) -> str:
    """Return the name that a person means: whole, a part of one, or its number from 0.

    Args:
        names: the names of the readers.
        wanted: the person's text.
        has_card: returns True if a card is in the reader of a name; called if a part fits several.

    Raises:
        ReaderNotFoundError: the text fits no name.
        AmbiguousReaderError: the text fits several, and not exactly one of them has a card.
    """
    if wanted in names:
        return wanted
    if wanted.isdecimal() and len(wanted) < 4 and int(wanted) < len(names):
        return names[int(wanted)]
    partial = [name for name in names if wanted.casefold() in name.casefold()]
    meant = partial if len(partial) < 2 else [name for name in partial if has_card(name)]
    if len(meant) == 1:
        return meant[0]
    if partial:
        raise AmbiguousReaderError(
            f"“{wanted}”对应多个读卡器：{'、'.join(partial)}",
            f"{wanted!r} fits several readers: {', '.join(partial)}",
        )
    listed, listed_en = (comma.join(names) for comma in ("、", ", "))
    raise ReaderNotFoundError(f"没有读卡器“{wanted}”；现有：{listed}", f"no reader {wanted!r}; there are: {listed_en}")
