"""How the bridge's own pages are opened: the owner asks for a link's ticket, the page changes it for a token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.gate.context import context_of
from service.gate.grants import LOCAL, verifier_of
from service.gate.page_sessions import LINK_SECONDS, LONG_LINK_SECONDS, OwnPage
from service.gate.scopes import NoScopeError, Scope
from service.routes.dependencies import AccessOf, AuditOf, CallerOf, peer_of
from service.routes.hello import proof_of
from service.routes.pages import keeper_path
from service.routes.pairing import ADDED

router = APIRouter(prefix="/v1/pages", tags=["access"])
_USED: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "the ticket was used before, or its time is over"}
}


class LinkAsked(FrozenModel):
    page: OwnPage = "/"
    seconds: int = Field(default=LINK_SECONDS, ge=5, le=LONG_LINK_SECONDS, description="how long it counts")
    user: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 32,
        description="the only system user whose browser may use it",
    )


class LinkTicket(FrozenModel):
    ticket: str = Field(description="counts once, as the fragment `#ticket=TICKET` of the page's address")
    page: OwnPage
    expires_in: int = Field(description="seconds")


class LinkOpened(FrozenModel):
    ticket: str = Field(max_length=200)
    nonce: str = Field(default="", pattern="^([0-9a-f]{32,128})?$", description="fresh random, hex")


class PageSession(FrozenModel):
    grant: str
    token: str | None = Field(description="ends with the bridge's process; null where the page has one that counts")
    scopes: tuple[Scope, ...]
    keeper: str = Field(description="path of the worker that keeps the bridge's own pages in the browser")
    proof: str = Field(description="as hello's, by the ticket, and over grant, token and keeper too")


@router.post("/ticket")
async def issue_page_ticket(request: Request, asked: LinkAsked, access: AccessOf, caller: CallerOf) -> LinkTicket:
    """A ticket for a link to one of the bridge's own pages. Only the token file's token is given one."""
    if caller.grant != LOCAL:
        raise NoScopeError("只有本机令牌文件中的令牌可以打开页面", "only the token file's token opens pages")
    ticket = access.sessions.issue(asked.page, user=peer_of(request).user, bound_to=asked.user, seconds=asked.seconds)
    return LinkTicket(ticket=ticket, page=asked.page, expires_in=asked.seconds)


@router.post("/session", responses=_USED)
async def open_page_session(
    request: Request,
    opened: LinkOpened,
    access: AccessOf,
    caller: CallerOf,
    audit: AuditOf,
    authorization: Annotated[str, Header(max_length=256, description="`Bearer` and the token that it has")] = "",
) -> PageSession:
    """Changes a link's ticket for a token, for the bridge's own pages only. The ticket is spent by this."""
    scheme, _, held = authorization.partition(" ")
    grant, token = access.sessions.redeem(
        opened.ticket, user=peer_of(request).user, held=held.strip() if scheme.lower() == "bearer" else None
    )
    if token is not None:
        audit.note(context_of(request, caller), action=ADDED, target=f"{grant.id} {grant.kind} {grant.name}")
    keeper = keeper_path(access)
    # The browser may have sent the ticket over another connection than the one on which hello was asked.
    proof = proof_of(verifier_of(opened.ticket), opened.nonce, access.port, grant.id, token or "", keeper)
    scopes = tuple(one for one in Scope if one in grant.scopes)
    return PageSession(grant=grant.id, token=token, scopes=scopes, keeper=keeper, proof=proof)
