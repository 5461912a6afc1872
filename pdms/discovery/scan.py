"""A table of strings in, a proposal for each of its columns out.

Guarantee: the order of the columns is kept and no value leaves. Reading files is the business of `ingest`.
"""

from collections.abc import Mapping, Sequence

from pdms.discovery.columns import ColumnProposal, classify


def scan_table(columns: Mapping[str, Sequence[str]]) -> tuple[ColumnProposal, ...]:
    """Return one proposal for each column of a sample (some hundred values of each do)."""
    return tuple(classify(header, values) for header, values in columns.items())
