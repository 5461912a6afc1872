"""Lint of what marketing may see and of reference data: views, features, hierarchies, places, calendars.

Guarantee: a view that would hold an identifier, a token, an exact value or more than six features does not load. Pure.
"""

from collections.abc import Iterator
from itertools import pairwise

from pdms.policy.definitions import Feature, HierarchyTable, Policy, Purpose, SensitiveFeature, View
from pdms.policy.measures import IDENTIFYING, MEASURES

MAX_FEATURES = 6
MAX_BINS = 32
"""A number cut into more bins than this is an exact value in disguise."""


def view_problems(policy: Policy) -> Iterator[str]:
    """Yield every rule that views and reference data break, as `file: place: rule (article)`."""
    for view in policy.views.values():
        yield from _view(policy, view)
    for table in policy.hierarchies.values():
        yield from _hierarchy(table)
    yield from _places(policy)
    yield from _calendars(policy)


def _view(policy: Policy, view: View) -> Iterator[str]:
    file = f"views/{view.name}.yaml"
    purpose = policy.purposes.get(view.purpose)
    if purpose is None:
        yield f"{file}: purpose: no such purpose"
        return
    if purpose.view_k is None or purpose.view_min_cell is None or purpose.view_risk is None:
        yield f"{file}: purpose: {view.purpose} publishes no view"
    else:
        if view.k < purpose.view_k:
            yield f"{file}: k: the purpose asks for {purpose.view_k} at least (T37964)"
        if view.min_cell < purpose.view_min_cell:
            yield f"{file}: min_cell: the purpose asks for {purpose.view_min_cell} at least"
        if view.risk_threshold > purpose.view_risk:
            yield f"{file}: risk_threshold: the purpose allows {purpose.view_risk} at most (T37964)"
    if 1 / view.k > view.risk_threshold + 1e-12:
        yield f"{file}: k: 1/k exceeds the risk threshold (T37964)"
    if len(view.features) > MAX_FEATURES:
        yield f"{file}: features: {len(view.features)}; {MAX_FEATURES} at most (T37964)"
    for consumer in view.consumers:
        if consumer not in policy.roles:
            yield f"{file}: consumers: {consumer} is not a role"
    if view.sensitive is not None:
        yield from _sensitive(policy, view, view.sensitive, file)
    measures = [feature.measure for feature in view.features]
    for feature in view.features:
        yield from _feature(policy, purpose, feature, file)
        if measures.count(feature.measure) > 1:
            yield f"{file}: features.{feature.name}: its measure is cut twice; two cuts refine each other (T37964)"


def _sensitive(policy: Policy, view: View, sensitive: SensitiveFeature, file: str) -> Iterator[str]:
    feature = next((one for one in view.features if one.name == sensitive.feature), None)
    if feature is None:
        yield f"{file}: sensitive.feature: not a feature of the view"
        return
    if len(view.features) < 2:
        yield f"{file}: sensitive.feature: the view has no other feature"
    table = policy.hierarchies.get(feature.hierarchy or "")
    values = len(feature.edges) + 1 if feature.edges is not None else len(table.rows) if table is not None else 0
    if sensitive.diversity is not None and values and sensitive.l > values:
        yield f"{file}: sensitive.diversity.l: the feature has only {values} values"
    if sensitive.t is not None and sensitive.distance == "ordered" and feature.edges is None:
        yield f"{file}: sensitive.closeness.distance: ordered needs a number; a category has no order"


def _feature(policy: Policy, purpose: Purpose, feature: Feature, file: str) -> Iterator[str]:
    place = f"{file}: features.{feature.name}"
    direct = IDENTIFYING | {field.name for field in policy.fields.values() if field.direct_identifier}
    if feature.name in direct or feature.measure in direct:
        yield f"{place}: an identifier or token never enters a view (PIPL-4, 73)"
        return
    measure = MEASURES.get(feature.measure)
    if measure is None:
        yield f"{place}.measure: unknown; one of {', '.join(MEASURES)}"
        return
    category = next((c.name for c in policy.categories.values() if measure.fact in c.facts), "")
    if category not in purpose.categories:
        yield f"{place}: its data ({category}) are not of purpose {purpose.name} (PIPL-6-2)"
    if measure.kind == "number":
        yield from _cuts(feature, place)
    elif feature.hierarchy is None or feature.edges is not None:
        yield f"{place}: a category needs a hierarchy, and no edges"
    elif feature.hierarchy not in policy.hierarchies:
        yield f"{place}.hierarchy: no such file in hierarchies/"
    elif feature.missing not in {row[0] for row in policy.hierarchies[feature.hierarchy].rows if row}:
        yield f"{place}.missing: not a leaf of the hierarchy"


def _cuts(feature: Feature, place: str) -> Iterator[str]:
    if feature.edges is None or feature.hierarchy is not None:
        yield f"{place}.edges: missing; an exact number never enters a view (T37964)"
        return
    if any(low >= high for low, high in pairwise(feature.edges)):
        yield f"{place}.edges: must ascend"
    if len(feature.edges) + 1 > MAX_BINS:
        yield f"{place}.edges: more than {MAX_BINS} bins are exact values in disguise (T37964)"
    for fine, coarse in pairwise((feature.edges, *feature.coarser)):
        if not set(coarse) < set(fine) or any(low >= high for low, high in pairwise(coarse)):
            yield f"{place}.coarser: each level keeps some of the edges of the one before, ascending"


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
