"""An origin, taken apart as a person should see it: the part of its name that tells whose site it is, and the rest."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from service.sites.labels import readable
from service.sites.suffixes import public_suffix, registrable_domain

SiteKind = Literal["domain", "address", "host", "program"]
_WEB = ("http", "https")
_INTRANET = "intranet"
_LOCAL_NAME = "localhost"
_NETWORK_BITS = {4: 24, 6: 48}
"""A customer of a provider gets so much of the address space, so more addresses cost nothing."""
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Site:
    """What of an origin a person can tell apart. Names are in the ASCII form that browsers send."""

    origin: str
    scheme: str
    host: str
    """As it stands in the origin; an IPv6 address has its brackets."""
    port: str
    """With its colon; empty for the scheme's own."""
    kind: SiteKind
    """A registered domain, an IP address, a name of the local network, or a program with a scheme of its own."""
    registrable: str
    """The part that tells whose site it is: the registered domain, else the whole host."""
    group: str
    """What sites have in common that are cheap to have many of: under one public suffix, in one network, local."""

    @classmethod
    def of(cls, origin: str) -> Site:
        """Take an origin apart; any text is taken."""
        return _site_of(origin)

    @property
    def before(self) -> str:
        """Return what stands before the registrable part: the owner of that part chooses it freely."""
        return self.host.removesuffix(self.registrable)

    @property
    def place(self) -> str:
        """Return what two origins have in common that are one site to a person: neither subdomain, scheme nor port."""
        return f"{self.scheme}://{self.host}" if self.kind == "program" else self.registrable

    @property
    def readable_host(self) -> str:
        """The host in its own script, where it is a name in other letters: ``医院.中国``."""
        return readable(self.host)

    @property
    def label(self) -> str:
        """The registered label alone, without its public suffix; the whole host where there is none."""
        return self.registrable.partition(".")[0] if self.kind == "domain" else self.host

    @property
    def is_loopback(self) -> bool:
        """Return whether it is served by this computer itself."""
        return _is_loopback(self.host)

    @property
    def is_plain_http(self) -> bool:
        """Return whether other computers on the way can change what its pages do."""
        return self.scheme == "http" and not self.is_loopback


@lru_cache(maxsize=_REMEMBERED)
def _site_of(origin: str) -> Site:
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return Site(origin, "", origin, "", "host", origin, _INTRANET)
    host, port = _host_and_port(rest)
    kind, registrable, group = _parts(scheme, host)
    return Site(origin, scheme, host, port, kind, registrable, group)


def _host_and_port(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port or not port.isdecimal():
        return authority, ""
    return host, f":{port}"


def _parts(scheme: str, host: str) -> tuple[SiteKind, str, str]:
    if scheme not in _WEB:
        return "program", host, "program"
    address = _address(host)
    if address is not None:
        return "address", host, _network(address)
    if host == _LOCAL_NAME or host.endswith(f".{_LOCAL_NAME}"):  # every such name is this computer (RFC 6761 §6.3)
        return "host", _LOCAL_NAME, _INTRANET
    domain, suffix = registrable_domain(host), public_suffix(host)
    if domain is None or host.rpartition(".")[2].isdecimal():  # such a name would be an address, and is none
        return "host", host, suffix or _INTRANET
    return "domain", domain, suffix or _INTRANET


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if address.is_loopback or address.is_private or address.is_link_local:
        return _INTRANET
    return str(ipaddress.ip_network((address, _NETWORK_BITS[address.version]), strict=False))


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        mapped = getattr(address, "ipv4_mapped", None)
        return address.is_loopback or (mapped is not None and mapped.is_loopback)
    return host == _LOCAL_NAME or host.endswith(f".{_LOCAL_NAME}")


def site_of(origin: str) -> str:
    """Name the site of an origin: scheme, port and subdomain cost a hostile site nothing, so it counts without them."""
    site = Site.of(origin)
    return site.place.removeprefix("[").removesuffix("]")
