"""The meaning of a rule as one text: rules that mean the same members, however they are written, are one.

Guarantee: two rules over one view have the same canonical form exactly if they match the same tuples of leaves, as long
as no more than MAX_CELLS distinguishable tuples have to be tried; beyond that the form is that of the rule as written,
so that a paraphrase counts as another question (and is paid for as one).
"""

import hashlib
import json
from math import prod

import numpy as np

from pdms.segments.compiled import CompiledRule
from pdms.segments.rules import to_document

MAX_CELLS = 1 << 20


def canonical(rule: CompiledRule) -> str:
    """Return the SHA-256 of what the rule means over its view's leaves, hex."""
    return hashlib.sha256(_form(rule).encode()).hexdigest()


def _form(rule: CompiledRule) -> str:
    kind_of_leaf, tried = {}, {}
    for name in rule.features:
        contributions = np.stack([table for (_, feature), table in rule.tables.items() if feature == name])
        _, first, kinds = np.unique(contributions, axis=1, return_index=True, return_inverse=True)
        kind_of_leaf[name], tried[name] = kinds.reshape(-1), first
    names = sorted(rule.features)
    shape = [len(tried[name]) for name in names]
    if prod(shape) > MAX_CELLS:
        return _text({"as_written": to_document(rule.rule)})
    grid = np.indices(shape).reshape(len(shape), -1)
    hit = rule.mask_codes({name: tried[name][grid[axis]] for axis, name in enumerate(names)})
    table = np.broadcast_to(hit, grid.shape[1]).reshape(shape)
    told = {}
    for axis, name in enumerate(names):
        rows = np.moveaxis(table, axis, 0).reshape(table.shape[axis], -1)
        _, alike = np.unique(rows, axis=0, return_inverse=True)
        leaves = alike.reshape(-1)[kind_of_leaf[name]]
        # numbered as the leaves come, so that the numbers say nothing of how the rule was written
        _, first = np.unique(leaves, return_index=True)
        order = np.argsort(np.argsort(first))
        classes = order[np.searchsorted(np.unique(leaves), leaves)]
        table = np.take(table, kind_of_leaf[name][np.sort(first)], axis=axis)
        if len(first) > 1:
            told[name] = dict(zip(rule.space[name].leaves, classes.tolist(), strict=True))
    return _text({"leaves": told, "table": np.packbits(table.reshape(-1)).tobytes().hex()})


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
