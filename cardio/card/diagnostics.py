"""The notes beside the values of a result: files and items that could not be read, and points to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cardio.apdu.status_word import StatusWord, describe
from cardio.errors import AccessNotGrantedError, CardGarbledError, CardioError, FileUnreadableError, ReaderTimeoutError
from cardio.filesystem.codec.items import DecodedItem, HiddenCharacters, PartialDate
from cardio.filesystem.codec.text_reading import TextNote
from cardio.filesystem.codes.tables import REGION_DIGITS, code_table
from cardio.filesystem.layouts.model import File, Format, Item, Layout, Structure
from cardio.filesystem.reading.decode import DecodedRecord
from cardio.filesystem.reading.result import MALFORMED, FileReading
from cardio.models.base import CodedValue, Region
from cardio.models.reading import Unread, Warning

_NO_PSAM = -2201
_REMEDIES = {
    "needs-pin": (
        "需要持卡人密码。",
        "It takes the holder's PIN.",
    ),
    "needs-key": (
        "需要 PSAM 卡或加密机授权。",
        "It takes a PSAM card or an HSM.",
    ),
    "needs-pin-or-key": (
        "需要持卡人密码，或 PSAM 卡、加密机授权。",
        "It takes the holder's PIN, or a PSAM card or an HSM.",
    ),
    "needs-pin-and-key": (
        "需要持卡人密码，并由 PSAM 卡或加密机授权。",
        "It takes both the holder's PIN and a PSAM card or an HSM.",
    ),
    "absent": ("卡内没有该文件，无需处理。", "The card does not have this file; nothing to do."),
    "empty": ("该文件没有内容，请持卡人到发卡机构补写。", "The file is empty; the issuing authority can write it."),
    "missing": ("请持卡人到发卡机构补写该项。", "The issuing authority can write it."),
    "not-asked": (
        "如本卡应有该项，请删除 cardio 的缓存文件（cardio doctor 会显示位置）后重读。",
        "If this card should have it, delete cardio's cache file (cardio doctor shows where) and read again.",
    ),
    "card-error": (
        "请重新插卡再试；若仍失败，请到发卡机构检查。",
        "Insert the card again; then have the issuer check it.",
    ),
    "garbled": (
        "请擦净芯片后重试；若仍失败，请到发卡机构检查。",
        "Clean the chip and retry; then have the issuer check it.",
    ),
    "incomplete": (
        "请重新插卡再读；若仍不完整，请到发卡机构检查。",
        "Insert the card again; if it stays incomplete, have the issuer check it.",
    ),
    "out-of-time": (
        "读卡较慢，该文件未读；需要时请再读一次。",
        "The card is slow, and time ran out before this file: read once more if it is wanted.",
    ),
    "internal": (
        "该数据由卡片内部维护，需通过交易指令查询。",
        "The card keeps it for itself; a transaction asks for it.",
    ),
    "undecodable": ("该项请人工核对；其他项不受影响。", "Check this item by hand; the others are not affected."),
}
_WITHOUT_IT = (
    "请擦净芯片后重读；若仍失败，请核对证件后人工录入，并请持卡人到发卡机构重写该项。",
    "Clean the chip and read again; if it stays so, take the data from the holder's document; the issuer can mend it.",
)
"""The remedy for a missing item without which the work cannot continue."""
_TEXT_NOTES = {
    TextNote.CUT: (
        "末尾只有半个汉字，已略去，后面的内容可能没有写入卡内，请对照证件",
        "it ends within a character, which is left out: there may have been more, compare the document",
    ),
    TextNote.FULL: (
        "写满了整个数据项，后面的内容可能没有写入卡内，请对照证件",
        "it fills its field: there may have been more, compare the document",
    ),
    TextNote.FILL: ("末尾的填充字符已略去", "characters at its end that only fill the field are left out"),
    TextNote.SUBSTITUTES: (
        "有代替缺字的符号，可能是发卡系统写不出的生僻字，请对照证件",
        "a sign stands for a character that the issuer's program did not know: compare the document",
    ),
    TextNote.PRIVATE_USE: (
        "有自造字（专用区字符），本机可能显示不出或显示成别的字，请对照证件",
        "it has a private-use character, which may show as another or not at all: compare the document",
    ),
    TextNote.NORMALISED: (
        "卡内的写法不合标准，已改为标准写法（原文见文件内容）",
        "written as its standard has it; it stands otherwise on the card (see the file)",
    ),
}


@dataclass(slots=True)
class Diagnostics:
    """The collection of notes beside the values."""

    unread: list[Unread] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)

    def add_unread(
        self,
        file: str,
        reason: str,
        detail: str,
        detail_en: str,
        *,
        item: str | None = None,
        code: int | None = None,
        remedies: tuple[str, str] | None = None,
        error: str | None = None,
    ) -> None:
        remedy, remedy_en = remedies or _REMEDIES[reason]
        self.unread.append(
            Unread(
                file=file,
                item=item,
                reason=reason,
                detail=detail,
                detail_en=detail_en,
                driver_code=code,
                remedy=remedy,
                remedy_en=remedy_en,
                error=error,
            )
        )

    def add_warning(self, code: str, item: str | None, detail: str, detail_en: str) -> None:
        self.warnings.append(Warning(code=code, item=item, detail=detail, detail_en=detail_en))

    def add_refusal(self, layout: Layout, reading: FileReading) -> None:
        """Add the reason why a whole file is missing."""
        status_word, file = reading.refusal, reading.file
        if status_word is None:
            return
        meaning = describe(status_word)
        detail, detail_en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}"
        code: int | None = -status_word
        remedies = error = None
        match status_word:
            case StatusWord.SECURITY_STATUS_NOT_SATISFIED:
                reason = file.read.need if not file.read.free else "needs-key"
                access_error = reading.access_error
                if access_error is not None:
                    detail, detail_en, code = access_error.detail, access_error.detail_en, access_error.driver_code
                    remedies, error = (access_error.remedy, access_error.remedy_en), access_error.code
                elif file.application == layout.environment.id and layout.generation >= 3:
                    code = _NO_PSAM
            case StatusWord.FILE_NOT_FOUND:
                reason = "absent"
            case StatusWord.RECORD_NOT_FOUND:
                reason = "empty"
            case _ if status_word == MALFORMED:
                reason, code = "garbled", CardGarbledError.driver_code
                detail, detail_en = "返回的不是记录", "the answers are not records"
            case _:
                reason = "card-error"
        self.add_unread(file.path, reason, detail, detail_en, code=code, remedies=remedies, error=error)

    def out_of_time(self, path: str) -> None:
        """Add a file that was not read because the time was over."""
        self.add_unread(
            path, "out-of-time", "读卡时间已到，未读", "not read: time ran out", code=ReaderTimeoutError.driver_code
        )

    def text(self, item: Item, note: TextNote) -> None:
        """Add a note on a text for a person."""
        zh, en = _TEXT_NOTES[note]
        self.add_warning(note.value, item.name, f"{item.label}：{zh}", f"{item.label_en}: {en}")

    def internal(self, file: File) -> None:
        """Add a file that no command reads."""
        self.add_unread(
            file.path, "internal", f"{file.title}：卡片内部数据", f"{file.title_en}: kept by the card itself"
        )

    def read(self, reading: FileReading, records: Iterable[DecodedRecord]) -> None:
        """Add the notes on a file that was read, and on each of its items."""
        for record in records:
            for one in record.items:
                self._item(reading.file, one)
        self._damages(reading)
        for item in reading.missing:
            detail = f"{item.label}：卡内没有该项"
            self.add_unread(reading.file.path, "missing", detail, f"{item.label_en}: not on the card", item=item.name)
        for tag in sorted(reading.not_asked):
            detail = "同一发卡机构的卡没有该项，未向本卡索取"
            detail_en = "not asked for: cards of this issuer do not have it"
            self.add_unread(reading.file.path, "not-asked", detail, detail_en, item=_name(reading.file, tag))
        for tag in sorted(reading.only_first):
            detail, detail_en = "只读到第一条，其余可能未读", "only the first was read; there may be more"
            self.add_unread(reading.file.path, "incomplete", detail, detail_en, item=_name(reading.file, tag))
        for tag in sorted(reading.duplicates):
            self.add_warning(
                "duplicate-record", _name(reading.file, tag), "同一记录出现两次", "the same record stands there twice"
            )
        if reading.file.has_tags:
            for tag, count in Counter(reading.tags).items():
                known = reading.file.item(tag)
                if known is not None and count > reading.file.repeats(known):
                    zh, en = (
                        f"{known.label}有 {count} 条，多于规范",
                        f"{count} records, more than the specification has",
                    )
                    self.add_warning("surplus-record", known.name, zh, en)
                if known is None:
                    zh = f"{reading.file.path} 中有未知数据项"
                    self.add_warning("unknown-item", f"{tag:02X}", zh, "an item that no layout knows")

    def _damages(self, reading: FileReading) -> None:
        path = reading.file.path
        for tag in reading.corrupt:
            name = _name(reading.file, tag)
            self.add_warning(
                "corrupt-data", name, "卡片提示该数据可能有误", "the card says that this value may be corrupt"
            )
        for number in sorted(reading.corrupt_numbers):
            self.add_warning(
                "corrupt-data", f"{path} {number}", "卡片提示该数据可能有误", "the card says that it may be corrupt"
            )
        for tag, status_word in reading.damaged.items():
            self._damaged(path, _name(reading.file, tag), status_word)
        for number, status_word in reading.damaged_numbers.items():
            self._damaged(path, str(number), status_word)
        if reading.broken_off is not None:
            self._damaged(path, None, reading.broken_off)
        elif reading.file.structure is Structure.TRANSPARENT and reading.refusal is None and not reading.probed:
            size = len(reading.content)
            if size not in reading.file.sizes:
                zh = f"{size} 字节，应为 {reading.file.size} 字节"
                self.add_warning("file-size", path, zh, f"{size} bytes, not {reading.file.size}")

    def _damaged(self, path: str, item: str | None, status_word: int) -> None:
        if status_word:
            meaning = describe(status_word)
            detail, detail_en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}"
            self.add_unread(path, "card-error", detail, detail_en, item=item, code=-status_word)
        else:
            detail, detail_en = "记录长度与内容不符", "the record's length does not match its content"
            self.add_unread(path, "garbled", detail, detail_en, item=item, code=CardGarbledError.driver_code)

    def _item(self, file: File, decoded: DecodedItem) -> None:
        item, problem = decoded.item, decoded.problem
        if isinstance(problem, PartialDate):
            self.add_warning(problem.code, item.name, f"{item.label}：{problem.detail}", problem.detail_en)
        elif problem is not None:
            zh, en = f"{item.label}：{problem.detail}", f"{item.label_en}: {problem.detail_en}"
            self.add_unread(file.path, "undecodable", zh, en, item=item.name, code=problem.driver_code)
        if isinstance(decoded.value, HiddenCharacters):
            self.add_warning(
                "control-characters", item.name, f"{item.label}中有控制字符，已略去", "control characters left out"
            )
        if decoded.cut:
            self.text(item, TextNote.CUT)
        if decoded.overlong:
            zh = f"{item.label}：{len(decoded.raw)} 字节，规范为 {item.length} 字节"
            self.add_warning(
                "overlong", item.name, zh, f"{len(decoded.raw)} bytes, the specification says {item.length}"
            )
        for inside in decoded.items:
            self._item(file, inside)
        if decoded.items and item.format is Format.B_TLV and problem is None:
            found = {inside.item.tag for inside in decoded.items}
            for lacking in item.items:
                if lacking.tag not in found:
                    zh, en = f"{item.label}中没有{lacking.label}", f"{lacking.label_en}: not in {item.label_en}"
                    self.add_unread(file.path, "missing", zh, en, item=lacking.name)


def unread_error(unread: Unread, *, driver_code: int | None = None) -> CardioError:
    """Return the error for an unread file or item that is indispensable.

    Args:
        unread: the note on the file or item.
        driver_code: the driver code where the reason has none of its own.
    """
    kind = AccessNotGrantedError if unread.reason.startswith("needs-") else FileUnreadableError
    code = unread.driver_code if unread.driver_code is not None else driver_code
    error = kind(f"{unread.file}：{unread.detail}", f"{unread.file}: {unread.detail_en}", driver_code=code)
    error.remedy, error.remedy_en = _WITHOUT_IT if unread.item is not None else (unread.remedy, unread.remedy_en)
    return error


def _name(file: File, tag: int) -> str:
    item = file.item(tag)
    return item.name if item else f"{tag:02X}"


def issuing_region(identification_code: str | None) -> Region | None:
    """Return the region that a 卡识别码 begins with."""
    if identification_code is None:
        return None
    code = code_table("regions").look_up(identification_code[:REGION_DIGITS])
    return Region(code=code.code, name=code.label)


def refusal_error(layout: Layout, reading: FileReading) -> CardioError | None:
    """Return the error for a refused file, for a caller that wants only that file."""
    remarks = Diagnostics()
    remarks.add_refusal(layout, reading)
    return unread_error(remarks.unread[0]) if remarks.unread else None


def coded_value(layout: Layout, item: Item, value: object, remarks: Diagnostics) -> CodedValue:
    """Return a code with its words. A code that its table does not know is returned without words, with a warning."""
    table = layout.code_table(item.codes or "")
    code = table.look_up(str(value))
    if code.label is None:
        remarks.add_warning(
            "unknown-code", item.name, f"{item.label}代码 {code.code} 不在{table.title}中", f"not in {table.source}"
        )
    return CodedValue(code=code.code, label=code.label, label_en=code.label_en)
