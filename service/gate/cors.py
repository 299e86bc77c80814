"""The CORS headers for other origins: preflights, and the page that may read an answer (Fetch §3.2).

An answer names one origin, never ``*``. It never allows credentials, because the bridge has no cookies.
"""

from __future__ import annotations

from collections.abc import Iterable

METHODS = "GET, HEAD, POST, PUT, DELETE"
REQUEST_HEADERS = "authorization, content-type, last-event-id, cardio-card-session, cardio-lease, idempotency-key"
ANSWER_HEADERS = (
    "age, cardio-card-proof, cardio-card-session, cardio-read-at, cardio-warnings, retry-after, x-request-id"
)
_MAX_AGE = "600"
Headers = list[tuple[bytes, bytes]]


def answer_headers(origin: str) -> Headers:
    """Return the headers of an answer that a page of this origin may read."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", ANSWER_HEADERS.encode()),
        (b"vary", b"origin"),
    ]


def preflight_headers(origin: str, asked: Iterable[tuple[bytes, bytes]], *, known: bool) -> Headers:
    """Return the headers of the answer to the preflight of a page that may send its request.

    Browsers with Private Network Access ask by ``…-private-network`` (or ``…-local-network``) whether a page of the
    open network may reach this machine. Only an admitted origin gets a yes. An unknown page can ask for pairing in
    browsers that need no such header: browsers with Local Network Access ask the person instead.

    Args:
        origin: the page's origin.
        asked: the headers of the preflight, names in lower case.
        known: True if the origin was admitted.
    """
    headers = [
        *answer_headers(origin),
        (b"access-control-allow-methods", METHODS.encode()),
        (b"access-control-allow-headers", REQUEST_HEADERS.encode()),
        (b"access-control-max-age", _MAX_AGE.encode()),
    ]
    names = {name for name, value in asked if value == b"true"}
    for network in (b"private-network", b"local-network"):
        if known and b"access-control-request-" + network in names:
            headers.append((b"access-control-allow-" + network, b"true"))
    return headers
