"""The requests to the bridge on this machine: with ``--bridge``, or because this program cannot use the reader
itself.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cardio.cli.output import Output
from cardio.errors import (
    CardioError,
    NoReaderError,
    NotPermittedError,
    PcscUnavailableError,
    ReaderBusyError,
    ReaderNotFoundError,
)

if TYPE_CHECKING:
    from cardio.client import BridgeClient

Result = TypeVar("Result")
_BRIDGE_MAY_HELP = (NoReaderError, ReaderNotFoundError, ReaderBusyError, PcscUnavailableError, NotPermittedError)
"""The errors after which the bridge may help: the reader is held, or is not this user's."""


def add_bridge_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--bridge",
        action="store_true",
        help="由本机读卡服务读取（cardio serve） / ask the bridge on this machine in place of the reader",
    )


def run_via_bridge(work: Callable[[BridgeClient], Result]) -> Result:
    """Do a piece of work with the bridge.

    Raises:
        CardioError: there is no bridge, or it returned an error.
    """
    from cardio.client import BridgeClient

    with BridgeClient.connect() as bridge:
        return work(bridge)


def here_or_by_bridge(
    options: Namespace, output: Output, here: Callable[[], Result], there: Callable[[BridgeClient], Result]
) -> Result:
    """Do a piece of work with the reader itself; if another process holds the reader, through the bridge.

    Raises:
        CardioError: the error of the reader, where there is no bridge; else the error of the bridge.
    """
    if options.bridge:
        return run_via_bridge(there)
    try:
        return here()
    except _BRIDGE_MAY_HELP as error:
        try:
            from cardio.client import BridgeClient

            bridge = BridgeClient.connect()
        except (CardioError, ImportError):
            raise error from None  # people need the error of the reader itself
        with bridge:
            output.note(f"{error.detail}；改由读卡服务读取", f"asking the bridge: {error.detail_en}")
            return there(bridge)
