"""What a caller may ask for: the gate says who it is, and each route which scope it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cardio.errors import NotPermittedError


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


DEFAULT_SCOPES = frozenset({Scope.BASIC, Scope.FILES})


class NoScopeError(NotPermittedError):
    code = "no-scope"
    title = "该令牌无权使用此功能"
    title_en = "The token does not grant this"
    remedy = "请管理员在启动服务时授予该权限（cardio serve --scopes）。"
    remedy_en = "Ask the administrator to grant the scope where the service is started (cardio serve --scopes)."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the gate has found out."""

    origin: str
    """The page's origin, or ``local`` for a program."""
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raises: NoScopeError: the caller may not."""
        if scope not in self.scopes:
            raise NoScopeError(f"缺少权限 {scope.value}", f"the scope {scope.value} is not granted")
