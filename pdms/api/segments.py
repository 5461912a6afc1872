"""`/v1/segments`: rules over a view's columns. A segment is never a list of people."""

from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import Field, StringConstraints

from pdms.api.caller import Compliance, Marketing, MarketingOrCompliance
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Document, Limit, NamePath
from pdms.api.files import attachment
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import page, page_of
from pdms.api.releases import ROWS
from pdms.bootstrap import approving
from pdms.bootstrap.plain import plain
from pdms.budgets import service as budgets
from pdms.budgets.service import BudgetState, LedgerLine
from pdms.publish import aggregates
from pdms.publish.aggregates import Aggregate, AggregateKind
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

    document: Document = Field(examples=[EXAMPLE], description="Keys: name, view, label, and rule or model.")


class Wanted(Body):
    """How rows are wanted."""

    format: Literal["parquet", "csv"] = "csv"


Named = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class NewEstimate(Body):
    """One question about a view's members."""

    view: Named = Field(examples=["member_value"])
    kind: AggregateKind
    feature: Named | None = Field(default=None, description="Column of the view; none for a count.")
    where: Document | None = Field(default=None, description="A rule: of its members only.")
    share: float = Field(default=0.5, gt=0, lt=1, description="Which quantile.")


@routes.get("", summary="List segments", response_model=page_of(Segment))
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
    return plain(caller.take_anon(segments.preview, name=name))


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


@routes.post("/estimates", summary="Ask a noised number", response_model=edge(Aggregate), openapi_extra=REPEATABLE)
def estimate(caller: Marketing, body: NewEstimate) -> Any:
    """A count, histogram, sum, mean or quantile of a view's members under differential privacy: value, interval, cost
    and what is left of the budget. The same question again has the same answer, at no cost."""
    return caller.long(
        aggregates.aggregate, view=body.view, kind=body.kind, feature=body.feature, where=body.where, share=body.share
    )


@routes.get("/estimates/budget", summary="Privacy budget", response_model=edge(BudgetState))
def show_budget(caller: Marketing) -> Any:
    """What is left of the caller's own population's budget in this period."""
    return caller.read_anon(budgets.state)


@routes.get("/estimates/budgets", summary="Privacy budgets", response_model=page_of(BudgetState))
def list_budgets(caller: Compliance, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Every population's budget in this period."""
    found = caller.read_anon(budgets.states)
    return page(
        found, order=lambda b: [b["population"]], cursor=cursor, limit=limit, key=caller.cursor_key, name="budgets"
    )


@routes.get("/estimates/charges", summary="Charges", response_model=page_of(LedgerLine))
def list_charges(caller: Compliance, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """Every charge to a privacy budget, by population and number: what was asked, by whom, and what it cost."""
    found = caller.read_anon(budgets.ledger)
    return page(
        found,
        order=lambda c: [c["population"], f"{c['number']:09}"],
        cursor=cursor,
        limit=limit,
        key=caller.cursor_key,
        name="charges",
    )
