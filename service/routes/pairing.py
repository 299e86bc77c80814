"""Pairing and grants: pages ask, and a person confirms, lists and revokes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import Field

from cardio.errors import UsageError
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.audit.recorder import AuditRecorder
from service.gate.context import RequestContext, context_of
from service.gate.grants import LOCAL, Grant
from service.gate.origin_syntax import is_origin
from service.gate.pairing import NAME_LIMIT, presentable
from service.gate.pairing_requests import PairingRequest
from service.gate.policy import Access
from service.gate.refusals import DialectRefusal
from service.gate.scopes import HARMLESS_SCOPES, PAGE_SCOPES, NoScopeError, Scope
from service.http.errors import NoTokenError
from service.routes.dependencies import AccessOf, AuditOf, CallerOf, peer_of, require_scope
from service.sites.labels import is_right_to_left
from service.sites.resemblance import Remark, remarks
from service.sites.site import Site

router = APIRouter(prefix="/v1", tags=["access"])
ADDED, REVOKED = "grant-added", "grant-revoked"
"""The actions in the audit log."""
_GONE: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "it is not known any more"}}
_MANY: dict[int | str, dict[str, Any]] = {429: {"model": Problem, "description": "too many ask"}}
RequestId = Annotated[str, Path(max_length=32)]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]


class PairingAsked(FrozenModel):
    name: str = Field(max_length=200, description=f"what people call the page; {NAME_LIMIT} characters are kept")
    scopes: Scopes


class PairingBegun(FrozenModel):
    request: str
    secret: str = Field(description="fetches the outcome; keep it to yourself")
    code: str = Field(description="show it: the person compares it with what the bridge shows")
    origin: str
    scopes: tuple[Scope, ...]
    expires_in: int = Field(description="seconds")
    confirm: str = Field(description="the bridge's own page where a person confirms")


class PairingOutcome(FrozenModel):
    state: str = Field(description="waiting, granted, denied or expired")
    token: str | None = Field(description="given once")
    grant: str | None
    scopes: tuple[Scope, ...]


class SiteShown(FrozenModel):
    """An origin in parts, so that a person sees the part that identifies the site."""

    scheme: str
    before: str = Field(description="what stands before `registrable`; the site's owner chooses it freely")
    registrable: str = Field(description="shows who owns the site: the registered domain, or the whole host")
    port: str = Field(description="with its colon; empty for the scheme's own")
    readable: str | None = Field(
        description="the host in its own letters, where it has others than ASCII and a line keeps their order"
    )


class RemarkShown(FrozenModel):
    """A remark about a site that a person should know before it is admitted."""

    code: str = Field(
        description="confusable, contains, other-suffix, close, same-name, same-site: it can be taken for `resembles`; "
        "mixed-scripts, foreign-letters, plain-http: of the address itself"
    )
    remark: str
    remark_en: str
    resembles: str | None = Field(description="an origin that has been let in, and that this one is not")


class PairingShown(FrozenModel):
    request: str
    code: str
    origin: str
    site: SiteShown
    remarks: tuple[RemarkShown, ...] = Field(description="the gravest first")
    name: str = Field(description="what the page calls itself; a page can choose any name")
    scopes: tuple[Scope, ...]
    harmless: tuple[Scope, ...] = Field(
        description="of `scopes`, those that a yes alone should grant; each other one a person chooses by itself"
    )
    seconds_left: int
    source: str = Field(description="`page`, or `dialect` for a caller that cannot ask by itself")


class RefusedCaller(FrozenModel):
    """A caller of a dialect that was refused lately, and the remedy."""

    origin: str = Field(description="as it was sent; empty where there was none")
    site: SiteShown | None = Field(description="null where `origin` is none that browsers write")
    dialect: str
    remedy: str
    remedy_en: str
    count: int
    seconds_ago: int


class PairingList(FrozenModel):
    requests: tuple[PairingShown, ...]
    more: int = Field(description="how many wait besides; any of them is found by its code")
    refused: tuple[RefusedCaller, ...] = Field(description="the last first; of an hour, one for each site")


class ScopesChosen(FrozenModel):
    scopes: Scopes


class GrantShown(FrozenModel):
    grant: str
    kind: str = Field(description="local, page, program, dialect, or session: the bridge's own pages in a browser")
    origin: str | None
    site: SiteShown | None = Field(description="null for programs")
    name: str
    scopes: tuple[Scope, ...]
    created: datetime
    last_used: datetime | None = Field(description="since the bridge has started")
    live: int = Field(description="open streams and sockets")


class GrantList(FrozenModel):
    grants: tuple[GrantShown, ...]


class ProgramAsked(FrozenModel):
    name: str = Field(min_length=1, max_length=NAME_LIMIT)
    scopes: Scopes


class GrantMade(GrantShown):
    token: str = Field(description="shown now and never again")


class Me(FrozenModel):
    grant: str
    origin: str
    name: str
    scopes: tuple[Scope, ...]


@router.post("/pairing", status_code=202, responses=_MANY)
async def ask_for_pairing(
    request: Request, asked: PairingAsked, access: AccessOf, caller: CallerOf, audit: AuditOf
) -> PairingBegun:
    """Ask for pairing. A person confirms on the bridge's own page, or with `cardio pair`."""
    origin = request.headers.get("origin")
    if origin is None:
        raise UsageError(
            "配对由网页发起；程序请使用令牌文件或 cardio pair add",
            "pages pair; programs use the token file, or a token of their own",
        )
    if access.is_own(origin):
        raise UsageError("本服务自己的页面无需配对", "the bridge's own pages need no pairing")
    begun, secret = access.pairing.ask(origin, asked.name, asked.scopes, user=peer_of(request).user)
    if begun.grant is not None:  # for a trusted origin: no person was asked
        await access.grants.saved(begun.grant)
        context = context_of(request, caller)
        for gone in begun.displaced:
            audit.note(context, action=REVOKED, target=gone)
        _note_added(audit, context, access.grants.get(begun.grant))
    return PairingBegun(
        request=begun.id,
        secret=secret,
        code=_spaced(begun.code),
        origin=origin,
        scopes=_ordered(begun.scopes),
        expires_in=access.pairing.seconds_left(begun),
        confirm=f"{access.scheme}://127.0.0.1:{access.port}/pair",
    )


@router.get("/pairing/{request_id}", responses=_GONE | {401: {"model": Problem, "description": "not your request"}})
async def pairing_outcome(
    request: Request,
    request_id: RequestId,
    access: AccessOf,
    authorization: Annotated[str, Header(max_length=256, description="`Bearer` and the secret")] = "",
) -> PairingOutcome:
    """Return the state of a request: the page that asked calls this each second. The token is returned once."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NoTokenError()
    found, token = access.pairing.outcome(request_id, secret.strip(), request.headers.get("origin"))
    return PairingOutcome(state=found.state, token=token, grant=found.grant, scopes=_ordered(found.scopes))


@router.get("/pairing", dependencies=[require_scope(Scope.MANAGE)])
async def list_pairing_requests(
    access: AccessOf,
    code: Annotated[
        str | None, Query(max_length=64, description="lists the request of this code too, however many wait")
    ] = None,
) -> PairingList:
    """Return the pages that ask to be admitted, and the callers of the dialects that were refused.

    If very many pages ask at once, only some are listed. A listed request keeps its place in the list, and among the
    waiting requests.
    """
    pairing = access.pairing
    shown, known = pairing.list_requests(code), pairing.known_sites()
    # Names are compared with those of all admitted sites, which takes time: the event loop must not wait for it.
    told = await asyncio.to_thread(lambda: [remarks(one.site, one.name, known) for one in shown])
    requests = tuple(_shown(access, one, words) for one, words in zip(shown, told, strict=True))
    refused = tuple(_refused_shown(one, seconds) for one, seconds in access.refusals.list_refusals())
    return PairingList(requests=requests, more=max(0, pairing.count - len(shown)), refused=refused)


@router.post("/pairing/{request_id}/approve", responses=_GONE, dependencies=[require_scope(Scope.MANAGE)])
async def approve(
    request: Request, request_id: RequestId, chosen: ScopesChosen, access: AccessOf, caller: CallerOf, audit: AuditOf
) -> GrantShown:
    """Admit a page with the scopes that are named here, because a person has compared origin and code.

    `--scopes` is the limit of the scopes that can be granted by hand; the administrator's trusted origins have their
    own.
    """
    beyond = set(chosen.scopes) - (PAGE_SCOPES & caller.scopes)
    if beyond:
        listed = ", ".join(sorted(beyond))
        raise UsageError(
            f"不能授予权限 {listed}：请管理员在 scopes 设置中放行",
            f"{listed} cannot be granted here: the administrator allows it by the setting `scopes`",
        )
    grant = access.pairing.approve(request_id, chosen.scopes)
    await access.grants.saved(grant.id)
    _note_added(audit, context_of(request, caller), grant)
    return _grant_shown(access, grant)


@router.post("/pairing/{request_id}/deny", status_code=204, responses=_GONE, dependencies=[require_scope(Scope.MANAGE)])
async def deny(request_id: RequestId, access: AccessOf) -> None:
    """Deny a request, because a person has refused it."""
    access.pairing.deny(request_id)


@router.get("/grants", dependencies=[require_scope(Scope.MANAGE)])
async def list_grants(access: AccessOf) -> GrantList:
    """Return all grants."""
    return GrantList(grants=tuple(_grant_shown(access, grant) for grant in access.grants.all()))


@router.post("/grants", status_code=201, dependencies=[require_scope(Scope.MANAGE)])
async def add_program(
    request: Request, asked: ProgramAsked, access: AccessOf, caller: CallerOf, audit: AuditOf
) -> GrantMade:
    """Issue a token for a program on this machine, with no more than the caller's own scopes."""
    if caller.grant != LOCAL:
        # It outlives the bridge's run; a page's session must not create that.
        raise NoScopeError(
            "只有本机令牌文件中的令牌可以为程序新建令牌", "only the token file's token makes tokens for programs"
        )
    beyond = set(asked.scopes) - (caller.scopes - {Scope.MANAGE})
    if beyond:
        listed = ", ".join(sorted(beyond))
        raise UsageError(f"不能授予 {listed}", f"{listed} cannot be granted here")
    grant, token = access.grants.add("program", None, presentable(asked.name), asked.scopes)
    await access.grants.saved(grant.id)
    _note_added(audit, context_of(request, caller), grant)
    return GrantMade(**_grant_shown(access, grant).model_dump(), token=token)


@router.delete("/grants/{grant_id}", status_code=204, responses=_GONE, dependencies=[require_scope(Scope.MANAGE)])
async def revoke(
    request: Request, grant_id: Annotated[str, Path(max_length=64)], access: AccessOf, caller: CallerOf, audit: AuditOf
) -> None:
    """Revoke a grant at once; its open streams and sockets end too."""
    access.grants.revoke(grant_id)
    await access.grants.saved()
    audit.note(context_of(request, caller), action=REVOKED, target=grant_id)


@router.get("/me")
async def me(caller: CallerOf) -> Me:
    """Return the scopes of the token."""
    return Me(grant=caller.grant, origin=caller.origin, name=caller.name, scopes=_ordered(caller.scopes))


def _note_added(audit: AuditRecorder, context: RequestContext, grant: Grant | None) -> None:
    if grant is not None:
        scopes = ",".join(sorted(grant.scopes))
        target = f"{grant.id} {grant.kind} {grant.origin or '-'} {scopes}"
        audit.note(context, action=ADDED, target=target)


def _ordered(scopes: frozenset[Scope]) -> tuple[Scope, ...]:
    return tuple(scope for scope in Scope if scope in scopes)


def _spaced(code: str) -> str:
    return f"{code[:3]} {code[3:]}"


def _site_shown(origin: str) -> SiteShown:
    site = Site.of(origin)
    in_letters = site.readable_host
    return SiteShown(
        scheme=site.scheme,
        before=site.before,
        registrable=site.registrable,
        port=site.port,
        # Letters that are written from right to left would change places with the others on the screen.
        readable=None if in_letters == site.host or is_right_to_left(in_letters) else in_letters,
    )


def _refused_shown(one: DialectRefusal, seconds: int) -> RefusedCaller:
    return RefusedCaller(
        origin=one.origin, site=_site_shown(one.origin) if is_origin(one.origin) else None, dialect=one.dialect,
        remedy=one.remedy, remedy_en=one.remedy_en, count=one.count, seconds_ago=seconds,
    )  # fmt: skip


def _remarks_shown(words: Iterable[Remark]) -> tuple[RemarkShown, ...]:
    return tuple(
        RemarkShown(code=one.code, remark=one.words, remark_en=one.words_en, resembles=one.resembles) for one in words
    )


def _shown(access: Access, one: PairingRequest, words: Iterable[Remark]) -> PairingShown:
    return PairingShown(
        request=one.id,
        code=_spaced(one.code),
        origin=one.origin,
        site=_site_shown(one.origin),
        remarks=_remarks_shown(words),
        name=one.name,
        scopes=_ordered(one.scopes),
        harmless=_ordered(one.scopes & HARMLESS_SCOPES),
        seconds_left=access.pairing.seconds_left(one),
        source=one.source,
    )


def _grant_shown(access: Access, grant: Grant) -> GrantShown:
    return GrantShown(
        grant=grant.id,
        kind=grant.kind,
        origin=grant.origin,
        site=None if grant.origin is None else _site_shown(grant.origin),
        name=grant.name,
        scopes=_ordered(grant.scopes),
        created=grant.created,
        last_used=access.grants.last_used.get(grant.id),
        live=access.live.streams(grant.id),
    )
