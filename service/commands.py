"""``cardio serve``: the bridge on the command line. Imports FastAPI only when it runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.readers.base import ReaderSource
    from service.scopes import Scope
    from service.security import BridgeSecurity

DEFAULT_PORT = 12340


def _port(text: str) -> int:
    """A port, as argparse takes it."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError(text)
    return value


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--simulate",
        nargs="*",
        metavar="PERSONA",
        help="同时提供装有软件卡的模拟读卡器 / add simulated readers with software cards",
    )
    parser.add_argument("--no-pcsc", action="store_true", help="不使用 PC/SC 读卡器 / leave PC/SC readers out")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help=f"端口，默认 {DEFAULT_PORT}；0 为任选 / 0 picks a free one"
    )
    parser.add_argument(
        "--sam", metavar="KIND:PLACE", help="密钥所在：soft:文件、psam:读卡器、hsm:网址 / where the keys are"
    )
    parser.add_argument(
        "--scopes",
        metavar="SCOPE,…",
        default="basic,files",
        help="授予令牌的权限：basic、files、pin、write，默认 basic,files / what the token grants",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="核验策略 / the policy of identity verdicts")
    parser.add_argument("--loss-list", type=Path, metavar="FILE", help="挂失名单 / the list of lost cards")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="令牌文件（0600） / the token's file")


def _run(options: Namespace, output: Output) -> int:
    from cardio.errors import UsageError
    from service.app import create_app
    from service.gate import GateRules
    from service.server import BridgeServer, bind_loopback
    from service.simulated import SimulatedReaders
    from service.tokens import default_token_file, load_token

    if options.no_pcsc and options.simulate is None:
        raise UsageError("--no-pcsc 须与 --simulate 同用，否则没有任何读卡器", "--no-pcsc needs --simulate")
    scopes = _scopes(options.scopes)
    token = load_token(options.token_file or default_token_file())
    simulated = None if options.simulate is None else SimulatedReaders(options.simulate)
    sources = [*_pcsc(options, optional=simulated is not None), *([simulated] if simulated is not None else [])]
    sockets = bind_loopback(options.port)
    port = sockets[0].getsockname()[1]
    app = create_app(sources, simulated=simulated, security=_security(options))
    server = BridgeServer(app, GateRules.for_port(port, token, scopes=scopes))
    address = f"http://127.0.0.1:{port}"
    page = f"{address}/#token={token}"
    if output.as_json:
        output.document({"address": address, "page": page})
    else:
        output.text(f"cardio 已启动，请在本机浏览器打开 / running; open in this machine's browser:\n\n  {page}\n")
        output.text("Ctrl-C 结束 / stops it")
    server.run(sockets=sockets)
    return DONE


def _scopes(text: str) -> frozenset[Scope]:
    """Raises: UsageError: there is no such scope."""
    from cardio.errors import UsageError
    from service.scopes import Scope

    try:
        return frozenset(Scope(name.strip()) for name in text.split(","))
    except ValueError as error:
        known = ", ".join(Scope)
        raise UsageError(f"--scopes {text}：应为 {known} 之一或几个", f"--scopes {text}: it takes {known}") from error


def _security(options: Namespace) -> BridgeSecurity:
    """What the options and the site's settings say of keys and verdicts.

    Raises:
        ConfigurationError: a file is wrong.
    """
    from cardio.cli.sources import find_reader
    from cardio.identity.loss_list import LossList
    from cardio.identity.policy import Policy, default_policy
    from cardio.security.settings import SecuritySettings
    from service.security import BridgeSecurity

    settings = SecuritySettings.load()
    if options.loss_list is not None:
        LossList.load(options.loss_list)  # a wrong one is told now, and not at the first card
    return BridgeSecurity(
        sam=settings.sam_source(options.sam, find_reader),
        settings=settings,
        policy=default_policy() if options.policy is None else Policy.load(options.policy),
        loss_list_file=options.loss_list,
    )


def _pcsc(options: Namespace, *, optional: bool) -> list[ReaderSource]:
    """PC/SC as a source, unless it is not wanted, or not there and not needed."""
    from cardio.errors import PcscUnavailableError
    from cardio.readers.pcsc import PcscSource

    if options.no_pcsc:
        return []
    source = PcscSource()
    if optional:
        try:
            source.readers()
        except PcscUnavailableError:
            return []
    return [source]


serve_command = Command(
    name="serve",
    help="启动本地服务（HTTP、事件流、页面） / run the local bridge (HTTP, events, page)",
    examples=(
        "  cardio serve\n"
        "  cardio serve --simulate                 没有读卡器时 / without a reader\n"
        "  cardio serve --simulate adult field     指定角色 / these personas"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
