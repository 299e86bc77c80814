"""The plan for a whole card: which files, in which order, and what to remember for the next card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cardio.apdu.channel import Plan
from cardio.apdu.commands import select_by_name, select_file
from cardio.apdu.fci import Fci
from cardio.apdu.response import ResponseApdu
from cardio.apdu.status_word import Meaning, StatusWord, describe
from cardio.errors import (
    CardBlockedError,
    CardGarbledError,
    CardioError,
    CardRefusedError,
    NotASocialSecurityCardError,
)
from cardio.filesystem.file_reading import FileReading
from cardio.filesystem.items import decode_value
from cardio.filesystem.layout import Application, File, Layout
from cardio.filesystem.layout_file import DEFAULT_GENERATION, layout_for_version, layout_of
from cardio.filesystem.manners import Algorithm, FamilyManners, IssuerProfile, Shape
from cardio.filesystem.reading import read_file

ISSUER_FILE = "SSSE/EF05"
HOLDER_FILE = "SSSE/EF06"
SUPPLEMENT = ("DF01/EF05", "DF01/EF06", "DF01/EF0A")
"""Where residence, household registration and nationality are; a PIN or key opens them on most cards."""
_SPEC_VERSION, _ISSUER_NUMBER = "spec_version", "issuer_number"
_BLOCKED = frozenset(
    {
        StatusWord.SELECTED_FILE_INVALIDATED,
        StatusWord.FUNCTION_NOT_SUPPORTED,
        StatusWord.AUTHENTICATION_BLOCKED,
        0x9303,  # application permanently blocked
    }
)
_NOT_HERE = frozenset(
    {
        StatusWord.FILE_NOT_FOUND,
        StatusWord.INCORRECT_P1_P2,
        StatusWord.WRONG_P1_P2,
        StatusWord.WRONG_LENGTH,
        StatusWord.INS_NOT_SUPPORTED,
        StatusWord.CLA_NOT_SUPPORTED,
        0x6999,  # "applet selection failed" of Java cards
    }
)
_SELECT_MANNERS = frozenset({StatusWord.FILE_NOT_FOUND, StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_P1_P2})


@dataclass(slots=True)
class CardContents:
    """What a card gave: its layout and a reading of each file that was asked for."""

    layout: Layout
    algorithm: str | None = None
    files: dict[str, FileReading] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    """Files that were not asked for or not reached, with the status word that says why."""
    marker_problem: Meaning | None = None
    """What keeps the card's own word on its algorithm from being understood."""


def read_card(manners: FamilyManners, *, supplement: bool = True, t1: bool = False) -> Plan[CardContents]:
    """Reads who a card belongs to: EF05 and EF06, and with ``supplement`` the files of DF01.

    Args:
        manners: what is known of this family; what this card teaches is written into it.
        t1: the card speaks T=1, where the answer to SELECT brings the FCI along, and Le must be sent.

    Raises:
        NotASocialSecurityCardError: there is no social security environment on the card.
        CardBlockedError: there is one, and it is blocked.
        CardRefusedError: it cannot be selected for another reason.
        CardGarbledError: nothing that it answers is a record.
    """
    default = layout_of(DEFAULT_GENERATION)
    marker = _Marker(default.algorithm_markers, t1=t1)
    # Where no algorithm is known the FCI will be wanted, and now is the cheapest moment.
    yield from marker.select(default.environment, fetch=not manners.algorithms)

    issuer = yield from _read(_file(default, ISSUER_FILE), manners, manners.issuer_shapes)
    version = _text(issuer, _SPEC_VERSION)
    layout = layout_for_version(version)
    contents = CardContents(layout, files={ISSUER_FILE: replace(issuer, file=_file(layout, ISSUER_FILE))})
    profile = manners.issuer(_text(issuer, _ISSUER_NUMBER), version)

    # Always asked for: whether a card opens it is that card's affair, and one command tells.
    holder = contents.files[HOLDER_FILE] = yield from _read(_file(layout, HOLDER_FILE), manners, profile.shapes)
    if issuer.nonsense and holder.nonsense:
        raise CardGarbledError("卡片返回的记录无法识别", "nothing that the card answers is a record")
    if layout.generation not in manners.algorithms and not marker.fetched:
        yield from marker.select(default.environment, fetch=True)
    contents.marker_problem = marker.problem
    if marker.problem is None:
        if marker.fetched:
            manners.algorithms[layout.generation] = marker.named or layout.algorithm
        contents.algorithm = manners.algorithms[layout.generation]
    if supplement:
        yield from _read_application(contents, "DF01", SUPPLEMENT, manners, profile)
    return contents


@dataclass(slots=True)
class _Marker:
    """Selecting the environment, and what its FCI says about the algorithm."""

    meanings: Mapping[str, Algorithm]
    t1: bool
    fetched: bool = False
    named: Algorithm | None = None
    """The algorithm; None where the card names none."""
    problem: Meaning | None = None

    def select(self, environment: Application, *, fetch: bool) -> Plan[None]:
        """Makes the social security environment current.

        Raises:
            NotASocialSecurityCardError, CardBlockedError, CardRefusedError: it is not there, or not to be had.
        """
        response = yield select_by_name(environment.name or b"", want_fci=fetch or self.t1)
        if response.status_word in _BLOCKED:
            raise CardBlockedError(status_word=response.status_word)
        if response.status_word in _NOT_HERE:
            raise _not_this_card(response)
        if response.sw1 not in (0x90, 0x61):
            meaning = describe(response.status_word)
            raise CardRefusedError(
                f"社会保障应用无法选择：{response.status_word:04X} {meaning.zh}",
                f"the social security application cannot be selected: {response.status_word:04X} {meaning.en}",
                status_word=response.status_word,
            )
        if response.data or fetch:
            self._take(response.data)

    def _take(self, fci: bytes) -> None:
        self.fetched = True
        if not fci:
            return
        try:
            marker = Fci.from_bytes(fci).algorithm_marker
        except CardGarbledError:
            self.problem = Meaning("应用选择信息无法解析，算法未知", "the answer to SELECT cannot be parsed")
            return
        if marker is not None:
            self.named = self.meanings.get(f"{marker:02X}")
            if self.named is None:
                self.problem = Meaning(f"算法标识 {marker:02X} 未知", f"algorithm marker {marker:02X} is unknown")


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
    wanted = []
    for path in paths:
        if path in profile.absent:
            contents.skipped[path] = StatusWord.FILE_NOT_FOUND
        elif path in profile.closed:
            contents.skipped[path] = StatusWord.SECURITY_STATUS_NOT_SATISFIED
        else:
            wanted.append(path)
    if not wanted:
        return
    refusal = yield from _select_application(contents.layout.application(application_id), manners)
    if refusal is not None:
        contents.skipped |= dict.fromkeys(wanted, refusal)
        if refusal == StatusWord.FILE_NOT_FOUND:
            profile.absent.update(wanted)
        return
    for path in wanted:
        file = _file(contents.layout, path)
        reading = contents.files[path] = yield from _read(file, manners, profile.shapes)
        if reading.closed and not file.read.free:
            profile.closed.add(path)
        elif reading.absent:
            profile.absent.add(path)


def _select_application(application: Application, manners: FamilyManners) -> Plan[int | None]:
    """Makes an application current, by file id or by name: cards differ in what they take.

    Gives None, or the status word of the most telling refusal.
    """
    refusals = []
    for p1 in dict.fromkeys([manners.applications.get(application.id, 0x00), 0x00, 0x04, 0x01]):
        if p1 == 0x04 and application.name is not None:
            response = yield select_by_name(application.name, want_fci=False)
        else:
            response = yield select_file(application.file_id, p1)
        if response.sw1 in (0x90, 0x61):
            manners.applications[application.id] = p1
            return None
        refusals.append(response.status_word)
    other = [refusal for refusal in refusals if refusal not in _SELECT_MANNERS]
    return other[0] if other else StatusWord.FILE_NOT_FOUND


def _read(file: File, manners: FamilyManners, shapes: dict[str, Shape]) -> Plan[FileReading]:
    """Reads a file as cards of this kind are known to like it, and notes what this one taught."""
    known = [manners.files[path] for path in (file.path, *manners.files) if path in manners.files]
    reading = yield from read_file(file, shapes.get(file.path), known)
    if reading.manner is not None:
        manners.files[file.path] = reading.manner
        if not reading.damaged:
            shapes[file.path] = reading.shape
    return reading


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
