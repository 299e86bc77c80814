"""Where cards come from: one small protocol. Nothing above knows which kind a reader is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from cardio.apdu.channel import Transport
from cardio.errors import AmbiguousReaderError, NoReaderError, ReaderNotFoundError
from cardio.models.readers import ReaderEvent, ReaderInfo


class Connection(Transport, Protocol):
    """A card that is powered and held for one conversation; nobody else's commands come between."""

    @property
    def atr(self) -> bytes: ...

    def event_counter(self) -> int:
        """The reader's count of insertions and removals, as it stands with this card in.

        Raises:
            CardioError: the reader has gone.
        """

    def keep_alive(self) -> None:
        """Shows the system that the card is still wanted: Windows resets a held card after five idle seconds.

        Raises:
            CardioError: the card is not held any more.
        """

    def close(self, *, reset: bool = False) -> None:
        """Lets the card go. A connection that is broken closes as quietly as a good one.

        Args: ``reset`` takes from the card what was granted to this conversation.
        """


@contextmanager
def closing_on_error(connection: Connection) -> Iterator[None]:
    """Around what is made of a connection: where that fails, whatever the reason, the card is let go."""
    try:
        yield
    except BaseException:  # an interruption too: the card must not stay held
        connection.close()
        raise


class Reader(Protocol):
    """One slot that takes a card."""

    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool: ...

    def info(self) -> ReaderInfo:
        """Return what is in the reader now, without touching the card."""

    def connect(self) -> Connection:
        """Powers the card and holds it; waits as long as another program holds it (see `run_within`).

        Raises:
            CardioError: no card, a mute one, a reader that is held exclusively, no PC/SC: each its own kind.
        """


Emit = Callable[[ReaderEvent], None]
"""Takes each event; it is called on the watcher's thread and must return at once."""


class Watch(Protocol):
    def stop(self) -> None:
        """Ends the watching and its thread."""


class ReaderSource(Protocol):
    """A kind of readers: PC/SC, or simulated ones."""

    def readers(self) -> Sequence[Reader]:
        """The readers that are there now; none is not an error.

        Raises:
            PcscUnavailableError: they cannot even be listed.
        """

    def reader(self, name: str) -> Reader | None:
        """The reader of this name, if it is one of these; it need not be connected now."""

    def watch(self, emit: Emit) -> Watch:
        """Tells what is there, then every change, until stopped."""


def choose_reader(readers: Sequence[Reader], wanted: str) -> Reader:
    """The reader that a person means, as `choose_name` has it.

    Raises:
        NoReaderError: there is no reader at all.
        ReaderNotFoundError: none is meant, or several are.
    """
    if not readers:
        raise NoReaderError()
    names = [reader.name for reader in readers]
    chosen = choose_name(names, wanted, lambda name: readers[names.index(name)].info().atr is not None)
    return readers[names.index(chosen)]


def choose_name(names: Sequence[str], wanted: str, has_card: Callable[[str], bool] = lambda name: False) -> str:
    """The name that a person means: whole, a part of one, or its number from 0.

    Args:
        has_card: says whether a card is in the reader of a name; asked where a part fits several.

    Raises:
        ReaderNotFoundError: none is meant.
        AmbiguousReaderError: several fit, and not just one of them has a card.
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
