"""The composition root: it makes a whole bridge from its settings, and runs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from socket import socket

from cardio.cli.reader_selection import find_reader
from cardio.identity.policy import Policy, default_policy
from cardio.readers.base import ReaderSource
from cardio.readers.pcsc import PcscSource
from cardio.readers.supervision import Supervisor
from cardio.security.settings import SecuritySettings
from service.app import SiteOptions, create_app
from service.audit.recorder import AuditRecorder
from service.debits.journal_file.marks import external_mark_folder
from service.debits.provider import JournalProvider
from service.driver.listening import DialectPorts, Opened
from service.gate.connection_places import ConnectionLimits
from service.gate.page_addresses import PageAddresses, random_address
from service.gate.page_memory import PageMemory
from service.gate.peers import BelievedUsers, is_person
from service.gate.plain_http import risk_words, risked_scopes
from service.gate.policy import Access, DialectRule
from service.gate.rate_limits import Rate
from service.gate.scopes import Scope
from service.ports.binding import bind_loopback, bind_network, bind_pages
from service.readers.simulated import SimulatedReaders
from service.security import SecurityContext
from service.server import BridgeServer
from service.settings import BridgeSettings
from service.storage.secret_file import load_token

_log = logging.getLogger("cardio.service")


@dataclass(frozen=True, slots=True)
class AssembledBridge:
    """A bridge that has its ports and does not serve yet."""

    settings: BridgeSettings
    access: Access
    dialect_ports: DialectPorts
    port: int
    _server: BridgeServer
    _sockets: Sequence[socket]
    _opened: Sequence[Opened]

    @property
    def address(self) -> str:
        return f"{self.access.scheme}://127.0.0.1:{self.port}"

    @property
    def dialects(self) -> Mapping[int, DialectRule]:
        """Return the dialects that are served, by port."""
        return {one.port: one.rule for one in self._opened}

    def run(self) -> None:
        """Serve until the process is told to stop."""
        if self.access.pages.is_own:
            self.access.page_memory.keep_address(self.access.pages.current)
        for _, _, error in self.dialect_ports.problems():
            _log.warning("%s", error.detail_en)
        self._server.run(sockets=[*self._sockets, *(listener for one in self._opened for listener in one.sockets)])


def assemble(
    settings: BridgeSettings,
    *,
    sockets: Sequence[socket] | None = None,
    journal: JournalProvider | None = None,
    security: SecurityContext | None = None,
    scopes: Set[Scope] | None = None,
    simulated_only: Set[Scope] = frozenset(),
) -> AssembledBridge:
    """Make a bridge, and take its ports.

    Args:
        settings: the settings.
        sockets: the sockets that listen on the bridge's port; by default those of the settings.
        journal: the journal of debits; by default that of the settings.
        security: keys, policy and PIN rules; by default those of the settings.
        scopes: the scopes of the token file's token; by default those of the settings.
        simulated_only: those of these scopes that count at simulated readers only.

    Raises:
        ConfigurationError: a file that the settings name is wrong.
    """
    supervisor = Supervisor()
    supervisor.watch_threads()
    security = security_of(settings) if security is None else security
    simulated = None if settings.simulate is None else SimulatedReaders(settings.simulate)
    sources: list[ReaderSource] = [] if simulated is None else [simulated]
    if settings.pcsc:  # its present state does not matter: it may start later
        sources.append(PcscSource(supervisor))
    listening = list(bind_loopback(settings.port) if sockets is None else sockets)
    port = listening[0].getsockname()[1]
    memory = PageMemory(settings.pages_path, port)
    pages, page_sockets = _page_addresses(settings, port, memory)
    listening += page_sockets
    listening += bind_network(settings.network.listen, port)
    dialect_ports = _dialect_ports(settings)
    opened = dialect_ports.open()
    access = _access(settings, pages, memory, {one.port: one.rule for one in opened}, scopes, simulated_only)
    app = create_app(
        sources,
        simulated=simulated,
        security=security,
        site_options=_site_options(settings),
        journal=JournalProvider(settings.journal_path, external_mark_folder()) if journal is None else journal,
        audit=AuditRecorder(settings.audit_path),
        dialect_ports=dialect_ports,
        supervisor=supervisor,
    )
    _warn_of_plain_http(access)
    server = BridgeServer(app, access, settings.network, _connection_limits(settings))
    return AssembledBridge(settings, access, dialect_ports, port, server, listening, opened)


def _site_options(settings: BridgeSettings) -> SiteOptions:
    return SiteOptions(
        auto_read=settings.auto_read,
        dialect_layout=settings.dialects.layout,
        device_number=settings.driver.device_number,
        reader_policy=settings.readers.policy(SecuritySettings.load().named(settings.sam)),
        command_seconds=settings.readers.command_seconds,
        memory_seconds=settings.readers.memory_seconds,
        debit_limits=settings.debit_limits,
    )


def _page_addresses(settings: BridgeSettings, port: int, memory: PageMemory) -> tuple[PageAddresses, list[socket]]:
    """Return the addresses of this run's pages, and their sockets.

    With TLS no other program can pass for the bridge, so no own address is needed.
    """
    scheme = "http" if settings.network.certificate is None else "https"
    if scheme == "https" or not settings.own_page_address:
        return PageAddresses(port, scheme), []
    pages, sockets = bind_pages(PageAddresses(port, scheme, random_address(), memory.addresses))
    if not pages.is_own:
        _log.warning("no address of their own for the pages: they are at %s", pages.origin)
    elif missing := sorted(set(memory.addresses) - set(pages.earlier)):
        _log.warning("another program has addresses of earlier runs' pages, at port %d: %s", port, ", ".join(missing))
    return pages, sockets


def _access(
    settings: BridgeSettings,
    pages: PageAddresses,
    memory: PageMemory,
    dialects: Mapping[int, DialectRule],
    scopes: Set[Scope] | None,
    simulated_only: Set[Scope],
) -> Access:
    _warn_without_believed_users(settings)
    return Access.for_port(
        pages.port,
        load_token(settings.token_path),
        scopes=settings.scopes if scopes is None else frozenset(scopes),
        simulated_only=frozenset(simulated_only),
        believed=BelievedUsers(
            frozenset(settings.access.users), frozenset(settings.access.groups), settings.access.everybody
        ),
        file=settings.grants_path,
        trusted=settings.trusted,
        trusted_names={one.origin: one.name for one in settings.trusted_origins},
        more_hosts=settings.network.hosts,
        rate=Rate(settings.limits.requests_per_second, settings.limits.burst),
        dialects=dict(dialects),
        pages=pages,
        page_memory=memory,
    )


def _warn_without_believed_users(settings: BridgeSettings) -> None:
    """Warn if the bridge's user is a service's, which has no browser, and no other user's browser is believed."""
    named = settings.access.users or settings.access.groups or settings.access.everybody
    serves_pages = settings.trusted_origins or settings.dialects.ports
    if hasattr(os, "getuid") and not is_person(os.getuid()) and os.getuid() != 0 and serves_pages and not named:
        _log.warning(
            "no other user's browser is believed, and this service has none of its own: "
            'set [access] groups = ["GROUP"] to the group of the clerks'
        )


def _warn_of_plain_http(access: Access) -> None:
    """Log origins by http:// that the administrator or a person has given harmful scopes."""
    let_in = [(one.origin, one.scopes) for one in access.grants.all() if one.origin is not None]
    for origin, scopes in dict.fromkeys([*access.pairing.trusted.items(), *let_in]):
        risked = risked_scopes(origin, scopes)
        if risked:
            _log.warning("%s", risk_words(origin, risked)[1])


def _connection_limits(settings: BridgeSettings) -> ConnectionLimits:
    limits = settings.limits
    return ConnectionLimits(
        in_all=limits.connections, of_others=limits.connections_of_others, of_one_other=limits.connections_of_one_other
    )


def _dialect_ports(settings: BridgeSettings) -> DialectPorts:
    """Return the enabled dialects and their ports; none is open yet."""
    wanted = settings.dialects
    rules = {DialectRule(name, wanted.programs, wanted.scopes): port for name, port in wanted.ports.items()}
    return DialectPorts(rules, bind_loopback)


def security_of(settings: BridgeSettings) -> SecurityContext:
    """Return keys, policy and PIN rules as the settings name them.

    Raises:
        ConfigurationError: a file is wrong.
    """
    keys = SecuritySettings.load()
    security = SecurityContext(
        sam=keys.sam_source(settings.sam, find_reader),
        settings=keys,
        policy=default_policy() if settings.policy is None else Policy.load(settings.policy),
        loss_list_file=settings.loss_list,
        sam_places=tuple(place.strip() for place in (keys.named(settings.sam) or "").split(",")),
        pad_digits=settings.pin_pad_digits,
    )
    security.loss_list()  # a wrong file is reported now, and not at the first card
    return security
