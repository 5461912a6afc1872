"""From exact columns to leaf codes, inside the engine: the same cut as `Hierarchy.encode` and `encode_numbers` make.

Guarantees: every row gets a code of its hierarchy; a category that the hierarchy does not list becomes `other` or
`unknown`, and how many did is counted. A property test keeps this equal to the hierarchies' own coding.
"""

from collections.abc import Mapping
from typing import Any

from pdms.anonymize.hierarchies import Hierarchy
from pdms.views.definitions import leaf_of


def coded(exact: Any, space: Mapping[str, Hierarchy]) -> Any:
    """Return an Ibis table with `pseudonym` and an int32 leaf code for each feature."""
    columns = {
        name: _bin(exact[name], hierarchy) if hierarchy.edges else _place(exact[name], hierarchy)
        for name, hierarchy in space.items()
    }
    return exact.select("pseudonym", **columns)


def labelled(exact: Any, space: Mapping[str, Hierarchy]) -> Any:
    """Return `exact` with every category replaced by the leaf that it counts as."""
    return exact.mutate(
        **{name: _leaf(exact[name], hierarchy) for name, hierarchy in space.items() if not hierarchy.edges}
    )


def uncovered(exact: Any, space: Mapping[str, Hierarchy]) -> Any:
    """Return a one-row Ibis table: for each category, how many subjects hold a value that the hierarchy lacks."""
    return exact.agg(
        **{
            name: (exact[name].notnull() & exact[name].notin(list(hierarchy.leaves))).cast("int64").sum().cast("int64")
            for name, hierarchy in space.items()
            if not hierarchy.edges
        }
    )


def _bin(column: Any, hierarchy: Hierarchy) -> Any:
    import ibis

    lowest = 0 if hierarchy.open_low else -1
    passed = [(column < edge, lowest + place) for place, edge in enumerate(hierarchy.edges)]
    if hierarchy.missing is not None:
        passed.insert(0, (column.isnull(), len(hierarchy.leaves) - 1))
    return ibis.cases(*passed, else_=lowest + len(hierarchy.edges)).cast("int32")


def _leaf(column: Any, hierarchy: Hierarchy) -> Any:
    import ibis

    absent, unlisted = leaf_of(hierarchy)
    return ibis.cases((column.isnull(), absent), (column.isin(list(hierarchy.leaves)), column), else_=unlisted)


def _place(column: Any, hierarchy: Hierarchy) -> Any:
    import ibis

    leaf = _leaf(column, hierarchy)
    return ibis.cases(*[(leaf == label, code) for code, label in enumerate(hierarchy.leaves)], else_=-1).cast("int32")
