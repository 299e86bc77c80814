"""The scopes of a caller: the gate identifies the caller, and each route names the scope that it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from cardio.errors import NotPermittedError
from cardio.security.pin.pin import Pin


class Scope(StrEnum):
    """The parts of the interface that are granted one by one."""

    BASIC = "basic"
    """Readers, events, the holder of a card, the identity verdict."""
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
    """The list of admitted callers.

    Only the bridge's own pages and its owner's programs get this scope, never a page of another origin.
    """


DEFAULT_SCOPES = frozenset({Scope.BASIC, Scope.FILES})
OWNERS_SCOPES = frozenset({Scope.MANAGE, Scope.METRICS, Scope.APDU})
"""The scopes that the token of the token file grants in addition: its owner may do all this anyway."""
HARMLESS_SCOPES = frozenset({Scope.BASIC, Scope.FILES, Scope.APDU})
"""The scopes that cannot spend, change or block anything on a card: a person's simple yes grants them.

Any other scope is granted only if the person names it, so a new scope counts as harmful until it is added here.
"""
PAGE_SCOPES = frozenset(Scope) - {Scope.MANAGE, Scope.METRICS}
"""The scopes that a page of another origin can be granted at all."""


class NoScopeError(NotPermittedError):
    code = "no-scope"
    title = "未开通此功能的权限"
    title_en = "The token does not grant this"
    remedy = "请管理员授予该权限：重新配对并勾选，或以 cardio serve --scopes 启动。"
    remedy_en = "Have the scope granted: pair again and tick it, or start the bridge with cardio serve --scopes."


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller as the gate has identified it."""

    origin: str
    """The page's origin, or ``local`` for a program."""
    scopes: frozenset[Scope]
    grant: str = "local"
    """The id of its grant; ``local`` is the token of the token file."""
    name: str = ""
    """The name that a person gave it when it was admitted."""
    simulated_only: frozenset[Scope] = frozenset()
    """Those of its scopes that count at simulated readers only: a demonstration's."""

    def for_reader(self, *, simulated: bool) -> Caller:
        """Return the caller with the scopes that count at this kind of reader."""
        if simulated or not self.simulated_only:
            return self
        return replace(self, scopes=self.scopes - self.simulated_only)

    def require(self, scope: Scope) -> None:
        """Check that the caller has a scope.

        Raises:
            NoScopeError: the caller does not have it.
        """
        if scope in self.simulated_only and scope not in self.scopes:
            raise _demonstration_only(scope)
        if scope not in self.scopes:
            raise NoScopeError(f"未开通权限 {scope.value}", f"the scope {scope.value} is not granted")

    def pin(self, digits: str | None) -> Pin | None:
        """Return the holder's PIN that the caller passes.

        Raises:
            NoScopeError: the caller may pass no PIN.
            PinFormatError: the digits are no PIN.
        """
        if digits is None:
            return None
        self.require(Scope.PIN)
        return Pin(digits)

    @property
    def label(self) -> str:
        """Return the name of the caller that other people are shown."""
        return f"{self.name} ({self.origin})" if self.name else self.origin


def _demonstration_only(scope: Scope) -> NoScopeError:
    fault = NoScopeError(
        f"演示模式下，权限 {scope.value} 只对模拟读卡器有效",
        f"in a demonstration the scope {scope.value} counts at simulated readers only",
    )
    fault.remedy = "请选用模拟读卡器；要用真实读卡器，请不带 --demo 启动 cardio serve，并用 --scopes 授予该权限。"
    fault.remedy_en = "Choose a simulated reader; for a real one start cardio serve without --demo, with --scopes."
    return fault
