"""Errors as RFC 9457 problem details, from the one table in `pdms.errors`.

No detail repeats a value, nor anything of a body that does not fit; at most it names the field or the source of the
policy that was asked for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from pdms.errors import FAMILIES, Denied, InvalidInput, PdmsError, Reason, mapping_of

MEDIA_TYPE = "application/problem+json"


class ProblemReason(BaseModel):
    """One reason of a refusal."""

    code: str = Field(examples=["CONSENT_WITHDRAWN"])
    article: str = Field(examples=["PIPL-15-1"])
    detail: str = ""


class Problem(BaseModel):
    """A problem detail object (RFC 9457). `reasons` names every reason of a refusal, with its article."""

    type: str = Field(examples=["urn:pdms:problem:denied"])
    title: str = Field(examples=["denied"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["this needs the scope compliance"])
    code: str = Field(examples=["DENIED"])
    reasons: list[ProblemReason] = []


TOO_LARGE, TOO_MANY = 413, 429
TITLES: Mapping[int, str] = {
    400: "bad request",
    404: "not found",
    405: "method not allowed",
    422: "invalid input",
    TOO_LARGE: "body too large",
    TOO_MANY: "too many requests",
    500: "internal error",
    503: "busy",
}
_SCHEMA = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PUBLIC_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": TITLES[status], **_SCHEMA} for status in (400, 422, TOO_LARGE, TOO_MANY, 503)
}
RESPONSES: dict[int | str, dict[str, Any]] = PUBLIC_RESPONSES | {
    mapping.status: {"description": family.title, **_SCHEMA}
    for family, mapping in FAMILIES.items()
    if mapping.status < 500
}


class Problems(Response):
    """A problem response."""

    media_type = MEDIA_TYPE


def body_of(*, status: int, title: str, detail: str = "", code: str = "", reasons: Sequence[Reason] = ()) -> bytes:
    """Return a problem detail object as bytes."""
    document = {
        "type": f"urn:pdms:problem:{title.replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail or title,
        "code": code or title.upper().replace(" ", "_"),
        "reasons": [{"code": r.code, "article": r.article, "detail": r.detail} for r in reasons],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def problem(
    *,
    status: int,
    title: str,
    detail: str = "",
    code: str = "",
    reasons: Sequence[Reason] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem response."""
    told = dict(headers or {})
    if status == 401:
        told["WWW-Authenticate"] = "Bearer"
    if status in (TOO_MANY, 503):
        told["Retry-After"] = "1"
    content = body_of(status=status, title=title, detail=detail, code=code, reasons=reasons)
    return Problems(content, status_code=status, headers=told)


def install(api: FastAPI) -> None:
    """Register the translators of every error that may leave the API; what they do not know, the guard answers."""

    @api.exception_handler(PdmsError)
    async def _told(_request: Request, error: PdmsError) -> Response:
        reasons = error.reasons if isinstance(error, Denied) else ()
        status = mapping_of(error).status
        return problem(status=status, title=error.title, detail=error.message, code=error.code, reasons=reasons)

    @api.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        # pydantic's own text repeats the input; only the place and the kind of rule may leave. A key that a client
        # made up is its input too, hence no place below the model for `extra_forbidden`.
        places = sorted({f"{_place(e)}: {e['type']}" for e in error.errors()})
        return problem(status=422, title=InvalidInput.title, detail="; ".join(places[:20]), code="REQUEST_DOES_NOT_FIT")

    @api.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        title = TITLES.get(error.status_code, "error")
        return problem(status=error.status_code, title=title, headers=error.headers)

    @api.exception_handler(OperationalError)
    async def _busy(_request: Request, error: OperationalError) -> Response:
        if not any(sign in str(error.orig) for sign in ("locked", "busy", "full", "readonly")):
            raise error
        return problem(status=503, title=TITLES[503], detail="a store is busy or cannot be written; try again")


def _place(error: Mapping[str, Any]) -> str:
    parts = [str(part) for part in error["loc"][:4]]
    if error["type"] == "extra_forbidden":
        parts = parts[:1]
    return ".".join(part if part.isascii() and len(part) <= 40 else "…" for part in parts)
