"""The sessions of the bridge's own pages: the owner asks for a link's ticket, and the page exchanges it for a token."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import Field

from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.gate.context import context_of
from service.gate.grants import LOCAL, verifier_of
from service.gate.page_memory import Language
from service.gate.page_sessions import LINK_SECONDS, LONG_LINK_SECONDS, OwnPage
from service.gate.scopes import NoScopeError, Scope
from service.http.errors import NotFoundError
from service.routes.dependencies import AccessOf, AuditOf, CallerOf, peer_of
from service.routes.hello import proof_of
from service.routes.page_keeper import keeper_path
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
    origin: str = Field(description="where the page is: an address of this run's own")
    expires_in: int = Field(description="seconds")


class LinkOpened(FrozenModel):
    ticket: str = Field(max_length=200)
    nonce: str = Field(default="", pattern="^([0-9a-f]{32,128})?$", description="fresh random, hex")


class PageSession(FrozenModel):
    grant: str
    token: str | None = Field(description="ends with the bridge's process; null where the page has one that counts")
    scopes: tuple[Scope, ...]
    language: Language | None = Field(description="that a person has chosen last, at any of the pages")
    keeper: str = Field(description="path of the worker that keeps the bridge's own pages in the browser")
    recall: str = Field(description="key by which later runs prove themselves to this page at `/v1/pages/moved`; hex")
    left: tuple[str, ...] = Field(
        description="origins that the pages have left: the page asks each at `/v1/pages/forget`, with credentials"
    )
    proof: str = Field(description="as hello's, by the ticket, and over grant, token, keeper, recall and left too")


class LanguageChosen(FrozenModel):
    language: Language


class PagesSought(FrozenModel):
    grant: str = Field(
        max_length=64, description="of the page's session, which may be of an earlier run, or a doorway's"
    )
    nonce: str = Field(pattern="^[0-9a-f]{32,128}$", description="fresh random, hex")


class PagesMoved(FrozenModel):
    origin: str
    proof: str


@router.post("/ticket")
async def issue_page_ticket(request: Request, asked: LinkAsked, access: AccessOf, caller: CallerOf) -> LinkTicket:
    """Issue a ticket for a link to one of the bridge's own pages. Only the token file's token may do this."""
    if caller.grant != LOCAL:
        raise NoScopeError("只有本机令牌文件中的令牌可以打开页面", "only the token file's token opens pages")
    ticket = access.sessions.issue(asked.page, user=peer_of(request).user, bound_to=asked.user, seconds=asked.seconds)
    host = request.headers["host"]
    origin = access.pages.origin if access.pages.is_left(host) else f"{access.scheme}://{host}"
    return LinkTicket(ticket=ticket, page=asked.page, origin=origin, expires_in=asked.seconds)


@router.post("/session", responses=_USED)
async def open_page_session(
    request: Request,
    opened: LinkOpened,
    access: AccessOf,
    caller: CallerOf,
    audit: AuditOf,
    authorization: Annotated[str, Header(max_length=256, description="`Bearer` and the token that it has")] = "",
) -> PageSession:
    """Exchange a link's ticket for a token, for the bridge's own pages only. The ticket is then invalid."""
    scheme, _, held = authorization.partition(" ")
    grant, token = access.sessions.redeem(
        opened.ticket, user=peer_of(request).user, held=held.strip() if scheme.lower() == "bearer" else None
    )
    if token is not None:
        audit.note(context_of(request, caller), action=ADDED, target=f"{grant.id} {grant.kind} {grant.name}")
    keeper = keeper_path(access)
    # The browser may have sent the ticket over another connection than the one on which hello was asked.
    recall, left = access.sessions.recall_key(grant.id), access.pages.left
    said = (grant.id, token or "", keeper, recall, *left)
    proof = proof_of(verifier_of(opened.ticket), opened.nonce, access.port, *said)
    scopes = tuple(one for one in Scope if one in grant.scopes)
    return PageSession(
        grant=grant.id,
        token=token,
        scopes=scopes,
        language=access.page_memory.language,
        keeper=keeper,
        recall=recall,
        left=left,
        proof=proof,
    )


@router.put("/language", status_code=204)
async def keep_page_language(chosen: LanguageChosen, access: AccessOf, caller: CallerOf) -> Response:
    """Keep the language that a person has chosen at one of the bridge's own pages, also for the next run."""
    grant = access.grants.get(caller.grant)
    if grant is None or grant.kind not in ("session", "local"):
        raise NoScopeError("只有读卡服务自己的网页可以设置其语言", "only the bridge's own pages choose their language")
    await asyncio.to_thread(access.page_memory.keep_language, chosen.language)
    return Response(status_code=204)


@router.post("/moved")
async def tell_where_pages_are(request: Request, asked: PagesSought, access: AccessOf, caller: CallerOf) -> PagesMoved:
    """Return the address of the bridge's own pages in this run, to a page of an earlier one.

    `proof` is HMAC-SHA256 with the session's `recall` as key over `cardio-moved|NONCE|PORT|ORIGIN`. Until a page of
    this run was opened by a link, the origin is the asker's own: there the browser keeps the pages, elsewhere not yet.
    A doorway is no page, and leads on at once. Another user's program is given no proof: it could pass it on.
    """
    peer = peer_of(request)
    access.check_may_be_led(peer)
    may_go = access.sessions.is_doorway(asked.grant) or access.sessions.is_opened_by(peer.user)
    stays = access.is_of_pages(caller.origin) or not may_go
    origin = caller.origin if stays else access.pages.origin
    key = access.sessions.recall_key(asked.grant)
    return PagesMoved(origin=origin, proof=proof_of(key, asked.nonce, access.port, origin, purpose="cardio-moved"))


@router.get("/forget", status_code=204)
async def forget_page_address(request: Request, access: AccessOf, caller: CallerOf) -> Response:
    """Make the browser delete what it keeps for an address that the bridge's own pages have left.

    Another program may have left a service worker or a page there (`Clear-Site-Data`, W3C).
    """
    if not access.pages.is_left(request.headers["host"]):
        raise NotFoundError()
    return Response(
        status_code=204,
        headers={
            "clear-site-data": '"cache", "storage"',
            "access-control-allow-origin": caller.origin,
            "access-control-allow-credentials": "true",
        },
    )
