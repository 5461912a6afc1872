"""Hierarchies as staff see them: those of the policy, those that views cut by edges, and standards not yet taken over.

Guarantees: what is shown is public reference data or the policy's own words, never drawn from members; what is taken
into a policy has passed every rule of `anonymize.hierarchy_files` and names its source. Deliberately not here: writing
into the policy's folder; that is the face's, and the policy takes force by its own act.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pdms.anonymize.hierarchies import Hierarchy, from_rows
from pdms.anonymize.hierarchy_files import Examined, examine, text_of
from pdms.errors import InvalidInput, NotFound
from pdms.policy import standards
from pdms.policy.definitions import Policy
from pdms.taxonomy import Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views.definitions import space_of

Origin = Literal["policy", "view", "standard"]
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
MOST_NODES = 200
"""Nodes of a tree that are shown at once; an export holds all."""


@dataclass(frozen=True, slots=True)
class HierarchyInfo:
    """One hierarchy: `nodes` are the labels of each level, leaves first; `used_by` the features that it cuts."""

    name: str
    origin: Origin
    leaves: int
    nodes: tuple[int, ...]
    used_by: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A label of a tree with the leaves that it covers; `level` 0 are the leaves, `depth` 0 is the root."""

    label: str
    level: int
    depth: int
    leaves: int


@dataclass(frozen=True, slots=True)
class HierarchyShown:
    """A hierarchy with its tree from the root down, `MOST_NODES` nodes at most; `left_off` nodes are not shown.

    A node that only repeats the label above it (`unknown` below `unknown`) is no line of its own.
    """

    info: HierarchyInfo
    tree: tuple[TreeLine, ...]
    left_off: int


@dataclass(frozen=True, slots=True)
class HierarchyFile:
    """A hierarchy as a file in ARX's form."""

    name: str
    filename: str
    content: bytes
    leaves: int


def list_hierarchies(uow: AnonUnitOfWork) -> tuple[HierarchyInfo, ...]:
    """List the hierarchies of the policy, of its views' edges (`view.feature`), and the standards beside them."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    return tuple(_found(uow.policy, name)[0] for name in _names(uow.policy))


def show_hierarchy(uow: AnonUnitOfWork, *, name: str) -> HierarchyShown:
    """Return a hierarchy's tree. :raises NotFound: there is none of that name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    info, tree = _found(uow.policy, name)
    lines, shown = _tree(tree)
    return HierarchyShown(info, lines, sum(info.nodes) - shown)


def export_hierarchy(uow: AnonUnitOfWork, *, name: str) -> HierarchyFile:
    """Return a hierarchy in ARX's CSV form. :raises NotFound: there is none of that name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    info, tree = _found(uow.policy, name)
    return HierarchyFile(name, f"{name.replace('.', '-')}.csv", tree.to_arx().encode(), info.leaves)


def check_hierarchy(uow: AnonUnitOfWork, *, name: str, values: Sequence[str] | None = None) -> Examined:
    """Examine a hierarchy of the policy or of a standard as a file is examined. :raises NotFound: none of that name."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    info, tree = _found(uow.policy, name)
    return examine(name, text_of(tree, source=info.source or name).encode(), values=values)


def take_over(uow: AnonUnitOfWork, *, name: str, content: bytes, source: str = "", delimiter: str = ";") -> str:
    """Return the text of `policies/hierarchies/<name>.csv` for a file or a standard that passes every rule.

    :param source: where the tree comes from; default: the comment lines of the file itself.
    :raises InvalidInput: the file breaks a rule, names no source, or the policy has a hierarchy of that name.
    """
    uow.require(Scope.COMPLIANCE, Scope.ADMIN)
    if not NAME.fullmatch(name):
        raise InvalidInput("name: small letters, digits and _")
    if name in uow.policy.hierarchies:
        raise InvalidInput("name: the policy has a hierarchy of that name; take another, or edit its file")
    found = examine(name, content, delimiter=delimiter)
    if found.hierarchy is None or not found.ok:
        rules = sorted({one.rule.value for one in found.findings if one.severity == "error"})
        raise InvalidInput(f"hierarchy: it breaks {', '.join(rules)}; `pdms view hierarchy check` tells the lines")
    return text_of(found.hierarchy, source=source or found.source)


def standard_content(name: str) -> bytes:
    """Return the file of a standard that pdms ships. :raises NotFound: none of that name."""
    content = standards.content_of(name)
    if content is None:
        raise NotFound(f"hierarchy: no standard of that name; there are {', '.join(standards.names())}")
    return content


def _names(policy: Policy) -> list[str]:
    cut = [f"{view.name}.{f.name}" for _, view in sorted(policy.views.items()) for f in view.features if f.edges]
    beside = [name for name in standards.names() if name not in policy.hierarchies]
    return [*sorted(policy.hierarchies), *cut, *beside]


def _found(policy: Policy, name: str) -> tuple[HierarchyInfo, Hierarchy]:
    if name in policy.hierarchies:
        table = policy.hierarchies[name]
        used = [f"{v.name}.{f.name}" for v in policy.views.values() for f in v.features if f.hierarchy == name]
        return _info(from_rows(name, table.rows), "policy", sorted(used), table.source)
    view, _, feature = name.partition(".")
    definition = policy.views.get(view)
    if definition is not None and feature in {one.name for one in definition.features}:
        source = f"edges that views/{view}.yaml declares"
        return _info(space_of(policy, view)[feature], "view", [name], source, name)
    if name in standards.names():
        found = examine(name, standard_content(name))
        if found.hierarchy is not None:
            return _info(found.hierarchy, "standard", [], found.source)
    raise NotFound("hierarchy: none of that name; see `pdms view hierarchy list`")


def _info(
    tree: Hierarchy, origin: Origin, used: Sequence[str], source: str, name: str = ""
) -> tuple[HierarchyInfo, Hierarchy]:
    nodes = tuple(len(level) for level in tree.labels)
    return HierarchyInfo(name or tree.name, origin, len(tree.leaves), nodes, tuple(used), source), tree


def _tree(hierarchy: Hierarchy) -> tuple[tuple[TreeLine, ...], int]:
    """Return the tree in the order of reading, as many whole levels as fit, and how many nodes these levels have."""
    sizes = [len(level) for level in hierarchy.labels]
    lowest, shown = len(sizes) - 1, 1
    while lowest > 0 and shown + sizes[lowest - 1] <= MOST_NODES:
        lowest -= 1
        shown += sizes[lowest]
    lines = []
    for leaf in range(sizes[0]):
        above, depth = "", 0
        for level in reversed(range(lowest, len(sizes))):
            node = int(hierarchy.ancestors[level, leaf])
            first, last = hierarchy.leaf_range(level, node)
            label = hierarchy.labels[level][node]
            if label != above:
                if first == leaf:  # a node stands once, before its first leaf
                    lines.append(TreeLine(label, level, depth, last - first))
                depth += 1
            above = label
    return tuple(lines), shown


def delimiter_of(text: str) -> str:
    """Return a delimiter that a file may use. :raises InvalidInput: another."""
    known = {";": ";", ",": ",", "tab": "\t", "\t": "\t"}
    if text not in known:
        raise InvalidInput("delimiter: one of ; , tab")
    return known[text]
