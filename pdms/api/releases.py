"""`/v1/releases`: published, de-identified rows. No row carries an id of anybody."""

from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import Field

from pdms.api.caller import AdminOrCompliance, Anyone, MarketingOrCompliance, ReleaseReader
from pdms.api.edge import edge
from pdms.api.fields import HEX_ID, Body, Cursor, Limit, Name, ReleasePath
from pdms.api.files import attachment
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import page, page_of
from pdms.bootstrap import approving
from pdms.bootstrap.plain import plain
from pdms.publish import service as publish
from pdms.publish import verifying
from pdms.publish.verifying import Verified
from pdms.taxonomy import ReleaseState
from pdms.views import comparing, copies
from pdms.views import service as views
from pdms.views.comparing import Comparison
from pdms.views.copies import Copy
from pdms.views.files import ReleaseFormat
from pdms.views.service import ReleaseInfo, ReleaseShown

routes = router("releases")
ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
            "application/vnd.apache.arrow.file": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


class ManifestKeys(Body):
    """Ed25519 public keys, hex, newest first."""

    public_keys: list[str]


class Deleted(Body):
    """Whose copy is gone."""

    consumer: Name | None = Field(default=None, description="Role that held it; default: the caller's own.")


class Wanted(Body):
    """How rows are wanted."""

    format: ReleaseFormat = "csv"


@routes.get("", summary="List releases", response_model=page_of(ReleaseInfo))
def list_releases(
    caller: ReleaseReader,
    view: Annotated[Name | None, Query(description="Of this view only.")] = None,
    state: ReleaseState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Any:
    """Releases, newest first."""
    found = caller.file_anon(views.list_releases, view=view, state=state)
    newest_first = [(-int(info.created_at.timestamp() * 1_000_000), info) for info in found]
    listed = page(
        newest_first,
        order=lambda item: [item[0], item[1].release_id],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name="releases",
    )
    return {"items": [info for _, info in listed["items"]], "next": listed["next"]}


@routes.get("/keys", summary="Public keys of manifests", response_model=ManifestKeys)
def list_keys(caller: Anyone) -> Any:
    """What a recipient verifies a release by, offline (`pdms view verify`); keep it from elsewhere than the release."""
    return {"public_keys": caller.read(verifying.manifest_keys)}


@routes.get("/{release_id}", summary="Show a release", response_model=edge(ReleaseShown))
def show_release(caller: ReleaseReader, release_id: ReleasePath) -> Any:
    """A release with its public manifest: criteria reached, risk, loss, wording; counts rounded."""
    return caller.read_anon(views.show, release_id=release_id)


@routes.get("/{release_id}/manifest", summary="Exact manifest", response_model=dict[str, Any])
def show_manifest(caller: AdminOrCompliance, release_id: ReleasePath) -> Any:
    """The signed manifest with exact numbers: who was left out and why, the consent checkpoint, the measures."""
    return caller.read(publish.signed_manifest, release_id=release_id)


@routes.get("/{release_id}/comparisons/{other}", summary="Compare releases", response_model=edge(Comparison))
def compare(
    caller: MarketingOrCompliance,
    release_id: ReleasePath,
    other: Annotated[str, Path(pattern="^rel-[0-9a-f]{32}$", examples=[f"rel-{HEX_ID}"])],
) -> Any:
    """What changed from the first release to the other: rows, classes, loss, and each feature's distribution."""
    return plain(caller.take_anon(comparing.compare, before=release_id, after=other))


@routes.post(
    "/{release_id}/exports",
    summary="Export a release",
    openapi_extra=REPEATABLE,
    response_class=Response,
    responses=ROWS,
)
def export(caller: MarketingOrCompliance, release_id: ReleasePath, body: Wanted) -> Response:
    """The rows of a live release as a file, for the roles that its view names, once another operator approved it
    (`POST /v1/operators/approvals`). Each export is in the audit log."""
    made = approving.export_release(caller.app, caller.actor, release_id=release_id, format=body.format)
    return attachment(made.content, filename=made.filename, media_type=made.media_type)


@routes.post(
    "/{release_id}/verifications",
    summary="Verify a release",
    response_model=edge(Verified),
    openapi_extra=REPEATABLE,
)
def verify(caller: AdminOrCompliance, release_id: ReleasePath) -> Any:
    """Checks a release of this home as a recipient would: signature, bytes, rows, criteria measured again, expiry."""
    return caller.read(verifying.verify_stored, release_id=release_id)


@routes.get("/{release_id}/copies", summary="Who holds copies", response_model=edge(list[Copy]))
def list_copies(caller: ReleaseReader, release_id: ReleasePath) -> Any:
    """Roles that read or exported the release, the day until which their copies must be gone, and what is overdue."""
    return caller.read_anon(copies.list_copies, release_id=release_id)


@routes.post("/{release_id}/deletions", summary="Acknowledge a deletion", response_model=edge(Copy))
def acknowledge_deleted(caller: ReleaseReader, release_id: ReleasePath, body: Deleted) -> Any:
    """Says that nothing is left of a copy, exports included; only the officer says it for another role. A release of
    which no copy is left binds the next one no more. Twice is once."""
    made = caller.made("/v1/releases/{release_id}")
    return made.run_anon(copies.acknowledge_deleted, release_id=release_id, consumer=body.consumer)


@routes.post("/{release_id}/withdrawal", summary="Withdraw a release", response_model=edge(ReleaseInfo))
def withdraw(caller: AdminOrCompliance, release_id: ReleasePath) -> Any:
    """Ends a release: nobody reads it any more. Twice is once."""
    return caller.made("/v1/releases/{release_id}").run_anon(views.withdraw, release_id=release_id)
