"""Two releases side by side: what changed between them, from released data alone.

Guarantees: nothing is compared but what a consumer of both may read: the public manifests, and the rows where they are
still live; no row of one is matched to a row of the other. Distances are between distributions of labels, each label
spread evenly over the leaves that it covers: total variation, 0 (alike) to 1 (nothing in common), and for numbers the
ordered distance too (earth mover's, over bins, divided by bins - 1). Deliberately not here: what the pair says about a
member; that is the release ledger's, before publication.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdms.errors import Denied, InvalidInput
from pdms.policy.reasons import reason
from pdms.taxonomy import ReleaseState, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import service
from pdms.views.pictures import names_of, space_or_none
from pdms.views.service import ReleaseInfo

if TYPE_CHECKING:
    import pyarrow as pa

    from pdms.anonymize.hierarchies import Hierarchy

MOST_MOVED = 3


@dataclass(frozen=True, slots=True)
class Number:
    """One figure of both; `change` is after less before."""

    name: str
    before: float
    after: float
    change: float


@dataclass(frozen=True, slots=True)
class Moved:
    """The share of rows at one leaf, before and after."""

    leaf: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """How a feature's distribution moved. `distance`: total variation; `ordered`: for numbers; `moved`: leaves most."""

    feature: str
    label: str
    label_zh: str
    distance: float
    ordered: float | None
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two releases. `features` is empty, and `note` says why, where rows of one can no longer be read."""

    before: ReleaseInfo
    after: ReleaseInfo
    numbers: tuple[Number, ...]
    suppressed_before: Mapping[str, int]
    suppressed_after: Mapping[str, int]
    features: tuple[FeatureChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Taken:
    """One side of a comparison: a release with its manifest, and its rows where they can be read."""

    info: ReleaseInfo
    manifest: Mapping[str, Any]
    rows: "pa.Table | None"


def compare(uow: AnonUnitOfWork, *, before: str | Taken, after: str | Taken) -> Comparison:
    """Compare two releases, by id or taken from files; of an id, rows are read while it is live, and that is recorded.

    :raises NotFound: one is none. :raises Denied: VIEW_NOT_ALLOWED. :raises InvalidInput: both are one.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    sides = [one if isinstance(one, Taken) else _taken(uow, one) for one in (before, after)]
    infos = [one.info for one in sides]
    if infos[0].release_id == infos[1].release_id:
        raise InvalidInput("release: two different ones are compared")
    rows = [one.rows for one in sides if one.rows is not None]
    gone = ", ".join(one.info.release_id for one in sides if one.rows is None)
    note = f"no rows are read of {gone}: no longer live; compare exported files for distributions" if gone else ""
    space = space_or_none(uow.policy, infos[1].view) or {}
    names = {name: names_of(uow.policy, infos[1].view, name) for name in space}
    return compared(infos, [one.manifest for one in sides], rows if len(rows) == 2 else None, space, names, note)


def _taken(uow: AnonUnitOfWork, release_id: str) -> Taken:
    shown = service.show(uow, release_id=release_id)
    info = shown.info
    if not service.may_consume(uow, info):
        refused = Denied("the role may not read this view", reasons=(reason("VIEW_NOT_ALLOWED"),))
        uow.refuse(refused, purpose=info.purpose, refs={"release": info.release_id, "view": info.view})
    live = info.state is ReleaseState.LIVE and uow.now < info.expires_at
    rows = service.read(uow, release_id=release_id).table if live else None
    return Taken(info, shown.manifest, rows)


def compared(
    infos: list[ReleaseInfo],
    manifests: list[Mapping[str, Any]],
    rows: "list[pa.Table] | None",
    space: "Mapping[str, Hierarchy]",
    names: Mapping[str, tuple[str, str]],
    note: str = "",
) -> Comparison:
    """Compare two releases, [before, after], from what is known of them."""
    columns = [[feature["name"] for feature in manifest["features"]] for manifest in manifests]
    shared = [name for name in columns[1] if name in columns[0]]
    changes = [] if rows is None else [_change(name, rows, space.get(name), names.get(name)) for name in shared]
    suppressed = [one["suppressed"] if isinstance(one["suppressed"], dict) else {} for one in manifests]
    return Comparison(
        before=infos[0],
        after=infos[1],
        numbers=tuple(_numbers(manifests)),
        suppressed_before=suppressed[0],
        suppressed_after=suppressed[1],
        features=tuple(sorted(changes, key=lambda one: -one.distance)),
        only_before=tuple(name for name in columns[0] if name not in shared),
        only_after=tuple(name for name in columns[1] if name not in shared),
        note=note,
    )


def _numbers(manifests: list[Mapping[str, Any]]) -> list[Number]:
    found = []
    for name, path in (
        ("rows", ("rows",)),
        ("classes", ("classes",)),
        ("k", ("k",)),
        ("ncp", ("loss", "ncp")),
        ("average_class_size", ("loss", "average_class_size")),
        ("risk_average", ("risks", "prosecutor_average")),
    ):
        pair = []
        for manifest in manifests:
            value: Any = manifest
            for key in path:
                value = value[key]
            pair.append(float(value))
        found.append(Number(name, pair[0], pair[1], pair[1] - pair[0]))
    features = [manifest["loss"]["ncp_by_feature"] for manifest in manifests]
    for name in sorted(set(features[0]) & set(features[1])):
        pair = [float(one[name]) for one in features]
        found.append(Number(f"ncp {name}", pair[0], pair[1], pair[1] - pair[0]))
    return found


def _change(
    name: str, tables: "list[pa.Table]", tree: "Hierarchy | None", named: tuple[str, str] | None
) -> FeatureChange:
    import numpy as np

    shares = [_shares(table, name) for table in tables]
    if tree is None or not all(_known(tree, one) for one in shares):
        leaves = sorted(set(shares[0]) | set(shares[1]))
        spread = [np.array([one.get(leaf, 0.0) for leaf in leaves]) for one in shares]
        ordered = None
    else:
        leaves = list(tree.leaves)
        spread = [_spread(tree, one) for one in shares]
        bins = len(leaves) - (tree.missing is not None)
        steps = np.cumsum(spread[1][:bins] - spread[0][:bins])[:-1]
        ordered = float(np.abs(steps).sum() / max(bins - 1, 1)) if tree.edges else None
    gap = spread[1] - spread[0]
    moved = [
        Moved(leaves[place], float(spread[0][place]), float(spread[1][place]))
        for place in np.argsort(-np.abs(gap), kind="stable")[:MOST_MOVED].tolist()
        if gap[place]
    ]
    english, chinese = named or (name, name)
    return FeatureChange(name, english, chinese, float(np.abs(gap).sum() / 2), ordered, tuple(moved))


def _shares(table: "pa.Table", name: str) -> dict[str, float]:
    counted = table[name].combine_chunks().value_counts().to_pylist()
    return {one["values"]: one["counts"] / max(table.num_rows, 1) for one in counted}


def _known(tree: "Hierarchy", shares: Mapping[str, float]) -> bool:
    return all(tree.bears(label) for label in shares)


def _spread(tree: "Hierarchy", shares: Mapping[str, float]) -> Any:
    """Return float64 [leaves]: each label's share spread evenly over the leaves that it covers."""
    import numpy as np

    spread = np.zeros(len(tree.leaves))
    for label, share in shares.items():
        first, last = tree.span_of(label)
        spread[first:last] += share / (last - first)
    return spread
