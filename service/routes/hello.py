"""The identity of the service at this port, ``/v1/hello``, with a proof of it before a caller sends a token."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from cardio.models.base import FrozenModel
from service.gate.grants import Grant
from service.gate.peers import Peer
from service.gate.policy import Access
from service.readers.schemas import VERSION
from service.routes.dependencies import AccessOf, HubOf, peer_of

router = APIRouter(tags=["access"])


class AskingOrigin(FrozenModel):
    origin: str | None = Field(description="the page's origin as the bridge sees it; null for programs")
    paired: bool = Field(description="pages of this origin have been let in")


class Hello(FrozenModel):
    service: str
    version: str = Field(description="to pages of an origin that has not been let in: its first number only")
    api: tuple[str, ...]
    port: int
    instance: str = Field(description="another one after every start, and for every origin")
    time: datetime
    origin: AskingOrigin
    proof: str | None = Field(description="HMAC-SHA256 in hex; null without nonce, or where the grant is unknown")


@router.get("/v1/hello")
async def hello(
    request: Request,
    access: AccessOf,
    hub: HubOf,
    nonce: Annotated[str | None, Query(pattern="^[0-9a-f]{32,128}$", description="fresh random, hex")] = None,
    grant: Annotated[
        str | None,
        Query(max_length=64, description="whose token proves it; `local` is the file's, `link-…` a link's ticket"),
    ] = None,
) -> Hello:
    """Return the identity of the service.

    `proof` is HMAC-SHA256 with the SHA-256 of the token as key over `cardio-hello|NONCE|PORT`: only a service that
    knows the token's hash can compute it, and another port's service cannot pass it on.
    """
    origin = request.headers.get("origin")
    known = access.grants.get(grant) if grant is not None else None
    proof = None
    # A page gets only the proof of its own grant: the owner's would reveal to every site which machine this is.
    asks_for_its_own = origin is None or access.is_own(origin) or (known is not None and known.origin == origin)
    verifier = known.verifier if known is not None else access.sessions.verifier_of_link(grant)
    if nonce is not None and verifier and asks_for_its_own and _may_be_shown(grant, known, access, peer_of(request)):
        proof = proof_of(verifier, nonce, access.port)
    stranger = origin is not None and not access.is_own(origin) and not access.is_known(origin)
    return Hello(
        service="cardio",
        version=VERSION.partition(".")[0] if stranger else VERSION,
        api=("v1",),
        port=access.port,
        instance=hub.run if origin is None or access.is_own(origin) else access.mark_for(origin),
        time=datetime.now(UTC),
        origin=AskingOrigin(
            origin=origin,
            paired=origin is not None and any(one.kind == "page" for one in access.grants.of_origin(origin)),
        ),
        proof=proof,
    )


def _may_be_shown(grant: str | None, known: Grant | None, access: Access, peer: Peer) -> bool:
    """Return True if the peer's own browser can have asked for the proof.

    Another user can only pass it on, to a page that still speaks to a program that had the port before.
    """
    if known is None:
        return access.sessions.may_open(grant, peer.user)
    if known.kind == "session":
        return access.sessions.may_use(known.id, peer.user)
    return known.kind != "page" or peer.user is None or peer.is_believed


def proof_of(verifier: str, nonce: str, port: int, *said: str, purpose: str = "cardio-hello") -> str:
    """Return the answer by which a bridge proves that it knows a token.

    Args:
        verifier: the SHA-256 of the token in hex.
        nonce: the random text of the question.
        port: the bridge's port.
        said: further texts that the proof covers.
        purpose: the kind of the proof, so that it is not valid for another kind.
    """
    message = "|".join([purpose, nonce, str(port), *said]).encode()
    return hmac.new(bytes.fromhex(verifier), message, hashlib.sha256).hexdigest()
