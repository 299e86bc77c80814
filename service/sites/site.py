"""An origin, split for a person: the part of its name that identifies the site's owner, and the rest."""

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
"""The bits of a network, by IP version.

A provider gives each customer that much of the address space, so more addresses cost nothing.
"""
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of an origin that a person can tell apart. Names are in the ASCII form that browsers send."""

    origin: str
    scheme: str
    host: str
    """The host as it stands in the origin; an IPv6 address has its brackets."""
    port: str
    """The port with its colon; empty for the scheme's default port."""
    kind: SiteKind
    """The kind: a registered domain, an IP address, a name of the local network, or a program with its own scheme."""
    registrable: str
    """The part that identifies the owner: the registered domain, else the whole host."""
    group: str
    """The common feature of sites that are cheap to have in large numbers: one public suffix, one network, or local."""

    @classmethod
    def of(cls, origin: str) -> Site:
        """Return the parts of an origin; any text is accepted."""
        return _site_of(origin)

    @property
    def before(self) -> str:
        """Return the part before the registrable one: the owner of the registrable part chooses it freely."""
        return self.host.removesuffix(self.registrable)

    @property
    def place(self) -> str:
        """Return the common part of origins that are one site to a person: without subdomain, scheme and port."""
        return f"{self.scheme}://{self.host}" if self.kind == "program" else self.registrable

    @property
    def readable_host(self) -> str:
        """Return the host in its own script, if it is a name in other letters: ``医院.中国``."""
        return readable(self.host)

    @property
    def label(self) -> str:
        """Return the registered label without its public suffix; the whole host if there is none."""
        return self.registrable.partition(".")[0] if self.kind == "domain" else self.host

    @property
    def is_loopback(self) -> bool:
        """Return True if this computer itself serves the site."""
        return _is_loopback(self.host)

    @property
    def is_plain_http(self) -> bool:
        """Return True if other computers on the network path can change its pages."""
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
    if domain is None or host.rpartition(".")[2].isdecimal():  # such a name would be an address, but is none
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
    """Return the name of an origin's site.

    Scheme, port and subdomain cost a hostile site nothing, so they do not count.
    """
    site = Site.of(origin)
    return site.place.removeprefix("[").removesuffix("]")
