"""What a release looks like: how large its classes are, and how far each feature was generalised.

Guarantees: made of the published rows alone, so that it tells no more than they do; it is shown to whoever may read
them, and the reading is recorded. Levels are counted by the policy in force; a label that this no longer knows counts
as level -1. Deliberately not here: anything about members who were left out beyond the rounded counts of the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from pdms.errors import InvalidInput, NotFound
from pdms.policy.definitions import Policy
from pdms.policy.measures import MEASURES
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views import service, store
from pdms.views.definitions import space_of
from pdms.views.service import ReleaseInfo, ReleaseRows

if TYPE_CHECKING:
    from pdms.anonymize.hierarchies import Hierarchy

STEPS = (1, 1.5, 2, 3, 5, 10, 20, 50)
"""Borders of class sizes, in multiples of the k that is required."""


@dataclass(frozen=True, slots=True)
class SizeBin:
    """Classes of `at_least` to below `below` rows (None: without end), and the rows in them."""

    at_least: int
    below: int | None
    classes: int
    rows: int


@dataclass(frozen=True, slots=True)
class LevelShare:
    """The share of a feature's cells at one level: 0 as fine as declared, the highest says nothing (`*`)."""

    level: int
    share: float
    labels: int


@dataclass(frozen=True, slots=True)
class FeaturePicture:
    """One column: its names, how many labels are published, the share of cells at each level, and its loss (NCP)."""

    feature: str
    label: str
    label_zh: str
    levels: tuple[LevelShare, ...]
    said_nothing: float
    """Share of cells that say nothing, `*`."""
    ncp: float | None


@dataclass(frozen=True, slots=True)
class ReleasePicture:
    """A release to look at. `criteria`, `loss` and `risks` are those of its public manifest."""

    info: ReleaseInfo
    k_required: int
    criteria: Mapping[str, Any]
    loss: Mapping[str, Any]
    risks: Mapping[str, Any]
    suppressed: Mapping[str, int]
    class_sizes: tuple[SizeBin, ...]
    features: tuple[FeaturePicture, ...]


def picture(uow: AnonUnitOfWork, *, view: str | None = None, release_id: str | None = None) -> ReleasePicture:
    """Return the picture of a release, or of a view's live one, to its consumers; the reading is recorded.

    Errors as `service.read`.
    """
    uow.require(Scope.MARKETING, Scope.COMPLIANCE)
    if (view is None) == (release_id is None):
        raise InvalidInput("release: name a view or a release id")
    rows = service.read(uow, view=view, release_id=release_id)
    manifest = store.read_manifest(uow.home, view=rows.info.view, release_id=rows.info.release_id)
    return picture_of(rows, manifest, uow.policy)


def picture_of(rows: ReleaseRows, manifest: Mapping[str, Any], policy: Policy) -> ReleasePicture:
    """Return the picture of rows with their manifest."""
    import numpy as np

    space = space_or_none(policy, rows.info.view)
    secret = (manifest.get("sensitive") or {}).get("required", {}).get("feature")
    names = [name for name in rows.table.column_names if name != secret]
    _, sizes = ReleaseRows(rows.info, rows.table.select(names)).classes()
    required = int(manifest["k_required"])
    borders = sorted({max(1, int(required * step)) for step in STEPS} | ({1} if sizes.size else set()))
    bins = []
    for low, high in zip(borders, [*borders[1:], None], strict=True):
        inside = sizes[(sizes >= low) & (sizes < (np.inf if high is None else high))]
        bins.append(SizeBin(low, high, len(inside), int(inside.sum())))
    while bins and not bins[-1].classes:
        bins.pop()
    while bins and not bins[0].classes:
        bins.pop(0)
    by_feature = manifest["loss"]["ncp_by_feature"]
    return ReleasePicture(
        info=rows.info,
        k_required=required,
        criteria={"k": manifest["k"], "k_required": required, "sensitive": manifest.get("sensitive")},
        loss=manifest["loss"],
        risks=manifest["risks"],
        suppressed=manifest["suppressed"] if isinstance(manifest["suppressed"], dict) else {},
        class_sizes=tuple(bins),
        features=tuple(
            _feature(policy, rows, name, None if space is None else space.get(name), by_feature.get(name))
            for name in rows.table.column_names
        ),
    )


def space_or_none(policy: Policy, view: str) -> "dict[str, Hierarchy] | None":
    """Return the space of a view; None where the policy in force has it no more."""
    try:
        return space_of(policy, view)
    except (NotFound, InvalidInput):
        return None


def names_of(policy: Policy, view: str, feature: str) -> tuple[str, str]:
    """Return what a feature is called in English and Chinese."""
    definition = policy.views.get(view)
    found = next((one for one in definition.features if one.name == feature), None) if definition else None
    if found is not None and found.label:
        return found.label.get(Language.EN, feature), found.label.get(Language.ZH, feature)
    measure = MEASURES.get(found.measure if found is not None else feature)
    return feature.replace("_", " "), measure.zh if measure is not None else feature


def _feature(
    policy: Policy, rows: ReleaseRows, name: str, tree: "Hierarchy | None", ncp: float | None
) -> FeaturePicture:
    counted = rows.table[name].combine_chunks().value_counts().to_pylist()
    cells: dict[int, list[int]] = {}
    for one in counted:
        if one["counts"]:
            level = tree.level_of(one["values"]) if tree is not None and tree.bears(one["values"]) else -1
            cells.setdefault(level, []).append(one["counts"])
    total = max(rows.table.num_rows, 1)
    nothing = sum(one["counts"] for one in counted if one["values"] == "*")
    english, chinese = names_of(policy, rows.info.view, name)
    levels = tuple(LevelShare(level, sum(found) / total, len(found)) for level, found in sorted(cells.items()))
    return FeaturePicture(name, english, chinese, levels, nothing / total, ncp)


WIDTH, LEFT, ROW = 640, 170, 22
SHADES = ("#1b6ca8", "#4d94c4", "#86b8da", "#bcd7ea", "#dde9f2", "#eef3f7")


def svg_of(found: ReleasePicture) -> str:
    """Return the picture as SVG: bars of class sizes above, the levels of each feature below; no script, no link."""
    parts: list[str] = []
    place = 24
    parts.append(_text(0, place, f"{found.info.view}: {found.info.rows:,} rows in {found.info.classes:,} classes", 15))
    place += ROW
    parts.append(_text(0, place, f"rows by size of their class · 各等价类大小的行数 (k = {found.k_required})"))
    most = max((one.rows for one in found.class_sizes), default=1)
    for one in found.class_sizes:
        place += ROW
        parts.append(_text(0, place, size_label(one)))
        parts.append(_bar(LEFT, place, (WIDTH - LEFT - 150) * one.rows / most, SHADES[0]))
        parts.append(_text(WIDTH - 140, place, f"{one.rows:,} / {one.classes:,} classes"))
    place += ROW * 2
    parts.append(_text(0, place, "share of cells at each level, finest darkest · 各层级所占比例（颜色越深越细）"))
    for feature in found.features:
        place += ROW
        parts.append(_text(0, place, f"{feature.label} {feature.label_zh}"))
        left = float(LEFT)
        for level in feature.levels:
            width = (WIDTH - LEFT - 150) * level.share
            shade = SHADES[min(max(level.level, 0), len(SHADES) - 1)]
            parts.append(_bar(left, place, width, shade, f"level {level.level}: {level.share:.0%}"))
            left += width
        parts.append(_text(WIDTH - 140, place, f"* {feature.said_nothing:.0%}"))
    title = escape(f"Release of {found.info.view}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {place + 16}" width="{WIDTH}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{title}</title>{"".join(parts)}</svg>\n'
    )


def size_label(one: SizeBin) -> str:
    """Return how a bin of class sizes is called."""
    if one.below is None:
        return f"{one.at_least:,} and more"
    return f"{one.at_least:,}" if one.below == one.at_least + 1 else f"{one.at_least:,}-{one.below - 1:,}"


def _text(left: float, base: float, words: str, size: int = 12) -> str:
    return f'<text x="{left:.1f}" y="{base:.1f}" font-size="{size}">{escape(words)}</text>'


def _bar(left: float, base: float, width: float, shade: str, words: str = "") -> str:
    title = f"<title>{escape(words)}</title>" if words else ""
    return f'<rect x="{left:.1f}" y="{base - 12:.1f}" width="{width:.1f}" height="15" fill="{shade}">{title}</rect>'
