"""``cardio shell``: explore a card by names. The card is held from line to line; `shell_commands` has the commands."""

from __future__ import annotations

import io
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from cardio.cli.command import DONE, Command
from cardio.cli.explore import add_card_arguments, chosen_layouts
from cardio.cli.output import Output
from cardio.errors import CardioError, ConfigurationError, ReaderBusyError, ReaderTimeoutError, UsageError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History

    from cardio.apdu.trace import Exchange
    from cardio.card import SocialSecurityCard
    from cardio.filesystem.layout import Layout
    from cardio.filesystem.layout_choice import LayoutChoice
    from cardio.readers.base import Connection, Reader

_SESSION_SECONDS = 86_400.0
_LETTING_GO_SECONDS = 1.0
_FAILED = 1

Result = TypeVar("Result")


class _Hold:
    """A card in hand. It is worked with on another thread: PC/SC has calls that no one can interrupt."""

    def __init__(self, reader: Reader, layouts: LayoutChoice, show: Callable[[Exchange], None]) -> None:
        self.begun = False
        """Its layout is known."""
        self._reader, self._layouts, self._show = reader, layouts, show
        self._connection: Connection | None = None
        self._card: SocialSecurityCard | None = None
        self._given_up = False
        self._busy = threading.Lock()
        from cardio.readers.deadline import Worker

        self._worker = Worker()

    def run(self, seconds: float, work: Callable[[SocialSecurityCard], Result]) -> Result:
        return self._worker.run_within(seconds, lambda: self._work(work))

    def _work(self, work: Callable[[SocialSecurityCard], Result]) -> Result:
        with self._busy:
            if self._connection is None:
                self._connection = self._reader.connect()
            if self._card is None:
                self._card = self._card_on(self._connection)
            return work(self._card)

    def _card_on(self, connection: Connection) -> SocialSecurityCard:
        from cardio.card import SocialSecurityCard

        return SocialSecurityCard(
            connection, self._reader, layouts=self._layouts, trace=self._trace, seconds=_SESSION_SECONDS
        )

    def _trace(self, exchange: Exchange) -> None:
        self._show(exchange)
        if self._given_up:
            # Nobody waits for this work any more: it ends here, so that the card can be let go.
            raise ReaderTimeoutError()

    def forget(self) -> None:
        """What is current on the card is not known: its files begin anew."""
        self._card = None

    def let_go(self) -> None:
        """Closes the connection; where the card is still at work, as soon as that ends."""
        self._given_up = True
        try:
            with suppress(CardioError):
                self._worker.run_within(_LETTING_GO_SECONDS, self._close)
        finally:
            self._worker.close()

    def _close(self) -> None:
        with self._busy:
            if self._connection is not None:
                self._connection.close()


class Session:
    """What lasts from line to line: the card in hand, the place in its tree, whether exchanges are shown."""

    def __init__(self, reader: Reader, layouts: LayoutChoice, output: Output, *, tracing: bool = False) -> None:
        self.reader, self.output, self.tracing = reader, output, tracing
        self.place = ""
        """Empty at the root, else ``DF03`` or ``DF03/EF07``."""
        self.layout: Layout | None = None
        """That of the last card: prompt and completion take their names from it."""
        self._layouts = layouts
        self._hold: _Hold | None = None

    def connect(self) -> None:
        """Holds the card that is in the reader now.

        Raises:
            ReaderBusyError: another program holds it.
            CardioError: as `Reader.connect` says.
        """
        from cardio.card import OPERATION_SECONDS

        self.let_go()
        self._hold = _Hold(self.reader, self._layouts, self._show)
        try:
            self._hold.run(OPERATION_SECONDS, lambda card: None)
        except BaseException as error:  # whatever goes wrong, nobody holds the card
            self.let_go()
            if isinstance(error, ReaderTimeoutError):
                raise ReaderBusyError() from error
            raise

    def do(self, work: Callable[[SocialSecurityCard], Result]) -> Result:
        """Does something with the card, connecting first where none is in hand.

        After an error, or when a person interrupts it, the card is let go: what is current on it is not known.

        Raises:
            CardioError: as the work and `connect` say.
        """
        from cardio.card import WHOLE_CARD_SECONDS

        if self._hold is None:
            self.connect()
            if self.layout is not None:
                self.output.note("已重新连接读卡器中的卡 / connected again to the card that is in the reader")
        hold = self._hold
        assert hold is not None  # noqa: S101 - connect raises where there is none
        try:
            return hold.run(WHOLE_CARD_SECONDS, work)
        except UsageError:  # nothing was sent
            raise
        except BaseException:  # whatever it was, it may have left the card anywhere
            self.let_go()
            raise

    def known_layout(self) -> Layout:
        """The layout of the card in hand; a place that it does not have is left for the root."""
        if self._hold is not None and self._hold.begun and self.layout is not None:
            return self.layout
        layout = self.do(lambda card: card.layout)
        if self._hold is not None:
            self._hold.begun = True
        self.layout = layout
        ids = {application.id for application in layout.applications}
        if self.place not in ids and layout.file(self.place) is None:
            self.place = ""
        return layout

    def forget(self) -> None:
        if self._hold is not None:
            self._hold.forget()

    def let_go(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.let_go()

    def _show(self, exchange: Exchange) -> None:
        if self.tracing:
            self.output.note(exchange.line(with_data=self.reader.simulated))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()


class Shell:
    """Takes lines and prints their answers; an error is an answer too."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.output = session.output
        self.failed = self.ended = False

    def take(self, line: str) -> None:
        """One line; blank ones and those that begin with ``#`` say nothing."""
        from cardio.cli.shell_commands import reply_to

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
        from cardio.model import Problem

        self.output.json_line({"error": Problem.of(error).document()})

    def take_all(self, lines: Iterable[str]) -> int:
        """A script: every line is answered, and the exit status says whether one of them failed."""
        for line in lines:
            self.take(line)
            if self.ended:
                break
        return _FAILED if self.failed else DONE

    def greet(self) -> None:
        """Says which card is in; one that is not can still be put in."""
        try:
            layout = self.session.known_layout()
        except CardioError as error:
            self._error(error)
        else:
            self.output.note(f"已连接 {layout.title}，退出前一直占用此卡 / connected; the card is held until you leave")
        self.output.note("help 列出命令，Tab 补全，Ctrl-D 退出 / help lists the commands, Tab completes, Ctrl-D leaves")

    def converse(self) -> int:
        """At a terminal, until a person leaves.

        Raises:
            ConfigurationError: prompt_toolkit is not installed.
        """
        prompt = _prompt_for(self.session)
        self.greet()
        while not self.ended:
            try:
                for line in prompt.prompt(_message(self.session)).splitlines():
                    self.take(line)
            except KeyboardInterrupt:
                self.output.note("已取消 / cancelled")
            except EOFError:
                break
        return DONE


# -- the terminal ---------------------------------------------------------------------------------


def _message(session: Session) -> str:
    """Reader and place: ``cardio sim:whole DF03/EF07 养老保险信息文件>``."""
    from cardio.cli.shell_commands import title_of

    words = ["cardio", session.reader.name, session.place, title_of(session.layout, session.place)[0]]
    return " ".join(word for word in words if word) + "> "


def _toolbar(session: Session) -> str:
    card = session.layout.title if session.layout else "未连接 no card"
    simulated = " · 软件卡 software card" if session.reader.simulated else ""
    return f" {card}{simulated}{' · trace on' if session.tracing else ''} · help 帮助 · Ctrl-D 退出"


def _prompt_for(session: Session) -> PromptSession[str]:
    try:
        from prompt_toolkit import PromptSession
    except ImportError as error:
        raise ConfigurationError(
            "cardio shell 需要 prompt_toolkit，请安装：pip install 'cardio[shell]'",
            "cardio shell needs prompt_toolkit; install it with: pip install 'cardio[shell]'",
        ) from error
    return PromptSession(
        history=_history(session.output),
        completer=_completer(session),
        bottom_toolbar=lambda: _toolbar(session),
    )


def _completer(session: Session) -> Completer:
    from prompt_toolkit.completion import Completer, Completion

    from cardio.cli.shell_commands import completions

    class Names(Completer):
        def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
            for text, typed, meaning in completions(session, document.text_before_cursor):
                yield Completion(text, start_position=-typed, display_meta=meaning)

    return Names()


def history_path() -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "cardio" / "shell_history"


def _history(output: Output) -> History:
    """Typed lines, readable by their owner only; never raw commands, which may carry a PIN."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from cardio.cli.shell_commands import may_be_kept

    class Lines(FileHistory):
        def store_string(self, string: str) -> None:
            with suppress(OSError):  # a full disk costs the history, nothing else
                for line in filter(may_be_kept, string.splitlines()):
                    super().store_string(line)

    try:
        path = history_path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where home is
        output.note(f"不保存历史 / no history is kept: {error}")
        return InMemoryHistory()
    return Lines(str(path))


# -- the command ----------------------------------------------------------------------------------


def _run(options: Namespace, output: Output) -> int:
    from cardio.cli.sources import find_reader

    reader, layouts = find_reader(options.reader), chosen_layouts(options)
    with Session(reader, layouts, output, tracing=options.trace) as session:
        if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
            return Shell(session).converse()
        return Shell(session).take_all(_script())


def _script() -> TextIO:
    """Standard input, UTF-8 where the locale knows no Chinese; bytes that are no text stop nothing."""
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
