"""Lint of what marketing may see and of reference data: views, features, hierarchies, places, calendars.

Guarantees: a view that would hold an identifier, a token, an exact value or more than six features does not load; of
each that loads, `views.definitions.space_of` can make the hierarchies (a test holds one against the other). Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pdms.policy.definitions import Feature, HierarchyTable, Policy, Purpose, SensitiveFeature, View
from pdms.policy.measures import IDENTIFYING, MEASURES

MAX_FEATURES = 6
MAX_BINS = 32
"""A number cut into more bins than this is an exact value in disguise."""
MAX_LEAVES = 10_000
"""Leaves of a category: more are an exact value in disguise, too."""
_BIN = re.compile(r"[*<>\[\d.+-]")
"""Begins the label of a bin, which the label of an absent value must not be taken for."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a view breaks, at a place of its file; `feature` is "" where it concerns the view."""

    code: str
    place: str
    rule: str
    article: str = ""
    feature: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}" + (f" ({self.article})" if self.article else "")


def view_problems(policy: Policy) -> Iterator[str]:
    """Yield every rule that views and reference data break, as `file: place: rule (article)`."""
    for view in policy.views.values():
        for breach in breaches(policy, view):
            yield f"views/{view.name}.yaml: {breach}"
    for table in policy.hierarchies.values():
        yield from _hierarchy(table)
    yield from _places(policy)
    yield from _calendars(policy)


def breaches(policy: Policy, view: View) -> Iterator[Breach]:
    """Yield every rule that one view breaks; `view` need not be one of the policy's."""
    purpose = policy.purposes.get(view.purpose)
    if purpose is None:
        yield Breach("PURPOSE_UNKNOWN", "purpose", "no such purpose")
        return
    if purpose.view_k is None or purpose.view_min_cell is None or purpose.view_risk is None:
        yield Breach("PURPOSE_WITHOUT_VIEW", "purpose", f"{view.purpose} publishes no view")
    else:
        if view.k < purpose.view_k:
            yield Breach("K_TOO_LOW", "k", f"the purpose asks for {purpose.view_k} at least", "T37964")
        if view.min_cell < purpose.view_min_cell:
            yield Breach("MIN_CELL_TOO_LOW", "min_cell", f"the purpose asks for {purpose.view_min_cell} at least")
        if view.risk_threshold > purpose.view_risk:
            yield Breach("RISK_TOO_HIGH", "risk_threshold", f"the purpose allows {purpose.view_risk} at most", "T37964")
    if 1 / view.k > view.risk_threshold + 1e-12:
        yield Breach("RISK_TOO_HIGH", "k", "1/k exceeds the risk threshold", "T37964")
    if len(view.features) > MAX_FEATURES:
        yield Breach("TOO_MANY_FEATURES", "features", f"{len(view.features)}; {MAX_FEATURES} at most", "T37964")
    for consumer in view.consumers:
        if consumer not in policy.roles:
            yield Breach("CONSUMER_UNKNOWN", "consumers", f"{consumer} is not a role")
    if view.sensitive is not None:
        yield from _sensitive(policy, view, view.sensitive)
    measures = [feature.measure for feature in view.features]
    for feature in view.features:
        yield from _feature(policy, purpose, feature)
        if measures.count(feature.measure) > 1:
            rule = "its measure is cut twice; two cuts refine each other"
            yield _of("MEASURE_TWICE", feature, rule, "T37964")


def _sensitive(policy: Policy, view: View, sensitive: SensitiveFeature) -> Iterator[Breach]:
    feature = next((one for one in view.features if one.name == sensitive.feature), None)
    if feature is None:
        yield Breach("SENSITIVE_UNKNOWN", "sensitive.feature", "not a feature of the view")
        return
    if len(view.features) < 2:
        yield Breach("SENSITIVE_ALONE", "sensitive.feature", "the view has no other feature", feature=feature.name)
    table = policy.hierarchies.get(feature.hierarchy or "")
    values = len(feature.edges) + 1 if feature.edges is not None else len(table.rows) if table is not None else 0
    if sensitive.diversity is not None and values and sensitive.l > values:
        rule = f"the feature has only {values} values"
        yield Breach("DIVERSITY_OUT_OF_REACH", "sensitive.diversity.l", rule, feature=feature.name)
    if sensitive.t is not None and sensitive.distance == "ordered" and feature.edges is None:
        rule = "ordered needs a number; a category has no order"
        yield Breach("NO_ORDER", "sensitive.closeness.distance", rule, feature=feature.name)


def words_of(view: View) -> tuple[str, ...]:
    """Return every name and label of a view and its features: what must be no denied tag (ALG-10)."""
    labels = (text for feature in view.features for text in (feature.label or {}).values())
    return (view.name, *view.label.values(), *(one.name for one in view.features), *labels)


def _of(code: str, feature: Feature, rule: str, article: str = "", *, key: str = "") -> Breach:
    place = f"features.{feature.name}" + (f".{key}" if key else "")
    return Breach(code, place, rule, article, feature.name)


def _feature(policy: Policy, purpose: Purpose, feature: Feature) -> Iterator[Breach]:
    direct = IDENTIFYING | {field.name for field in policy.fields.values() if field.direct_identifier}
    if feature.name in direct or feature.measure in direct:
        yield _of("IDENTIFIER", feature, "an identifier or token never enters a view", "PIPL-4, 73")
        return
    measure = MEASURES.get(feature.measure)
    if measure is None:
        yield _of("MEASURE_UNKNOWN", feature, f"unknown; one of {', '.join(MEASURES)}", key="measure")
        return
    category = next((c.name for c in policy.categories.values() if measure.fact in c.facts), "")
    if category not in purpose.categories:
        rule = f"its data ({category}) are not of purpose {purpose.name}"
        yield _of("OUTSIDE_PURPOSE", feature, rule, "PIPL-6-2")
    if measure.kind == "number":
        yield from _cuts(feature)
    elif feature.hierarchy is None or feature.edges is not None:
        yield _of("HIERARCHY_MISSING", feature, "a category needs a hierarchy, and no edges")
    elif feature.hierarchy not in policy.hierarchies:
        yield _of("HIERARCHY_UNKNOWN", feature, "no such file in hierarchies/", key="hierarchy")
    elif feature.missing not in {row[0] for row in policy.hierarchies[feature.hierarchy].rows if row}:
        yield _of("MISSING_NOT_A_LEAF", feature, "not a leaf of the hierarchy", key="missing")
    elif len(policy.hierarchies[feature.hierarchy].rows) > MAX_LEAVES:
        yield _of("TOO_MANY_LEAVES", feature, f"more than {MAX_LEAVES} leaves", "T37964", key="hierarchy")


def _cuts(feature: Feature) -> Iterator[Breach]:
    if feature.edges is None or feature.hierarchy is not None:
        yield _of("EXACT_VALUE", feature, "missing; an exact number never enters a view", "T37964", key="edges")
        return
    if any(low >= high for low, high in pairwise(feature.edges)):
        yield _of("EDGES_ORDER", feature, "must ascend", key="edges")
    if len(feature.edges) + 1 > MAX_BINS:
        rule = f"more than {MAX_BINS} bins are exact values in disguise"
        yield _of("TOO_MANY_BINS", feature, rule, "T37964", key="edges")
    if _BIN.match(feature.missing):
        yield _of("MISSING_LIKE_A_BIN", feature, "must not begin as the label of a bin does", key="missing")
    for fine, coarse in pairwise((feature.edges, *feature.coarser)):
        if not coarse or not set(coarse) < set(fine) or any(low >= high for low, high in pairwise(coarse)):
            rule = "each level keeps some of the edges of the one before, ascending"
            yield _of("COARSER_NOT_NESTED", feature, rule, key="coarser")


def _hierarchy(table: HierarchyTable) -> Iterator[str]:
    file = f"hierarchies/{table.name}.csv"
    if not table.source:
        yield f"{file}: comment: say where the tree comes from (a line that begins with #)"
    if not table.rows or len(table.rows[0]) < 2:
        yield f"{file}: rows: leaf;…;* expected"
        return
    parents: dict[tuple[int, str], str] = {}
    for number, row in enumerate(table.rows, 1):
        if len(row) != len(table.rows[0]) or not all(cell.strip() for cell in row):
            yield f"{file}: row {number}: not as deep as the first, or an empty cell"
        elif row[-1] != "*":
            yield f"{file}: row {number}: the last cell must be *"
        for level, (node, parent) in enumerate(pairwise(row)):
            if parents.setdefault((level, node), parent) != parent:
                yield f"{file}: row {number}: a node of level {level} has two parents"
    if len({row[0] for row in table.rows if row}) != len(table.rows):
        yield f"{file}: rows: a leaf is listed twice"
    # who reads a release sees labels alone, not their levels
    leaves_of: dict[tuple[int, str], list[int]] = {}
    for number, row in enumerate(table.rows, 1):
        for level, label in enumerate(row):
            leaves_of.setdefault((level, label), []).append(number)
    groups: dict[str, list[int]] = {}
    for (_, label), leaves in leaves_of.items():
        if groups.setdefault(label, leaves) != leaves:
            yield f"{file}: row {leaves[0]}: one label stands for two groups of leaves"


def _places(policy: Policy) -> Iterator[str]:
    file = "lookups/prefecture.csv"
    codes = [place.code for place in policy.prefectures]
    if len(set(codes)) != len(codes) or len({place.name for place in policy.prefectures}) != len(codes):
        yield f"{file}: a code or a name is listed twice"
    for table, names in (
        ("city_tier", {place.city_tier for place in policy.prefectures}),
        ("region", {place.name for place in policy.prefectures}),
    ):
        if table in policy.hierarchies and names - {row[0] for row in policy.hierarchies[table].rows}:
            yield f"{file}: some are not leaves of hierarchies/{table}.csv"


def _calendars(policy: Policy) -> Iterator[str]:
    for year in policy.calendars.values():
        file = f"calendars/cn-{year.year}.yaml"
        if any(day.weekday() < 5 for day in year.working_weekends):
            yield f"{file}: working_weekends: a weekday is not a working weekend"
        if year.working_weekends & year.holidays:
            yield f"{file}: working_weekends: a day is both holiday and working day"
        if any(day.year != year.year for day in year.working_weekends | year.holidays):
            yield f"{file}: a day of another year"
