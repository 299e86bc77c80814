"""The commands of ``cardio shell``: one table for help, completion and dispatch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cardio.cli.language import Language, help_in
from cardio.cli.names import Named, Pools, file_pools, item_pools, place_pools
from cardio.cli.output import Output
from cardio.cli.shell import actions
from cardio.cli.shell.actions import Reply
from cardio.errors import UsageError
from cardio.filesystem.layouts.model import Layout

if TYPE_CHECKING:
    from cardio.cli.shell.session import Session


# -- what a command is ----------------------------------------------------------------------------


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
    """The function that takes the text after the word; it raises CardioError when it cannot do its work."""
    names: Callable[[Layout, str], Pools] = _no_names
    """The names that may follow the word, by the card's layout and the place."""
    words: tuple[str, ...] = ()
    """The other words that may follow it."""
    kept: bool = True
    """True if its lines may be kept in the history."""

    @property
    def document(self) -> dict[str, str]:
        return {"name": self.name, "help": self.help, "usage": self.usage, "example": self.example}


def reply_to(session: Session, line: str) -> Reply:
    """Execute a line and return the reply.

    Raises:
        CardioError: the line cannot be executed, or has an unknown command.
    """
    word, _, rest = line.strip().partition(" ")
    command = command_named(word)
    argument = _unquoted(rest.strip())
    if argument and command.usage == command.name:
        raise UsageError(f"用法：{command.usage}（没有参数）", f"usage: {command.usage}, without arguments")
    return command.run(session, argument)


def command_named(word: str) -> ShellCommand:
    """Return the command of a word.

    Raises:
        UsageError: there is no such command.
    """
    for command in COMMANDS:
        if command.name == word.casefold():
            return command
    zh = f"没有命令“{word}”；可用：{'、'.join(command.name for command in COMMANDS)}"
    raise UsageError(zh, f"there is no command {word!r}; help lists them all")


def may_be_kept(line: str) -> bool:
    """Return True if a line may be written to the history: no raw command, and no unknown word that may be a mistyped
    one.
    """
    try:
        return command_named(line.strip().partition(" ")[0]).kept
    except UsageError:
        return False


def completions(session: Session, before: str) -> Iterator[tuple[str, int, str]]:
    """Yield the completions of a typed line: the word, how many of its characters are typed, its meaning."""
    word, blank, rest = before.lstrip().partition(" ")
    language = session.output.language
    if not blank:
        yield from _beginning(word, [(command.name, help_in(language, command.help)) for command in COMMANDS])
        return
    command = next((command for command in COMMANDS if command.name == word.casefold()), None)
    if command is None:
        return
    offered = [(one, "") for one in command.words]
    for number, pool in enumerate(command.names(session.layout, session.place) if session.layout else ()):
        for one in pool:
            # Short ids are unique only among near objects.
            ids = one.ids[:1] if number or not session.place else one.ids
            offered += [(name, one.line(language is Language.ENGLISH)) for name in (*ids, *one.titles[:2])]
    yield from _beginning(rest.lstrip(), offered)


def _beginning(typed: str, offered: Iterable[tuple[str, str]]) -> Iterator[tuple[str, int, str]]:
    """Yield the offered words that contain the typed text; those that begin with it come first."""
    sought = typed.casefold()
    fitting = [(text, meaning) for text, meaning in dict.fromkeys(offered) if sought in text.casefold()]
    for text, meaning in sorted(fitting, key=lambda one: not one[0].casefold().startswith(sought)):
        yield text, len(typed), meaning


def _unquoted(argument: str) -> str:
    quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\""
    return argument[1:-1] if quoted else argument


# -- the shell itself -----------------------------------------------------------------------------


def _help(session: Session, name: str) -> Reply:
    if name:
        command = command_named(name)

        def show(output: Output) -> None:
            example = output.label("示例", "example")
            said = help_in(output.language, command.help)
            output.text(f"{command.usage}\n  {said}\n{example}:\n  {command.example}")

        return Reply(command.document, show)
    return Reply(
        {"commands": [command.document for command in COMMANDS]},
        lambda output: output.table(
            ((command.usage, help_in(output.language, command.help)) for command in COMMANDS), labels=1
        ),
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
        actions.select,
        names=place_pools,
        words=("..", "/"),
    ),
    ShellCommand(
        "ls", "列出应用，或当前应用的文件 / list the applications, or this one's files", "ls", "ls", actions.list_place
    ),
    ShellCommand(
        "show",
        "显示文件，解码与原始数据并列 / show a file, decoded beside raw",
        "show [NAME]",
        "show DF03/EF07",
        actions.show_file,
        names=file_pools,
    ),
    ShellCommand(
        "raw", "只显示原始数据 / only the bytes of a file", "raw [NAME]", "raw EF07", actions.raw, names=file_pools
    ),
    ShellCommand(
        "item",
        "显示当前文件的一项：名称或标签 / one item of the current file, by name or tag",
        "item NAME",
        "item 姓名",
        actions.item,
        names=item_pools,
    ),
    ShellCommand("tree", "卡内文件树 / the tree of files, readable or not and why", "tree", "tree", actions.tree),
    ShellCommand("dump", "读出所有可读内容 / everything that can be read", "dump", "dump", actions.dump),
    ShellCommand("read", "持卡人和卡的基本信息 / who the card belongs to", "read", "read", actions.read),
    ShellCommand(
        "insurance", "五险、参保凭证和累计 / the five insurances", "insurance", "insurance", actions.report("insurance")
    ),
    ShellCommand("employment", "就业和失业登记 / employment", "employment", "employment", actions.report("employment")),
    ShellCommand(
        "apdu",
        "发送原始命令，仅限模拟卡；不记入历史 / send a raw command, to software cards only; never kept in the history",
        "apdu HEX...",
        "apdu 00A4000002DF03",
        actions.apdu,
        kept=False,
    ),
    ShellCommand(
        "trace",
        "逐条显示命令；模拟卡含数据 / show each exchange, with data only of software cards",
        "trace on|off",
        "trace on",
        actions.trace,
        words=("on", "off"),
    ),
    ShellCommand("connect", "重新连接卡片 / connect to the card again", "connect", "connect", actions.connect),
    ShellCommand(
        "help", "命令说明 / what the commands do", "help [COMMAND]", "help select", _help, names=_command_names
    ),
    ShellCommand("exit", "退出（Ctrl-D 亦可） / leave, as Ctrl-D does", "exit", "exit", _leave),
    ShellCommand("quit", "退出 / leave", "quit", "quit", _leave),
)
