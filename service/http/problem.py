"""Errors in the form of answers (RFC 9457)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from cardio.errors import CardioError
from cardio.models.problem import Problem
from service.http.errors import NoTokenError


def problem_document(error: CardioError, request_id: str | None) -> dict[str, Any]:
    """Return an error in the form of RFC 9457, with the members of its own class."""
    document = Problem.of(error, request_id).document()
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        document["retry_after"] = retry_after
    return document | getattr(error, "members", {})


def problem_response(error: CardioError, request_id: str | None) -> Response:
    """Return the HTTP answer for an error."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NoTokenError) else {}
    document = problem_document(error, request_id)
    if "retry_after" in document:
        headers["Retry-After"] = str(document["retry_after"])
    return JSONResponse(document, status_code=error.status, media_type="application/problem+json", headers=headers)
