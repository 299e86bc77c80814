"""The OpenAPI description, with the calls that need a token, and the form of every refusal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from service.gate.policy import HELLO, OPEN_PATHS, PAIRING, SESSION

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_EVERYWHERE = {
    "400": "the request is malformed",
    "403": "the page that sends it may not use the service, or the token does not grant this",
    "408": "the body did not arrive in time",
    "413": "the body is larger than 64 KiB",
    "421": "the Host is not this service",
    "429": "too many requests; `retry_after` says how long to wait",
    "431": "the headers are larger than 8 KiB",
    "500": "the service has failed inside",
}
_OPEN = {(HELLO, "get"), (PAIRING, "post"), (f"{PAIRING}/{{request_id}}", "get"), (SESSION, "post")}
"""The calls that need no token.

They are those that any page may make, and the one by which the bridge's own pages get a token.
"""
_TOKEN = {"401": "the token is missing or wrong"}


def install_openapi(app: FastAPI) -> None:
    """Add the behaviour of the gate and of the error handlers to the application's description."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _description(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the way in which FastAPI expects it
    written: list[bytes] = []

    async def description() -> Response:
        """Return the description. It is written once, on another thread, because that takes most of a second."""
        if not written:
            written.append(await asyncio.to_thread(lambda: json.dumps(openapi(), ensure_ascii=False).encode()))
        return Response(written[0], media_type="application/json")

    app.add_api_route("/openapi.json", description, include_in_schema=False, methods=["GET", "HEAD"])


def _description(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    problem = document["components"]["schemas"]["Problem"]
    # RFC 9457 §3.2: a problem may have more members, by its kind.
    problem["additionalProperties"] = True
    problem["properties"] |= {
        "retry_after": {"type": "integer", "description": "seconds to wait, where waiting helps"},
        "debit": {"type": "string", "description": "of `debit-undelivered`: the previous debit, for its own caller"},
        "lease": {"$ref": "#/components/schemas/LeaseInfo"},
    }
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            # The framework's own form of a malformed request is never sent.
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
            for response in responses.values():
                if "Problem" in str(response.get("content")):
                    response["content"] = _PROBLEM
            needs_token = path not in OPEN_PATHS and (path, method) not in _OPEN
            for status, words in (_EVERYWHERE | (_TOKEN if needs_token else {})).items():
                responses.setdefault(status, {"description": words, "content": _PROBLEM})
            if needs_token:
                operation["security"] = [{"token": []}]
    return document
