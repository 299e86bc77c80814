"""The commands of ``cardio shell``: one table for help, completion and dispatch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from cardio.apdu.command import CommandApdu
from cardio.apdu.status_word import describe
from cardio.cli.explore import note_unread, progress_on, value_text
from cardio.cli.files import STRUCTURES, print_file, print_tree
from cardio.cli.output import Output
from cardio.cli.read import print_reading
from cardio.cli.reports import print_report
from cardio.cli.shell_names import Named, Pools, application_of, choose, file_pools, item_pools, place_pools, title_of
from cardio.errors import NotPermittedError, UsageError
from cardio.file_model import FileContent, ItemContent, SourcedItem
from cardio.filesystem.layout import Layout

if TYPE_CHECKING:
    from cardio.cli.shell_session import Session

_READING = "读取文件 files"


# -- what a command is ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, as a document for programs and as text for people."""

    document: BaseModel | dict[str, Any]
    show: Callable[[Output], None]
    good: bool = True
    last: bool = False

    def data(self) -> dict[str, Any]:
        return self.document.model_dump(mode="json") if isinstance(self.document, BaseModel) else self.document


def _no_names(layout: Layout, place: str) -> Pools:
    return ()


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One word at the beginning of a line."""

    name: str
    help: str
    """One line: Chinese, then English."""
    usage: str
    example: str
    run: Callable[[Session, str], Reply]
    """Takes what stands after the word; raises CardioError when it cannot."""
    names: Callable[[Layout, str], Pools] = _no_names
    """What may stand after the word, by the card's layout and the place."""
    words: tuple[str, ...] = ()
    """What else may stand there."""
    kept: bool = True
    """Its lines may be kept in the history."""

    @property
    def document(self) -> dict[str, str]:
        return {"name": self.name, "help": self.help, "usage": self.usage, "example": self.example}


def reply_to(session: Session, line: str) -> Reply:
    """Does what a line says.

    Raises:
        CardioError: it cannot be done, or says nothing that is known.
    """
    word, _, rest = line.strip().partition(" ")
    command = command_named(word)
    argument = _unquoted(rest.strip())
    if argument and command.usage == command.name:
        raise UsageError(f"用法：{command.usage}（没有参数）", f"usage: {command.usage}, without arguments")
    return command.run(session, argument)


def command_named(word: str) -> ShellCommand:
    """Raises: UsageError: there is no such command."""
    for command in COMMANDS:
        if command.name == word.casefold():
            return command
    zh = f"没有命令“{word}”；可用：{'、'.join(command.name for command in COMMANDS)}"
    raise UsageError(zh, f"there is no command {word!r}; help lists them all")


def may_be_kept(line: str) -> bool:
    """Whether a line may be written to the history: not raw commands, nor what may be one mistyped."""
    try:
        return command_named(line.strip().partition(" ")[0]).kept
    except UsageError:
        return False


def completions(session: Session, before: str) -> Iterator[tuple[str, int, str]]:
    """What may stand at the end of a line that is being typed: the word, how much of it is there, its meaning."""
    word, blank, rest = before.lstrip().partition(" ")
    if not blank:
        yield from _beginning(word, [(command.name, command.help) for command in COMMANDS])
        return
    command = next((command for command in COMMANDS if command.name == word.casefold()), None)
    if command is None:
        return
    offered = [(one, "") for one in command.words]
    for number, pool in enumerate(command.names(session.layout, session.place) if session.layout else ()):
        for one in pool:
            # Short ids mean something only among what is near.
            ids = one.ids[:1] if number or not session.place else one.ids
            offered += [(name, one.line(0)) for name in (*ids, *one.titles[:2])]
    yield from _beginning(rest.lstrip(), offered)


def _beginning(typed: str, offered: Iterable[tuple[str, str]]) -> Iterator[tuple[str, int, str]]:
    """Of the words on offer those that contain what is typed, those that begin with it first."""
    sought = typed.casefold()
    fitting = [(text, meaning) for text, meaning in dict.fromkeys(offered) if sought in text.casefold()]
    for text, meaning in sorted(fitting, key=lambda one: not one[0].casefold().startswith(sought)):
        yield text, len(typed), meaning


def _unquoted(argument: str) -> str:
    quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\""
    return argument[1:-1] if quoted else argument


# -- going about ----------------------------------------------------------------------------------


def _select(session: Session, name: str) -> Reply:
    layout = session.known_layout()
    if name == "/":
        session.place = ""
    elif name == "..":
        session.place = session.place.rpartition("/")[0]
    elif name:
        session.place = choose(name, place_pools(layout, session.place))
    title, title_en = title_of(layout, session.place)
    document = {"place": session.place, "title": title, "title_en": title_en}
    text = f"{session.place} {title} / {title_en}" if session.place else "/"
    return Reply(document, lambda output: output.text(text))


def _list(session: Session, _: str) -> Reply:
    layout = session.known_layout()
    if not session.place:
        return _list_applications(layout)
    application = layout.application(application_of(session.place))
    columns = ("file", "title", "title_en", "structure", "read")
    found = [(one.path, one.title, one.title_en, str(one.structure), str(one.read)) for one in application.files]
    document = {"place": session.place, "files": [dict(zip(columns, row, strict=True)) for row in found]}
    rows = [("文件 file", "名称 title", "英文 title", "结构 structure", "读 read")]
    rows += [(path, zh, en, STRUCTURES[structure], read) for path, zh, en, structure, read in found]
    return Reply(document, lambda output: output.table(rows))


def _list_applications(layout: Layout) -> Reply:
    columns = ("id", "title", "title_en", "files")
    found = [(one.id, one.title, one.title_en, len(one.files)) for one in layout.applications]
    document = {"place": "", "applications": [dict(zip(columns, row, strict=True)) for row in found]}
    rows = [("应用 application", "名称 title", "英文 title", "文件数 files")]
    rows += [(one, zh, en, str(files)) for one, zh, en, files in found]
    return Reply(document, lambda output: output.table(rows))


def _connect(session: Session, _: str) -> Reply:
    session.connect()
    layout = session.known_layout()
    document = {"reader": session.reader.name, "simulated": session.reader.simulated, "layout": layout.title}
    return Reply(document, lambda output: output.text(f"已连接 connected：{layout.title}"))


# -- files ----------------------------------------------------------------------------------------


def _content(session: Session, name: str) -> FileContent:
    """The file that a name means, or the current one."""
    path = _file_meant(session, name)
    return session.do(lambda card: card.file(path))


def _file_meant(session: Session, name: str) -> str:
    layout = session.known_layout()
    if name:
        return choose(name, file_pools(layout, session.place))
    if layout.file(session.place) is None:
        raise UsageError("当前没有选中文件：请给出文件名，或先 select", "no file is current: name or select one")
    return session.place


def _was_read(content: FileContent) -> bool:
    return content.opened_by is not None


def _show(session: Session, name: str) -> Reply:
    content = _content(session, name)
    return Reply(content, lambda output: print_file(content, output), good=_was_read(content))


def _raw(session: Session, name: str) -> Reply:
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
            output.text(content.content or f"{content.size} 字节，不显示 / {content.size} bytes, not shown")
        note_unread(output, (one for one in content.unread if one.item is None), ())

    return Reply(document, show, good=_was_read(content))


def _tag(items: tuple[ItemContent, ...]) -> str | None:
    return items[0].tag if len(items) == 1 else None


def _item(session: Session, name: str) -> Reply:
    path = _file_meant(session, "")
    if not name:
        raise UsageError("用法：item NAME", "usage: item NAME")
    key = choose(name, item_pools(session.known_layout(), path))
    content = session.do(lambda card: card.file(path))
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
            (str(one.record), one.tag or "", f"{one.label} {one.label_en}", value_text(one), one.raw) for one in found
        )
        if not found and not unread:
            output.note("卡内没有该项 / it is not on the card")
        note_unread(output, unread, ())

    return Reply(document, show, good=bool(found))


def _every(items: Iterable[ItemContent]) -> Iterator[ItemContent]:
    for item in items:
        yield item
        yield from _every(item.items or ())


# -- the whole card -------------------------------------------------------------------------------


def _tree(session: Session, _: str) -> Reply:
    tree = session.do(lambda card: card.tree(progress=progress_on(session.output, _READING)))
    return Reply(tree, lambda output: print_tree(tree, output))


def _dump(session: Session, _: str) -> Reply:
    dump = session.do(lambda card: card.dump(progress=progress_on(session.output, _READING)))

    def show(output: Output) -> None:
        for file in dump.files:
            print_file(file, output)
            output.text()

    return Reply(dump, show)


def _read(session: Session, _: str) -> Reply:
    reading = session.do(lambda card: card.read())
    return Reply(reading, lambda output: print_reading(reading, output))


def _report(name: str) -> Callable[[Session, str], Reply]:
    def run(session: Session, _: str) -> Reply:
        report = session.do(lambda card: card.report(name, progress=progress_on(session.output, _READING)))
        return Reply(report, lambda output: print_report(report, output))

    return run


# -- the wire -------------------------------------------------------------------------------------


def _apdu(session: Session, text: str) -> Reply:
    if not session.reader.simulated:
        refused = NotPermittedError("原始命令只能发给软件卡", "raw commands go to software cards only")
        refused.remedy = "请用软件卡：cardio shell --reader sim:whole"
        refused.remedy_en = "Use a software card: cardio shell --reader sim:whole"
        raise refused
    try:
        command = CommandApdu.from_bytes(bytes.fromhex(text))
    except ValueError as error:
        raise UsageError("命令应为十六进制字节", "a command is written in hex") from error
    response = session.do(lambda card: card.transmit(command))
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
        output.text(f"  {meaning.zh} / {meaning.en}")

    return Reply(document, show)


def _trace(session: Session, word: str) -> Reply:
    if word.casefold() not in ("on", "off"):
        raise UsageError("用法：trace on|off", "usage: trace on|off")
    session.tracing = word.casefold() == "on"
    return Reply({"trace": session.tracing}, lambda output: output.text(f"trace {'on' if session.tracing else 'off'}"))


# -- the shell itself -----------------------------------------------------------------------------


def _help(session: Session, name: str) -> Reply:
    if name:
        command = command_named(name)
        text = f"{command.usage}\n  {command.help}\n示例 example:\n  {command.example}"
        return Reply(command.document, lambda output: output.text(text))
    return Reply(
        {"commands": [command.document for command in COMMANDS]},
        lambda output: output.table((command.usage, command.help) for command in COMMANDS),
    )


def _leave(session: Session, _: str) -> Reply:
    return Reply({"exit": True}, lambda output: None, last=True)


def _command_names(layout: Layout, place: str) -> Pools:
    return (tuple(Named(command.name, (command.name,)) for command in COMMANDS),)


COMMANDS: tuple[ShellCommand, ...] = (
    ShellCommand(
        "select",
        "进入应用或文件：名称、名称的一部分或标识；.. 上一级，/ 根 / go to an application or file by title, part or id",
        "select [NAME|..|/]",
        "select 养老保险",
        _select,
        names=place_pools,
        words=("..", "/"),
    ),
    ShellCommand("ls", "列出应用，或当前应用的文件 / list the applications, or this one's files", "ls", "ls", _list),
    ShellCommand(
        "show",
        "显示文件，解码与原始数据并列 / show a file, decoded beside raw",
        "show [NAME]",
        "show DF03/EF07",
        _show,
        names=file_pools,
    ),
    ShellCommand("raw", "只显示原始数据 / only the bytes of a file", "raw [NAME]", "raw EF07", _raw, names=file_pools),
    ShellCommand(
        "item",
        "显示当前文件的一项：名称或标签 / one item of the current file, by name or tag",
        "item NAME",
        "item 姓名",
        _item,
        names=item_pools,
    ),
    ShellCommand("tree", "卡内文件树 / the tree of files, readable or not and why", "tree", "tree", _tree),
    ShellCommand("dump", "读出所有可读内容 / everything that can be read", "dump", "dump", _dump),
    ShellCommand("read", "持卡人和卡的基本信息 / who the card belongs to", "read", "read", _read),
    ShellCommand(
        "insurance", "五险、参保凭证和累计 / the five insurances", "insurance", "insurance", _report("insurance")
    ),
    ShellCommand("employment", "就业和失业登记 / employment", "employment", "employment", _report("employment")),
    ShellCommand(
        "apdu",
        "发送原始命令，仅限软件卡；不记入历史 / send a raw command, to software cards only; never kept in the history",
        "apdu HEX...",
        "apdu 00A4000002DF03",
        _apdu,
        kept=False,
    ),
    ShellCommand(
        "trace",
        "逐条显示命令；软件卡含数据 / show each exchange, with data only of software cards",
        "trace on|off",
        "trace on",
        _trace,
        words=("on", "off"),
    ),
    ShellCommand("connect", "重新连接卡片 / connect to the card again", "connect", "connect", _connect),
    ShellCommand(
        "help", "命令说明 / what the commands do", "help [COMMAND]", "help select", _help, names=_command_names
    ),
    ShellCommand("exit", "退出（Ctrl-D 亦可）/ leave, as Ctrl-D does", "exit", "exit", _leave),
    ShellCommand("quit", "退出 / leave", "quit", "quit", _leave),
)
