"""``cardio shell``: explores a card by names. The card is held from line to line; `commands` has the commands."""

from __future__ import annotations

import io
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cardio.cli.card_options import add_card_arguments, chosen_layouts
from cardio.cli.command import DONE, Command
from cardio.cli.key_options import credentials_of
from cardio.cli.language import Language
from cardio.cli.output import Output
from cardio.cli.shell.session import Session
from cardio.config.paths import home_folder
from cardio.config.private_file import prepare_private
from cardio.errors import CardioError, ConfigurationError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History


_FAILED = 1


class Shell:
    """The shell, which receives lines and prints their replies; an error is a reply too."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.output = session.output
        self.failed = self.ended = False

    def process(self, line: str) -> None:
        """Process one line; blank ones and those that begin with ``#`` are skipped."""
        from cardio.cli.shell.commands import reply_to

        line = line.strip()
        if not line or line.startswith("#"):
            return
        try:
            reply = reply_to(self.session, line)
        except CardioError as error:
            self.failed = True
            self._error(error)
            return
        self.failed |= not reply.good
        self.ended = reply.last
        if self.output.as_json:
            self.output.json_line(reply.data())
        else:
            reply.show(self.output)

    def _error(self, error: CardioError) -> None:
        if not self.output.as_json:
            self.output.error(error)
            return
        from cardio.models.problem import Problem

        self.output.json_line({"error": Problem.of(error).document()})

    def process_all(self, lines: Iterable[str]) -> int:
        """Process a script: every line gets a reply, and the exit status is a failure if one of them failed."""
        for line in lines:
            self.process(line)
            if self.ended:
                break
        return _FAILED if self.failed else DONE

    def greet(self) -> None:
        """Print which card is in the reader; a missing one can still be inserted."""
        try:
            layout = self.session.known_layout()
        except CardioError as error:
            self._error(error)
        else:
            self.output.note(
                f"已连接 {layout.title}，退出前一直占用此卡",
                f"connected to {layout.title_en}; the card is held until you leave",
            )
        self.output.note(
            "help 列出命令，Tab 补全，Ctrl-D 退出", "help lists the commands, Tab completes, Ctrl-D leaves"
        )

    def run_interactive(self) -> int:
        """Process lines from a terminal, until a person leaves.

        Raises:
            ConfigurationError: prompt_toolkit is not installed.
        """
        prompt = _prompt_for(self.session)
        self.greet()
        while not self.ended:
            try:
                for line in prompt.prompt(_message(self.session)).splitlines():
                    self.process(line)
            except KeyboardInterrupt:
                self.output.note("已取消", "cancelled")
            except EOFError:
                break
        return DONE


# -- the terminal ---------------------------------------------------------------------------------


def _message(session: Session) -> str:
    """Return reader and place: ``cardio sim:whole DF03/EF07 养老保险信息文件>``."""
    from cardio.cli.names import title_of

    title = title_of(session.layout, session.place)[session.output.language is Language.ENGLISH]
    words = ["cardio", session.reader.name, session.place, title]
    return " ".join(word for word in words if word) + "> "


def _toolbar(session: Session) -> str:
    label, layout = session.output.label, session.layout
    words = [label(layout.title, layout.title_en) if layout else label("未连接", "no card")]
    words += [label("模拟卡", "software card")] if session.reader.simulated else []
    words += ["trace on"] if session.tracing else []
    words += [f"help {label('帮助', 'for help')}", f"Ctrl-D {label('退出', 'leaves')}"]
    return " " + " · ".join(words)


def _prompt_for(session: Session) -> PromptSession[str]:
    try:
        from prompt_toolkit import PromptSession
    except ImportError as error:
        raise ConfigurationError(
            "cardio shell 需要 prompt_toolkit，请安装：pip install prompt_toolkit",
            "cardio shell needs prompt_toolkit; install it with: pip install prompt_toolkit",
        ) from error
    return PromptSession(
        history=_history(session.output),
        completer=_completer(session),
        bottom_toolbar=lambda: _toolbar(session),
    )


def _completer(session: Session) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    from cardio.cli.shell.commands import completions

    class Names(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            for text, typed, meaning in completions(session, document.text_before_cursor):
                yield Completion(text, start_position=-typed, display_meta=meaning)

    return Names()


def history_path() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or home_folder() / ".local" / "state")
    return state / "cardio" / "shell_history"


def _history(output: Output) -> History:
    """Return the history of typed lines, readable by their owner only; never raw commands, which may carry a PIN."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from cardio.cli.shell.commands import may_be_kept

    class Lines(FileHistory):
        def store_string(self, string: str) -> None:
            with suppress(OSError):  # a full disk costs only the history
                for line in filter(may_be_kept, string.splitlines()):
                    super().store_string(line)

    try:
        path = history_path()
        prepare_private(path, "历史文件", "history file", narrow=True)
    except (OSError, RuntimeError, ConfigurationError) as error:  # RuntimeError: the home folder is unknown
        output.note(f"不保存历史：{error}", f"no history is kept: {error}")
        return InMemoryHistory()
    return Lines(str(path))


# -- the command ----------------------------------------------------------------------------------


def _run(options: Namespace, output: Output) -> int:
    from cardio.cli.reader_selection import find_reader

    reader, layouts = find_reader(options.reader, options.sam), chosen_layouts(options, output)
    credentials = credentials_of(options)
    with Session(reader, layouts, output, tracing=options.trace, credentials=credentials) as session:
        if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
            return Shell(session).run_interactive()
        return Shell(session).process_all(_script())


def _script() -> TextIO:
    """Return standard input, as UTF-8 if the locale has no Chinese; malformed bytes do not stop the script."""
    script = sys.stdin or io.StringIO()
    if isinstance(script, io.TextIOWrapper):
        ascii_only = script.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968")
        script.reconfigure(encoding="utf-8" if ascii_only else script.encoding, errors="replace")
    return script


SHELL = Command(
    name="shell",
    help="按名称浏览卡片，逐条输入命令 / explore a card by names, line by line",
    examples=(
        "  cardio shell --reader sim:whole\n"
        "  printf 'select 养老保险\\nshow\\n' | cardio shell --reader sim:whole\n"
        "  echo tree | cardio shell --json"
    ),
    add_arguments=add_card_arguments,
    run=_run,
)
