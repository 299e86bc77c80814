"""The headers that every answer of the bridge carries, and its own pages' among them."""

from __future__ import annotations

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self' {ws}://127.0.0.1:{port} {ws}://localhost:{port}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_headers(scheme: str, port: int) -> dict[str, str]:
    """The headers of a bridge that serves ``http`` or ``https`` at a port; names in lower case."""
    return {
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "content-security-policy": _POLICY.format(port=port, ws=scheme.replace("http", "ws")),
    }
