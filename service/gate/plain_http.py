"""Origins by http:// that have harmful scopes: other computers on the network path can put words into their pages."""

from __future__ import annotations

from collections.abc import Collection

from service.gate.scopes import HARMLESS_SCOPES, Scope
from service.sites.site import Site

REMEDY = (
    "请让该系统改用 https，并登记它的 https 来源；在此之前请收回这些权限"
    "（改 trusted_origins 的 scopes，或用 cardio pair revoke）。",
    "Have that system served by https and list its https origin; until then take those scopes away (scopes of "
    "trusted_origins, or cardio pair revoke).",
)


def risked_scopes(origin: str, scopes: Collection[Scope]) -> list[Scope]:
    """Return the harmful scopes of an origin that comes by plain http; none if the origin is this computer's own."""
    if not Site.of(origin).is_plain_http:
        return []
    return [scope for scope in Scope if scope in scopes and scope not in HARMLESS_SCOPES]


def risk_words(origin: str, risked: Collection[Scope]) -> tuple[str, str]:
    """Return the warning in Chinese and in English."""
    listed = ",".join(risked)
    return (
        f"来源 {origin} 是 http，却有权限 {listed}：途经的其他计算机可以冒充它",
        f"the origin {origin} comes by http and has {listed}: other computers on the way can speak in its name",
    )
