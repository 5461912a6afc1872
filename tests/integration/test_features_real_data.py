"""Features and anonymisation on the real transactions of Online Retail, against published figures."""

import hashlib
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from common.policies import SHIPPED
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.features import service as features
from pdms.policy.loader import load
from pdms.publish import release
from pdms.settings import Home
from pdms.views.definitions import space_of

DAY = ZoneInfo("Asia/Shanghai")
NOW = datetime(2011, 12, 10, 12, tzinfo=DAY)

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def retail(real_data, tmp_path_factory):
    lines = pd.read_csv(
        real_data / "retail" / "online_retail" / "online_retail.csv.gz",
        dtype={"InvoiceNo": str, "StockCode": str},
        parse_dates=["InvoiceDate"],
    )
    lines = lines[lines.CustomerID.notna() & (lines.Quantity > 0) & (lines.UnitPrice > 0)].reset_index(drop=True)
    assert len(lines) == 397_884
    lines["amount"] = lines.Quantity * lines.UnitPrice
    orders = lines.groupby(["CustomerID", "InvoiceNo"], as_index=False).agg(
        at=("InvoiceDate", "min"), amount=("amount", "sum")
    )
    who = {c: hashlib.sha256(str(c).encode()).digest()[:16] for c in orders.CustomerID.unique()}
    uow = SimpleNamespace(home=Home(tmp_path_factory.mktemp("retail")), now=NOW, policy=load(SHIPPED))
    table = pa.table(
        {
            "pseudonym": pa.array([who[c] for c in orders.CustomerID], pa.binary(16)),
            "order_id": orders.InvoiceNo.tolist(),
            "placed_at": pa.array(orders["at"].dt.tz_localize(DAY)).cast(pa.timestamp("us", tz="UTC")),
            "amount": pa.array(orders.amount.round(2)).cast(pa.decimal128(18, 2)),
            "status": ["completed"] * len(orders),
            "invoiced": [False] * len(orders),
        }
    )
    for batch in range(0, len(orders), 5000):
        facts.append(uow, FactTable.ORDERS, table.slice(batch, 5000), load_id="retail", batch=batch)
    facts.compact(uow.home)
    return uow, who


def test_recency_frequency_and_money_are_the_published_ones(retail):
    uow, who = retail
    # the published figures cover the whole file: a window of a year would leave out its first days
    wide = replace(uow.policy.views["member_value"], window_days=400)
    found = features.exact_columns(uow, view=wide, pseudonyms=list(who.values()))
    recency, orders, spend = (found.columns[name] for name in ("recency_days", "orders", "spend"))
    assert len(orders) == 4338
    assert orders.sum() == 18_532
    assert (np.median(orders), round(orders.mean(), 2)) == (2.0, 4.27)
    assert spend.sum() == pytest.approx(8_911_407.90, abs=0.5)
    assert spend.mean() == pytest.approx(2_054.27, abs=0.01)
    # published as full days elapsed (50, 92.06); days of the calendar are one more
    assert (np.median(recency), round(recency.mean(), 2)) == (51.0, 93.06)
    assert int((orders == 1).sum()) == 1_493


@pytest.mark.parametrize("name", ["member_value", "member_lifecycle"])
def test_the_starter_views_can_be_published_for_these_customers(retail, name):
    uow, who = retail
    view = uow.policy.views[name]
    computed = features.compute_at(uow.home, uow.policy, view=view, pseudonyms=list(who.values()), now=uow.now)
    made = release.make(view, computed.frequency, space_of(uow.policy, name))
    assert made.measured.k >= view.k
    assert made.measured.rows + made.suppressed == 4338
    assert made.suppressed <= 4338 * view.suppression_limit
    assert made.loss.ncp < 0.2
