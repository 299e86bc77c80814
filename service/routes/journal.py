"""The journal's file: its condition, a backup, an archive, and a person's decision about a restored one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from cardio.errors import UsageError
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from service.gate.context import context_of
from service.gate.scopes import Scope
from service.routes.dependencies import AuditOf, CallerOf, DebitsOf, JournalPlaceOf, require_scope

router = APIRouter(prefix="/v1/journal", tags=["debits"], dependencies=[require_scope(Scope.MANAGE)])
_CHUNK = 1 << 18
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    503: {"model": Problem, "description": "the journal of debits cannot be used, or not before a person has said so"}
}
_BACKUP: dict[int | str, dict[str, Any]] = {
    200: {"description": "the backup: one SQLite file with the key in it", "content": {"application/vnd.sqlite3": {}}}
}


class JournalCondition(FrozenModel):
    """The condition of the journal's file, as far as debits depend on it."""

    problem: Problem | None = Field(description="why no debit begins; null where nothing hinders")


class ArchiveRequest(BaseModel):
    """The limit of an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: datetime = Field(description="what was settled, or came to nothing, before this time; UTC without a zone")


class ArchiveMade(FrozenModel):
    file: str | None = Field(description="the archive, beside the journal; null where nothing was old enough")
    debits: int
    left_out: int = Field(description="debits whose records were changed from outside: they stay in the journal")


@router.get("")
async def journal_condition(journal: JournalPlaceOf) -> JournalCondition:
    """Return whether the journal is in its place and is still the same file."""
    trouble = await asyncio.to_thread(journal.blocking_error)
    return JournalCondition(problem=None if trouble is None else Problem.of(trouble))


@router.post("/backup", response_class=StreamingResponse, responses=_BACKUP | _PROBLEMS)
async def back_up_journal(request: Request, debits: DebitsOf, audit: AuditOf, caller: CallerOf) -> StreamingResponse:
    """Return everything that the journal holds now as one file, with its key.

    Protect the file as you protect the key.
    """
    journal = await debits.journal()
    path = await asyncio.to_thread(journal.write_backup)
    audit.note(context_of(request, caller), action="journal-backup")
    content, size = await asyncio.to_thread(_content, path)
    headers = {"Content-Length": str(size), "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type="application/vnd.sqlite3", headers=headers)


@router.post("/archive", responses=_PROBLEMS)
async def archive_journal(
    request: Request, asked: ArchiveRequest, debits: DebitsOf, audit: AuditOf, caller: CallerOf
) -> ArchiveMade:
    """Move debits that were settled, or came to nothing, before a time into a file of their own.

    Their keys stay known: with them no card is told to debit again.
    """
    before = asked.before if asked.before.tzinfo else asked.before.replace(tzinfo=UTC)
    journal = await debits.journal()
    try:
        made = await asyncio.to_thread(journal.archive, before)
    except OverflowError as error:
        raise UsageError("归档日期不正确", "the date to archive before is none") from error
    audit.note(context_of(request, caller), action="journal-archived", target=made.file.name if made.file else "")
    return ArchiveMade(file=None if made.file is None else str(made.file), debits=made.debits, left_out=made.left_out)


@router.post("/restored", responses=_PROBLEMS)
async def accept_journal(
    request: Request, journal: JournalPlaceOf, audit: AuditOf, caller: CallerOf
) -> JournalCondition:
    """Accept the journal that is there now, because a person has decided it.

    Debits continue with a restored or copied file, or, if the file is lost, with a new one. For debits that it has
    forgotten only the cards' own records protect against a second debit.
    """
    await asyncio.to_thread(journal.accept)
    audit.note(context_of(request, caller), action="journal-restored")
    return await journal_condition(journal)


def _content(path: Path) -> tuple[Iterator[bytes], int]:
    """Return the file's bytes and their number.

    The file's name is removed at once, so that no file with a key stays behind if the caller leaves before the first
    byte.
    """
    stream = path.open("rb")
    with suppress(OSError):  # Windows removes no open file
        os.unlink(path)

    def chunks() -> Iterator[bytes]:
        with stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
        with suppress(OSError):
            path.unlink(missing_ok=True)

    return chunks(), os.fstat(stream.fileno()).st_size
