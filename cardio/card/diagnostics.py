"""The notes beside the values of a result: files and items that could not be read, and points to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
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
        "需持卡人输入密码。",
        "The holder must enter the PIN.",
    ),
    "needs-key": (
        "需由 PSAM 卡或加密机授权。",
        "A PSAM card or an HSM must open it.",
    ),
    "needs-pin-or-key": (
        "需持卡人输入密码，或由 PSAM 卡、加密机授权。",
        "The holder must enter the PIN, or a PSAM card or an HSM must open it.",
    ),
    "needs-pin-and-key": (
        "需持卡人输入密码，并由 PSAM 卡或加密机授权。",
        "The holder must enter the PIN, and a PSAM card or an HSM must open it too.",
    ),
    "absent": ("这张卡没有这部分内容，无需处理。", "The card does not have this part. There is nothing to do."),
    "empty": (
        "卡内这部分内容为空；需要时请持卡人到发卡机构补写。",
        "This part is empty. The issuing authority can write it.",
    ),
    "missing": ("请持卡人到发卡机构补写该项。", "The issuing authority can write it."),
    "not-asked": (
        "本卡应有该项时，请联系信息科：删除 cardio 的缓存文件（位置见 cardio doctor）后重新读卡。",
        "If this card should have it, call your IT department: delete cardio's cache file (cardio doctor shows where) "
        "and read again.",
    ),
    "card-error": (
        "请重新插卡再试；若仍失败，请持卡人携卡到社保卡服务网点检测。",
        "Insert the card again; if it still fails, have the issuer check the card.",
    ),
    "garbled": (
        "请擦净芯片后重试；若仍失败，请持卡人携卡到社保卡服务网点检测。",
        "Clean the chip and try again; if it still fails, have the issuer check the card.",
    ),
    "incomplete": (
        "请重新插卡再读；若仍不完整，请持卡人携卡到社保卡服务网点检测。",
        "Insert the card again; if it stays incomplete, have the issuer check the card.",
    ),
    "out-of-time": (
        "读卡较慢，这部分未读取；需要时请再读一次。",
        "The card is slow, and there was no time for this part. Read the card again if you need it.",
    ),
    "internal": (
        "该数据由卡片内部维护，只能通过交易指令查询。",
        "The card manages this data itself. Only a transaction command can query it.",
    ),
    "undecodable": ("该项请人工核对；其他项不受影响。", "Check this item by hand; the others are not affected."),
}
_WITHOUT_IT = (
    "请擦净芯片后重读；若仍失败，请核对证件后人工录入，并请持卡人到发卡机构重写该项。",
    "Clean the chip and read again; if it stays so, take the data from the holder's document. The issuer can write it.",
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
        "有代替缺字的符号，可能是发卡系统无法写入的生僻字，请对照证件",
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
        file: File,
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
        title, title_en = _words(file, item)
        self.unread.append(
            Unread(
                file=file.path,
                item=item,
                title=title,
                title_en=title_en,
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
                reason = file.read.missing_right if not file.read.free else "needs-key"
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
                detail, detail_en = "卡片返回的数据格式不对", "the answers are not records"
            case _:
                reason = "card-error"
        self.add_unread(file, reason, detail, detail_en, code=code, remedies=remedies, error=error)

    def out_of_time(self, file: File) -> None:
        """Add a file that was not read because the time was over."""
        self.add_unread(file, "out-of-time", "读卡时间已到", "time ran out", code=ReaderTimeoutError.driver_code)

    def text(self, item: Item, note: TextNote) -> None:
        """Add a note on a text for a person."""
        zh, en = _TEXT_NOTES[note]
        self.add_warning(note.value, item.name, f"{item.label}：{zh}", f"{item.label_en}: {en}")

    def internal(self, file: File) -> None:
        """Add a file that no command reads."""
        self.add_unread(file, "internal", f"{file.title}：卡片内部数据", f"{file.title_en}: kept by the card itself")

    def read(self, reading: FileReading, records: Iterable[DecodedRecord]) -> None:
        """Add the notes on a file that was read, and on each of its items."""
        for record in records:
            for one in record.items:
                self._item(reading.file, one)
        self._damages(reading)
        for item in reading.missing:
            detail = f"{item.label}：卡内没有该项"
            self.add_unread(reading.file, "missing", detail, f"{item.label_en}: not on the card", item=item.name)
        for tag in sorted(reading.not_asked):
            detail = "同一发卡机构的卡没有该项，未向本卡索取"
            detail_en = "not asked for: cards of this issuer do not have it"
            self.add_unread(reading.file, "not-asked", detail, detail_en, item=_name(reading.file, tag))
        for tag in sorted(reading.only_first):
            detail, detail_en = "只读到第一条，其余可能未读取", "only the first was read; there may be more"
            self.add_unread(reading.file, "incomplete", detail, detail_en, item=_name(reading.file, tag))
        for tag in sorted(reading.duplicates):
            zh, en = _words(reading.file, name := _name(reading.file, tag))
            self.add_warning(
                "duplicate-record", name, f"{zh}：同一记录出现两次", f"{en}: the same record is there twice"
            )
        if reading.file.has_tags:
            for tag, count in Counter(reading.tags).items():
                known = reading.file.item(tag)
                if known is not None and count > reading.file.repeats(known):
                    zh, en = (
                        f"{known.label}有 {count} 条，多于规范规定的条数",
                        f"{count} records, more than the specification has",
                    )
                    self.add_warning("surplus-record", known.name, zh, en)
                if known is None:
                    zh = f"{reading.file.title}中有未知数据项"
                    self.add_warning(
                        "unknown-item", f"{tag:02X}", zh, f"{reading.file.title_en}: an item that no layout knows"
                    )

    def _damages(self, reading: FileReading) -> None:
        path = reading.file.path
        for tag in reading.corrupt:
            name = _name(reading.file, tag)
            zh, en = _words(reading.file, name)
            self.add_warning(
                "corrupt-data",
                name,
                f"{zh}：卡片提示该数据可能有误，请对照证件",
                f"{en}: the card says that this value may be corrupt; compare the document",
            )
        for number in sorted(reading.corrupt_numbers):
            zh, en = _words(reading.file, None)
            self.add_warning(
                "corrupt-data",
                f"{path} {number}",
                f"{zh}第 {number} 条：卡片提示该数据可能有误，请对照证件",
                f"{en}, record {number}: the card says that it may be corrupt; compare the document",
            )
        for tag, status_word in reading.damaged.items():
            self._damaged(reading.file, _name(reading.file, tag), status_word)
        for number, status_word in reading.damaged_numbers.items():
            self._damaged(reading.file, str(number), status_word)
        if reading.broken_off is not None:
            self._damaged(reading.file, None, reading.broken_off)
        elif reading.file.structure is Structure.TRANSPARENT and reading.refusal is None and not reading.probed:
            size = len(reading.content)
            if size not in reading.file.sizes:
                zh = f"{reading.file.title}为 {size} 字节，应为 {reading.file.size} 字节"
                self.add_warning(
                    "file-size", path, zh, f"{reading.file.title_en}: {size} bytes, not {reading.file.size}"
                )

    def _damaged(self, file: File, item: str | None, status_word: int) -> None:
        if status_word:
            meaning = describe(status_word)
            detail, detail_en = f"{status_word:04X} {meaning.zh}", f"{status_word:04X} {meaning.en}"
            self.add_unread(file, "card-error", detail, detail_en, item=item, code=-status_word)
        else:
            detail, detail_en = "记录长度与内容不符", "the record's length does not match its content"
            self.add_unread(file, "garbled", detail, detail_en, item=item, code=CardGarbledError.driver_code)

    def _item(self, file: File, decoded: DecodedItem) -> None:
        item, problem = decoded.item, decoded.problem
        if isinstance(problem, PartialDate):
            self.add_warning(problem.code, item.name, f"{item.label}：{problem.detail}", problem.detail_en)
        elif problem is not None:
            zh, en = f"{item.label}：{problem.detail}", f"{item.label_en}: {problem.detail_en}"
            self.add_unread(file, "undecodable", zh, en, item=item.name, code=problem.driver_code)
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
                    self.add_unread(file, "missing", zh, en, item=lacking.name)


def unread_error(unread: Unread, *, driver_code: int | None = None) -> CardioError:
    """Return the error for an unread file or item that is indispensable.

    Args:
        unread: the note on the file or item.
        driver_code: the driver code where the reason has none of its own.
    """
    kind = AccessNotGrantedError if unread.reason.startswith("needs-") else FileUnreadableError
    code = unread.driver_code if unread.driver_code is not None else driver_code
    error = kind(*unread.with_subject(unread.detail, unread.detail_en), driver_code=code)
    error.remedy, error.remedy_en = _WITHOUT_IT if unread.item is not None else (unread.remedy, unread.remedy_en)
    return error


def _words(file: File, name: str | None) -> tuple[str, str]:
    """Return a file, or one item of it, in words for a clerk. An item that no layout knows is named by its file."""
    item = next((one for one in _with_inner(file.items) if one.name == name), None)
    if item is not None:
        return item.label, item.label_en
    return file.title.removesuffix("文件"), file.title_en


def _with_inner(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _with_inner(item.items)


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
