import csv
import gzip
from decimal import Decimal

import pytest

from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import service as ingest
from pdms.vault import service as vault
from pdms.vault.service import MemberBatch


@pytest.mark.real_data
def test_a_year_of_a_gift_shop(small_home, make_source, make_column, real_data):
    """Online Retail: 541,909 lines, 4,372 customers, 135,080 lines without one, 25,900 invoices."""
    path = real_data / "retail" / "online_retail" / "online_retail.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        customers = sorted({row["CustomerID"] for row in csv.DictReader(file)} - {""})
    assert len(customers) == 4372
    c = make_column
    small_home.with_sources(
        make_source(
            "online-retail", "order_lines", c("InvoiceNo", "key.order"), c("CustomerID", "key.member"),
            c("StockCode", "product"), c("Description", "product_name"), c("Quantity", "quantity"),
            c("InvoiceDate", "placed_at", format="%Y-%m-%d %H:%M:%S"), c("UnitPrice", "unit_price"),
            c("Country", "ignore"), timezone="Europe/London", currency="GBP", make_orders=True,
        )
    )  # fmt: skip
    with small_home.unit() as uow:
        vault.upsert_batch(uow, MemberBatch(customers, {"name": [f"客户{one}" for one in customers]}), system="shop")
    report = ingest.ingest(small_home.unit, source="online-retail", path=path)
    assert report.read == 541_909
    assert dict(report.by_rule) == {"MISSING_MEMBER": 135_080}
    assert report.accepted == 541_909 - 135_080
    with facts.read(small_home.home) as reader:
        lines = reader.table(FactTable.ORDER_LINES)
        bought = lines.filter((lines.quantity > 0) & (lines.unit_price > 0))
        assert bought.count().execute() == 397_884
        assert bought.pseudonym.nunique().execute() == 4_338
        assert bought.order_id.nunique().execute() == 18_532
        # rounded to cents line by line; the published sum of unrounded products is 8,911,407.90
        assert abs(Decimal(str(bought.amount.sum().execute())) - Decimal("8911407.90")) < 1
        orders = reader.table(FactTable.ORDERS)
        assert orders.count().execute() == 22_190
        assert orders.filter(orders.status == "cancelled").amount.max().execute() < 0
