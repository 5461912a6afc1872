"""`/v1/views`: the feature views that the policy defines, and what is published of them."""

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from pdms.api.caller import AdminOrCompliance, MarketingOrCompliance, ReleaseReader
from pdms.api.edge import edge
from pdms.api.fields import Cursor, Limit, NamePath
from pdms.api.guarded import router
from pdms.api.pages import Page, page
from pdms.errors import NotFound
from pdms.marketing import service as marketing
from pdms.marketing.rfm import RfmTable
from pdms.policy.definitions import Policy, View
from pdms.publish import service as publish
from pdms.publish.manifest import Manifest
from pdms.views.definitions import space_of

routes = router("views")


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
    sensitive: SensitiveInfo | None
    features: list[FeatureInfo]


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
    return caller.read_anon(marketing.rfm_table, view=view)


@routes.post("/{view}/releases", status_code=201, summary="Publish a view", response_model=edge(Manifest))
def publish_view(caller: AdminOrCompliance, view: NamePath) -> Any:
    """Publishes a release: eligible members by consent, anonymised, measured again; replaces the view's former one."""
    return caller.made("/v1/releases/{release_id}").long(publish.publish, view=view)


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
        sensitive=None if view.sensitive is None else SensitiveInfo(**asdict(view.sensitive)),
        features=features,
    )
