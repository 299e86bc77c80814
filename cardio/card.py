"""The social security card: the object that most people use.

>>> from cardio import read_card                                     # doctest: +SKIP
>>> reading = read_card(reader)                                      # doctest: +SKIP
>>> reading.holder.name                                              # doctest: +SKIP
'测试甲'
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from datetime import date
from typing import Self, TypeVar

from cardio.answer import make_reading
from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.apdu.trace import Trace
from cardio.conformance_model import ConformanceReport
from cardio.contents import card_identity, card_tree, file_content, photo_content, report_files, report_sections
from cardio.errors import CardResetError, NoPhotoError, ReaderBusyError, ReaderTimeoutError
from cardio.file_model import CardDump, CardTree, FileContent, Photo, Report
from cardio.filesystem import plan
from cardio.filesystem.address import Address, answer
from cardio.filesystem.conformance.book import Book
from cardio.filesystem.conformance.card import check_card
from cardio.filesystem.conformance.structure import check_structure
from cardio.filesystem.file_reading import FileReading
from cardio.filesystem.layout import File, Layout
from cardio.filesystem.layout_choice import LayoutChoice
from cardio.filesystem.manners import FamilyManners, MannersStore, family_of
from cardio.filesystem.reading_binary import Progress
from cardio.filesystem.visit import Unlock, Visit
from cardio.model import CardReading
from cardio.readers.base import Connection, Reader
from cardio.readers.deadline import Worker
from cardio.remarks import Remarks, refusal_error

OPERATION_SECONDS = 9.0
"""How long one basic reading may take in all; people are told within ten seconds."""
WHOLE_CARD_SECONDS = 60.0
"""How long reading everything may take: a full card carries some 15 KB, 20 s at 9600 baud."""
_RESETS_ENDURED = 2

Result = TypeVar("Result")


class SocialSecurityCard:
    """A card in a reader, held until closed: use it in a ``with`` statement."""

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        *,
        manners: MannersStore | None = None,
        trace: Trace | None = None,
        layouts: LayoutChoice | None = None,
        unlock: Unlock | None = None,
        seconds: float = OPERATION_SECONDS,
    ) -> None:
        """Args:
        manners: remembers what kinds of cards allow; by default in the user's cache directory.
        layouts: the layouts to choose from; by default those at hand, the user's own first.
        unlock: obtains rights in each application that is entered.
        """
        self._connection = connection
        self._reader = reader
        self._store = MannersStore.in_cache() if manners is None else manners
        self._layouts = LayoutChoice.at_hand() if layouts is None else layouts
        self._unlock = unlock
        self._channel = Channel(connection, trace=trace, seconds=seconds)
        self._family = family_of(connection.atr)
        self._visit: Visit | None = None

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    @property
    def counts(self) -> Counts:
        """What has been sent to the card so far."""
        return self._channel.counts

    def read(self, *, supplement: bool = True, today: date | None = None) -> CardReading:
        """Who the card belongs to, with the card's own data.

        Args:
            supplement: also ask for residence, registration and nationality (DF01), where the card may give them.
            today: the day that age and validity are counted from.

        Raises:
            NotASocialSecurityCardError: it is some other card.
            CardBlockedError: it is blocked.
            CardGarbledError: its answers make no sense.
            CardRemovedError: it was pulled out on the way; nothing is returned then.
        """
        today = today or date.today()
        manners = self._store.load(self._family, today)
        self._visit = None  # another application will be current than a visit counts on
        contents = self._channel.run(
            plan.read_card(manners, supplement=supplement, t1=self._is_t1, layouts=self._layouts)
        )
        self._store.save(self._family, manners)
        return make_reading(
            contents,
            reader=self._reader.name,
            simulated=self._reader.simulated,
            atr=self.atr,
            today=today,
        )

    # -- files --------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """What is known of cards like this one."""
        return self._begun().layout

    def file(self, path: str) -> FileContent:
        """One file, decoded beside raw; one that is closed or not there says so in ``unread``.

        Raises:
            UsageError: the layout has no such file.
            CardioError: as `read`.
        """
        visit = self._begun()
        return file_content(visit.layout, self._read_file(visit.layout.required_file(path)))

    def dump(self, *, progress: Progress | None = None) -> CardDump:
        """Everything that the card gives, file by file.

        Args:
            progress: told after each file: files done, files in all.
        """
        visit = self._begun()
        readings = self._read_files(visit.layout.readable_files(), progress=progress)
        return CardDump(
            reader=self._reader.name,
            simulated=self._reader.simulated,
            card=card_identity(visit.contents),
            files=tuple(file_content(visit.layout, reading) for reading in readings),
        )

    def tree(self, *, progress: Progress | None = None) -> CardTree:
        """What is on the card, and what of it can be read. Of transparent files only the beginning is asked for."""
        visit = self._begun()
        self._read_files(visit.layout.readable_files(), limit=1, progress=progress)
        return card_tree(visit.contents, reader=self._reader.name, simulated=self._reader.simulated)

    def report(self, name: str, *, progress: Progress | None = None) -> Report:
        """What the card says of ``insurance`` or ``employment``, topic by topic, each value with where it stands."""
        visit = self._begun()
        files = report_files(visit.layout, name)
        readings = self._read_files([file for file in files if not file.internal], progress=progress)
        remarks = Remarks()
        for file in files:
            if file.internal:
                remarks.internal(file)
        sections, totals = report_sections(visit.layout, readings, name, remarks)
        return Report(
            reader=self._reader.name,
            simulated=self._reader.simulated,
            card=card_identity(visit.contents),
            sections=sections,
            totals=totals,
            unread=tuple(remarks.unread),
            warnings=tuple(remarks.warnings),
        )

    def conformance(self, *, today: date | None = None, progress: Progress | None = None) -> ConformanceReport:
        """The card against its layout: what passed, what failed, what cannot be tested and why."""
        layout, without_rights = self._survey(None, progress)
        # The controls are judged by what opens without a right, the contents by what the rights at hand open.
        with_rights = without_rights if self._unlock is None else self._survey(self._unlock, progress)[1]
        book = Book()
        check_structure(layout, (), book)
        check_card(layout, without_rights, with_rights, today or date.today(), book)
        return ConformanceReport.of(self._reader.name, layout.title, layout.generation, book.checks)

    def _survey(self, unlock: Unlock | None, progress: Progress | None) -> tuple[Layout, dict[str, FileReading]]:
        """Every file to its end, by a visit of its own: what other cards taught must not judge this one."""
        self._visit = None  # another application will be current than a visit counts on
        visit = self._new_visit(FamilyManners(), unlock)
        files = visit.layout.readable_files()
        for number, file in enumerate(files, 1):
            self._channel.run(visit.read(file.path, thorough=True, to_the_end=True))
            if progress is not None:
                progress(number, len(files))
        return visit.layout, visit.contents.files

    def photo(self, *, progress: Progress | None = None) -> Photo:
        """The holder's photo.

        Raises:
            AccessNotGrantedError, FileUnreadableError: the file is closed, or cannot be read.
            DecodeError: what it holds is no photo.
            NoPhotoError: there is none on the card.
        """
        layout = self._begun().layout
        file = next((file for file in layout.files() if file.content == "photo"), None)
        if file is None:
            raise NoPhotoError(f"{layout.title}没有照片文件", "cards of this generation have no photo file")
        reading = self._read_file(file, progress=progress)
        refusal = None if reading.absent else refusal_error(layout, reading)
        if refusal is not None:
            raise refusal
        photo = photo_content(reading)
        if photo is None:
            raise NoPhotoError()
        return photo

    def values(self, address: Address) -> str:
        """What stands at a national address (``SSSEEF05|01|07|$``), in the same shape.

        Raises:
            UsageError: the layout has no such file or item.
            AccessNotGrantedError, FileUnreadableError: a file is closed, or cannot be read.
        """
        layout = self._begun().layout
        readings = {}
        for part in address.parts:
            reading = readings[part.file] = self._read_file(layout.required_file(part.file))
            refusal = None if reading.empty else refusal_error(layout, reading)
            if refusal is not None:
                raise refusal
        return answer(address, readings)

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """One command as it is. What is current on the card afterwards is not known, so files begin anew."""
        self._visit = None
        return self._channel.transmit(command)

    # -- the way to the card --------------------------------------------------------------------

    @property
    def _is_t1(self) -> bool:
        return self._connection.protocol is TransmissionProtocol.T1

    def _begun(self) -> Visit:
        """The visit to this card, begun when it is first needed."""
        if self._visit is None:
            self._visit = self._new_visit(self._store.load(self._family, date.today()), self._unlock)
        return self._visit

    def _new_visit(self, manners: FamilyManners, unlock: Unlock | None) -> Visit:
        visit = Visit(manners, t1=self._is_t1, layouts=self._layouts, unlock=unlock)
        self._channel.run(visit.begin())
        self._channel.run(visit.refuse_nonsense())
        return visit

    def _read_file(self, file: File, *, limit: int | None = None, progress: Progress | None = None) -> FileReading:
        visit = self._begun()
        reading = self._channel.run(visit.read(file.path, thorough=True, limit=limit, progress=progress))
        self._store.save(self._family, visit.manners)
        return reading

    def _read_files(
        self, files: Collection[File], *, limit: int | None = None, progress: Progress | None = None
    ) -> list[FileReading]:
        readings = []
        for number, file in enumerate(files, 1):
            readings.append(self._read_file(file, limit=limit))
            if progress is not None:
                progress(number, len(files))
        return readings

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def on_card(
    reader: Reader,
    work: Callable[[SocialSecurityCard], Result],
    *,
    manners: MannersStore | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    seconds: float = WHOLE_CARD_SECONDS,
    worker: Worker | None = None,
) -> Result:
    """Connects, does something with the card, and lets it go.

    Work that another program's reset interrupts is begun again: it must change nothing on the card.

    The work is done on another thread, so that a reader that hangs costs ``seconds`` and no more: that of ``worker``,
    or one of its own.

    Raises:
        ReaderBusyError: another program did not let go of the card in time.
        ReaderTimeoutError: the card or the reader took too long.
        CardioError: as the work and `Reader.connect` say.
    """
    deadline = time.monotonic() + seconds
    connected = threading.Event()

    def attempt() -> Result:
        connection = reader.connect()
        connected.set()
        left = deadline - time.monotonic()
        with SocialSecurityCard(
            connection, reader, manners=manners, trace=trace, layouts=layouts, seconds=left
        ) as card:
            return work(card)

    def attempts() -> Result:
        for _ in range(_RESETS_ENDURED):
            try:
                return attempt()
            except CardResetError:
                continue
        return attempt()

    mine = worker or Worker()
    try:
        return mine.run_within(seconds, attempts)
    except ReaderTimeoutError as error:
        if connected.is_set():
            raise
        raise ReaderBusyError() from error
    finally:
        if worker is None:
            mine.close()


def read_card(
    reader: Reader,
    *,
    supplement: bool = True,
    manners: MannersStore | None = None,
    trace: Trace | None = None,
    layouts: LayoutChoice | None = None,
    today: date | None = None,
    seconds: float = OPERATION_SECONDS,
    worker: Worker | None = None,
) -> CardReading:
    """Who the card in a reader belongs to: `SocialSecurityCard.read` by way of `on_card`.

    Raises:
        CardioError: as those two say.
    """
    return on_card(
        reader,
        lambda card: card.read(supplement=supplement, today=today),
        manners=manners,
        trace=trace,
        layouts=layouts,
        seconds=seconds,
        worker=worker,
    )
