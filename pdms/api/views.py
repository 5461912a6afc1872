"""`/v1/views`: the feature views that the policy defines, and what is published of them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field, StringConstraints

from pdms.api.caller import AdminOrCompliance, MarketingOrCompliance, ReleaseReader
from pdms.api.edge import edge
from pdms.api.fields import Body, Cursor, Document, Limit, NamePath
from pdms.api.files import attachment
from pdms.api.guarded import REPEATABLE, router
from pdms.api.pages import Page, page
from pdms.bootstrap.plain import plain
from pdms.errors import NotFound
from pdms.features import linting as counting
from pdms.marketing import service as marketing
from pdms.marketing.rfm import RfmTable
from pdms.policy.definitions import Policy, View
from pdms.publish import service as publish
from pdms.publish.manifest import Manifest
from pdms.views import linting, pictures
from pdms.views.definitions import space_of
from pdms.views.linting import LintReport
from pdms.views.pictures import ReleasePicture

routes = router("views")
SVG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}
}
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EXAMPLE = {
    "label": {"zh-CN": "会员价值", "en": "Member value"},
    "purpose": "segment",
    "identifiability": "de-identified",
    "window_days": 365,
    "k": 10,
    "risk_threshold": 0.1,
    "min_cell": 50,
    "suppression_limit": 0.01,
    "consumers": ["marketing"],
    "expiry_days": 30,
    "features": {"orders": {"measure": "orders", "edges": [1, 2, 5, 20], "coarser": [[2, 5]]}},
}


class FeatureInfo(BaseModel):
    """One column of a view: thresholds of rules must be its edges, sets of a rule its labels."""

    name: str
    measure: str
    unit: str
    edges: list[float] | None = Field(description="Inner edges of the bins; null for categories.")
    labels: list[str] = Field(description="Leaf labels.")


class SensitiveInfo(BaseModel):
    """The feature that must not be inferred from the others, and what each class keeps of it."""

    feature: str
    diversity: str | None
    l: float = Field(description="Of l-diversity.")  # noqa: E741 - the field's own name
    c: float = Field(description="Of recursive (c, l)-diversity.")
    t: float | None = Field(description="Of t-closeness.")
    distance: str


class ViewInfo(BaseModel):
    """A feature view: what marketing may see, and on what terms."""

    name: str
    label: dict[str, str]
    purpose: str
    window_days: int
    k: int
    risk_threshold: float
    min_cell: int
    suppression_limit: float
    consumers: list[str]
    expiry_days: int
    average_risk: float
    algorithm: str
    numbers: str = Field(description="`tree`: a number's cell bears a node of its tree; `tight`: a run of its bins.")
    sensitive: SensitiveInfo | None
    features: list[FeatureInfo]


class NewView(Body):
    """A view to lint, as its file would say it."""

    name: Slug = Field(examples=["member_value"])
    document: Document = Field(examples=[EXAMPLE], description="Keys as in `policies/views/member_value.yaml`.")


@routes.get("", summary="List views", response_model=Page[ViewInfo])
def list_views(caller: ReleaseReader, cursor: Cursor = None, limit: Limit = 100) -> Any:
    """The feature views of the policy in force."""
    policy = caller.app.policy
    found = [_shown(policy, view) for _, view in sorted(policy.views.items())]
    return page(found, order=lambda v: [v.name], cursor=cursor, limit=limit, key=caller.cursor_key, name="views")


@routes.get("/{view}", summary="Show a view", response_model=ViewInfo)
def show_view(caller: ReleaseReader, view: NamePath) -> Any:
    """One feature view with the edges and labels that rules may speak of."""
    return _shown(caller.app.policy, _known(caller.app.policy, view))


@routes.get("/{view}/rfm", summary="Recency, frequency, monetary value", response_model=edge(RfmTable))
def show_rfm(caller: MarketingOrCompliance, view: NamePath) -> Any:
    """RFM on the live release of a view; counts rounded, small ones only said to be small."""
    return plain(caller.take_anon(marketing.rfm_table, view=view))


@routes.get("/{view}/picture", summary="Picture of the live release", response_model=edge(ReleasePicture))
def show_picture(caller: MarketingOrCompliance, view: NamePath) -> Any:
    """How large the classes of a view's live release are, and how far each feature was generalised."""
    return plain(caller.take_anon(pictures.picture, view=view))


@routes.get("/{view}/picture.svg", summary="Picture as SVG", response_class=Response, responses=SVG)
def draw_picture(caller: MarketingOrCompliance, view: NamePath) -> Response:
    """The same, drawn."""
    found = caller.take_anon(pictures.picture, view=view)
    return attachment(pictures.svg_of(found).encode(), filename=f"{view}.svg", media_type="image/svg+xml")


@routes.post("/{view}/releases", status_code=201, summary="Publish a view", response_model=edge(Manifest))
def publish_view(caller: AdminOrCompliance, view: NamePath) -> Any:
    """Publishes a release: eligible members by consent, anonymised, measured again; replaces the view's former one.

    `together` names the releases that are out, and how many members stay out of this one because of them: ask
    `/v1/releases/{release_id}/copies` who holds one."""
    return caller.made("/v1/releases/{release_id}").long(publish.publish, view=view)


@routes.get("/{view}/findings", summary="Lint a view", response_model=edge(LintReport))
def lint_view(caller: ReleaseReader, view: NamePath) -> Any:
    """What speaks against a view, why, and what to do instead; data are not looked at."""
    return caller.read_anon(linting.lint, view=view)


@routes.post(
    "/{view}/findings", summary="Lint a view on data", response_model=edge(LintReport), openapi_extra=REPEATABLE
)
def lint_on_data(caller: AdminOrCompliance, view: NamePath) -> Any:
    """Counts the members that are eligible now by bin, and says which bins and columns are too thin. Takes a Permit."""
    return caller.long(counting.lint_on_data, view=view)


@routes.post("/findings", summary="Lint a new view", response_model=edge(LintReport), openapi_extra=REPEATABLE)
def lint_new_view(caller: ReleaseReader, body: NewView) -> Any:
    """What speaks against a view that is no part of the policy yet: the content of a file `views/<name>.yaml`."""
    return caller.read_anon(linting.lint_document, name=body.name, document=body.document)


def _known(policy: Policy, name: str) -> View:
    if name not in policy.views:
        raise NotFound("view: the policy has none of that name")
    return policy.views[name]


def _shown(policy: Policy, view: View) -> ViewInfo:
    space = space_of(policy, view.name)
    features = [
        FeatureInfo(
            name=f.name,
            measure=f.measure,
            unit=f.unit,
            edges=list(f.edges) if f.edges is not None else None,
            labels=list(space[f.name].leaves),
        )
        for f in view.features
    ]
    return ViewInfo(
        name=view.name,
        label={language.value: text for language, text in view.label.items()},
        purpose=view.purpose,
        window_days=view.window_days,
        k=view.k,
        risk_threshold=view.risk_threshold,
        min_cell=view.min_cell,
        suppression_limit=view.suppression_limit,
        consumers=list(view.consumers),
        expiry_days=view.expiry_days,
        average_risk=view.average_risk,
        algorithm=view.algorithm,
        numbers=view.numbers,
        sensitive=None if view.sensitive is None else SensitiveInfo(**asdict(view.sensitive)),
        features=features,
    )
