"""The headers that every answer of the bridge carries, also those of its own pages."""

from __future__ import annotations

from service.gate.page_addresses import PageAddresses

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self' {reached}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_headers(pages: PageAddresses, *, at_own: bool = True) -> dict[str, str]:
    """Return the headers of a bridge whose pages are at these addresses; names in lower case.

    Args:
        pages: the addresses of the pages.
        at_own: True if the request came to an address of the pages' own. At other addresses the headers do not reveal
            it.
    """
    if pages.is_own and at_own:
        reached = (pages.origin.replace("http", "ws", 1), *pages.left)
    else:
        sockets = pages.scheme.replace("http", "ws", 1)
        reached = tuple(f"{sockets}://{name}:{pages.port}" for name in ("127.0.0.1", "localhost"))
    return {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "content-security-policy": _POLICY.format(reached=" ".join(reached)),
    }
