"""The command ``cardio serve``: the bridge on the command line. FastAPI is imported only when it runs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from service.bootstrap import AssembledBridge
    from service.gate.pairing_requests import PairingRequest
    from service.gate.policy import Access
    from service.settings import BridgeSettings
    from service.sites.resemblance import KnownSite

_HIGHEST_PORT, _LONGEST_PORT = 65535, 5


def _port(text: str) -> int:
    """Return a port in the form that argparse needs.

    Raises:
        ArgumentTypeError: the text is no port.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_PORT and int(text) <= _HIGHEST_PORT):
        raise ArgumentTypeError(f"“{text}”不是端口，应为 0 至 {_HIGHEST_PORT} / a port is 0 to {_HIGHEST_PORT}")
    return int(text)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--simulate",
        nargs="*",
        metavar="PERSONA",
        help="同时提供装有模拟卡的模拟读卡器 / add simulated readers with software cards",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="演示：模拟读卡器上全部功能可用（测试密钥、密码、扣款），不影响真实读卡器"
        " / everything works at simulated readers: test keys, PIN, debits; no real reader is touched by it",
    )
    parser.add_argument("--no-pcsc", action="store_true", help="不使用 PC/SC 读卡器 / leave PC/SC readers out")
    parser.add_argument("--port", type=_port, help="端口，默认 12340；0 为任选 / 0 picks a free one; default 12340")
    parser.add_argument(
        "--sam",
        metavar="KIND:PLACE",
        help="密钥所在：soft:文件、psam:读卡器、hsm:网址，可用逗号连接 / where the keys are; several with commas",
    )
    parser.add_argument(
        "--scopes",
        metavar="SCOPE,…",
        help="授予令牌的权限：basic、files、pin、write、settle，默认 basic,files / what the token grants",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="核验策略 / the policy of identity verdicts")
    parser.add_argument("--loss-list", type=Path, metavar="FILE", help="挂失名单 / the list of lost cards")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="令牌文件（0600） / the token's file")
    parser.add_argument("--auto-read", action="store_true", default=None, help="插卡即读 / read cards as they come")
    parser.add_argument("--log-format", choices=("text", "json"), help="日志格式 / the form of the log")
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="日志级别 / how much of it")


def _run(options: Namespace, output: Output) -> int:
    with ExitStack() as at_the_end:
        return _serve(options, output, at_the_end)


def _serve(options: Namespace, output: Output, at_the_end: ExitStack) -> int:
    from service import bootstrap
    from service.cli import demonstration
    from service.observability import logs
    from service.readers.simulated import DEMO_PERSONAS

    settings = _settings(options)
    logs.configure(settings.log_format, settings.log_level)
    logs.report_crashes()
    if options.demo and not settings.simulate:
        settings = settings.model_copy(update={"simulate": list(DEMO_PERSONAS)})
    if options.demo:
        bridge = demonstration.assemble(settings, at_the_end)
    else:
        bridge = bootstrap.assemble(settings)
    bridge.access.pairing.on_asked.append(lambda asked: _announce_request(bridge.access, asked, output))
    page = f"{bridge.access.pages.origin}/#ticket={_first_ticket(bridge.access)}"
    if output.as_json:
        output.json_line(_document(bridge, page))
    else:
        for line in _lines(bridge, page, output, demo=options.demo):
            output.text(line)
        if sys.stdin is not None and sys.stdin.isatty():
            _keep_ports(bridge, output)
    bridge.run()
    return DONE


def _keep_ports(bridge: AssembledBridge, output: Output) -> None:
    """Keep the ports for this user after the bridge has ended: no unit does so for a bridge in a terminal."""
    from cardio.errors import ConfigurationError
    from service.ports.keeper import keep_ports
    from service.ports.reservation import is_supported

    ports = {bridge.settings.port, *bridge.settings.dialects.ports.values()} - {0}
    if not ports or not is_supported():
        return
    listed = output.listed(map(str, sorted(ports)))
    try:
        keeper = keep_ports(bridge.settings.keeper_path, ports)
    except (ConfigurationError, OSError):
        keeper = None
    if keeper is None:
        output.text(
            f"服务停止后端口 {listed} 可能被其他用户的程序占用；届时若该地址仍能打开页面，请勿输入任何内容",
            f"after the end, another user may take port {listed}: type nothing into a page that it shows then",
        )
    else:
        output.text(
            f"服务停止后，端口 {listed} 仍为您保留到注销；放开：cardio reserve --end",
            f"after the end, port {listed} stays yours until you log out; cardio reserve --end gives it back",
        )


def _settings(options: Namespace) -> BridgeSettings:
    """Return the settings from files, environment and these options."""
    from cardio.errors import UsageError
    from service.settings import BridgeSettings

    settings = BridgeSettings.load(
        port=options.port, simulate=options.simulate, sam=options.sam, scopes=options.scopes, policy=options.policy,
        loss_list=options.loss_list, token_file=options.token_file, auto_read=options.auto_read,
        pcsc=False if options.no_pcsc else None, log_format=options.log_format, log_level=options.log_level,
    )  # fmt: skip
    if not settings.pcsc and settings.simulate is None and not options.demo:
        raise UsageError("--no-pcsc 须与 --simulate 同用，否则没有任何读卡器", "--no-pcsc needs --simulate")
    return settings


def _document(bridge: AssembledBridge, page: str) -> dict[str, object]:
    """Return the data that programs get at the start."""
    from cardio.models.problem import Problem

    missing = [
        {"name": name, "port": port, "problem": Problem.of(error).document()}
        for name, port, error in bridge.dialect_ports.problems()
    ]
    return {
        "address": bridge.address,
        "page": page,
        "token_file": str(bridge.settings.token_path),
        "dialects": {rule.name: port for port, rule in bridge.dialects.items()},
        "dialect_problems": missing,
    }


def _lines(bridge: AssembledBridge, page: str, output: Output, *, demo: bool) -> Iterator[str]:
    """Yield the lines that a person sees at the start."""
    from service.cli import demonstration
    from service.cli.open import open_again

    opening = output.words("cardio 已启动，请在本机浏览器打开", "running; open in this machine's browser")
    yield f"{opening}{output.colon.rstrip()}\n\n  {page}\n"
    afterwards = output.words("链接 10 分钟内有效，只能用一次；以后请用", "for 10 minutes and one use; afterwards")
    yield f"{afterwards}{output.colon}{open_again(bridge.address, bridge.settings.token_path)}"
    if demo:
        yield demonstration.words(bridge.settings, bridge.port, output.language)
    for port, rule in bridge.dialects.items():
        yield output.label("兼容接口", "dialect") + f" {rule.name}: ws://127.0.0.1:{port}"
    for _, _, error in bridge.dialect_ports.problems():
        yield output.words(error.detail, error.detail_en)
        yield "  " + output.words(error.remedy, error.remedy_en)
    yield output.words("Ctrl-C 结束", "Ctrl-C stops it")


def _announce_request(access: Access, asked: PairingRequest, output: Output) -> None:
    """Show a request on the console, in a thread: comparing many names takes a while, and a console can be slow."""
    import threading

    arguments = (asked, access.pairing.known_sites(), output)
    threading.Thread(target=_print_request, args=arguments, name="cardio-pairing-told", daemon=True).start()


def _print_request(asked: PairingRequest, known: list[KnownSite], output: Output) -> None:
    """Write a request on the console too, because a person may confirm it there."""
    from service.cli.pairing_words import site_lines
    from service.sites.resemblance import remarks

    said = [(one.words, one.words_en) for one in remarks(asked.site, asked.name, known)]
    described = "".join(f"\n  {line}" for line in site_lines(asked.origin, asked.name, said, output))
    asks = output.label("网页请求授权", "a page asks to be let in") + output.colon.rstrip()
    code = f"{output.label('配对码', 'code')} {asked.code[:3]} {asked.code[3:]}"
    output.note(f"{asks}{described}\n  {code} → cardio pair approve {asked.code}")


def _first_ticket(access: Access) -> str:
    """Return the ticket of the link that the start shows, which a person may be slow to open."""
    import os

    from service.gate.page_sessions import LONG_LINK_SECONDS

    user = os.getuid() if hasattr(os, "getuid") else None
    return access.sessions.issue("/", user=user, seconds=LONG_LINK_SECONDS)


serve_command = Command(
    name="serve",
    help="启动本地服务（HTTP、事件流、页面） / run the local bridge (HTTP, events, page)",
    examples=(
        "  cardio serve\n"
        "  cardio serve --simulate                 没有读卡器时 / without a reader\n"
        "  cardio serve --simulate adult field     指定样例 / these personas\n"
        "  cardio serve --demo                     全部功能，测试密钥 / everything, with test keys"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
