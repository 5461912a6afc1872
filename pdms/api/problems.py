"""Errors as RFC 9457 problem details, from the one table in `pdms.errors`. No detail ever repeats what was sent."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pdms.errors import FAMILIES, Denied, InvalidInput, PdmsError, mapping_of

MEDIA_TYPE = "application/problem+json"


class ProblemReason(BaseModel):
    """One reason of a refusal."""

    code: str = Field(examples=["CONSENT_WITHDRAWN"])
    article: str = Field(examples=["PIPL-15-1"])
    detail: str = ""


class Problem(BaseModel):
    """A problem detail object (RFC 9457)."""

    type: str = Field(examples=["urn:pdms:problem:denied"])
    title: str = Field(examples=["denied"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["this needs the scope compliance"])
    code: str = Field(examples=["DENIED"])
    reasons: list[ProblemReason] = []


RESPONSES: dict[int | str, dict[str, Any]] = {
    mapping.status: {"model": Problem, "description": family.title, "content": {MEDIA_TYPE: {}}}
    for family, mapping in FAMILIES.items()
    if mapping.status < 500
}


def problem(
    *, status: int, title: str, detail: str, code: str, reasons: list[dict[str, str]] | None = None
) -> JSONResponse:
    """Return a problem response."""
    body = {
        "type": f"urn:pdms:problem:{title.replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "reasons": reasons or [],
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(api: FastAPI) -> None:
    """Register the translators of every error that may leave the API."""

    @api.exception_handler(PdmsError)
    async def _told(_request: Request, error: PdmsError) -> JSONResponse:
        reasons = error.reasons if isinstance(error, Denied) else ()
        return problem(
            status=mapping_of(error).status,
            title=error.title,
            detail=error.message,
            code=error.code,
            reasons=[{"code": r.code, "article": r.article, "detail": r.detail} for r in reasons],
        )

    @api.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # pydantic's own text repeats the input; only the place and the kind of rule may leave
        places = sorted({f"{'.'.join(str(p) for p in e['loc'][:4])}: {e['type']}" for e in error.errors()})
        return problem(status=422, title=InvalidInput.title, detail="; ".join(places[:20]), code="REQUEST_DOES_NOT_FIT")

    @api.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        title = {404: "not found", 405: "method not allowed"}.get(error.status_code, "error")
        return problem(status=error.status_code, title=title, detail=title, code=title.upper().replace(" ", "_"))

    @api.exception_handler(Exception)
    async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return problem(status=500, title="internal error", detail="see the server's log", code="INTERNAL")
