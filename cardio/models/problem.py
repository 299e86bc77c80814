"""An error in the form for programs."""

from __future__ import annotations

from typing import Any

from cardio.errors import CardioError
from cardio.models.base import FrozenModel


class Problem(FrozenModel):
    """An error in the form of RFC 9457; the same object on the command line under ``error``."""

    type: str
    title: str
    title_en: str
    status: int
    detail: str
    detail_en: str
    code: str
    driver_code: int | None
    sw: str | None
    hresult: str | None
    remedy: str
    remedy_en: str
    retryable: bool
    request_id: str | None = None

    @classmethod
    def of(cls, error: CardioError, request_id: str | None = None) -> Problem:
        return cls(
            type=f"urn:cardio:error:{error.code}",
            title=error.title,
            title_en=error.title_en,
            status=error.status,
            detail=error.detail,
            detail_en=error.detail_en,
            code=error.code,
            driver_code=error.driver_code,
            sw=None if error.status_word is None else f"{error.status_word:04X}",
            hresult=None if error.hresult is None else f"{error.hresult & 0xFFFFFFFF:08X}",
            remedy=error.remedy,
            remedy_en=error.remedy_en,
            retryable=error.retryable,
            request_id=request_id,
        )

    def document(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
