"""Facts appended, merged and erased; a view's features from order lines against plain DuckDB SQL on the same files.

Figures are CPU seconds of this process (threads included) unless the unit says wall. The peer runs in the same process,
alternating, and reads the same merged Parquet files; both read the whole history and give one row a subject.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from pdms.facts import service as facts
from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.features import measures
from pdms.policy.definitions import Feature, View
from pdms.policy.measures import MEASURES
from pdms.settings import Home

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BATCH = 500_000

PEER = """
WITH o AS (SELECT pseudonym, amount, (epoch(placed_at)::BIGINT + 28800) // 86400 AS day FROM read_parquet({orders})
           {only} WHERE status <> 'cancelled'),
ok AS (SELECT pseudonym, max(day) AS last, min(day) AS first, count(*) FILTER (day > {first}) AS orders,
       sum(amount) FILTER (day > {first}) AS spend FROM o WHERE day <= {today} GROUP BY 1),
l AS (SELECT pseudonym, category, sum(amount) AS spent, sum(quantity) AS items FROM read_parquet({lines}) x {only}
      ANTI JOIN (SELECT pseudonym, order_id FROM read_parquet({orders}) WHERE status = 'cancelled') v
      USING (pseudonym, order_id)
      WHERE (epoch(placed_at)::BIGINT + 28800) // 86400 BETWEEN {first} + 1 AND {today} GROUP BY 1, 2),
lk AS (SELECT pseudonym, arg_max(category, spent) AS top, sum(items) AS items FROM l GROUP BY 1)
SELECT s.pseudonym, coalesce(least({today} - last, 365), 365), coalesce(orders, 0), coalesce(spend, 0), spend / orders,
  coalesce(items, 0), top, CASE WHEN last IS NULL THEN 'never' WHEN {today} - first < 30 THEN 'new'
  WHEN {today} - last < 90 THEN 'active' WHEN {today} - last < 180 THEN 'lapsing' ELSE 'lapsed' END
FROM subjects s LEFT JOIN ok USING (pseudonym) LEFT JOIN lk USING (pseudonym)
"""
ONLY = "SEMI JOIN subjects USING (pseudonym)"


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case."""
    lines = 1_500_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as folder:
        uow = SimpleNamespace(home=Home(Path(folder)), now=NOW)
        subjects, seconds = _fill(uow, lines)
        yield _row("append and merge", seconds / lines * 1e6, "µs a line", None, None)
        ours, same, loose = [], [], []
        for _ in range(3):
            ours.append(_timed(lambda: _features(uow.home, subjects)))
            same.append(_timed(lambda: _plain(uow.home, subjects, only=ONLY)))
            loose.append(_timed(lambda: _plain(uow.home, subjects, only="")))
        case = f"7 features from {lines:,} lines"
        # reading only those who may be read is part of the work; a query that reads everybody shows what it costs
        yield _row(f"{case}, peer reads the eligible only", min(ours), "s", min(same), 1.1)
        yield _row(f"{case}, peer reads everybody", min(ours), "s", min(loose), None)
        erasing = [_timed(lambda n=n: facts.erase(uow.home, [subjects[n].as_py()])) for n in range(5)]
        row = _row(f"erase one member from {lines:,} lines and their orders", min(erasing), "s", None, None)
        yield {**row, "goal": 0.2, "met": min(erasing) <= 0.2}


def _row(case: str, value: float, unit: str, peer: float | None, limit: float | None) -> dict[str, Any]:
    ratio = None if peer is None else value / peer
    return {
        "bench": "features", "case": case, "value": value, "unit": unit, "peer": peer, "ratio": ratio,
        "goal": limit, "met": None if ratio is None or limit is None else ratio <= limit,
    }  # fmt: skip


def _timed(work: Any) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _fill(uow: Any, lines: int) -> tuple[pa.Array, float]:
    rng = np.random.default_rng(5)
    members = max(lines // 50, 1)
    raw = np.frombuffer(os.urandom(16 * members), dtype="V16")
    spent = 0.0
    for batch, start in enumerate(range(0, lines, BATCH)):
        size = min(BATCH, lines - start)
        order = np.arange(start, start + size) // 3
        who = (order * 2_654_435_761) % members
        seconds = (NOW.timestamp() - (order * 40_503) % (700 * 86_400)).astype(np.int64) * 1_000_000
        pseudonym = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), size, [None, pa.py_buffer(raw[who].tobytes())])
        placed = pa.array(seconds).cast(pa.timestamp("us", tz="UTC"))
        amount = pa.array(rng.integers(1, 900, size).astype(np.int32)).cast(pa.decimal128(18, 2))
        ids = pa.array(order).cast(pa.string())
        line = {
            "pseudonym": pseudonym,
            "order_id": ids,
            "line": pa.array((np.arange(start, start + size) % 3).astype(np.int32)),
            "placed_at": placed,
            "product": pa.array(rng.integers(0, 3000, size)).cast(pa.string()),
            "category": pa.array(np.array(["food", "tools", "toys", "home"])[rng.integers(0, 4, size)]),
            "quantity": pa.array(rng.integers(1, 5, size).astype(np.int32)).cast(pa.decimal128(18, 3)),
            "amount": amount,
        }
        first = pa.array(np.arange(start, start + size) % 3 == 0)
        status = np.where(order % 20 == 0, "cancelled", "completed")
        orders = {
            "pseudonym": pseudonym,
            "order_id": ids,
            "placed_at": placed,
            "amount": amount,
            "status": pa.array(status),
            "invoiced": pa.array(np.zeros(size, dtype=bool)),
        }
        made = ((FactTable.ORDER_LINES, pa.table(line)), (FactTable.ORDERS, pa.table(orders).filter(first)))
        begin = time.process_time()
        for table, rows in made:
            facts.append(uow, table, rows, load_id="bench", batch=batch)
        spent += time.process_time() - begin
    spent += _timed(lambda: facts.compact(uow.home))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), members, [None, pa.py_buffer(raw.tobytes())]), spent


def _features(home: Home, subjects: pa.Array) -> None:
    names = ("recency_days", "orders", "spend", "average_order", "items", "top_category", "lifecycle_stage")
    features = tuple(Feature(name, name, None, (), None, MEASURES[name].unit, 1.0) for name in names)
    view = View("bench", {}, "segment", features, 365, 10, 0.1, 50, 0.01, (), 30)
    with facts.read(home, memory_limit="4GB") as reader:
        reader.connection.con.register("subjects", pa.table({"pseudonym": subjects.cast(pa.binary())}))
        found = measures.exact(reader.table, reader.connection.table("subjects"), view, now=NOW)
        assert reader.connection.to_pyarrow(found).num_rows == len(subjects)


def _plain(home: Home, subjects: pa.Array, *, only: str) -> None:
    files = {
        name: [str(path) for path in store.Folder.of(home, table).files()]
        for name, table in (("orders", FactTable.ORDERS), ("lines", FactTable.ORDER_LINES))
    }
    today = measures.day_of(NOW)
    with duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "4GB"}) as connection:
        connection.register("subjects", pa.table({"pseudonym": subjects.cast(pa.binary())}))
        assert connection.sql(
            PEER.format(**files, only=only, today=today, first=today - 365)
        ).to_arrow_table().num_rows == len(subjects)
