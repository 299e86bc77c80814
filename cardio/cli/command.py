"""The definition of a command of ``cardio``. Commands import modules only when they run, because help must be fast."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from cardio.cli.output import Output

DONE = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One word after ``cardio``."""

    name: str
    help: str
    """One line: Chinese, then English."""
    examples: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Output], int]
    """The function that does the work and returns the exit status; it raises CardioError when it cannot."""


def add_reader_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--reader",
        metavar="NAME",
        help="读卡器：名称、名称的一部分、序号，或 sim:样例 / reader: name, part of one, index, or sim:PERSONA",
    )
