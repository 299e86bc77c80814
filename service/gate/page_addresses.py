"""The addresses of the bridge's own pages: each run has its own loopback address.

A program that had the bridge's port before can have left a service worker, a cached page or an open connection in the
browser. A browser keeps all three by address. At an address that this program never had, a link finds none of them.
Loopback is a whole block, 127.0.0.0/8 (RFC 6890), and Linux and Windows listen on any address of it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

SHARED = "127.0.0.1"
"""The address that every caller knows. Pages are there if the system has no other address, and with TLS."""
LOOPBACK_NAMES = (SHARED, "localhost", "[::1]")
"""The names by which every caller on this machine reaches a port."""


@dataclass(frozen=True, slots=True)
class PageAddresses:
    """The addresses of one run's pages."""

    port: int
    scheme: str = "http"
    current: str = SHARED
    earlier: tuple[str, ...] = ()
    """The addresses of earlier runs.

    Their open tabs find the bridge there and follow it to the current address. The browser must delete what it
    keeps for them.
    """

    @property
    def is_own(self) -> bool:
        """Return True if this run's pages have an address of their own."""
        return self.current != SHARED

    @property
    def origin(self) -> str:
        """Return the origin of the pages that links open."""
        return f"{self.scheme}://{self.current}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """Return every ``Host`` by which a browser of this machine reaches the bridge."""
        names = (*LOOPBACK_NAMES, self.current, *self.earlier)
        return frozenset(f"{name}:{self.port}" for name in names)

    @property
    def left(self) -> tuple[str, ...]:
        """Return the origins where a browser must keep nothing.

        ``[::1]`` is not among them: a page's policy cannot name it (CSP has no IPv6 sources).
        """
        named = [one for one in LOOPBACK_NAMES if not one.startswith("[")]
        names = (*named, *self.earlier) if self.is_own else ()
        return tuple(f"{self.scheme}://{name}:{self.port}" for name in names)

    def is_doorway(self, host: str) -> bool:
        """Return True if ``host`` is an address that people type, and the pages are at another address."""
        return self.is_own and host in {f"{name}:{self.port}" for name in LOOPBACK_NAMES}

    def is_left(self, host: str) -> bool:
        """Return True if ``host`` is an address where the pages are no longer."""
        return self.is_own and host in self.hosts and host != f"{self.current}:{self.port}"

    def is_of_pages_alone(self, host: str) -> bool:
        """Return True if only the bridge's own pages, of this run or an earlier one, use this ``Host``.

        Pages of other sites get no answer there: the address would identify this desk.
        """
        return host in {f"{name}:{self.port}" for name in (self.current, *self.earlier) if name != SHARED}


def random_address() -> str:
    """Return a random address of the block 127.0.0.0/8, which no program can foresee."""
    first, second, third = secrets.randbelow(254) + 1, secrets.randbelow(256), secrets.randbelow(254) + 1
    return f"127.{first}.{second}.{third}"
