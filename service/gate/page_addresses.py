"""Where the bridge's own pages are: an address of this run's own.

A program that had the bridge's port before can have left a service worker, a cached page or an open connection in the
browser. A browser keeps all three by address. At an address where that program never was, a link finds none of them.
Loopback is a whole block, 127.0.0.0/8 (RFC 6890), and Linux and Windows listen on any address of it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

SHARED = "127.0.0.1"
"""The address that every caller knows. Pages are there where the system has no other, and with TLS."""
LOOPBACK_NAMES = (SHARED, "localhost", "[::1]")
"""The names by which every caller on this machine reaches a port."""


@dataclass(frozen=True, slots=True)
class PageAddresses:
    """The addresses of one run's pages."""

    port: int
    scheme: str = "http"
    current: str = SHARED
    earlier: tuple[str, ...] = ()
    """Of the runs before: an open tab of theirs finds the bridge there, and follows it. The browser is told to forget
    what it keeps for them."""

    @property
    def is_own(self) -> bool:
        """True if this run's pages have an address of their own."""
        return self.current != SHARED

    @property
    def origin(self) -> str:
        """The origin of the pages that links open."""
        return f"{self.scheme}://{self.current}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """Every ``Host`` by which a browser of this machine reaches the bridge."""
        names = (*LOOPBACK_NAMES, self.current, *self.earlier)
        return frozenset(f"{name}:{self.port}" for name in names)

    @property
    def left(self) -> tuple[str, ...]:
        """The origins where a browser is told to keep nothing.

        ``[::1]`` is not among them: a page's policy cannot name it (CSP has no IPv6 sources).
        """
        named = [one for one in LOOPBACK_NAMES if not one.startswith("[")]
        names = (*named, *self.earlier) if self.is_own else ()
        return tuple(f"{self.scheme}://{name}:{self.port}" for name in names)

    def is_doorway(self, host: str) -> bool:
        """Return True if a request's ``Host`` is an address that people type, and the pages are elsewhere."""
        return self.is_own and host in {f"{name}:{self.port}" for name in LOOPBACK_NAMES}

    def is_left(self, host: str) -> bool:
        """Return True if a request's ``Host`` is one where the pages are no more."""
        return self.is_own and host in self.hosts and host != f"{self.current}:{self.port}"

    def is_of_pages_alone(self, host: str) -> bool:
        """Return True if only the bridge's own pages, of this run or an earlier one, reach it by that ``Host``.

        Other sites' pages are told nothing there: the address would tell them which desk this is.
        """
        return host in {f"{name}:{self.port}" for name in (self.current, *self.earlier) if name != SHARED}


def random_address() -> str:
    """An address of the block 127.0.0.0/8 that no program can have foreseen."""
    first, second, third = secrets.randbelow(254) + 1, secrets.randbelow(256), secrets.randbelow(254) + 1
    return f"127.{first}.{second}.{third}"
