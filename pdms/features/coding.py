"""From exact columns to leaf codes, inside the engine: the same cut as `Hierarchy.encode` and `encode_numbers` make.

Guarantees: every row gets a code of its hierarchy; a category that the hierarchy does not list becomes `other` or
`unknown`, and how many did is counted. A property test keeps this equal to the hierarchies' own coding.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pdms.anonymize.hierarchies import Hierarchy
from pdms.views.definitions import leaf_of

if TYPE_CHECKING:
    import pyarrow as pa


UNLISTED, MEMBERS = "0_unlisted_", "0_members"
"""Names of columns that are ours; a feature's begins with a letter."""


def coded(exact: Any, space: Mapping[str, Hierarchy], given: "Callable[[str, pa.Table], Any]") -> Any:
    """Return an Ibis table: `pseudonym`, an int32 leaf code for each feature, for each category `0_unlisted_…`.

    That is int64, 1 where a subject holds a value that the hierarchy lacks.

    :param given: hands rows to the engine and returns them as an Ibis table. Leaves are joined, not compared one by
        one: a category may have thousands of them.
    """
    import pyarrow as pa

    columns = {}
    for number, (name, hierarchy) in enumerate(space.items()):
        if hierarchy.edges:
            columns[name] = _bin(exact[name], hierarchy)
            continue
        leaf, code = f"0_leaf_{number}", f"0_code_{number}"
        codes = pa.array(range(len(hierarchy.leaves)), pa.int32())
        leaves = given(f"leaves_{number}", pa.table({leaf: pa.array(hierarchy.leaves, pa.string()), code: codes}))
        exact = exact.left_join(leaves, exact[name] == leaves[leaf])
        columns[name] = _place(exact[name], exact[code], hierarchy)
        columns[UNLISTED + name] = (exact[name].notnull() & exact[code].isnull()).cast("int64")
    return exact.select("pseudonym", **columns)


def labelled(exact: Any, space: Mapping[str, Hierarchy]) -> Any:
    """Return `exact` with every category replaced by the leaf that it counts as."""
    return exact.mutate(
        **{name: _leaf(exact[name], hierarchy) for name, hierarchy in space.items() if not hierarchy.edges}
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


def _place(column: Any, code: Any, hierarchy: Hierarchy) -> Any:
    absent, unlisted = (hierarchy.leaves.index(label) for label in leaf_of(hierarchy))
    return column.isnull().ifelse(absent, code.fill_null(unlisted)).cast("int32")
