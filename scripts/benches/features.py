"""Facts appended, merged and erased; a view's features from order lines against plain DuckDB SQL on the same files.

Figures are CPU seconds of this process (threads included) unless the unit says wall. The peer runs in the same process,
alternating, and reads the same merged Parquet files; both read the whole history and give one row a subject.
"""

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdms.anonymize import Hierarchy, flat, from_edges
from pdms.errors import InvalidInput
from pdms.facts import service as facts
from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.features import coding, measures
from pdms.policy.definitions import Feature, View
from pdms.policy.measures import MEASURES
from pdms.settings import Engine, Home, Reading

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BATCH = 500_000

NAMES = (
    "recency_days", "orders", "spend", "average_order", "largest_order", "first_order_days", "order_days",
    "order_gap_days", "recent_orders", "recent_spend", "recent_share", "weekend_share", "night_share",
    "lifecycle_stage", "items", "lines", "products", "categories", "top_category", "top_category_share",
)  # fmt: skip
VIEW = View(
    "bench", {}, "segment", tuple(Feature(n, n, None, (), None, MEASURES[n].unit, 1.0) for n in NAMES),
    365, 10, 0.1, 50, 0.01, (), 30,
)  # fmt: skip

PEER = """
WITH o AS (SELECT pseudonym, amount, floor(epoch(placed_at))::BIGINT + 28800 AS s, s // 86400 AS day,
             s - day * 86400 AS clock, day > {first} AS inside, day > {today} - 90 AS recent
           FROM read_parquet({orders}) {only} WHERE status <> 'cancelled' AND day <= {today}),
ok AS (SELECT pseudonym, max(day) AS last, min(day) AS first,
         max(day) FILTER (inside) AS last_in, min(day) FILTER (inside) AS first_in,
         count(DISTINCT day) FILTER (inside) AS days, count(*) FILTER (inside) AS orders,
         sum(amount) FILTER (inside) AS spend, max(amount) FILTER (inside) AS largest,
         count(*) FILTER (recent) AS recent_orders, sum(amount) FILTER (recent) AS recent_spend,
         count(*) FILTER (inside AND (day + 3) % 7 >= 5) AS weekend,
         count(*) FILTER (inside AND (clock >= 79200 OR clock < 21600)) AS night FROM o GROUP BY 1),
l AS (SELECT pseudonym, category, product, amount, quantity FROM read_parquet({lines}) x {only}
      ANTI JOIN (SELECT pseudonym, order_id FROM read_parquet({orders}) WHERE status = 'cancelled') v
      USING (pseudonym, order_id)
      WHERE (floor(epoch(placed_at))::BIGINT + 28800) // 86400 BETWEEN {first} + 1 AND {today}),
lc AS (SELECT pseudonym, category, sum(amount) AS spent, sum(quantity) AS items, count(*) AS lines
       FROM l GROUP BY 1, 2),
lk AS (SELECT pseudonym, first(category ORDER BY spent DESC, category) AS top, max(spent) AS top_spend,
         sum(spent) AS of_all, sum(items) AS items, sum(lines) AS lines, count(category) AS categories
       FROM lc GROUP BY 1),
lp AS (SELECT pseudonym, count(DISTINCT product) AS products FROM l GROUP BY 1)
SELECT s.pseudonym, coalesce(least({today} - last, 365), 365), coalesce(orders, 0), coalesce(spend, 0),
  spend / nullif(orders, 0), largest, {today} - first, coalesce(days, 0),
  CASE WHEN days > 1 THEN (last_in - first_in) // (days - 1) END, coalesce(recent_orders, 0), coalesce(recent_spend, 0),
  recent_spend / nullif(spend, 0), weekend / nullif(orders, 0), night / nullif(orders, 0),
  CASE WHEN last IS NULL THEN 'never' WHEN {today} - first < 30 THEN 'new'
  WHEN {today} - last < 90 THEN 'active' WHEN {today} - last < 180 THEN 'lapsing' ELSE 'lapsed' END,
  coalesce(items, 0), coalesce(lines, 0), coalesce(products, 0), coalesce(categories, 0), top, top_spend / of_all
FROM subjects s LEFT JOIN ok USING (pseudonym) LEFT JOIN lk USING (pseudonym) LEFT JOIN lp USING (pseudonym)
"""
EDGES = {
    "days": (7, 30, 90, 180, 365), "count": (1, 2, 5, 10, 20, 50), "share": (0.1, 0.25, 0.5, 0.75),
    "currency": (100, 250, 500, 1000, 2500, 5000, 10000),
}  # fmt: skip
TOPICS = 2_000
"""Leaves of the categories' hierarchy: four of them occur."""
STAGES = ("never", "new", "active", "lapsing", "lapsed", "unknown")
ONLY = "SEMI JOIN subjects USING (pseudonym)"


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case."""
    lines = 1_500_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as folder:
        uow = SimpleNamespace(home=Home(Path(folder), reading=Reading(memory=4096)), now=NOW)
        subjects, seconds = _fill(uow, lines)
        yield _row("append and merge", seconds / lines * 1e6, "µs a line", None, None)
        ours, same, loose = [], [], []
        found = peers = tuples = same_tuples = pa.table({})
        for _ in range(2 if quick else 3):
            seconds, found = _timed(lambda: _features(uow.home, subjects))
            ours.append(seconds)
            seconds, peers = _timed(lambda: _plain(uow.home, subjects, only=ONLY))
            same.append(seconds)
            loose.append(_timed(lambda: _plain(uow.home, subjects, only=""))[0])
        case = f"{len(NAMES)} features from {lines:,} lines"
        # reading only those who may be read is part of the work; a query that reads everybody shows what it costs
        yield _row(f"{case}, peer reads the eligible only", min(ours), "s", min(same), 1.1)
        yield _row(f"{case}, peer reads everybody", min(ours), "s", min(loose), None)
        yield _agree(f"{case}: rows that differ from plain SQL's", found, peers)
        cut, cut_by_sql = [], []
        for _ in range(2 if quick else 3):
            seconds, tuples = _timed(lambda: _cut(uow.home, subjects))
            cut.append(seconds)
            seconds, same_tuples = _timed(lambda: _plain_cut(uow.home, subjects))
            cut_by_sql.append(seconds)
        cutting = f"{case}, cut into leaves (one of {TOPICS:,}) and counted"
        yield _row(cutting, min(cut), "s", min(cut_by_sql), 1.1)
        yield _agree(f"{cutting}: tuples that differ from plain SQL's", tuples, same_tuples)
        if not quick:  # its start and its plans alone take most of a minute
            yield from _on_spark(case, uow.home, subjects, found)
        erasing = [_timed(lambda n=n: facts.erase(uow.home, [subjects[n].as_py()]))[0] for n in range(5)]
        row = _row(f"erase one member from {lines:,} lines and their orders", min(erasing), "s", None, None)
        yield {**row, "goal": 0.2, "met": min(erasing) <= 0.2}


def _row(case: str, value: float, unit: str, peer: float | None, limit: float | None) -> dict[str, Any]:
    ratio = None if peer is None else value / peer
    return {
        "bench": "features", "case": case, "value": value, "unit": unit, "peer": peer, "ratio": ratio,
        "goal": limit, "met": None if ratio is None or limit is None else ratio <= limit,
    }  # fmt: skip


def _agree(case: str, one: pa.Table, other: pa.Table) -> dict[str, Any]:
    differing = _differing(one, other)
    return {**_row(case, differing, "rows", None, None), "goal": 0, "met": differing == 0}


def _differing(one: pa.Table, other: pa.Table) -> int:
    """Return in how many rows two answers differ anywhere, to the last bit."""
    assert one.num_rows == other.num_rows
    wrong = np.zeros(one.num_rows, dtype=bool)
    left, right = (table.sort_by([(name, "ascending") for name in table.column_names]) for table in (one, other))
    for mine, theirs in zip(left.columns, right.columns, strict=True):
        a, b = pc.fill_null(pc.equal(mine, theirs.cast(mine.type)), False), pc.and_(mine.is_null(), theirs.is_null())
        wrong |= ~np.asarray(pc.or_(a, b))
    return int(wrong.sum())


def _on_spark(case: str, home: Home, subjects: pa.Array, found: pa.Table) -> Iterator[dict[str, Any]]:
    """Once, Java's start and end included; CPU time of its process and of ours."""
    from pdms.facts import spark

    try:
        spark.require()
    except InvalidInput:
        return
    other = replace(home, reading=Reading(engine=Engine.SPARK, memory=4096))
    begun, children = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    mine, rows = _timed(lambda: _features(other, subjects))
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    java = ended.ru_utime + ended.ru_stime - children.ru_utime - children.ru_stime
    yield _row(f"{case}, on Spark local[2], CPU", mine + java, "s", None, None)
    yield _row(f"{case}, on Spark local[2], wall", time.monotonic() - begun, "s", None, None)
    yield _agree(f"{case}: rows that differ between DuckDB and Spark", found, rows)


def _timed(work: Any) -> tuple[float, Any]:
    begin = time.process_time()
    done = work()
    return time.process_time() - begin, done


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
    spent += _timed(lambda: facts.compact(uow.home))[0]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), members, [None, pa.py_buffer(raw.tobytes())]), spent


def _features(home: Home, subjects: pa.Array) -> pa.Table:
    with facts.compute(home) as reader:
        asked = reader.given("subjects", pa.table({"pseudonym": subjects.cast(pa.binary())}))
        return reader.fetch(measures.exact(reader.table, asked, VIEW, now=NOW))


def _space() -> dict[str, Hierarchy]:
    topics = ["food", "tools", "toys", "home", *(f"topic-{n:04}" for n in range(TOPICS - 5)), "unknown"]
    listed = {"top_category": topics, "lifecycle_stage": STAGES}
    return {
        name: flat(name, listed[name], missing="unknown")
        if name in listed
        else from_edges(name, EDGES[MEASURES[name].unit], open_low=True, open_high=True, missing="none")
        for name in NAMES
    }


def _cut(home: Home, subjects: pa.Array) -> pa.Table:
    """As `features.service.compute_at` does."""
    with facts.compute(home) as reader:
        asked = reader.given("subjects", pa.table({"pseudonym": subjects.cast(pa.binary())}))
        exact = measures.exact(reader.table, asked, VIEW, now=NOW)
        coded = reader.keep("coded", coding.coded(exact, _space(), reader.given))
        return reader.fetch(coded.group_by(*NAMES).agg(members=coded.count().cast("int64")))


def _plain_cut(home: Home, subjects: pa.Array) -> pa.Table:
    """The same by hand: CASE for numbers, one join for each category, GROUP BY."""
    cuts, joins, space = [], "", _space()
    for n, (name, tree) in enumerate(space.items()):
        if tree.edges:
            whens = " ".join(f"WHEN c{n} < {edge} THEN {place}" for place, edge in enumerate(tree.edges))
            cuts.append(
                f"CASE WHEN c{n} IS NULL THEN {len(tree.leaves) - 1} {whens} ELSE {len(tree.edges)} END AS {name}"
            )
        else:
            joins += f" LEFT JOIN leaves_{n} ON leaf_{n} = c{n}"
            cuts.append(f"coalesce(code_{n}, {tree.leaves.index('unknown')}) AS {name}")
    columns = ", ".join(["p", *(f"c{n}" for n in range(len(NAMES)))])
    with _opened(home, subjects) as (connection, query):
        for n, tree in enumerate(space.values()):
            if not tree.edges:
                rows = {f"leaf_{n}": list(tree.leaves), f"code_{n}": range(len(tree.leaves))}
                connection.register(f"leaves_{n}", pa.table(rows))
        coded = f"SELECT {', '.join(cuts)} FROM ({query.format(only=ONLY)}) x({columns}){joins}"
        counted = f"SELECT {', '.join(NAMES)}, count(*) AS members FROM ({coded}) GROUP BY ALL"
        return connection.sql(counted).to_arrow_table()


def _plain(home: Home, subjects: pa.Array, *, only: str) -> pa.Table:
    with _opened(home, subjects) as (connection, query):
        return connection.sql(query.format(only=only)).to_arrow_table()


@contextmanager
def _opened(home: Home, subjects: pa.Array) -> Iterator[tuple[Any, str]]:
    """Open plain DuckDB over the files, and the peer's query but for whom it reads."""
    files = {
        name: [str(path) for path in store.Folder.of(home, table).files()]
        for name, table in (("orders", FactTable.ORDERS), ("lines", FactTable.ORDER_LINES))
    }
    today = measures.day_of(NOW)
    with duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "4GB"}) as connection:
        connection.register("subjects", pa.table({"pseudonym": subjects.cast(pa.binary())}))
        yield connection, PEER.format(**files, only="{only}", today=today, first=today - 365)
