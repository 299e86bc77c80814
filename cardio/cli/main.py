"""The ``cardio`` command: finds the command, runs it, and turns errors into words and exit statuses."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib.metadata import entry_points

from cardio.cli.command import Command
from cardio.cli.doctor import DOCTOR
from cardio.cli.output import Output
from cardio.cli.read import READ
from cardio.cli.readers import READERS, WATCH
from cardio.errors import CardioError

_GROUP = "cardio.commands"
_EPILOG = """示例 examples:
  cardio read                     读取读卡器中的社会保障卡 / read the card in the reader
  cardio read --reader sim:adult  没有读卡器？读一张软件卡 / no reader? read a software card
  cardio serve --simulate         启动本地服务和软件卡 / the local bridge with software cards

退出状态 exit status: 0 完成 done; 1 卡或操作未成 the card or operation said no; 2 用法错误 wrong usage;
  69 无读卡器或 PC/SC no reader or PC/SC; 77 无权限 not permitted; 78 配置错误 bad configuration"""


def commands() -> list[Command]:
    """The library's own commands, and those that the bridge and the simulators bring along."""
    joined = [entry_point.load() for entry_point in sorted(entry_points(group=_GROUP), key=lambda e: e.name)]
    return [READERS, WATCH, READ, DOCTOR, *joined]


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="cardio",
        description="读取社会保障卡 / Read China's social security card",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="显示版本 / show the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="命令 commands")
    for command in commands():
        sub = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=f"示例 examples:\n{command.examples}",
            formatter_class=RawDescriptionHelpFormatter,
        )
        sub.add_argument("--json", action="store_true", help="输出一个 JSON 文档 / print one JSON document")
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives its exit status."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"cardio {version('cardio')}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    output = Output.guarded(as_json=options.json)
    try:
        status: int = options.run(options, output)
        return status
    except CardioError as error:
        output.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        return 0


def run() -> None:
    """The entry point: leaves at once, since a reading that hangs in PC/SC would keep the process alive."""
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
