"""A whole publication at 10^4 to 10^7 members: features, frequency table, classes, bytes; time and memory of each size.

Every size is a process of its own, since only that tells its memory: peak resident set, the interpreter, the libraries
and DuckDB (limited to 1 GB) included. Facts are made: orders for two members of three, attributes for all. What the
gate and the vault do before is measured in their own benchmarks.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
VIEW = "member_value"
GOALS = {10_000_000: (60.0, 4.0)}
"""Of the anonymisation: seconds of CPU; of all: GB."""


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield rows for each size: CPU seconds of each step, distinct tuples, memory."""
    for members in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory(prefix="pdms-bench-") as folder:
            for step in ("fill", "measure"):
                answer = subprocess.run(
                    [sys.executable, str(Path(__file__)), step, folder, str(members)],
                    check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
                )  # fmt: skip
        found = json.loads(answer.stdout)
        seconds, memory = GOALS.get(members, (None, None))
        for name in ("features", "anonymise", "write"):
            yield _row(members, name, found[name], "s CPU", seconds if name == "anonymise" else None)
        yield _row(members, "tuples", found["tuples"], "distinct", None)
        yield _row(members, "release", found["bytes"], "bytes", None)
        yield _row(members, "memory", found["memory"], "GB", memory)
        yield _row(members, "memory before", found["before"], "GB", None)


def _row(members: int, name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    return {
        "bench": "scale", "case": f"{members:,} members: {name}", "members": members, "figure": name, "value": value,
        "unit": unit, "peer": None, "ratio": None, "goal": goal, "met": None if goal is None else value <= goal,
    }  # fmt: skip


def _fill(folder: Path, members: int) -> None:
    """Write merged files, a bucket at a time, and the pseudonyms beside them."""
    from pdms.facts import store
    from pdms.facts.names import FactTable
    from pdms.facts.schemas import stored_schema
    from pdms.policy.loader import load
    from pdms.settings import Home
    from pdms.views.definitions import space_of

    home, space = Home(folder), space_of(load(ROOT / "policies"), VIEW)
    ages, tiers = (np.array(space[name].leaves) for name in ("age_band", "city_tier"))
    rng, all_of_them = np.random.default_rng(3), []
    for bucket in range(store.BUCKETS):
        count = members // store.BUCKETS + (bucket < members % store.BUCKETS)
        raw = rng.bytes(16 * count)
        first = np.frombuffer(raw, dtype=np.uint8).reshape(count, 16).copy()
        first[:, 0] = bucket << 2 | first[:, 0] & 3
        first = first[np.lexsort(first.T[::-1])]
        all_of_them.append(first)
        orders = np.repeat(np.arange(count), rng.geometric(0.35, count) - 1)
        seconds = NOW.timestamp() - rng.exponential(120, len(orders)) * 86_400
        amount = np.round(rng.lognormal(5, 1.2, len(orders)) * 100).astype(np.int64)
        instant = pa.timestamp("us", tz="UTC")
        made = {
            FactTable.ORDERS: {
                "pseudonym": _ids(first[orders]),
                "order_id": pa.array(np.arange(len(orders))).cast(pa.string()),
                "placed_at": pa.array((seconds * 1e6).astype(np.int64)).cast(instant),
                "completed_at": pa.nulls(len(orders), instant),
                "amount": pa.array(amount / 100).cast(pa.decimal128(18, 2)),
                "status": pa.array(["completed"] * len(orders)),
                "invoiced": pa.array(np.zeros(len(orders), dtype=bool)),
            },
            FactTable.SUBJECT_ATTRIBUTES: {
                "pseudonym": _ids(first),
                "age_band": pa.array(ages[rng.integers(0, len(ages), count)]),
                "gender": pa.array(np.array(["female", "male"])[rng.integers(0, 2, count)]),
                "prefecture": pa.nulls(count, pa.string()),
                "city_tier": pa.array(tiers[rng.integers(0, len(tiers), count)]),
                "registered_on": pa.array(rng.integers(18_000, 20_500, count).astype(np.int32)).cast(pa.date32()),
                "updated_at": pa.array(np.full(count, int(NOW.timestamp() * 1e6))).cast(instant),
            },
        }
        for table, columns in made.items():
            rows = len(columns["pseudonym"])
            schema = stored_schema(table)
            arrays = [*columns.values(), pa.array(np.ones(rows, dtype=np.int64))]
            store.write_file(store.Folder.of(home, table).base(bucket), pa.table(arrays, schema=schema))
    np.save(folder / "pseudonyms.npy", np.concatenate(all_of_them))


def _ids(raw: np.ndarray) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(raw), [None, pa.py_buffer(raw.tobytes())])


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _measure(folder: Path, members: int) -> None:
    from pdms.features import service as features
    from pdms.policy.loader import load
    from pdms.publish import release
    from pdms.settings import Home
    from pdms.views import store
    from pdms.views.definitions import space_of

    home, policy = Home(folder), load(ROOT / "policies")
    pseudonyms: Any = _ids(np.load(folder / "pseudonyms.npy"))
    view, space = policy.views[VIEW], space_of(policy, VIEW)
    before = _peak()
    begun = time.process_time()
    computed = features.compute_at(home, policy, view=view, pseudonyms=pseudonyms, now=NOW)
    counted = time.process_time()
    made = release.make(view, computed.frequency, space)
    judged = time.process_time()
    store.write_release(home, view=VIEW, release_id=f"rel-{0:032x}", data=made.data, manifest={})
    written = time.process_time()
    assert made.measured.rows + made.suppressed == members
    figures = {
        "features": counted - begun, "anonymise": judged - counted, "write": written - judged, "before": before,
        "tuples": len(computed.frequency.counts), "bytes": len(made.data), "memory": _peak(),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    {"fill": _fill, "measure": _measure}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
