"""What browsers are told of other origins: preflights, and which page may read an answer (Fetch §3.2).

An answer names one origin, never ``*``, and never allows credentials: there are no cookies here.
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
    """For an answer that a page of this origin may read."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", ANSWER_HEADERS.encode()),
        (b"vary", b"origin"),
    ]


def preflight_headers(origin: str, asked: Iterable[tuple[bytes, bytes]], *, known: bool) -> Headers:
    """For the preflight of a page that may send its request.

    Browsers with Private Network Access ask by ``…-private-network`` (or ``…-local-network``) whether a page of the
    open network may reach this machine. Only an origin that has been let in is told yes. A stranger's page can ask for
    pairing where its browser wants no such word: those with Local Network Access ask the person instead.

    Args:
        known: whether the origin has been let in.
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
