"""What a caller may ask for: the gate says who it is, and each route which scope it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cardio.errors import NotPermittedError
from cardio.security.pin import Pin


class Scope(StrEnum):
    """The parts of the interface that are granted one by one."""

    BASIC = "basic"
    """Readers, events, who a card belongs to, the identity verdict."""
    FILES = "files"
    """Every file of a card."""
    PIN = "pin"
    """The holder's PIN: verify, change, unblock, reload."""
    WRITE = "write"
    """Changing files."""
    SETTLE = "settle"
    """Money on the card."""
    APDU = "apdu"
    """Single commands, to cards in simulated readers only."""
    METRICS = "metrics"
    """Figures of the service; nothing of any card."""
    MANAGE = "manage"
    """Who is let in: only for the bridge's own pages and its owner's programs, never for a page of another origin."""


DEFAULT_SCOPES = frozenset({Scope.BASIC, Scope.FILES})
OWNERS_SCOPES = frozenset({Scope.MANAGE, Scope.METRICS, Scope.APDU})
"""What the token of the token file grants besides: its owner may do all this anyway."""
PAGE_SCOPES = frozenset(Scope) - {Scope.MANAGE, Scope.METRICS}
"""What a page of another origin can be granted at all."""


class NoScopeError(NotPermittedError):
    code = "no-scope"
    title = "该令牌无权使用此功能"
    title_en = "The token does not grant this"
    remedy = "请管理员授予该权限：重新配对并勾选，或以 cardio serve --scopes 启动。"
    remedy_en = "Have the scope granted: pair again and tick it, or start the bridge with cardio serve --scopes."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the gate has found out."""

    origin: str
    """The page's origin, or ``local`` for a program."""
    scopes: frozenset[Scope]
    grant: str = "local"
    """Which grant lets it in; ``local`` is the token of the token file."""
    name: str = ""
    """What a person called it when it was let in."""

    def require(self, scope: Scope) -> None:
        """Raises: NoScopeError: the caller may not."""
        if scope not in self.scopes:
            raise NoScopeError(f"缺少权限 {scope.value}", f"the scope {scope.value} is not granted")

    def pin(self, digits: str | None) -> Pin | None:
        """The holder's PIN that it passes. Raises: NoScopeError: it may pass none. PinFormatError: it is none."""
        if digits is None:
            return None
        self.require(Scope.PIN)
        return Pin(digits)

    @property
    def label(self) -> str:
        """What other people are told of who it is."""
        return f"{self.name} ({self.origin})" if self.name else self.origin
