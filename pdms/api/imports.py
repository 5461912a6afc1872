"""`/v1/members/imports`: files of the shop, sent over HTTP. Larger ones go through `pdms ingest`.

Guarantee: what was sent lies in memory only, never in a file that a crash could leave behind; whoever may not ingest is
refused before a byte of it is read. The answer tells rejected rows by number, field and rule, never by value.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from pdms.api.caller import Caller, Ingest, Needs
from pdms.api.edge import edge
from pdms.api.fields import Limit, Name
from pdms.api.guarded import REPEATABLE, router
from pdms.ingest import service as ingest
from pdms.ingest.service import IngestReport, LoadInfo, Rejected
from pdms.rights import service as rights
from pdms.taxonomy import Scope

routes = router("members/imports")
MAX_FILE = 128 << 20
Reader = Annotated[Caller, Depends(Needs((Scope.INGEST, Scope.COMPLIANCE)))]
LoadPath = Annotated[str, Path(pattern="^[a-z0-9-]{1,64}$", description="Id of a load.")]
KINDS = ("text/csv", "application/x-ndjson", "application/vnd.apache.parquet", "application/octet-stream")
FILE: dict[str, Any] = REPEATABLE | {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS},
    }
}


class Rejections(BaseModel):
    """A page of rejected rows."""

    items: list[edge(Rejected)]  # type: ignore[valid-type]  # built at run time
    next: int | None


@contextmanager
def in_memory() -> Iterator[tuple[int, FilePath]]:
    """Give a file that exists in memory only: its descriptor, and a path under which this process can open it."""
    descriptor = os.memfd_create("pdms-import", os.MFD_CLOEXEC)
    try:
        yield descriptor, FilePath(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@routes.post("", summary="Take a file in", response_model=edge(IngestReport), openapi_extra=FILE)
async def load(
    request: Request, caller: Ingest, source: Annotated[Name, Query(description="A source of the policy.")]
) -> Any:
    """Takes CSV, JSON Lines or Parquet in, mapped by a source of the policy; every good row is kept, every bad one
    reported. The same file twice adds nothing; a column that the source does not classify refuses the whole file."""
    with in_memory() as (descriptor, path):
        with os.fdopen(descriptor, "wb", closefd=False) as out:
            async for chunk in request.stream():
                out.write(chunk)
        return await run_in_threadpool(caller.long, rights.ingest, source=source, path=path)


@routes.get("", summary="List loads", response_model=edge(list[LoadInfo]))
def list_loads(caller: Reader, limit: Limit = 100) -> Any:
    """The latest loads, newest first; one without an end was interrupted and goes on when the file is sent again."""
    return caller.read(ingest.loads, limit=limit)


@routes.get("/{load_id}/rejections", summary="Rejected rows of a load", response_model=Rejections)
def list_rejections(
    caller: Reader,
    load_id: LoadPath,
    cursor: Annotated[int, Query(ge=0, le=1 << 53, description="`next` of the page before.")] = 0,
    limit: Limit = 1000,
) -> Any:
    """Row number, field and rule of each rejected row."""
    found = caller.read(ingest.rejected, load_id=load_id, after=cursor, limit=limit)
    return {"items": found, "next": found[-1]["row"] if len(found) == limit else None}
