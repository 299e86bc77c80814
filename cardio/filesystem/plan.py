"""The plan for a whole card: which files, in which order, and what to remember for the next card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cardio.apdu.channel import Plan
from cardio.apdu.commands import select_by_name, select_file
from cardio.apdu.fci import Fci
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import CardBlockedError, CardGarbledError, CardioError, NotASocialSecurityCardError
from cardio.filesystem.items import decode_value
from cardio.filesystem.layout import Application, File, Layout
from cardio.filesystem.layout_file import DEFAULT_GENERATION, layout_for_version, layout_of
from cardio.filesystem.manners import FamilyManners, IssuerProfile, Shape
from cardio.filesystem.reading import FileReading, read_file

ISSUER_FILE = "SSSE/EF05"
HOLDER_FILE = "SSSE/EF06"
SUPPLEMENT = ("DF01/EF05", "DF01/EF06", "DF01/EF0A")
"""Where residence, household registration and nationality are; a PIN or key opens them on most cards."""
_SPEC_VERSION, _ISSUER_NUMBER = "spec_version", "issuer_number"
_ALGORITHM_MARKERS = {1: "3DES", 2: "SSF33", 3: "SM4"}


@dataclass(slots=True)
class CardContents:
    """What a card gave: its layout and a reading of each file that was asked for."""

    layout: Layout
    algorithm: str | None
    files: dict[str, FileReading] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """Files not asked for, since cards of this kind refuse them, with the status word they give."""
    fci_garbled: bool = False


def read_card(
    manners: FamilyManners, *, supplement: bool = True, fetch_costs_nothing: bool = False
) -> Plan[CardContents]:
    """Reads who a card belongs to: EF05 and EF06, and with ``supplement`` the files of DF01.

    Args:
        manners: what is known of this family; what this card teaches is written into it.
        fetch_costs_nothing: the answer to SELECT brings the FCI along anyway (T=1).

    Raises:
        NotASocialSecurityCardError: there is no social security environment on the card.
        CardBlockedError: there is one, and it is blocked.
        CardGarbledError: nothing that it answers is a record.
    """
    environment = layout_of(DEFAULT_GENERATION).environment
    marker = _Marker()
    yield from _select_environment(environment, manners, marker, fetch=fetch_costs_nothing or not manners.algorithms)

    default = layout_of(DEFAULT_GENERATION)
    issuer_file = _file(default, ISSUER_FILE)
    issuer = yield from _read(issuer_file, manners, manners.issuer_shapes)
    _refuse_nonsense(issuer)
    version = _text(issuer, _SPEC_VERSION)
    layout = layout_for_version(version)
    contents = CardContents(layout, None)
    contents.files[ISSUER_FILE] = FileReading(
        _file(layout, ISSUER_FILE), issuer.records, issuer.manner, issuer.refusal, issuer.damaged, issuer.corrupt
    )
    profile = manners.issuer(_text(issuer, _ISSUER_NUMBER), version)

    yield from _read_or_skip(contents, HOLDER_FILE, manners, profile)
    if layout.generation not in manners.algorithms and not marker.fetched:
        yield from _select_environment(environment, manners, marker, fetch=True)
    if marker.fetched:
        manners.algorithms[layout.generation] = _ALGORITHM_MARKERS.get(marker.value or 0, layout.algorithm)
    contents.algorithm = manners.algorithms.get(layout.generation)
    contents.fci_garbled = marker.garbled
    if supplement:
        yield from _read_application(contents, "DF01", SUPPLEMENT, manners, profile)
    return contents


@dataclass(slots=True)
class _Marker:
    """What the FCI says about the algorithm."""

    fetched: bool = False
    value: int | None = None
    garbled: bool = False

    def take(self, fci: bytes) -> None:
        self.fetched = True
        try:
            self.value = Fci.from_bytes(fci).algorithm_marker
        except CardioError:
            self.garbled = True


def _select_environment(
    environment: Application, manners: FamilyManners, marker: _Marker, *, fetch: bool
) -> Plan[None]:
    name = environment.name or b""
    response = yield select_by_name(name, want_fci=fetch or manners.select_wants_le)
    if response.status_word == StatusWord.WRONG_LENGTH and not (fetch or manners.select_wants_le):
        manners.select_wants_le = True
        response = yield select_by_name(name, want_fci=True)
    if response.status_word in (StatusWord.SELECTED_FILE_INVALIDATED, StatusWord.FUNCTION_NOT_SUPPORTED):
        raise CardBlockedError(status_word=response.status_word)
    if response.sw1 not in (0x90, 0x61):
        raise _not_this_card(response)
    if response.data or fetch:
        marker.take(response.data)


def _not_this_card(response: ResponseApdu) -> NotASocialSecurityCardError:
    meaning = describe(response.status_word)
    return NotASocialSecurityCardError(
        f"卡内没有社会保障应用（{response.status_word:04X} {meaning.zh}）",
        f"the card has no social security application ({response.status_word:04X} {meaning.en})",
        status_word=response.status_word,
    )


def _read_application(
    contents: CardContents,
    application_id: str,
    paths: Iterable[str],
    manners: FamilyManners,
    profile: IssuerProfile,
) -> Plan[None]:
    wanted = [path for path in paths if not _skip(contents, path, profile)]
    if not wanted:
        return
    if (yield from _select_application(contents.layout.application(application_id), manners)):
        for path in wanted:
            yield from _read_or_skip(contents, path, manners, profile)
        return
    for path in wanted:
        contents.skipped[path] = StatusWord.FILE_NOT_FOUND
        profile.absent.add(path)


def _select_application(application: Application, manners: FamilyManners) -> Plan[bool]:
    """Makes an application current, by file id or by name: cards differ in what they take."""
    by_cost = dict.fromkeys([manners.applications.get(application.id, 0x00), 0x00, 0x04, 0x01])
    for p1 in by_cost:
        if p1 == 0x04 and application.name is None:
            continue
        if p1 == 0x04:
            response = yield select_by_name(application.name or b"", want_fci=False)
        else:
            response = yield select_file(application.file_id, p1)
        if response.sw1 in (0x90, 0x61):
            manners.applications[application.id] = p1
            return True
    return False


def _skip(
    contents: CardContents,
    path: str,
    profile: IssuerProfile,
) -> bool:
    """Whether this issuer's cards are known to refuse the file."""
    if path in profile.absent:
        contents.skipped[path] = StatusWord.FILE_NOT_FOUND
    elif path in profile.closed:
        contents.skipped[path] = StatusWord.SECURITY_STATUS_NOT_SATISFIED
    return path in contents.skipped


def _read_or_skip(
    contents: CardContents,
    path: str,
    manners: FamilyManners,
    profile: IssuerProfile,
) -> Plan[None]:
    if _skip(contents, path, profile):
        return
    file = _file(contents.layout, path)
    reading = yield from _read(file, manners, profile.shapes)
    contents.files[path] = reading
    # A file that should be free and is not is this card's fault, and says nothing about the next one.
    if reading.closed and not file.read.free:
        profile.closed.add(path)
    elif reading.absent and not file.read.free:
        profile.absent.add(path)


def _read(file: File, manners: FamilyManners, shapes: dict[str, Shape]) -> Plan[FileReading]:
    """Reads a file as cards of this kind are known to like it, and notes what this one taught."""
    known = [manners.files[path] for path in (file.path, *manners.files) if path in manners.files]
    reading = yield from read_file(file, shapes.get(file.path, file.record_shape), known)
    if reading.manner is not None:
        manners.files[file.path] = reading.manner
        if not reading.damaged:
            shapes[file.path] = reading.shape
    return reading


def _refuse_nonsense(reading: FileReading) -> None:
    if reading.garbled:
        raise CardGarbledError("卡片返回的记录无法识别", "nothing that the card answers is a record")


def _file(layout: Layout, path: str) -> File:
    file = layout.file(path)
    if file is None:
        raise KeyError(path)
    return file


def _text(reading: FileReading, name: str) -> str | None:
    """A value of the issuer's file as text, as far as it can be read."""
    item = next(item for item in reading.file.items if item.name == name)
    raw = reading.value(item.tag or 0)
    try:
        return str(decode_value(item, raw) or "") or None if raw is not None else None
    except CardioError:
        return None
