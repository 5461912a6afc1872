"""A plan's arithmetic, and its estimates against what a publication then takes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.features import plan, service
from pdms.publish import release
from pdms.settings import Engine
from pdms.views.definitions import space_of

FACTOR = 2
"""Within which the expected tuples hold where a tenth was sampled; docs/scale.md says so."""


def counts_of(members: np.ndarray) -> np.ndarray:
    return np.unique(members, return_counts=True)[1]


def told(**changed) -> plan.Sizes:
    given = {
        "rows": 1000, "held": 1000, "counts": np.full(100, 100), "most": 5000, "features": 6, "k": 10,
        "facts_rows": 3000, "facts_bytes": 90_000, "passes": 2, "memory": 1 << 30, "engine": Engine.DUCKDB,
    }  # fmt: skip
    return plan.sizes(**given | changed)


@pytest.mark.parametrize("weights", ["even", "zipf", "few", "unique"])
def test_tuples_expected_from_a_tenth_hold_within_the_stated_factor(weights):
    rng = np.random.default_rng(4)
    cells = {"even": 5_000, "zipf": 20_000, "few": 40, "unique": 10**9}[weights]
    members = (rng.zipf(1.3, 50_000) % cells) if weights == "zipf" else rng.integers(0, cells, 50_000)
    expected = plan.expected_tuples(counts_of(members[:5_000]), rows=50_000, most=cells)
    truth = len(np.unique(members))
    assert truth / FACTOR <= expected <= truth * FACTOR
    fewer = plan.expected_tuples(counts_of(members), rows=5_000, most=cells)
    assert fewer == pytest.approx(len(np.unique(members[:5_000])), rel=0.1)


def test_tuples_never_exceed_the_leaves_nor_the_rows():
    alone = np.ones(1000, dtype=np.int64)
    assert plan.expected_tuples(alone, rows=10**9, most=4096) == 4096
    assert plan.expected_tuples(alone, rows=10**9, most=10**12) == 10**9
    assert plan.expected_tuples(alone, rows=1, most=4096) == 1
    assert plan.expected_tuples(np.empty(0, dtype=np.int64), rows=10, most=4096) == 0


def test_sizes_are_what_the_formulas_say():
    size = told(rows=10_000)
    assert (size.facts_rows, size.facts_bytes) == (30_000, 900_000)
    assert size.tuples == 100  # all hundred were seen a hundred times
    assert size.frequency == 100 * (6 * 4 + 8)
    assert size.subjects == 10_000 * plan.SUBJECT_BYTES
    assert size.shuffle == 0
    assert told(rows=10_000, engine=Engine.SPARK).shuffle == 30_000 * 64 + 10_000 * 3 * 64
    assert size.process == plan.BASE_BYTES + size.subjects + size.engine + size.frequency
    large = told(rows=10**9, memory=1)
    assert large.process == plan.BASE_BYTES + large.subjects + large.rows_in_memory


def test_a_plan_for_ten_to_the_nine_says_what_does_not_fit():
    size = told(rows=10**9, held=10**4, facts_bytes=10**7, counts=np.ones(10_000, dtype=np.int64), most=10**12)
    notes = " ".join(en for en, _ in plan._notes(size, Engine.DUCKDB, 10**4, 10**4))
    for word in ("100,000 times", "order of magnitude", "--engine spark", "distinct tuples", "docs/scale.md"):
        assert word in notes
    assert plan._notes(told(), Engine.DUCKDB, 1000, 1000) == []
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in step.what_zh) for step in plan.steps(size, Engine.SPARK))


def test_bounds_hold_on_a_release_that_was_made(uow, views):
    """Sizes planned from a tenth of the members are not exceeded, tuples lie within the factor."""
    rng = np.random.default_rng(8)
    view = replace(next(v for v in views if any(f.measure == "spend" for f in v.features)), k=5)
    raw = rng.bytes(16 * 4_000)
    people = [raw[n : n + 16] for n in range(0, len(raw), 16)]
    import pyarrow as pa

    orders = pa.table(
        {
            "pseudonym": pa.array(people, pa.binary(16)),
            "order_id": [str(n) for n in range(4_000)],
            "placed_at": pa.array(
                [int(uow.now.timestamp() - d * 86_400) for d in rng.integers(0, 400, 4_000)], pa.timestamp("s", "UTC")
            ),
            "amount": pa.array(rng.integers(1, 900, 4_000).astype(np.int32)).cast(pa.decimal128(18, 2)),
            "status": ["completed"] * 4_000,
            "invoiced": [False] * 4_000,
        }
    )
    facts.append(uow, FactTable.ORDERS, orders, load_id="plan", batch=0)
    sample = service.compute_at(uow.home, uow.policy, view=view, pseudonyms=people[:400], now=uow.now).frequency.counts
    held = facts.sizes(uow.home, [FactTable.ORDERS])
    assert held.rows == 4_000
    space = space_of(uow.policy, view.name)
    size = told(
        rows=4_000, held=4_000, counts=sample, most=math.prod(len(h.leaves) for h in space.values()),
        features=len(space), k=view.k, facts_rows=held.rows, facts_bytes=held.bytes,
    )  # fmt: skip
    whole = service.compute_at(uow.home, uow.policy, view=view, pseudonyms=people, now=uow.now).frequency
    made = release.make(view, whole, space)
    assert len(whole.counts) / FACTOR <= size.tuples <= min(size.tuples_most, len(whole.counts) * FACTOR)
    assert whole.codes.nbytes + whole.counts.nbytes <= size.frequency * FACTOR
    assert len(made.data) <= size.release
