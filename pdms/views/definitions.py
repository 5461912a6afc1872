"""From a feature view of the policy to the space that it is published in: one hierarchy for each feature.

Guarantees: every column of a view is coarsened by declared edges or a hierarchy, and none identifies anybody; a view
that holds an identifier, a token or an exact value gives no space, whoever loaded it (PIPL-4, 73(3)(4)). Numbers have
a leaf for an absent value only where one can be absent; categories always have one.
Deliberately not here: edges drawn from data.
"""

from pdms.anonymize.hierarchies import ROOT, Hierarchy, from_edges, from_rows
from pdms.errors import InvalidInput, NotFound
from pdms.policy.definitions import Feature, Policy, View
from pdms.policy.measures import IDENTIFYING, MEASURES, Measure
from pdms.taxonomy import Scope

UNKNOWN = "unknown"
"""Leaf of what nobody stated."""
OTHER = "other"
"""Leaf of what the hierarchy does not list, where it has such a leaf."""

MOST_FEATURES = 6
MAY_BE_ABSENT = frozenset(m.name for m in MEASURES.values() if m.kind == "number" and m.absent == "none")
"""Numbers that a member may lack: no month of registration, no order to take the mean of."""
COUNTED = frozenset({"days", "count"})
"""Units of whole numbers, whose bins are labelled `30-89` rather than `[30,90)`."""


def view_of(policy: Policy, name: str) -> View:
    """Return a view's definition. :raises NotFound: the policy has none of that name."""
    view = policy.views.get(name)
    if view is None:
        raise NotFound("view: the policy defines none of that name")
    return view


def space_of(policy: Policy, view: str) -> dict[str, Hierarchy]:
    """Return the hierarchy of each feature of a view, in the view's order.

    :raises NotFound: no such view. :raises InvalidInput: it must not be published as it is defined.
    """
    definition = view_of(policy, view)
    if not 1 <= len(definition.features) <= MOST_FEATURES:
        raise InvalidInput(f"view {view}: it needs between 1 and {MOST_FEATURES} features")
    names = [feature.name for feature in definition.features]
    if len(set(names)) != len(names):
        raise InvalidInput(f"view {view}: two features bear one name")
    return {feature.name: _hierarchy(policy, definition, feature) for feature in definition.features}


def measure_of(view: str, feature: Feature) -> Measure:
    """Return what a feature measures. :raises InvalidInput: it identifies, or nobody can compute it."""
    if {feature.name, feature.measure} & IDENTIFYING:
        raise InvalidInput(f"view {view}: feature {feature.name} is an identifier or a token")
    if feature.measure not in MEASURES:
        raise InvalidInput(f"view {view}: feature {feature.name} has no known measure")
    return MEASURES[feature.measure]


def readers_of(policy: Policy, view: View) -> frozenset[str]:
    """Return the roles that read releases of a view and no exact data besides: its consumers but officers."""
    officers = {role.name for role in policy.roles.values() if Scope.COMPLIANCE in role.scopes}
    return frozenset(view.consumers) - officers


def categories_of(policy: Policy, view: View) -> tuple[str, ...]:
    """Return the data categories whose facts a view reads: what a member must have agreed to be profiled by."""
    tables = {measure_of(view.name, feature).fact for feature in view.features}
    return tuple(name for name, category in policy.categories.items() if tables & set(category.facts))


def _hierarchy(policy: Policy, definition: View, feature: Feature) -> Hierarchy:
    view = definition.name
    measure = measure_of(view, feature)
    if measure.kind == "number":
        if not feature.edges:
            raise InvalidInput(f"view {view}: feature {feature.name} is an exact number without edges")
        whole = measure.unit in COUNTED and all(edge == int(edge) for edge in feature.edges)
        return from_edges(
            feature.name,
            feature.edges,
            coarser=feature.coarser or None,
            open_low=True,
            open_high=True,
            missing=feature.missing if feature.measure in MAY_BE_ABSENT else None,
            style="integer" if whole else "interval",
            runs=definition.numbers == "tight",
        )
    if feature.hierarchy is None or feature.hierarchy not in policy.hierarchies:
        raise InvalidInput(f"view {view}: feature {feature.name} is a category without a hierarchy")
    rows = list(policy.hierarchies[feature.hierarchy].rows)
    if feature.missing not in {row[0] for row in rows}:
        depth = len(rows[0])
        rows.append((*[feature.missing] * (depth - 1), ROOT) if rows[0][-1] == ROOT else (feature.missing,) * depth)
    return from_rows(feature.name, rows, missing=feature.missing)


def order_of(hierarchy: Hierarchy) -> tuple[tuple[str, ...], str | None]:
    """Return the leaves in their order without that of absent values, and that one, if there is one."""
    return tuple(leaf for leaf in hierarchy.leaves if leaf != hierarchy.missing), hierarchy.missing


def leaf_of(hierarchy: Hierarchy) -> tuple[str, str]:
    """Return the leaf labels that stand for an absent value and for one that the hierarchy does not list."""
    absent = hierarchy.missing or UNKNOWN
    return absent, OTHER if OTHER in hierarchy.leaves else absent
