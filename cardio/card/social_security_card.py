"""The social security card: the object that most callers use.

>>> from cardio import read_card                                     # doctest: +SKIP
>>> reading = read_card(reader)                                      # doctest: +SKIP
>>> reading.holder.name                                              # doctest: +SKIP
'测试甲'
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Self

from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.apdu.command import CommandApdu
from cardio.apdu.command_watch import CommandWatch
from cardio.apdu.effect import effect_from_outside
from cardio.apdu.response import ResponseApdu
from cardio.apdu.trace import Trace
from cardio.card.diagnostics import Diagnostics, refusal_error
from cardio.card.reading import build_reading, cut_short
from cardio.card.secured import SecuredCard, identity_in
from cardio.errors import CardioError, NoPhotoError, ReaderTimeoutError
from cardio.filesystem import basic_read as plan
from cardio.filesystem.access_rights import Authenticator
from cardio.filesystem.capabilities import CapabilityCache, FamilyCapabilities, family_of
from cardio.filesystem.card_file_system import HOLDER_FILE, ISSUER_FILE, CardContents, CardFileSystem
from cardio.filesystem.card_mark import card_mark
from cardio.filesystem.layouts.model import File, Layout
from cardio.filesystem.layouts.registry import LayoutChoice
from cardio.filesystem.reading.result import FileReading
from cardio.filesystem.reading.transparent import Progress
from cardio.filesystem.reading.unfinished import KeptAnswers, resuming
from cardio.models.reading import CardReading
from cardio.readers.base import Connection, Reader
from cardio.readers.device_number import ReaderWithSerial, device_number
from cardio.security.outcome import as_outcome

if TYPE_CHECKING:
    from cardio.filesystem.address import Address
    from cardio.models.conformance import ConformanceReport
    from cardio.models.files import CardDump, CardTree, FileContent, Photo, Report
    from cardio.security.authenticator import CardAuthenticator
    from cardio.security.credentials import Credentials

Confirm = Callable[[bytes], None]
"""A function that is called with the mark of the card (`card_mark`); an error that it raises ends the work."""
OPERATION_SECONDS = 9.0
"""The time limit of one basic reading, in seconds; the operator must get a result within ten seconds."""
WHOLE_CARD_SECONDS = 60.0
"""The time limit of reading everything, in seconds: a full card holds some 15 KB, 20 s at 9600 baud."""


class SocialSecurityCard(SecuredCard):
    """A card in a reader, held until it is closed; use it in a ``with`` statement.

    Methods import what a basic reading does not need: it decides how fast a command starts.
    """

    def __init__(
        self,
        connection: Connection,
        reader: Reader,
        *,
        capabilities: CapabilityCache | None = None,
        trace: Trace | None = None,
        layouts: LayoutChoice | None = None,
        credentials: Credentials | None = None,
        seconds: float = OPERATION_SECONDS,
        confirm: Confirm | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: CommandWatch | None = None,
    ) -> None:
        """Set up for a connected card, without sending a command.

        Args:
            connection: the connection to the card.
            reader: the reader with the card.
            capabilities: the store of learnt capabilities; by default in the user's cache directory, one file for
                software cards and one for real ones.
            trace: receives every exchange with the card.
            layouts: the layouts to choose from; by default the user's own first, then those that are shipped.
            credentials: a SAM and a PIN to open files that the card keeps closed.
            seconds: the time limit of all commands together.
            confirm: called with the mark of the card, before any data of its holder is read and before a PIN, a key or
                a change.
            clock: the clock that the seconds are counted by.
            watch: called for every command, for a thread that may have to give the work up.
        """
        self._connection = connection
        self._reader = reader
        self._store = CapabilityCache.in_cache(simulated=reader.simulated) if capabilities is None else capabilities
        self._layouts = LayoutChoice.installed() if layouts is None else layouts
        self._confirm = confirm
        self._family = family_of(connection.atr)
        self._file_system: CardFileSystem | None = None
        self._basic: CardContents | None = None
        authenticator = None if credentials is None else self._authenticator_of(credentials)
        super().__init__(Channel(connection, trace=trace, seconds=seconds, clock=clock, watch=watch), authenticator)

    def _authenticator_of(self, credentials: Credentials) -> CardAuthenticator:
        """Return the authenticator for the credentials, with what earlier cards and this one have refused."""
        from cardio.readers.pin_pad import pin_pad_of
        from cardio.security.authenticator import CardAuthenticator
        from cardio.security.key_memory import KeyMemory
        from cardio.security.pin.memory import PinMemoryFile

        simulated, store = self._reader.simulated, self._store
        return CardAuthenticator(
            credentials,
            self.atr,
            simulated=simulated,
            pad=None if credentials.pad_digits is None else pin_pad_of(self._connection, lambda: self._channel.watch),
            family=self._family,
            memory=None if store.path is None else PinMemoryFile.next_to(store.path),
            key_memory=KeyMemory.of_store(store, simulated=simulated),
        )

    @property
    def atr(self) -> bytes:
        return self._connection.atr

    def event_counter(self) -> int:
        """Return the number of this card's insertion into its reader.

        Raises:
            CardioError: the reader is gone.
        """
        return self._connection.event_counter()

    @property
    def device_number(self) -> str:
        """Return 终端设备号: the reader's serial number, or a number made of its name; never empty."""
        connection = self._connection
        serial = connection.reader_serial() if isinstance(connection, ReaderWithSerial) else b""
        return device_number(self._reader.name, serial)

    @property
    def known_identity(self) -> bytes | None:
        """Return `identity` if it has been read already, else None; no command is sent."""
        contents = self._basic if self._file_system is None else self._file_system.contents
        return None if contents is None else identity_in(contents, self.historical_bytes)

    @property
    def algorithm(self) -> str:
        """Return the algorithm that the card names in its FCI, else that of its layout. The FCI is requested at the
        start.
        """
        return self.opened_file_system.algorithm

    @property
    def watch(self) -> CommandWatch:
        """Return the watch of every command. Each piece of work with a card that is held for long has its own."""
        return self._channel.watch

    @watch.setter
    def watch(self, watch: CommandWatch) -> None:
        self._channel.watch = watch

    @property
    def counts(self) -> Counts:
        """Return the numbers of what has been sent to the card so far."""
        return self._channel.counts

    def read(
        self,
        *,
        supplement: bool = True,
        prove: bool = True,
        today: date | None = None,
        on_basic: Callable[[CardReading], None] | None = None,
    ) -> CardReading:
        """Return who the card belongs to, with the card's own data.

        Args:
            supplement: also ask for residence, registration and nationality (DF01), where the card may give them.
            prove: make the card prove itself first, where there are keys for it.
            today: the day that age and validity are counted from.
            on_basic: called with the data of EF05 and EF06 before the supplement is requested, so that people need not
                wait for it.

        Raises:
            NotASocialSecurityCardError: it is another kind of card.
            CardBlockedError: the card is blocked.
            CardGarbledError: the card's answers are malformed.
            ForgedCardError, ProofDeclinedError: the card is a copy, or does not prove itself although its generation
                does.
            ProofRequiredError: the card could not be asked, and this site does not accept such a card.
            CardRemovedError: the card was removed during the reading; nothing is returned then.
            ReaderTimeoutError: time ran out before EF05 and EF06 were read; the next try starts where this one ended.
                If only the supplement is missing, ``unread`` says so.
        """
        today = today or date.today()
        capabilities = self._store.load(self._family, today)

        def basic_is_there(basic: CardContents) -> None:
            self._basic = basic
            if on_basic is not None:
                on_basic(self._reading_of(basic, today))

        self._file_system = None  # another application will be current than the file system expects
        self._basic = None
        kept = self._store.unfinished.pop(self._reader.name, self.atr, self.event_counter)
        flow = plan.read_card(
            capabilities,
            supplement=supplement,
            prove=prove,
            t1=self._is_t1,
            atr=self.atr,
            layouts=self._layouts,
            authenticator=self._authenticator,
            on_basic=basic_is_there,
            on_issuer=self._identify,
        )
        try:
            contents = self.run(resuming(flow, kept, t1=self._is_t1))
        except ReaderTimeoutError as error:
            self._store.save(self._family, capabilities)  # what the card has taught so far is valid
            reading = self.reading_cut_short(today=today)
            if reading is None:
                self._keep_unfinished(kept, error)
                raise
            return reading
        self._store.save(self._family, capabilities)
        if prove:
            self.require_not_forged()
        self._basic = contents
        return self._reading_of(contents, today)

    def reading_cut_short(self, *, today: date | None = None) -> CardReading | None:
        """Return the data of the last `read` when its time ran out; None if EF05 and EF06 were not read. Any thread may
        call.
        """
        contents = self._basic
        if contents is None:
            return None
        missing = [contents.layout.required_file(path) for path in plan.SUPPLEMENT if path not in contents.files]
        return cut_short(self._reading_of(contents, today or date.today()), missing)

    def _keep_unfinished(self, kept: KeptAnswers, error: ReaderTimeoutError) -> None:
        """Keep the card's answers for the next try with the same card."""
        with suppress(CardioError):  # if the reader is gone, there is no next try
            self._store.unfinished.keep(self._reader.name, self.atr, self.event_counter(), kept)
            if kept.grown:
                error.remedy = "读卡较慢：请不要取出卡片，再读一次，将从中断处继续。"
                error.remedy_en = "The card is slow: leave it in and read once more, which goes on where this ended."

    def _reading_of(self, contents: CardContents, today: date) -> CardReading:
        return build_reading(
            contents,
            reader=self._reader.name,
            simulated=self._reader.simulated,
            atr=self.atr,
            today=today,
            proof=self.proof,
        )

    def reading_of_visit(self, *, today: date | None = None) -> CardReading:
        """Return a reading from the files read so far, as `read` does, with the rights that were obtained.

        Raises:
            CardioError: the holder's file is still closed, or cannot be read.
        """
        reading = self._read_file(self.layout.required_file(HOLDER_FILE))
        refusal = refusal_error(self.layout, reading)
        if refusal is not None:
            raise refusal
        return self._reading_of(self.file_system.contents, today or date.today())

    def refusal_of_holder(self) -> CardioError | None:
        """Return why the last `read` gave no holder data: the error of acquiring the rights, or the card's refusal."""
        if self._basic is None:
            return None
        reading = self._basic.files[HOLDER_FILE]
        return reading.access_error or refusal_error(self._basic.layout, reading)

    def refusal_of_proof(self) -> CardioError | None:
        """Return why the card did not prove itself in the last `read`, where its generation does and there are keys for
        it.

        Return None for a card that answered correctly although its claims fit no generation.
        """
        answered = self._authenticator is not None and self._authenticator.answered
        return None if self._basic is None or answered else self._basic.unproved

    # -- files --------------------------------------------------------------------------------

    def file(self, path: str) -> FileContent:
        """Return one file, decoded and raw. For a file that is closed or missing, ``unread`` says so.

        Raises:
            UsageError: the layout has no such file.
            CardioError: as for `read`.
        """
        from cardio.card.files import file_content

        file_system = self.file_system
        return file_content(file_system.layout, self._read_file(file_system.layout.required_file(path)), self.proof)

    def dump(self, *, progress: Progress | None = None) -> CardDump:
        """Return everything that the card gives, file by file.

        Args:
            progress: called after each file: files done, files in all.
        """
        from cardio.card.files import card_identity, file_content
        from cardio.models.files import CardDump

        file_system = self.file_system
        readings = self._read_files(file_system.layout.readable_files(), progress=progress)
        return CardDump(
            reader=self._reader.name,
            simulated=self._reader.simulated,
            card=card_identity(file_system.contents),
            files=tuple(file_content(file_system.layout, reading, self.proof) for reading in readings),
            proof=self.proof,
        )

    def tree(self, *, progress: Progress | None = None) -> CardTree:
        """Return the card's applications and files, and which can be read. Transparent files are read only at their
        beginning.
        """
        from cardio.card.files import card_tree

        file_system = self.file_system
        self._read_files(file_system.layout.readable_files(), limit=1, progress=progress)
        return card_tree(
            file_system.contents, reader=self._reader.name, simulated=self._reader.simulated, proof=self.proof
        )

    def report(self, name: str, *, progress: Progress | None = None) -> Report:
        """Return the card's data on ``insurance`` or ``employment``, topic by topic, each value with its place on the
        card.
        """
        from cardio.card.files import card_identity
        from cardio.card.reports import build_report, report_files
        from cardio.models.files import Report

        file_system = self.file_system
        files = report_files(file_system.layout, name)
        readings = self._read_files([file for file in files if not file.internal], progress=progress)
        remarks = Diagnostics()
        for file in files:
            if file.internal:
                remarks.internal(file)
        sections, totals = build_report(file_system.layout, readings, name, remarks)
        return Report(
            reader=self._reader.name,
            simulated=self._reader.simulated,
            card=card_identity(file_system.contents),
            sections=sections,
            totals=totals,
            unread=tuple(remarks.unread),
            warnings=tuple(remarks.warnings),
            proof=self.proof,
        )

    def conformance(self, *, today: date | None = None, progress: Progress | None = None) -> ConformanceReport:
        """Check the card against its layout: return what passed, what failed, and what cannot be tested and why."""
        from cardio.filesystem.conformance.book import Book
        from cardio.filesystem.conformance.card import check_card
        from cardio.filesystem.conformance.structure import check_structure
        from cardio.models.conformance import ConformanceReport

        layout, without_rights = self._survey(None, progress)
        # The access controls are judged by a survey without rights, the contents by a survey with the available rights.
        with_rights = without_rights if self._authenticator is None else self._survey(self._authenticator, progress)[1]
        book = Book()
        check_structure(layout, (), book)
        check_card(layout, without_rights, with_rights, today or date.today(), book)
        return ConformanceReport.of(self._reader.name, layout.title, layout.generation, book.checks)

    def _survey(
        self, authenticator: Authenticator | None, progress: Progress | None
    ) -> tuple[Layout, dict[str, FileReading]]:
        """Read every file to its end, through a new file system: what other cards taught must not judge this one."""
        self._file_system = None  # another application will be current than the file system expects
        file_system = self._new_file_system(FamilyCapabilities(), authenticator)
        files = file_system.layout.readable_files()
        for number, file in enumerate(files, 1):
            self.run(file_system.read(file.path, probe_optional=True, past_declared_size=True))
            if progress is not None:
                progress(number, len(files))
        return file_system.layout, file_system.contents.files

    def photo(self, *, progress: Progress | None = None) -> Photo:
        """Return the holder's photo.

        Raises:
            AccessNotGrantedError, FileUnreadableError: the file is closed, or cannot be read.
            DecodeError: the file's content is no photo.
            NoPhotoError: there is no photo on the card.
        """
        from cardio.card.files import photo_content

        layout = self.file_system.layout
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

    def bank_number(self) -> str:
        """Return the bank's card number (银行卡号), from the bank's application beside the social security environment.

        Raises:
            NoBankNumberError: there is no such application, or it does not give the number.
        """
        from cardio.card.bank_number import read_bank_number

        self._confirm_first()
        self._prove_first(for_pin=False)
        self.invalidate_file_system()  # another application is current afterwards
        return self.run(read_bank_number())

    def values(self, address: Address) -> str:
        """Return the values at a national address (``SSSEEF05|01|07|$``), in the same shape.

        Raises:
            UsageError: the layout has no such file or item.
            AccessNotGrantedError, FileUnreadableError: a file is closed, or cannot be read.
        """
        from cardio.filesystem.address import answer

        layout = self.file_system.layout
        readings = {}
        for part in address.parts:
            reading = readings[part.file] = self._read_file(layout.required_file(part.file))
            refusal = None if reading.empty else refusal_error(layout, reading)
            if refusal is not None:
                raise refusal
        return answer(address, readings)

    def invalidate_file_system(self) -> None:
        self._file_system = None

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        """Send one command as it is. The current application is unknown afterwards, so the next access starts a new
        file system.

        Raises:
            PinOutcomeUnknownError, WriteOutcomeUnknownError: its answer never came, and it does more than read.
            CardioError: as for `Channel.transmit`.
        """
        self._file_system = None
        try:
            return self._channel.transmit(_from_outside(command))
        except CardioError as error:
            outcome = as_outcome(error, self.watch.pop_unanswered())
            if outcome is error:
                raise
            raise outcome from error

    def _identify(self, contents: CardContents) -> None:
        if self._confirm is not None:
            self._confirm(card_mark(contents.files[ISSUER_FILE], self.atr))

    def _confirm_first(self) -> None:
        """Identify the card before another application than the social security environment is selected."""
        if self._confirm is not None and self._file_system is None:
            self.opened_file_system  # noqa: B018 - starting the file system reads EF05

    # -- the way to the card --------------------------------------------------------------------

    @property
    def _is_t1(self) -> bool:
        return self._connection.protocol is TransmissionProtocol.T1

    @property
    def opened_file_system(self) -> CardFileSystem:
        if self._file_system is None:
            self._file_system = self._new_file_system(self._store.load(self._family, date.today()), self._authenticator)
        return self._file_system

    def _new_file_system(self, capabilities: FamilyCapabilities, authenticator: Authenticator | None) -> CardFileSystem:
        file_system = CardFileSystem(
            capabilities,
            t1=self._is_t1,
            atr=self.atr,
            layouts=self._layouts,
            authenticator=authenticator,
            on_issuer=self._identify,
        )
        try:
            self.run(file_system.open())
            self.run(file_system.require_social_security_card())
        except ReaderTimeoutError:
            self._store.save(self._family, capabilities)
            raise
        return file_system

    def _read_file(self, file: File, *, limit: int | None = None, progress: Progress | None = None) -> FileReading:
        file_system = self.file_system
        reading = self.run(file_system.read(file.path, probe_optional=True, limit=limit, progress=progress))
        self._store.save(self._family, file_system.capabilities)
        self.require_not_forged()
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
        try:
            if self._authenticator is not None:
                self._authenticator.close()
        finally:  # the card is released whatever happens to the SAM
            # Rights that were granted to this process must not serve the next program.
            self._connection.close(reset=self.has_presented)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _from_outside(command: CommandApdu) -> CommandApdu:
    """Mark a command from outside: if it does more than ask, it may have changed the card."""
    return replace(command, known_effect=effect_from_outside(command.cla, command.ins, has_data=bool(command.data)))
