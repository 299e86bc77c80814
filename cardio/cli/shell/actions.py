"""The work of the commands of ``cardio shell``: each takes the text after its word and returns a reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from cardio.apdu.command import CommandApdu
from cardio.apdu.status_word import describe
from cardio.cli.card_options import READING, note_unread, value_text
from cardio.cli.commands.files import STRUCTURES, print_file, print_tree
from cardio.cli.commands.read import print_reading
from cardio.cli.commands.reports import print_report
from cardio.cli.language import Language
from cardio.cli.names import application_of, choose, file_pools, item_pools, place_pools, title_of
from cardio.cli.output import Output
from cardio.errors import NotPermittedError, UsageError
from cardio.filesystem.layouts.model import Layout
from cardio.models.files import FileContent, ItemContent, SourcedItem

if TYPE_CHECKING:
    from cardio.cli.shell.session import Session


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, as a document for programs and as text for people."""

    document: BaseModel | dict[str, Any]
    show: Callable[[Output], None]
    good: bool = True
    last: bool = False

    def data(self) -> dict[str, Any]:
        return self.document.model_dump(mode="json") if isinstance(self.document, BaseModel) else self.document


# -- going about ----------------------------------------------------------------------------------


def select(session: Session, name: str) -> Reply:
    layout = session.known_layout()
    if name == "/":
        session.place = ""
    elif name == "..":
        session.place = session.place.rpartition("/")[0]
    elif name:
        session.place = choose(name, place_pools(layout, session.place))
    title, title_en = title_of(layout, session.place)
    document = {"place": session.place, "title": title, "title_en": title_en}

    def show(output: Output) -> None:
        output.text(f"{session.place} {output.words(title, title_en)}" if session.place else "/")

    return Reply(document, show)


def list_place(session: Session, _: str) -> Reply:
    layout = session.known_layout()
    if not session.place:
        return _list_applications(layout)
    application = layout.application(application_of(session.place))
    columns = ("file", "title", "title_en", "structure", "read")
    found = [(one.path, one.title, one.title_en, str(one.structure), str(one.read)) for one in application.files]
    document = {"place": session.place, "files": [dict(zip(columns, row, strict=True)) for row in found]}

    def show(output: Output) -> None:
        rows = [output.titles("文件 file", "名称 title", "结构 structure", "读 read")]
        english = output.language is Language.ENGLISH
        rows += [
            (path, output.label(title, title_en), structure if english else STRUCTURES[structure], read)
            for path, title, title_en, structure, read in found
        ]
        output.table(rows, head=True)

    return Reply(document, show)


def _list_applications(layout: Layout) -> Reply:
    columns = ("id", "title", "title_en", "files")
    found = [(one.id, one.title, one.title_en, len(one.files)) for one in layout.applications]
    document = {"place": "", "applications": [dict(zip(columns, row, strict=True)) for row in found]}

    def show(output: Output) -> None:
        rows = [output.titles("应用 application", "名称 title", "文件数 files")]
        rows += [(one, output.label(title, title_en), str(files)) for one, title, title_en, files in found]
        output.table(rows, head=True)

    return Reply(document, show)


def connect(session: Session, _: str) -> Reply:
    session.connect()
    layout = session.known_layout()
    document = {"reader": session.reader.name, "simulated": session.reader.simulated, "layout": layout.title}
    return Reply(
        document,
        lambda output: output.text(output.named("已连接", "connected", output.label(layout.title, layout.title_en))),
    )


# -- files ----------------------------------------------------------------------------------------


def _content(session: Session, name: str) -> FileContent:
    """Read the file that a name means, or the current one."""
    path = _file_meant(session, name)
    return session.run_on_card(lambda card: card.file(path))


def _file_meant(session: Session, name: str) -> str:
    layout = session.known_layout()
    if name:
        return choose(name, file_pools(layout, session.place))
    if layout.file(session.place) is None:
        raise UsageError("当前没有选中文件：请给出文件名，或先 select", "no file is current: name or select one")
    return session.place


def _was_read(content: FileContent) -> bool:
    return content.opened_by is not None


def show_file(session: Session, name: str) -> Reply:
    content = _content(session, name)
    return Reply(content, lambda output: print_file(content, output), good=_was_read(content))


def raw(session: Session, name: str) -> Reply:
    content = _content(session, name)
    records = [
        {"number": record.number, "tag": _tag(record.items), "raw": "".join(item.raw for item in record.items)}
        for record in content.records
    ]
    document = {
        "file": content.file,
        "records": records,
        "size": content.size,
        "content": content.content,
        "unread": [one.model_dump(mode="json") for one in content.unread if one.item is None],
    }

    def show(output: Output) -> None:
        output.table((str(record["number"]), str(record["tag"] or ""), str(record["raw"])) for record in records)
        if content.size is not None:
            output.text(
                content.content or output.words(f"{content.size} 字节，不显示", f"{content.size} bytes, not shown")
            )
        note_unread(output, (one for one in content.unread if one.item is None), ())

    return Reply(document, show, good=_was_read(content))


def _tag(items: tuple[ItemContent, ...]) -> str | None:
    return items[0].tag if len(items) == 1 else None


def item(session: Session, name: str) -> Reply:
    path = _file_meant(session, "")
    if not name:
        raise UsageError("用法：item NAME", "usage: item NAME")
    key = choose(name, item_pools(session.known_layout(), path))
    content = session.run_on_card(lambda card: card.file(path))
    found = [
        SourcedItem(**dict(item), file=path, record=record.number, title=record.title)
        for record in content.records
        for item in _every(record.items)
        if item.name == key
    ]
    unread = [one for one in content.unread if one.item in (None, key)]
    document = {
        "file": path,
        "items": [item.model_dump(mode="json") for item in found],
        "unread": [one.model_dump(mode="json") for one in unread],
    }

    def show(output: Output) -> None:
        output.table(
            (
                str(one.record),
                one.tag or "",
                output.label(one.label, one.label_en),
                value_text(one, output.language),
                one.raw,
            )
            for one in found
        )
        if not found and not unread:
            output.note("卡内没有该项", "it is not on the card")
        note_unread(output, unread, ())

    return Reply(document, show, good=bool(found))


def _every(items: Iterable[ItemContent]) -> Iterator[ItemContent]:
    for item in items:
        yield item
        yield from _every(item.items or ())


# -- the whole card -------------------------------------------------------------------------------


def tree(session: Session, _: str) -> Reply:
    tree = session.run_on_card(lambda card: card.tree(progress=session.output.progress(*READING)))
    return Reply(tree, lambda output: print_tree(tree, output))


def dump(session: Session, _: str) -> Reply:
    dump = session.run_on_card(lambda card: card.dump(progress=session.output.progress(*READING)))

    def show(output: Output) -> None:
        for file in dump.files:
            print_file(file, output)
            output.text()

    return Reply(dump, show)


def read(session: Session, _: str) -> Reply:
    reading = session.run_on_card(lambda card: card.read())
    return Reply(reading, lambda output: print_reading(reading, output))


def report(name: str) -> Callable[[Session, str], Reply]:
    def run(session: Session, _: str) -> Reply:
        report = session.run_on_card(lambda card: card.report(name, progress=session.output.progress(*READING)))
        return Reply(report, lambda output: print_report(report, output))

    return run


# -- the wire -------------------------------------------------------------------------------------


def apdu(session: Session, text: str) -> Reply:
    if not session.reader.simulated:
        refused = NotPermittedError("原始命令只能发给模拟卡", "raw commands go to software cards only")
        refused.remedy = "请用模拟卡：cardio shell --reader sim:whole"
        refused.remedy_en = "Use a software card: cardio shell --reader sim:whole"
        raise refused
    try:
        command = CommandApdu.from_bytes(bytes.fromhex(text))
    except ValueError as error:
        raise UsageError("命令应为十六进制字节", "a command is written in hex") from error
    response = session.run_on_card(lambda card: card.transmit(command))
    meaning = describe(response.status_word)
    document = {
        "command": bytes(command).hex().upper(),
        "data": response.data.hex().upper(),
        "status_word": f"{response.status_word:04X}",
        "meaning": meaning.zh,
        "meaning_en": meaning.en,
    }

    def show(output: Output) -> None:
        output.text(f"→ {document['command']}")
        output.text(f"← {document['data']} {document['status_word']}".replace("  ", " "))
        output.text(f"  {output.words(meaning.zh, meaning.en)}")

    return Reply(document, show)


def trace(session: Session, word: str) -> Reply:
    if word.casefold() not in ("on", "off"):
        raise UsageError("用法：trace on|off", "usage: trace on|off")
    session.tracing = word.casefold() == "on"
    return Reply({"trace": session.tracing}, lambda output: output.text(f"trace {'on' if session.tracing else 'off'}"))
