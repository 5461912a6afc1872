"""One definition, two engines: DuckDB and Spark give the same rows, bit by bit, on real and on awkward facts."""

import hashlib
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from common.policies import SHIPPED
from common.spark import needed, spark_home
from pdms.errors import Conflict, IntegrityBroken, InvalidInput
from pdms.facts import service as facts
from pdms.facts import spark, store
from pdms.facts.names import FactTable, OrderStatus
from pdms.facts.schemas import SCHEMAS
from pdms.features import measures, service
from pdms.policy.definitions import Feature, View
from pdms.policy.loader import load
from pdms.policy.measures import MEASURES
from pdms.settings import Engine, Home, Reading

NOW = datetime(2011, 12, 10, 4, tzinfo=UTC)
EVERYTHING = View(
    "everything", {}, "segment", tuple(Feature(m.name, m.name, None, (), None, m.unit, 1.0) for m in MEASURES.values()),
    365, 10, 0.1, 50, 0.01, (), 30,
)  # fmt: skip
"""Every measure at once; wider than a view may be, so that one pass on each engine compares them all."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Home]:
    with spark_home(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture
def empty(home: Home) -> Home:
    shutil.rmtree(home.facts, ignore_errors=True)
    return home


def on(home: Home, engine: Engine) -> Home:
    return replace(home, reading=replace(home.reading, engine=engine))


def exact_rows(home: Home, asked: list[bytes], now: datetime) -> pa.Table:
    with facts.compute(home) as reader:
        subjects = reader.given("subjects", pa.table({"pseudonym": pa.array(asked, pa.binary())}))
        return reader.fetch(measures.exact(reader.table, subjects, EVERYTHING, now=now)).sort_by("pseudonym")


def differing(home: Home, asked: list[bytes], now: datetime) -> list[str]:
    """Names of the measures in which the engines differ anywhere; one empty answer is no agreement."""
    one, other = (exact_rows(on(home, engine), asked, now) for engine in (Engine.DUCKDB, Engine.SPARK))
    assert one.num_rows == other.num_rows == len(asked)
    return [name for name in one.column_names if not one[name].equals(other[name])]


def load_retail(uow: SimpleNamespace, path: Path) -> list[bytes]:
    """Orders and lines of every third customer, in three parts: two merged, the third beside with rows said anew."""
    lines = pd.read_csv(path, dtype={"InvoiceNo": str, "StockCode": str}, parse_dates=["InvoiceDate"])
    lines = lines[(lines.CustomerID % 3 == 0) & (lines.UnitPrice > 0)].reset_index(drop=True)
    who = {c: hashlib.sha256(str(c).encode()).digest()[:16] for c in lines.CustomerID.unique()}
    lines["amount"] = (lines.Quantity * lines.UnitPrice).round(2)
    lines["line"] = lines.groupby(["CustomerID", "InvoiceNo"]).cumcount()
    orders = lines.groupby(["CustomerID", "InvoiceNo"], as_index=False).agg(
        at=("InvoiceDate", "min"), amount=("amount", "sum")
    )
    status = np.where(orders.InvoiceNo.str.startswith("C"), OrderStatus.CANCELLED, OrderStatus.COMPLETED)
    instant = pa.timestamp("us", tz="UTC")
    made = {
        FactTable.ORDER_LINES: pa.table(
            {
                "pseudonym": pa.array([who[c] for c in lines.CustomerID], pa.binary(16)),
                "order_id": lines.InvoiceNo.tolist(),
                "line": pa.array(lines.line, pa.int32()),
                "placed_at": pa.array(lines.InvoiceDate.dt.tz_localize("Asia/Shanghai")).cast(instant),
                "product": lines.StockCode.tolist(),
                "category": pa.array([c[:2] if c[:2].isdigit() else None for c in lines.StockCode]),
                "quantity": pa.array(lines.Quantity).cast(pa.decimal128(22, 3)).cast(pa.decimal128(18, 3)),
                "amount": pa.array(lines.amount).cast(pa.decimal128(18, 2)),
            }
        ),
        FactTable.ORDERS: pa.table(
            {
                "pseudonym": pa.array([who[c] for c in orders.CustomerID], pa.binary(16)),
                "order_id": orders.InvoiceNo.tolist(),
                "placed_at": pa.array(orders["at"].dt.tz_localize("Asia/Shanghai")).cast(instant),
                "amount": pa.array(orders.amount.round(2)).cast(pa.decimal128(18, 2)),
                "status": status.tolist(),
                "invoiced": [False] * len(orders),
            }
        ),
    }
    for batch in range(3):
        for table, rows in made.items():
            third = -(-rows.num_rows // 3)
            start = max(0, batch * third - (batch == 2) * 1000)
            facts.append(uow, table, rows.slice(start, (batch + 1) * third - start), load_id="retail", batch=batch)
        if batch == 1:
            facts.compact(uow.home)
    return list(who.values())


@pytest.mark.real_data
def test_engines_differ_in_no_row_on_real_orders(empty, real_data):
    uow = SimpleNamespace(home=empty, now=NOW, policy=load(SHIPPED))
    people = load_retail(uow, real_data / "retail" / "online_retail" / "online_retail.csv.gz")
    nobody = [bytes([n]) * 16 for n in range(50)]
    assert len(people) > 1_400
    assert store.Folder.of(empty, FactTable.ORDERS).bases()
    assert store.Folder.of(empty, FactTable.ORDERS).parts()
    assert differing(empty, people + nobody, NOW) == []
    # a view whole: codes, and their counts
    view, asked = uow.policy.views["member_value"], people[:700] + nobody
    one, other = (
        service.compute_at(on(empty, engine), uow.policy, view=view, pseudonyms=asked, now=NOW, rows=True)
        for engine in (Engine.DUCKDB, Engine.SPARK)
    )
    assert np.array_equal(one.frequency.codes, other.frequency.codes)
    assert np.array_equal(one.frequency.counts, other.frequency.counts)
    assert one.uncovered == other.uncovered
    rows = one.rows.sort_by("pseudonym")
    assert rows.equals(other.rows.sort_by("pseudonym"))
    assert rows["pseudonym"].to_pylist() == sorted(asked)


MIDNIGHT = datetime(2011, 12, 9, 16, tzinfo=UTC)
"""Midnight in Shanghai, where a day turns."""
STEP = timedelta(microseconds=1)


DAYS = [-1, 0, 1, 29, 30, 89, 90, 91, 180, 364, 365, 366, 400, 20_000]
MONEY = ["0", "0.01", "-0.01", "0.1", "0.2", "0.3", "33.33", "99999999.99", "-50"]


def awkward(rng: random.Random) -> dict[FactTable, list[dict[str, object]]]:
    """Facts of one person: few, but at the borders."""

    def instant() -> datetime:
        return MIDNIGHT - timedelta(days=rng.choice(DAYS)) + rng.choice([-STEP, 0 * STEP, STEP, timedelta(hours=7)])

    rows: dict[FactTable, list[dict[str, object]]] = {table: [] for table in FactTable}
    for number in range(rng.randrange(5)):
        placed = {"order_id": f"o{number}", "placed_at": instant()}
        status, amount = rng.choice(list(OrderStatus)), Decimal(rng.choice(MONEY))
        rows[FactTable.ORDERS].append({**placed, "amount": amount, "status": status, "invoiced": False})
        rows[FactTable.ORDER_LINES] += [
            {
                **placed,
                "line": line,
                "product": rng.choice(["p", "q", "", "é"]),
                "category": rng.choice(["食品", "a", "A", "z", "", None]),
                "quantity": Decimal(rng.choice(["1", "0", "0.125", "-2", "3.333"])),
                "amount": Decimal(rng.choice(MONEY)),
            }
            for line in range(rng.randrange(4))
        ]
    for table, key in ((FactTable.EVENTS, "event_id"), (FactTable.INTERACTIONS, "interaction_id")):
        rows[table] = [{key: str(n), "at": instant(), "kind": "view"} for n in range(rng.randrange(3))]
    if rng.random() < 0.7:
        registered = [None, date(1969, 12, 31), date(2011, 12, 10), date(2012, 2, 29)]
        rows[FactTable.SUBJECT_ATTRIBUTES] = [
            {
                "age_band": rng.choice(["25-34", "unheard", None]),
                "gender": rng.choice(["female", "", None]),
                "prefecture": rng.choice(["310100", None]),
                "city_tier": None,
                "registered_on": rng.choice(registered),
                "updated_at": NOW,
            }
        ]
    return rows


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(rng=st.randoms(use_true_random=False), size=st.integers(1, 255))
def test_engines_differ_in_no_row_on_facts_at_the_borders(home, rng, size):
    """Each example is a crowd, since a plan costs Spark seconds and a row nothing."""
    shutil.rmtree(home.facts, ignore_errors=True)
    crowd = [awkward(rng) for _ in range(size)]
    uow = SimpleNamespace(home=home, now=NOW)
    for table in FactTable:
        rows = [{"pseudonym": bytes([n]) * 16, **row} for n, one in enumerate(crowd) for row in one[table]]
        rng.shuffle(rows)
        for batch, part in enumerate((rows[::2], rows[1::2])):
            facts.append(uow, table, pa.Table.from_pylist(part, schema=SCHEMAS[table]), load_id="crowd", batch=batch)
    assert differing(home, [bytes([n]) * 16 for n in range(min(size + 3, 256))], NOW) == []


def test_no_facts_at_all_and_nobody_asked_for(empty):
    assert differing(empty, [bytes([7]) * 16], NOW) == []
    assert differing(empty, [], NOW) == []


def test_nothing_listens_beyond_this_machine_and_nothing_is_left_below_the_home(home):
    from pyspark import SparkContext

    java = SparkContext._gateway.proc.pid
    sockets = {str(path.readlink()) for path in Path(f"/proc/{java}/fd").iterdir() if path.is_symlink()}
    addresses = []
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/{java}/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                addresses.append(words[1].rsplit(":", 1)[0])
    assert addresses
    assert set(addresses) <= {"0100007F", "0000000000000000FFFF00000100007F"}
    with spark.session_of(home, home.reading) as (_, spill):
        assert spill.parent == home.spill
        assert spill.stat().st_mode & 0o077 == 0


def test_a_file_that_is_none_of_ours_and_a_second_home_are_errors_without_values(empty, tmp_path):
    bad = store.Folder.of(empty, FactTable.ORDERS).base(0)
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"PAR1 secret-of-a-member PAR1")
    with pytest.raises(IntegrityBroken, match=r"Spark could not compute$") as caught:
        exact_rows(empty, [bytes([7]) * 16], NOW)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(Conflict, match="another home"), facts.compute(Home(tmp_path, reading=empty.reading)):
        pass


def test_what_is_not_installed_is_said(tmp_path, monkeypatch):
    needed()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    other = Home(tmp_path / "home", reading=Reading(engine=Engine.SPARK))
    with pytest.raises(InvalidInput, match="Java 17"):
        spark.require()
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(InvalidInput, match=r"pip install 'pdms\[spark\]'"):
        spark.require()
    assert not other.spill.exists()
