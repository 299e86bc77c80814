"""The other data on a card: its files, its photo, and its records of insurance and employment."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import Field

from cardio.card.social_security_card import SocialSecurityCard
from cardio.models.base import FrozenModel
from cardio.models.files import CardTree, FileContent, FileWritten, Report
from cardio.models.problem import Problem
from service.gate.scopes import Scope
from service.routes.dependencies import CallOf, require_scope
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/readers", tags=["files"], dependencies=[require_scope(Scope.FILES)])
_PHOTO_ANSWERS: dict[int | str, dict[str, Any]] = CARD_PROBLEMS | {
    200: {"description": "the photo", "content": {"image/jpeg": {}, "image/bmp": {}}},
    403: {"model": Problem, "description": "the card keeps the photo closed"},
}

Application = Annotated[str, Path(pattern="^(SSSE|DF[0-9A-F]{2})$", examples=["DF03"])]
File = Annotated[str, Path(pattern="^EF[0-9A-F]{2}$", examples=["EF07"])]


class ItemsToWrite(FrozenModel):
    values: dict[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=1024)]] = Field(
        description="by item: its name or tag, `[2]` for the second of several, `.name` for an item inside",
        max_length=64,
        examples=[{"residence": "上海市测试路 1 号"}],
    )
    prepare_only: bool = Field(default=False, description="say what would be written, and write nothing")


@router.get("/{reader:path}/card/files", responses=CARD_PROBLEMS)
async def list_files(call: CallOf) -> CardTree:
    """Return every application and file of the card's layout, with what opens it, and whether it can be read now."""
    return await call.run(lambda card: card.tree())


@router.get("/{reader:path}/card/files/{application}/{file}", responses=CARD_PROBLEMS)
async def read_file(application: Application, file: File, call: CallOf) -> FileContent:
    """Return one file, decoded and raw; `unread` has the reasons why parts could not be read."""
    return await call.run(lambda card: card.file(f"{application}/{file}"))


@router.post(
    "/{reader:path}/card/files/{application}/{file}", responses=CARD_PROBLEMS, dependencies=[require_scope(Scope.WRITE)]
)
async def write_file(application: Application, file: File, asked: ItemsToWrite, call: CallOf) -> FileWritten:
    """Write items of a file with the keys of the bridge's SAM, and read them back.

    The bridge never repeats this by itself.
    """

    def work(card: SocialSecurityCard) -> FileWritten:
        change = card.prepare(f"{application}/{file}", asked.values)
        return change.result(done=False) if asked.prepare_only else card.write(change)

    return await call.run(work, credentials=call.security.credentials(call.context.origin), repeat=False)


@router.get("/{reader:path}/card/photo", responses=_PHOTO_ANSWERS, response_class=Response)
async def read_photo(call: CallOf) -> Response:
    """Return the holder's photo as it is on the card."""
    (photo, proof), session = await call.managed.run(
        lambda card: (card.photo(), card.proof),
        call.context,
        credentials=call.security.for_reading(call.context.origin),
    )
    # A picture has no place for words, so a header has the codes of the warnings.
    warnings = {"Cardio-Warnings": ",".join(one.code for one in photo.warnings)} if photo.warnings else {}
    return Response(photo.data, media_type=photo.media_type, headers=warnings | call.name_card(session, proof))


@router.get("/{reader:path}/card/insurance", responses=CARD_PROBLEMS)
async def read_insurance(call: CallOf) -> Report:
    """Return pension, unemployment, medical, work injury and maternity insurance, vouchers and totals."""
    return await call.run(lambda card: card.report("insurance"))


@router.get("/{reader:path}/card/employment", responses=CARD_PROBLEMS)
async def read_employment(call: CallOf) -> Report:
    """Return employment and unemployment registration, qualifications and support."""
    return await call.run(lambda card: card.report("employment"))
