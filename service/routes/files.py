"""What else is on a card: its files, its photo, and what it says of insurance and employment."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from cardio.file_model import CardTree, FileContent, Report
from cardio.model import Problem
from service.dependencies import DesksOf
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/readers", tags=["files"])
_PHOTO_ANSWERS: dict[int | str, dict[str, Any]] = CARD_PROBLEMS | {
    200: {"description": "the photo", "content": {"image/jpeg": {}, "image/bmp": {}}},
    403: {"model": Problem, "description": "the card keeps the photo closed"},
}

Application = Annotated[str, Path(pattern="^(SSSE|DF[0-9A-F]{2})$", examples=["DF03"])]
File = Annotated[str, Path(pattern="^EF[0-9A-F]{2}$", examples=["EF07"])]


@router.get("/{reader:path}/card/files", responses=CARD_PROBLEMS)
async def list_files(reader: str, desks: DesksOf) -> CardTree:
    """Every application and file of the card's layout: what opens it, and whether it can be read now."""
    return await desks.desk(reader).do(lambda card: card.tree())


@router.get("/{reader:path}/card/files/{application}/{file}", responses=CARD_PROBLEMS)
async def read_file(reader: str, application: Application, file: File, desks: DesksOf) -> FileContent:
    """One file, decoded beside raw; why it could not be read is in `unread`."""
    return await desks.desk(reader).do(lambda card: card.file(f"{application}/{file}"))


@router.get("/{reader:path}/card/photo", responses=_PHOTO_ANSWERS, response_class=Response)
async def read_photo(reader: str, desks: DesksOf) -> Response:
    """The holder's photo, as it stands on the card."""
    photo = await desks.desk(reader).do(lambda card: card.photo())
    # A picture has no place for words: what is to be said of it stands in a header, by its codes.
    warnings = {"Cardio-Warnings": ",".join(one.code for one in photo.warnings)} if photo.warnings else {}
    return Response(photo.data, media_type=photo.media_type, headers=warnings)


@router.get("/{reader:path}/card/insurance", responses=CARD_PROBLEMS)
async def read_insurance(reader: str, desks: DesksOf) -> Report:
    """Pension, unemployment, medical, work injury and maternity insurance, vouchers and totals."""
    return await desks.desk(reader).do(lambda card: card.report("insurance"))


@router.get("/{reader:path}/card/employment", responses=CARD_PROBLEMS)
async def read_employment(reader: str, desks: DesksOf) -> Report:
    """Employment and unemployment registration, qualifications and support."""
    return await desks.desk(reader).do(lambda card: card.report("employment"))
