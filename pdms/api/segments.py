"""`/v1/segments`: rules over a view's columns. A segment is never a list of people."""

from typing import Any, Literal

from fastapi import Response
from pydantic import Field

from pdms.api.caller import Marketing, MarketingOrCompliance
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Document, Limit, NamePath
from pdms.api.files import attachment
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import Page, page
from pdms.api.releases import ROWS
from pdms.bootstrap import approving
from pdms.segments import service as segments
from pdms.segments.service import Preview, Segment

routes = router("segments")
EXAMPLE = {
    "name": "loyal_recent",
    "view": "member_value",
    "label": {"zh-CN": "近期忠诚会员", "en": "Loyal and recent"},
    "rule": {"all": [{"feature": "recency_days", "below": 90}, {"feature": "orders", "at_least": 3}]},
}


class NewSegment(Body):
    """A segment to save; one of that name is replaced. The rule's form is that of `policies/segments/*.yaml`."""

    document: Document = Field(examples=[EXAMPLE], description="Keys: name, view, label, rule.")


class Wanted(Body):
    """How rows are wanted."""

    format: Literal["parquet", "csv"] = "csv"


@routes.get("", summary="List segments", response_model=Page[edge(Segment)])  # type: ignore[misc]
def list_segments(caller: MarketingOrCompliance, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Saved segments by name."""
    found = caller.read_anon(segments.list_segments)
    return page(found, order=lambda s: [s["name"]], cursor=cursor, limit=limit, key=caller.cursor_key, name="segments")


@routes.post("", status_code=201, summary="Save a segment", response_model=edge(Segment))
def save(caller: Marketing, body: NewSegment) -> Any:
    """Saves a rule after holding it against its view: thresholds must be edges that the view declares."""
    return caller.made("/v1/segments/{name}").run_anon(segments.save, document=body.document)


@routes.get("/{name}", summary="Show a segment", response_model=edge(Segment))
def show(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """A saved segment with its rule."""
    return caller.read_anon(segments.show, name=name)


@routes.post("/{name}/previews", summary="Preview a segment", response_model=edge(Preview), openapi_extra=REPEATABLE)
def preview(caller: MarketingOrCompliance, name: NamePath) -> Any:
    """What the rule finds on the live release: a range, rounded; small figures are only said to be small."""
    return caller.read_anon(segments.preview, name=name)


@routes.post(
    "/{name}/exports",
    summary="Export a segment",
    openapi_extra=REPEATABLE,
    response_class=Response,
    responses=ROWS,
)
def export(caller: Marketing, name: NamePath, body: Wanted) -> Response:
    """Anonymised rows of the classes wholly inside the rule, `min_cell` at least, once another operator approved it
    (`POST /v1/operators/approvals`)."""
    made = approving.export_segment(caller.app, caller.actor, name=name, format=body.format)
    return attachment(made.content, filename=made.filename, media_type=made.media_type)
