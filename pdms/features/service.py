"""A feature view's columns, computed from facts for an eligible set. Importing it loads no data library.

Guarantees: nothing is computed for a pseudonym that was not asked for; what goes on to anonymisation is a frequency
table of leaf codes, without ids; exact values are handed out to `dispatch` only, inside the boundary. One instant (the
unit's) holds for the whole computation.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pdms.facts import service as facts
from pdms.policy.definitions import Policy, View
from pdms.settings import Home
from pdms.taxonomy import ID_BYTES, Pseudonym
from pdms.unit_of_work import UnitOfWork
from pdms.views.definitions import space_of

if TYPE_CHECKING:
    import pyarrow as pa

    from pdms.anonymize import FrequencyTable
    from pdms.facts.read import FactsReader


@dataclass(frozen=True, slots=True)
class Computed:
    """A view over an eligible set.

    `frequency`: distinct tuples of leaf codes, one column for each of `features`, with how many subjects hold each.
    `uncovered`: for each category, how many subjects hold a value that its hierarchy does not list.
    `rows`: where asked for, `pseudonym` and an int32 leaf code for each feature.
    """

    features: tuple[str, ...]
    frequency: "FrequencyTable"
    uncovered: dict[str, int]
    rows: "pa.Table | None"


@dataclass(frozen=True, slots=True)
class Exact:
    """Exact columns, aligned with `pseudonyms`: float64 with NaN where absent, or leaf labels. Identified side only."""

    pseudonyms: list[Pseudonym]
    columns: dict[str, Any] = field(repr=False)


def compute_at(
    home: Home, policy: Policy, *, view: View, pseudonyms: Sequence[Pseudonym], now: datetime, rows: bool = False
) -> Computed:
    """Compute the frequency table of `view` for `pseudonyms` (each once) as of `now`, and the coded rows where asked.

    Facts are read once; distinct tuples are counted by one GROUP BY, whose result alone leaves the engine unless `rows`
    is set. Needs no unit, so that a long computation holds no transaction.
    """
    import numpy as np

    from pdms.anonymize import tabulate
    from pdms.features import coding

    space = space_of(policy, view.name)
    names = tuple(space)
    with _exact(home, view, pseudonyms, now) as (reader, exact):
        coded = reader.keep("coded", coding.coded(exact, space, reader.given))
        categories = [name for name, hierarchy in space.items() if not hierarchy.edges]
        flags = [coding.UNLISTED + name for name in categories]
        beyond = {flag: coded[flag].sum().cast("int64") for flag in flags}
        counts = {coding.MEMBERS: coded.count().cast("int64"), **beyond}
        counted = reader.fetch(coded.group_by(*names).agg(**counts))
        codes = np.stack([np.asarray(counted[name], dtype=np.int32) for name in names], axis=1)
        table, _ = tabulate(codes, counts=np.asarray(counted[coding.MEMBERS], dtype=np.int64))
        return Computed(
            features=names,
            frequency=table,
            uncovered={name: int(np.asarray(counted[coding.UNLISTED + name]).sum()) for name in categories},
            rows=reader.fetch(coded.select("pseudonym", *names)) if rows else None,
        )


def exact_columns(uow: UnitOfWork, *, view: View, pseudonyms: Sequence[Pseudonym]) -> Exact:
    """Return the exact columns of `view`, for evaluating a segment's rule inside the boundary.

    A subject who has left facts meanwhile is among them still, with the values of one without data.
    """
    import numpy as np

    from pdms.features import coding

    space = space_of(uow.policy, view.name)
    with _exact(uow.home, view, pseudonyms, uow.now) as (reader, exact):
        found = reader.fetch(coding.labelled(exact, space))
    columns: dict[str, Any] = {}
    for name, hierarchy in space.items():
        if hierarchy.edges:
            columns[name] = np.asarray(found[name].to_pandas(), dtype=np.float64)
        else:
            columns[name] = np.asarray(found[name].to_pylist(), dtype=object)
    return Exact(pseudonyms=[Pseudonym(value) for value in found["pseudonym"].to_pylist()], columns=columns)


@contextmanager
def _exact(
    home: Home, view: View, pseudonyms: Sequence[Pseudonym], now: datetime
) -> Iterator[tuple["FactsReader", Any]]:
    import pyarrow as pa

    from pdms.features import measures

    asked = pa.table({"pseudonym": pa.array(pseudonyms, pa.binary(ID_BYTES)).cast(pa.binary())})
    with facts.compute(home) as reader:
        yield reader, measures.exact(reader.table, reader.given("subjects", asked), view, now=now)
