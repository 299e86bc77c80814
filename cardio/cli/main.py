"""The ``cardio`` command: it finds the command, runs it, and turns errors into words and exit statuses."""

from __future__ import annotations

import locale
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from traceback import walk_tb
from typing import TextIO

from cardio.cli.command import DONE, Command
from cardio.cli.commands.completion import COMPLETION
from cardio.cli.commands.conformance import CONFORMANCE
from cardio.cli.commands.files import DUMP, FILES, SHOW
from cardio.cli.commands.identify import IDENTIFY
from cardio.cli.commands.keys import KEYS
from cardio.cli.commands.layouts import LAYOUTS
from cardio.cli.commands.pin import PIN
from cardio.cli.commands.pki import PKI
from cardio.cli.commands.read import READ
from cardio.cli.commands.readers import READERS, WATCH
from cardio.cli.commands.reports import EMPLOYMENT, INSURANCE
from cardio.cli.commands.write import WRITE
from cardio.cli.core_dumps import forbid_core_dumps
from cardio.cli.doctor.command import DOCTOR
from cardio.cli.language import LANGUAGE_OPTION, Language, language_of, title_in
from cardio.cli.output import Output
from cardio.cli.parser import CardioParser, add_common_options
from cardio.cli.shell.command import SHELL
from cardio.errors import CardioError, UsageError

_GROUP = "cardio.commands"
_INTERRUPTED, _PIPE_CLOSED, _CANNOT_WRITE, _FAILED = 130, 141, 74, 70
_EXAMPLES, _STATUS = "示例 examples", "退出状态 exit status"
_EPILOG = """{examples}:
  cardio read                     读取读卡器中的社会保障卡 / read the card in the reader
  cardio read --reader sim:adult  没有读卡器？读一张模拟卡 / no reader? read a software card
  cardio serve --simulate         启动本地服务和模拟卡 / the local bridge with software cards

{status}:
  0    完成 / done
  1    卡片或操作未成功 / the card or the operation said no
  2    用法错误 / wrong usage
  69   没有读卡器、PC/SC 或密钥设备 / no reader, PC/SC or key device
  70   程序内部错误 / internal error
  74   输出无法写入 / the output cannot be written
  77   没有权限 / not permitted
  78   配置错误 / bad configuration
  130  被中断 / interrupted
  141  管道已关闭 / the pipe is closed"""


_EXPLORING = (FILES, SHOW, DUMP, INSURANCE, EMPLOYMENT, SHELL, CONFORMANCE, LAYOUTS)
_OWN = (READERS, WATCH, READ, *_EXPLORING, IDENTIFY, PIN, KEYS, WRITE, PKI, DOCTOR)


def commands() -> list[Command]:
    """Return the library's own commands, and those that the bridge and the simulators add."""
    from importlib.metadata import entry_points

    joined = [entry_point.load() for entry_point in sorted(entry_points(group=_GROUP), key=lambda e: e.name)]
    return [*_OWN, *joined, COMPLETION]


def _commands_for(arguments: Sequence[str]) -> Sequence[Command]:
    """Return only the requested command if it is the library's own, so that the others need not be loaded."""
    # The word after --lang is a language.
    words = (word for before, word in pairwise(["", *arguments]) if before != LANGUAGE_OPTION)
    asked = next((word for word in words if not word.startswith("-")), None)
    return [command for command in _OWN if command.name == asked] or commands()


def build_parser(language: Language = Language.BOTH, known: Sequence[Command] | None = None) -> ArgumentParser:
    """Return the parser of the whole command, or of the given commands; its help is in this language."""
    parser = CardioParser(
        language=language,
        prog="cardio",
        description="读取社会保障卡 / Read China's social security card",
        epilog=_EPILOG.format(examples=title_in(language, _EXAMPLES), status=title_in(language, _STATUS)),
    )
    parser.add_argument("--version", action="store_true", help="显示版本 / show the version")
    add_common_options(parser)
    parser.set_defaults(json=False, language=language)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="命令 commands")
    for command in commands() if known is None else known:
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=f"{title_in(language, _EXAMPLES)}:\n{command.examples}",
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    language = language_of(given)
    output = Output(as_json="--json" in given, language=language)
    try:
        parser = build_parser(language, _commands_for(given))
        options = parser.parse_args(given)
        if options.version:
            return _show_version(output)
        if options.command is None:
            if output.as_json:
                parser.error("the following arguments are required: COMMAND")
            output.note(parser.format_help())
            return UsageError.exit_status
        output = Output.guarded(as_json=options.json, language=language)
        status: int = options.run(options, output)
        return status
    except CardioError as error:
        output.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return _PIPE_CLOSED
    finally:
        output.close()


def _show_version(output: Output) -> int:
    from importlib.metadata import version

    if output.as_json:
        output.document({"version": version("cardio")})
    else:
        output.text(f"cardio {version('cardio')}")
    return DONE


def run() -> None:
    """Run the entry point and exit at once: a reading that hangs in PC/SC would keep the process alive."""
    _mend_standard_streams()
    forbid_core_dumps()
    status = _FAILED
    try:
        status = main()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except SystemExit as end:  # argparse, after --help
        status = end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:
        status = _PIPE_CLOSED
    except OSError as error:
        status = _cannot_write(error)
    except Exception as error:  # the last handler: it prints words, never a traceback
        _say_unplanned(error)
    finally:
        # If the output is no terminal, Python's buffer still holds printed text.
        os._exit(_flushed(status))


def _flushed(status: int) -> int:
    """Flush the buffers; return the exit status, which changes if that fails."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return status or _PIPE_CLOSED
    except (OSError, ValueError) as error:
        return status or _cannot_write(error)
    return status


def _cannot_write(error: Exception) -> int:
    """Report that the output could not be written: a full disk, a closed terminal."""
    why = getattr(error, "strerror", None) or error
    _say(f"错误：输出无法写入：{why}")
    _say("处理：请检查磁盘空间，或换一个输出位置。")
    _say(f"Error: the output cannot be written: {why}")
    _say("Do:    Make room on the disk, or write to another place.")
    return _CANNOT_WRITE


def _say_unplanned(error: Exception) -> None:
    """Report an unplanned error by its class and its place. Its message may quote data that was read from a card."""
    place = "?"
    for frame in walk_tb(error.__traceback__):
        place = f"{Path(frame[0].f_code.co_filename).name}:{frame[1]}"
    _say(f"错误：程序内部错误（{type(error).__name__}，{place}）")
    _say("处理：请重试；若仍失败，请把以上一行发给信息科。")
    _say(f"Error: an internal error ({type(error).__name__}, {place})")
    _say("Do:    Try again; if it fails again, send the line above to your IT department.")


def _say(line: str) -> None:
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _mend_standard_streams() -> None:
    """Make sure that every stream exists, and that none fails on a character that its terminal does not know."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", encoding=_encoding_of(sys.stderr), closefd=False)
    sys.stderr = sys.stderr or open(2, "w", encoding=_encoding_of(sys.stdout), closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _encoding_of(other: TextIO | None) -> str:
    """Return the encoding of the existing stream: both use the terminal's."""
    return getattr(other, "encoding", None) or locale.getpreferredencoding(False)
