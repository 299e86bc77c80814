"""``cardio serve``: the bridge on the command line. Imports FastAPI only when it runs."""

from __future__ import annotations

import logging
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.readers.base import ReaderSource
    from cardio.readers.supervision import Supervisor
    from service.driver.listening import DialectPorts
    from service.gate.connection_places import ConnectionLimits
    from service.gate.pairing_requests import PairingRequest
    from service.gate.policy import Access, DialectRule
    from service.security import SecurityContext
    from service.settings import BridgeSettings
    from service.sites.resemblance import KnownSite

_log = logging.getLogger("cardio.service")
_HIGHEST_PORT, _LONGEST_PORT = 65535, 5
_GRANTS = "grants.json"


def _port(text: str) -> int:
    """A port, as argparse takes it."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_PORT and int(text) <= _HIGHEST_PORT):
        raise ArgumentTypeError(f"“{text}”不是端口，应为 0 至 {_HIGHEST_PORT} / a port is 0 to {_HIGHEST_PORT}")
    return int(text)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--simulate",
        nargs="*",
        metavar="PERSONA",
        help="同时提供装有软件卡的模拟读卡器 / add simulated readers with software cards",
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
    from cardio.errors import UsageError
    from cardio.models.problem import Problem
    from cardio.readers.supervision import Supervisor
    from cardio.security.settings import SecuritySettings
    from service.app import SiteOptions, create_app
    from service.audit.recorder import AuditRecorder
    from service.cli import demonstration
    from service.cli.open import open_again
    from service.debits.journal_file.marks import elsewhere_folder
    from service.debits.provider import JournalProvider
    from service.observability import logs
    from service.readers.simulated import DEMO_PERSONAS, SimulatedReaders
    from service.server import BridgeServer, bind_loopback, bind_network
    from service.settings import BridgeSettings

    settings = BridgeSettings.load(
        port=options.port, simulate=options.simulate, sam=options.sam, scopes=options.scopes, policy=options.policy,
        loss_list=options.loss_list, token_file=options.token_file, auto_read=options.auto_read,
        pcsc=False if options.no_pcsc else None, log_format=options.log_format, log_level=options.log_level,
    )  # fmt: skip
    logs.configure(settings.log_format, settings.log_level)
    if options.demo and not settings.simulate:
        settings = settings.model_copy(update={"simulate": list(DEMO_PERSONAS)})
    if not settings.pcsc and settings.simulate is None:
        raise UsageError("--no-pcsc 须与 --simulate 同用，否则没有任何读卡器", "--no-pcsc needs --simulate")
    supervisor = Supervisor()
    supervisor.watch_threads()
    security = _security(settings)
    simulated = None if settings.simulate is None else SimulatedReaders(settings.simulate)
    sources: list[ReaderSource] = [*([simulated] if simulated is not None else []), *_pcsc(settings, supervisor)]
    if options.demo:
        sockets = demonstration.bind(settings, chosen="port" in settings.model_fields_set)
        passing = demonstration.PassingJournal()
        at_the_end.callback(passing.close)  # also where the bridge does not come to run
        journal: JournalProvider = passing
        settings = demonstration.with_a_place(settings, _token_file(settings), passing.folder)
        security = demonstration.security(security)
        # The totals of a simulated card are of one year, and a demonstration debits no other card.
        settings = settings.model_copy(update={"debit_years": demonstration.DEBIT_YEARS})
    else:
        sockets = bind_loopback(settings.port)
        journal = JournalProvider(settings.journal_path, elsewhere_folder())
    port = sockets[0].getsockname()[1]
    sockets += bind_network(settings.network, port)
    dialect_ports = _dialect_ports(settings)
    opened = dialect_ports.open()
    dialects = {one.port: one.rule for one in opened}
    access = _access(settings, port, dialects, demo=options.demo)
    habits = SiteOptions(
        auto_read=settings.auto_read,
        dialect_layout=settings.dialects.layout,
        device_number=settings.driver.device_number,
        reader_policy=settings.readers.policy(SecuritySettings.load().named(settings.sam)),
        command_seconds=settings.readers.command_seconds,
        debit_limits=settings.debit_limits,
    )
    app = create_app(
        sources,
        simulated=simulated,
        security=security,
        habits=habits,
        journal=journal,
        audit=AuditRecorder(settings.audit_path),
        dialect_ports=dialect_ports,
        supervisor=supervisor,
    )
    _warn_of_plain_http(access)
    server = BridgeServer(app, access, settings.network, _connection_limits(settings))
    access.pairing.on_asked.append(lambda asked: _tell_of_request(access, asked, output))
    scheme = "https" if settings.network.certificate is not None else "http"
    address = f"{scheme}://127.0.0.1:{port}"
    page = f"{address}/#ticket={_first_ticket(access)}"
    if output.as_json:
        missing = [
            {"name": name, "port": port, "problem": Problem.of(error).document()}
            for name, port, error in dialect_ports.problems()
        ]
        output.json_line(
            {
                "address": address,
                "page": page,
                "token_file": str(_token_file(settings)),
                "dialects": {rule.name: at for at, rule in dialects.items()},
                "dialect_problems": missing,
            }
        )
    else:
        output.text(f"cardio 已启动，请在本机浏览器打开 / running; open in this machine's browser:\n\n  {page}\n")
        again = open_again(address, _token_file(settings))
        output.text(f"链接 10 分钟内有效，只能用一次；以后请用 / for 10 minutes and one use; afterwards: {again}")
        if options.demo:
            output.text(demonstration.words(settings, port))
        for at, rule in dialects.items():
            output.text(f"兼容接口 dialect {rule.name}: ws://127.0.0.1:{at}")
        for _, _, error in dialect_ports.problems():
            output.text(f"{error.detail} / {error.detail_en}\n  {error.remedy}\n  {error.remedy_en}")
        output.text("Ctrl-C 结束 / stops it")
    for _, _, error in dialect_ports.problems():
        _log.warning("%s", error.detail_en)
    server.run(sockets=[*sockets, *(listener for one in opened for listener in one.sockets)])
    return DONE


def _warn_of_plain_http(access: Access) -> None:
    """In the log: origins by http:// that the administrator or a person lets do harm."""
    from service.gate.plain_http import risk_words, risked_scopes

    let_in = [(one.origin, one.scopes) for one in access.grants.all() if one.origin is not None]
    for origin, scopes in dict.fromkeys([*access.pairing.trusted.items(), *let_in]):
        risked = risked_scopes(origin, scopes)
        if risked:
            _log.warning("%s", risk_words(origin, risked)[1])


def _tell_of_request(access: Access, asked: PairingRequest, output: Output) -> None:
    """Tell of a request on the console, in a thread: comparing many names takes a while, and a console can be slow."""
    import threading

    told = (asked, access.pairing.known_sites(), output)
    threading.Thread(target=_say_asked, args=told, name="cardio-pairing-told", daemon=True).start()


def _say_asked(asked: PairingRequest, known: list[KnownSite], output: Output) -> None:
    """On the console too: a person may confirm there."""
    from service.cli.pairing_words import site_lines
    from service.sites.resemblance import remarks

    said = [(one.words, one.words_en) for one in remarks(asked.site, asked.name, known)]
    described = "".join(f"\n  {line}" for line in site_lines(asked.origin, asked.name, said))
    output.note(
        f"网页请求授权 a page asks to be let in:{described}\n"
        f"  核对码 code {asked.code[:3]} {asked.code[3:]} → cardio pair approve {asked.code}"
    )


def _first_ticket(access: Access) -> str:
    """For the link that is shown at the start, which a person may be slow to open."""
    import os

    from service.gate.page_sessions import LONG_LINK_SECONDS

    user = os.getuid() if hasattr(os, "getuid") else None
    return access.sessions.issue("/", user=user, seconds=LONG_LINK_SECONDS)


def _token_file(settings: BridgeSettings) -> Path:
    from cardio.client import default_token_file

    return settings.token_file or default_token_file()


def _token(settings: BridgeSettings) -> str:
    from service.storage.secret_file import load_token

    return load_token(_token_file(settings))


def _access(settings: BridgeSettings, port: int, dialects: dict[int, DialectRule], *, demo: bool) -> Access:
    from service.cli import demonstration
    from service.gate.peers import BelievedUsers
    from service.gate.policy import Access
    from service.gate.rate_limits import Rate

    _tell_who_is_believed(settings)
    return Access.for_port(
        port,
        _token(settings),
        scopes=demonstration.scopes(settings) if demo else settings.scopes,
        simulated_only=demonstration.simulated_only(settings) if demo else frozenset(),
        believed=BelievedUsers(
            frozenset(settings.access.users), frozenset(settings.access.groups), settings.access.everybody
        ),
        file=settings.grants_file or _token_file(settings).with_name(_GRANTS),
        trusted=settings.trusted,
        trusted_names={one.origin: one.name for one in settings.trusted_origins},
        more_hosts=settings.network.hosts,
        rate=Rate(settings.limits.requests_per_second, settings.limits.burst),
        dialects=dialects,
        scheme="https" if settings.network.certificate is not None else "http",
    )


def _tell_who_is_believed(settings: BridgeSettings) -> None:
    """A service's own user has no browser: without a setting the pages that are listed would be let in for nobody."""
    import os

    from service.gate.peers import is_person

    named = settings.access.users or settings.access.groups or settings.access.everybody
    serves_pages = settings.trusted_origins or settings.dialects.ports
    if hasattr(os, "getuid") and not is_person(os.getuid()) and os.getuid() != 0 and serves_pages and not named:
        _log.warning(
            "no other user's browser is believed, and this service has none of its own: "
            'set [access] groups = ["GROUP"] to the group of the clerks'
        )


def _connection_limits(settings: BridgeSettings) -> ConnectionLimits:
    from service.gate.connection_places import ConnectionLimits

    limits = settings.limits
    return ConnectionLimits(
        in_all=limits.connections, of_others=limits.connections_of_others, of_one_other=limits.connections_of_one_other
    )


def _dialect_ports(settings: BridgeSettings) -> DialectPorts:
    """The dialects that are switched on, and their ports; none is open yet."""
    from service.driver.listening import DialectPorts
    from service.gate.policy import DialectRule
    from service.server import bind_loopback

    wanted = settings.dialects
    rules = {DialectRule(name, wanted.programs, wanted.scopes): port for name, port in wanted.ports.items()}
    return DialectPorts(rules, bind_loopback)


def _security(settings: BridgeSettings) -> SecurityContext:
    """What the settings say of keys and verdicts.

    Raises:
        ConfigurationError: a file is wrong.
    """
    from cardio.cli.reader_selection import find_reader
    from cardio.identity.policy import Policy, default_policy
    from cardio.security.settings import SecuritySettings
    from service.security import SecurityContext

    keys = SecuritySettings.load()
    security = SecurityContext(
        sam=keys.sam_source(settings.sam, find_reader),
        settings=keys,
        policy=default_policy() if settings.policy is None else Policy.load(settings.policy),
        loss_list_file=settings.loss_list,
        sam_places=tuple(place.strip() for place in (keys.named(settings.sam) or "").split(",")),
        pad_digits=settings.pin_pad_digits,
    )
    security.loss_list()  # a wrong one is told now, and not at the first card
    return security


def _pcsc(settings: BridgeSettings, supervisor: Supervisor) -> list[ReaderSource]:
    """PC/SC as a source, unless the settings leave it out. Whether it runs now decides nothing: it may come later."""
    from cardio.readers.pcsc import PcscSource

    return [PcscSource(supervisor)] if settings.pcsc else []


serve_command = Command(
    name="serve",
    help="启动本地服务（HTTP、事件流、页面） / run the local bridge (HTTP, events, page)",
    examples=(
        "  cardio serve\n"
        "  cardio serve --simulate                 没有读卡器时 / without a reader\n"
        "  cardio serve --simulate adult field     指定角色 / these personas\n"
        "  cardio serve --demo                     全部功能，测试密钥 / everything, with test keys"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
