"""One pass over a card: the current application, the files that were read, and what the card taught for
the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial

from cardio.apdu.channel import Flow
from cardio.apdu.commands import read_record, select_by_name, select_file
from cardio.apdu.status_word import StatusWord, describe
from cardio.bilingual import Bilingual
from cardio.errors import (
    AccessNotGrantedError,
    CardGarbledError,
    CardioError,
    CardRefusedError,
    FileUnreadableError,
)
from cardio.filesystem.access_rights import AccessRights, Authenticator
from cardio.filesystem.capabilities import (
    AccessMethod,
    Addressing,
    EnvironmentWay,
    FamilyCapabilities,
    IssuerProfile,
    RecordShape,
)
from cardio.filesystem.card_kinds import kind_of_atr
from cardio.filesystem.claims import CardClaims
from cardio.filesystem.codec.items import decode_value
from cardio.filesystem.codes.tables import REGION_DIGITS
from cardio.filesystem.environment import Environment
from cardio.filesystem.layouts.access import FREE
from cardio.filesystem.layouts.loader import DEFAULT_GENERATION, layout_of
from cardio.filesystem.layouts.model import Application, File, Layout, Structure
from cardio.filesystem.layouts.registry import NATIONAL, LayoutChoice
from cardio.filesystem.reading.attempt import ReadAttempt, send_or_malformed
from cardio.filesystem.reading.fixed import Enough, read_equal_records, read_newest_records
from cardio.filesystem.reading.result import FileReading
from cardio.filesystem.reading.tagged import read_file
from cardio.filesystem.reading.transparent import OFFSET_LIMIT, Progress, read_transparent
from cardio.filesystem.recognition import another_kind, environment_refused, may_be_elsewhere, without_a_record

ISSUER_FILE = "SSSE/EF05"
HOLDER_FILE = "SSSE/EF06"
IDENTIFYING_ITEMS = {
    ISSUER_FILE: frozenset({"identification_code", "card_number"}),
    HOLDER_FILE: frozenset({"social_security_number", "name"}),
}
"""The items by which callers identify a card and a person. Where one of them cannot be read, no other value may replace
it.
"""
_CODE_DIGITS = 32
_SPEC_VERSION, _ISSUER_NUMBER, _IDENTIFICATION_CODE = "spec_version", "issuer_number", "identification_code"
_FRUITLESS_WAYS = 2
"""The number of ways that a card may accept and then show no record. A card of another kind must not cost many
commands.
"""
_ODD_SELECT_ANSWERS = frozenset({StatusWord.FILE_NOT_FOUND, StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_P1_P2})


@dataclass(slots=True)
class CardContents:
    """The content that a card gave: its layout, and a reading of each requested file."""

    layout: Layout
    algorithm: str | None = None
    files: dict[str, FileReading] = field(default_factory=dict)
    unproved: CardioError | None = None
    """The reason why the card has not proved itself, where its generation does and there are keys for it."""
    marker_problem: Bilingual | None = None
    """The reason why the algorithm that the card names cannot be understood."""


class CardFileSystem:
    """A card that is read file by file. The caller runs `open` first.

    Its methods are flows: they yield commands, receive answers, and leave the result in ``contents``.
    """

    def __init__(
        self,
        capabilities: FamilyCapabilities,
        *,
        t1: bool = False,
        atr: bytes = b"",
        layouts: LayoutChoice = NATIONAL,
        authenticator: Authenticator | None = None,
        on_issuer: Callable[[CardContents], None] | None = None,
    ) -> None:
        """Set up before any command is sent.

        Args:
            capabilities: the capabilities known of this card family; what this card teaches is written into it.
            t1: the card speaks T=1, where SELECT also returns the FCI, and Le must be sent.
            atr: the card's ATR, which names the kind of a card that is no social security card.
            layouts: the layouts to choose from.
            authenticator: presents PINs and keys where a file is closed.
            on_issuer: called as soon as EF05 shows which card it is; an error that it raises ends the reading.
        """
        self.capabilities = capabilities
        self.contents = CardContents(layout_of(DEFAULT_GENERATION))
        layout = self.contents.layout
        self.environment = Environment(layout.environment, layout.algorithm_markers, t1, atr, capabilities.environment)
        self.profile = IssuerProfile()
        self._layouts = layouts
        self._authenticator = authenticator
        self._on_issuer = on_issuer
        self._current: str | None = None
        self.rights = AccessRights(authenticator, self)
        self._unreachable: dict[str, int] = {}
        self._gives_all_at_once = False
        """True if the card has given several records in one answer."""

    @property
    def layout(self) -> Layout:
        return self.contents.layout

    @property
    def environment_id(self) -> str:
        return self.layout.environment.id

    @property
    def current_application(self) -> str | None:
        """Return the id of the selected application; None before the first."""
        return self._current

    @property
    def algorithm(self) -> str:
        """Return the algorithm that the card names in its FCI, else the one of its layout."""
        return self.environment.named or self.layout.algorithm

    def open(self, *, want_algorithm: bool = False) -> Flow[None]:
        """Find the environment, read who issued the card, and choose its layout.

        Raises:
            NotASocialSecurityCardError, CardBlockedError, CardRefusedError: no environment can be reached.
        """
        # Keys depend on the algorithm, so with an authenticator the card is asked for it.
        issuer = yield from self._find_environment(fetch=want_algorithm or self._authenticator is not None)
        self._current = self.layout.environment.id
        version, code = text_of(issuer, _SPEC_VERSION), text_of(issuer, _IDENTIFICATION_CODE)
        self.contents.layout = self._layouts.choose(version, code[:REGION_DIGITS] if code else None)
        self.contents.files[ISSUER_FILE] = replace(issuer, file=self._file(ISSUER_FILE), opened_by=FREE)
        if self._on_issuer is not None:
            self._on_issuer(self.contents)
        self.profile = self.capabilities.issuer(text_of(issuer, _ISSUER_NUMBER), version)
        if self._authenticator is not None:
            named, problem = self.environment.named, self.environment.problem
            claims = CardClaims.of(self.layout, version, named, problem)
            self._authenticator.bind(self.layout, None if problem else named or self.layout.algorithm, code, claims)

    def _find_environment(self, *, fetch: bool) -> Flow[FileReading]:
        """Make the environment current and read the issuer's file. The way known of this family is tried first, then
        all ways.

        Raises:
            NotASocialSecurityCardError, CardBlockedError, CardRefusedError: no environment can be reached.
        """
        environment, file = self.environment, self._file(ISSUER_FILE)
        if environment.way is not EnvironmentWay.NAME and (yield from environment.select(fetch=fetch)) is None:
            issuer = yield from self._read(file, self.capabilities.issuer_shapes)
            if issuer.records:
                return issuer
        first_refusal: int | None = None
        found: FileReading | None = None
        fruitless = 0
        for way in environment.ways:
            refusal = yield from environment.try_way(way, file.file_id, fetch=fetch)
            if refusal is not None:
                first_refusal = first_refusal or refusal
                if way is EnvironmentWay.NAME and not may_be_elsewhere(refusal, environment.atr):
                    break
                continue
            issuer = yield from self._read(file, self.capabilities.issuer_shapes)
            if issuer.records:
                self.capabilities.environment = way
                return issuer
            found = found or issuer
            fruitless += 1
            # A card that accepts the name as its own has nothing to show elsewhere.
            if way is EnvironmentWay.NAME or fruitless >= _FRUITLESS_WAYS:
                break
        if found is None:
            raise environment_refused(first_refusal or StatusWord.FILE_NOT_FOUND, environment.atr)
        return found

    def prove_card(self) -> Flow[None]:
        """Run internal authentication with every card for which there are keys, once for as long as the card is held.

        Raises:
            ForgedCardError, ProofDeclinedError: the card does not prove itself.
            ProofRequiredError: the card could not be asked, and this site does not accept such a card.
        """
        if self._authenticator is not None and self._authenticator.challenges_every_card:
            if not self._authenticator.is_proof_decided:
                yield from self.select_application(self.layout.environment.id)
            yield from self._authenticator.prove_card()
            self.contents.unproved = self._authenticator.missing_proof_reason

    def read(
        self,
        path: str,
        *,
        use_profile: bool = False,
        probe_optional: bool = False,
        limit: int | None = None,
        past_declared_size: bool = False,
        progress: Progress | None = None,
    ) -> Flow[FileReading]:
        """Read one file of the layout. The issuer's file was already read by `open`.

        Args:
            path: the file in the layout, as ``SSSE/EF06``.
            use_profile: skip what the issuer's other cards lacked or closed today.
            probe_optional: look for records beyond those that the layout or an earlier card had.
            limit: the greatest number of bytes to read of a transparent file.
            past_declared_size: of a transparent file, read also what lies beyond the size in the layout.
            progress: called after each block of a transparent file.

        Raises:
            KeyError: the layout has no such file.
        """
        if path == ISSUER_FILE and path in self.contents.files:
            return self.contents.files[path]
        # The test selects another application, and would lose the rights that are held.
        if probe_optional and self.capabilities.cuts is None and not self.rights.held:
            yield from self._find_out_whether_it_cuts()
        file = self._file(path)
        reading = yield from self._read_in_place(
            file,
            use_profile=use_profile,
            probe_optional=probe_optional,
            limit=OFFSET_LIMIT if past_declared_size else limit,
            progress=progress,
        )
        self.contents.files[path] = reading
        return reading

    def read_newest(self, path: str, enough: Enough) -> Flow[FileReading]:
        """Read the newest records of a cyclic file until there are enough, with the rights that are held and no others.

        Its application must be current. The records are only a part of the file, so they are not kept in ``contents``.

        Raises:
            KeyError: the layout has no such file.
        """
        file = self._file(path)
        return (yield from read_newest_records(file, self._known_methods(file), enough))

    def _read_in_place(
        self, file: File, *, use_profile: bool, probe_optional: bool, limit: int | None, progress: Progress | None
    ) -> Flow[FileReading]:
        if use_profile and file.path in self.profile.absent:
            return FileReading(file, refusal=StatusWord.FILE_NOT_FOUND)
        expected_closed = file.path in self.profile.closed and not file.read.free
        if use_profile and expected_closed and self._authenticator is None:
            return FileReading(file, refusal=StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        refusal = yield from self.select_application(file.application)
        if refusal is not None:
            if refusal == StatusWord.FILE_NOT_FOUND:
                self.profile.absent.add(file.path)
            return FileReading(file, refusal=refusal)
        # Where this issuer's cards keep the file closed, a first try without rights would only cost a refusal.
        access_error = (yield from self.rights.open(file)) if expected_closed else None
        reading = yield from self._read(
            file, self.profile.shapes, probe_optional=probe_optional, limit=limit, progress=progress
        )
        if reading.closed and not file.read.free:
            self.profile.closed.add(file.path)
        if reading.closed and self._authenticator is not None and not expected_closed:
            before = self.rights.held
            access_error = yield from self.rights.open(file)
            if self.rights.held != before:
                reading = yield from self._read(
                    file, self.profile.shapes, probe_optional=probe_optional, limit=limit, progress=progress
                )
        if reading.closed:
            reading.access_error = access_error
        elif reading.absent:
            self.profile.absent.add(file.path)
        elif reading.refusal is None:
            reading.opened_by = self.rights.opened_by(file)
        return reading

    def open_for_writing(self, file: File) -> Flow[None]:
        """Make a file's application current and obtain the rights that write it.

        Raises:
            CardRefusedError: the application cannot be selected.
            AccessNotGrantedError: no right allows writing the file, or no PIN or key that opens it was given.
            CardioError: the rights cannot be obtained, for the reason that it names.
        """
        refusal = yield from self.select_application(file.application)
        if refusal is not None:
            raise CardRefusedError(
                f"{file.application} 不能选择：{describe(refusal).zh}",
                f"{file.application} cannot be selected: {describe(refusal).en}",
                status_word=refusal,
            )
        fault: CardioError | None = None
        for needed in file.update.alternatives:
            fault = yield from self.rights.acquire(needed)
            if fault is None:
                return
        raise fault or AccessNotGrantedError(
            f"{file.path} 由卡片自行维护，不能写入", f"{file.path} is managed by the card itself and cannot be written"
        )

    @property
    def is_recognised(self) -> bool:
        """Return True if a PIN or a key may be presented: the FCI has the environment's name, or 卡识别码 is
        well-formed.

        A well-formed 卡识别码 has 16 bytes and begins with the six digits of a city (V2.0 table 10). A card that
        accepts any SELECT, or that has a file EF05, may be any kind of card.
        """
        code = text_of(self.contents.files[ISSUER_FILE], _IDENTIFICATION_CODE) or ""
        return self.environment.proved or (len(code) == _CODE_DIGITS and code[:REGION_DIGITS].isdecimal())

    def require_social_security_card(self) -> Flow[None]:
        """Refuse a card that let the environment be selected, but has no record of the issuer or the holder.

        Raises:
            CardGarbledError: the card's answers are no records, and its ATR names no other kind of card.
            NotASocialSecurityCardError: the card gives no records and does not name the application as ours; or its
                answers are no records, and its ATR names another kind of card.
            AccessNotGrantedError: the application has our name, and the issuer's file is closed.
            FileUnreadableError: the application has our name, and its files are blank.
        """
        issuer = self.contents.files[ISSUER_FILE]
        if issuer.records:
            return
        holder = self.contents.files.get(HOLDER_FILE) or (yield from self.read(HOLDER_FILE))
        if holder.records:
            return
        if issuer.malformed and holder.malformed:
            kind = kind_of_atr(self.environment.atr)
            if kind is not None and not kind.ours:
                raise another_kind(kind)  # the records are in that kind's own form
            raise CardGarbledError("卡片返回的记录无法识别", "nothing that the card answers is a record")
        environment = self.environment
        if not environment.fetched and (yield from environment.select(fetch=True)) is None:
            self.rights.forget()
        if not environment.proved:
            raise without_a_record(environment.atr)
        if issuer.closed:
            raise AccessNotGrantedError()
        raise FileUnreadableError(
            "社会保障卡内没有发卡机构和持卡人的记录，可能是未写入数据的空白卡",
            "a social security card without a record of EF05 or EF06: it may be blank",
        )

    def select_application(self, application_id: str) -> Flow[int | None]:
        """Make an application current; return None, or the status word of the most telling refusal."""
        if application_id == self._current:
            return None
        if application_id in self._unreachable:
            return self._unreachable[application_id]
        application = self.layout.application(application_id)
        if application is self.layout.environment:
            refusal = yield from self.environment.select_again()
            if refusal is not None and self.environment.way is EnvironmentWay.NAME:
                raise environment_refused(refusal, self.environment.atr)
            if refusal is None:
                self.capabilities.environment = self.environment.way
        else:
            refusal = yield from self._select(application)
        if refusal is not None:
            self._unreachable[application_id] = refusal
            return refusal
        self._current = application_id
        # The rights end when another application is selected.
        self.rights.forget()
        return None

    def _select(self, application: Application) -> Flow[int | None]:
        """Select an application by file id, by name or by label: cards differ in what they accept."""
        refusals = []
        names = [name for name in (application.name, (application.label or "").encode("gb18030")) if name]
        for p1 in dict.fromkeys([self.capabilities.applications.get(application.id, 0x00), 0x00, 0x04, 0x01]):
            ways = (
                [select_by_name(name, want_fci=False) for name in names]
                if p1 == 0x04
                else [select_file(application.file_id, p1)]
            )
            for way in ways:
                response = yield way
                if response.sw1 in (0x90, 0x61):
                    self.capabilities.applications[application.id] = p1
                    return None
                refusals.append(response.status_word)
        other = [refusal for refusal in refusals if refusal not in _ODD_SELECT_ANSWERS]
        return other[0] if other else StatusWord.FILE_NOT_FOUND

    def _read(
        self,
        file: File,
        shapes: dict[str, RecordShape],
        *,
        probe_optional: bool = False,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> Flow[FileReading]:
        """Read a file in the way that cards of this family accept, and note what this card taught."""
        known = self._known_methods(file)
        if file.structure is Structure.TRANSPARENT:
            reading = yield from read_transparent(
                file, known, block=self.capabilities.block, limit=limit, progress=progress
            )
            self.capabilities.block = min(self.capabilities.block, reading.block)
        elif not file.has_tags:
            reading = yield from read_equal_records(file, known, all_at_once=self._gives_all_at_once)
        else:
            exact = not (probe_optional and self.capabilities.cuts)
            reading = yield from read_file(
                file,
                shapes.get(file.path),
                known,
                probe_optional=probe_optional,
                exact=exact,
                on_method=partial(self.capabilities.files.setdefault, file.path),
            )
            if reading.method is not None and not reading.damaged:
                shapes[file.path] = reading.shape
        if reading.method is not None:
            self.capabilities.files[file.path] = reading.method
            self._gives_all_at_once |= reading.method.addressing is Addressing.ALL and len(reading.records) > 1
        return reading

    def _find_out_whether_it_cuts(self) -> Flow[None]:
        """Find out if the card cuts an answer at a length that is too short. Such a card may have more than was
        requested.
        """
        issuer = self.contents.files[ISSUER_FILE]
        self.capabilities.cuts = False
        if issuer.method is None or issuer.method.addressing is not Addressing.ALL:
            return
        attempt = ReadAttempt(issuer.file)
        refusal = yield from self.select_application(self.layout.environment.id)
        if refusal is None and (yield from attempt.select_file_by(issuer.method.reference)):
            sfi = attempt.sfi(issuer.method.reference)
            response = yield from send_or_malformed(read_record(1, issuer.method.addressing.mode, sfi, 1))
            self.capabilities.cuts = len(response.data) == 1

    def _known_methods(self, file: File) -> Collection[AccessMethod]:
        learnt = self.capabilities.files
        return [learnt[path] for path in (file.path, *learnt) if path in learnt]

    def _file(self, path: str) -> File:
        file = self.layout.file(path)
        if file is None:
            raise KeyError(path)
        return file


def text_of(reading: FileReading, name: str) -> str | None:
    """Return a value of a file as text; None if it is missing or cannot be decoded."""
    item = next((item for item in reading.file.items if item.name == name), None)
    raw = reading.value(item.tag or 0) if item is not None else None
    if item is None or raw is None:
        return None
    try:
        return str(decode_value(item, raw) or "") or None
    except CardioError:
        return None
