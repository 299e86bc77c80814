"""The service's log: one line for each request, as text or as a JSON object.

It has routes, codes and times, never card data.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from starlette.types import Scope

from service.gate.middleware import Observer
from service.http.request_state import CALLER, REQUEST_ID

LogFormat = Literal["text", "json"]
_FIELDS = "cardio_fields"
log = logging.getLogger("cardio.service")


def configure(form: LogFormat, level: str, stream: TextIO | None = None) -> None:
    """Send the log of the service and the library to standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    handler.addFilter(_NoFalseAlarm())
    for name in ("cardio", "service", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level if name in ("cardio", "service") else "WARNING")


def report_crashes() -> None:
    """Make native crashes write the position of every thread to standard error.

    A reader's driver runs inside the process. The report has files and line numbers, and no values.
    """
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()


class _NoFalseAlarm(logging.Filter):
    """The filter for a false error of uvicorn.

    uvicorn reports an error when a socket is refused by an answer in words (websocket.http.response).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("ASGI callable returned without completing")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given: dict[str, Any] = getattr(record, _FIELDS, {})
    return {key: value for key, value in given.items() if value is not None}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            # The class only: a message or a traceback could contain data that were read from a card.
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)  # ASCII, so that it stays JSON on a terminal of any encoding


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        words = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] is not None else ""
        return " ".join(part for part in (moment, record.levelname, record.getMessage(), words, kind) if part)


def note(level: int, event: str, **fields: Any) -> None:
    """Write one line of the log."""
    log.log(level, event, extra={_FIELDS: fields})


class RequestLog:
    """The observer that logs every request and passes it on to the figures."""

    def __init__(self, figures: Observer) -> None:
        self._figures = figures

    def request_ended(self, scope: Scope, status: int, seconds: float) -> None:
        self._figures.request_ended(scope, status, seconds)
        state = scope.get("state", {})
        caller = state.get(CALLER)
        level = logging.INFO if status < 500 else logging.WARNING
        if log.isEnabledFor(level):
            note(
                level, "request",
                request_id=state.get(REQUEST_ID),
                method=scope.get("method", "WEBSOCKET"),
                # The route, not the path: a path can hold any text of a caller.
                route=getattr(scope.get("route"), "path", None),
                status=status,
                milliseconds=round(seconds * 1000, 1),
                grant=getattr(caller, "grant", None),
            )  # fmt: skip

    def refused(self, code: str) -> None:
        self._figures.refused(code)
        note(logging.INFO, "refused", code=code)
