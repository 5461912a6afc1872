from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import order_lines
from pdms.ingest import service as ingest
from pdms.vault import service as vault
from pdms.vault.service import MemberRow


@pytest.fixture
def shop(small_home, make_source, make_column):
    """A home with three members and a source of every kind of fact."""
    c = make_column
    with small_home.unit() as uow:
        vault.upsert_members(uow, [MemberRow(f"m{n}", {"name": f"王{n}"}) for n in range(3)], system="shop")
    lines = [
        c("order", "key.order"), c("member", "key.member"), c("at", "placed_at"), c("product", "product"),
        c("quantity", "quantity"), c("price", "unit_price"),
    ]  # fmt: skip
    return small_home.with_sources(
        make_source(
            "orders", "orders", c("order", "key.order"), c("member", "key.member"), c("at", "placed_at"),
            c("amount", "amount"), c("status", "status"), c("invoiced", "invoiced"),
        ),
        make_source("lines", "order_lines", *lines, make_orders=True),
        make_source("numbered", "order_lines", *lines, c("line", "key.line")),
        make_source("events", "events", c("member", "key.member"), c("at", "at"), c("kind", "kind"), c("item", "item")),
        make_source(
            "interactions", "interactions", c("member", "key.member"), c("at", "at"), c("kind", "kind"),
            c("text", "text"),
        ),
    )  # fmt: skip


def put(folder: Path, text: str, name: str = "f.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def of(home, member: str, table: FactTable):
    with home.unit() as uow:
        token = vault.resolve(uow, system="shop", external_ids=[member])[member].pseudonym
    return facts.of_subject(home.home, token)[table]


def rejections(report):
    return [(one.row, one.field, one.rule) for one in report.rejections]


def test_orders(shop, tmp_path):
    path = put(
        tmp_path,
        "order,member,at,amount,status,invoiced\n"
        "o1,m0,2024-05-01 08:30:00,12.345,completed,是\n"
        "o2,m0,2024-05-02 08:30:00,-3,returned,\n"
        "o3,m9,2024-05-02 08:30:00,1,completed,\n"
        "o4,,2024-05-02 08:30:00,1,completed,\n"
        "o5,m1,2024-05-02 08:30:00,much,completed,\n"
        "o6,m1,2024-05-02 08:30:00,1,lost,\n"
        "o1,m0,2024-05-03 08:30:00,1,completed,\n"
        ",m1,2024-05-03 08:30:00,1,completed,\n",
    )
    report = ingest.ingest(shop.unit, source="orders", path=path)
    assert (report.read, report.accepted, report.rejected) == (8, 2, 6)
    assert rejections(report) == [
        (3, "member", "UNKNOWN_MEMBER"),
        (4, "member", "MISSING_MEMBER"),
        (5, "amount", "NUMBER_FORM"),
        (6, "status", "VALUE_UNKNOWN"),
        (7, "order", "DUPLICATE_KEY"),
        (8, "order", "MISSING_KEY"),
    ]
    rows = sorted(of(shop, "m0", FactTable.ORDERS), key=lambda row: row["order_id"])
    assert rows[0] == {
        "order_id": "o1", "placed_at": datetime(2024, 5, 1, 0, 30, tzinfo=UTC), "completed_at": None,
        "amount": Decimal("12.35"), "status": "completed", "invoiced": True,
    }  # fmt: skip
    assert rows[1]["amount"] == Decimal("-3.00")


def test_ECL_24_facts_of_a_disabled_member_are_rejected(shop, tmp_path):
    with shop.unit() as uow:
        keys = vault.resolve(uow, system="shop", external_ids=["m0", "m1"])
        assert not keys["m0"].disabled
        vault.disable(uow, keys["m0"].member_id)
    at = "2024-05-01 08:30:00"
    files = {
        "orders": f"order,member,at,amount,status,invoiced\no1,m0,{at},1,completed,\no2,m1,{at},1,completed,\n",
        "lines": f"order,member,at,product,quantity,price\no1,m0,{at},p1,2,1.25\no2,m1,{at},p1,2,1.25\n",
        "numbered": f"order,member,at,product,quantity,price,line\no1,m0,{at},p1,2,1.25,1\no2,m1,{at},p1,2,1.25,1\n",
        "events": f"member,at,kind,item\nm0,{at},view,p1\nm1,{at},view,p1\n",
        "interactions": f"member,at,kind,text\nm0,{at},call,hello\nm1,{at},call,hello\n",
    }
    for source, text in files.items():
        report = ingest.ingest(shop.unit, source=source, path=put(tmp_path, text, f"{source}.csv"))
        assert rejections(report) == [(1, "member", "MEMBER_DISABLED")], source
        assert report.accepted == 1
    held = facts.pseudonyms(shop.home)
    assert held == {keys["m1"].pseudonym}


def test_the_same_facts_twice_are_the_same_facts_and_a_change_updates(shop, tmp_path):
    head = "order,member,at,amount,status,invoiced\n"
    first = put(tmp_path, head + "o1,m0,2024-05-01 08:30:00,10,placed,\n")
    changed = put(tmp_path, head + "o1,m0,2024-05-01 08:30:00,10,completed,\n", "g.csv")
    for path, status in ((first, "placed"), (first, "placed"), (changed, "completed"), (first, "placed")):
        ingest.ingest(shop.unit, source="orders", path=path)
        assert [row["status"] for row in of(shop, "m0", FactTable.ORDERS)] == [status]
    assert facts.counts(shop.home)[FactTable.ORDERS] == 1


def test_orders_made_of_lines(shop, tmp_path):
    path = put(
        tmp_path,
        "order,member,at,product,quantity,price\n"
        "o1,m0,2024-05-01 08:31:00,p1,2,1.25\n"
        "o1,m0,2024-05-01 08:30:00,p2,3,0.333\n"
        "C2,m0,2024-05-02 08:30:00,p1,-2,1.25\n"
        "o3,,2024-05-02 08:30:00,p1,1,1\n"
        "o4,m1,2024-05-02 08:30:00,p1,1,\n",
    )
    report = ingest.ingest(shop.unit, source="lines", path=path)
    assert rejections(report) == [(4, "member", "MISSING_MEMBER"), (5, "amount", "MISSING_VALUE")]
    lines = sorted(of(shop, "m0", FactTable.ORDER_LINES), key=lambda row: (row["order_id"], row["line"]))
    assert [(r["order_id"], r["line"], r["amount"]) for r in lines] == [
        ("C2", 1, Decimal("-2.50")),
        ("o1", 1, Decimal("2.50")),
        ("o1", 2, Decimal("1.00")),
    ]
    orders = sorted(of(shop, "m0", FactTable.ORDERS), key=lambda row: row["order_id"])
    assert [(r["order_id"], r["amount"], r["status"]) for r in orders] == [
        ("C2", Decimal("-2.50"), "cancelled"),
        ("o1", Decimal("3.50"), "completed"),
    ]
    assert orders[1]["placed_at"] == datetime(2024, 5, 1, 0, 30, tzinfo=UTC)
    assert of(shop, "m1", FactTable.ORDERS) == []


def test_an_order_over_several_batches_is_summed_once_and_a_late_line_rejected(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(order_lines, "KEPT_OPEN", 2)
    rows = ["o1,m0,2024-05-01 08:30:00,p1,1,1.00"] * 3
    rows += [f"x{n},m1,2024-05-01 08:30:00,p1,1,1.00" for n in range(9)]
    rows += ["o1,m0,2024-05-01 08:30:00,p1,1,1.00"]
    path = put(tmp_path, "order,member,at,product,quantity,price\n" + "\n".join(rows) + "\n")
    report = ingest.ingest(shop.unit, source="lines", path=path, batch_rows=2)
    assert rejections(report) == [(13, "order", "LINES_NOT_TOGETHER")]
    assert [row["amount"] for row in of(shop, "m0", FactTable.ORDERS)] == [Decimal("3.00")]
    assert facts.counts(shop.home)[FactTable.ORDERS] == 10
    assert facts.counts(shop.home)[FactTable.ORDER_LINES] == 12


def test_an_interrupted_load_of_lines_ends_as_an_undisturbed_one(shop, tmp_path):
    rows = [f"o{n // 4},m0,2024-05-01 08:30:00,p{n},1,{n}.10" for n in range(41)]
    path = put(tmp_path, "order,member,at,product,quantity,price\n" + "\n".join(rows) + "\n")

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 21:
            raise Stop

    with pytest.raises(Stop):
        ingest.ingest(shop.unit, source="lines", path=path, batch_rows=7, progress=stop)
    report = ingest.ingest(shop.unit, source="lines", path=path)
    assert report.resumed
    assert (report.read, report.accepted) == (41, 41)
    made = {row["order_id"]: row["amount"] for row in of(shop, "m0", FactTable.ORDERS)}
    assert made == {f"o{o}": sum(Decimal(f"{n}.10") for n in range(41) if n // 4 == o) for o in range(11)}
    assert sorted(r["line"] for r in of(shop, "m0", FactTable.ORDER_LINES) if r["order_id"] == "o5") == [1, 2, 3, 4]


def test_numbered_lines_need_not_lie_together(shop, tmp_path):
    path = put(
        tmp_path,
        "order,line,member,at,product,quantity,price\n"
        "o1,1,m0,2024-05-01 08:30:00,p1,1,1\no2,1,m1,2024-05-01 08:30:00,p1,1,1\no1,2,m0,2024-05-01 08:30:00,p1,1,1\n"
        "o1,2,m0,2024-05-01 08:30:00,p9,1,1\n",
    )
    report = ingest.ingest(shop.unit, source="numbered", path=path, batch_rows=1)
    assert rejections(report) == [(4, "line", "DUPLICATE_KEY")]
    assert sorted(row["line"] for row in of(shop, "m0", FactTable.ORDER_LINES)) == [1, 2]
    assert facts.counts(shop.home)[FactTable.ORDERS] == 0


def test_events_without_ids_get_one_from_what_they_say(shop, tmp_path):
    path = put(
        tmp_path,
        "member,at,kind,item\nm0,2024-05-01 08:30:00,view,p1\nm0,2024-05-01 08:30:00,view,p2\n"
        "m0,2024-05-01 08:30:00,view,p1\nm1,2024-05-01 08:30:00,view,p1\nm0,20245-05-01 08:30:00,view,p1\n",
    )
    for _ in range(2):
        report = ingest.ingest(shop.unit, source="events", path=path)
        assert rejections(report) == [(5, "at", "INSTANT_YEAR")]
        assert len(of(shop, "m0", FactTable.EVENTS)) == 2
        assert len(of(shop, "m1", FactTable.EVENTS)) == 1
    ids = {row["event_id"] for member in ("m0", "m1") for row in of(shop, member, FactTable.EVENTS)}
    assert len(ids) == 3


def test_free_text_is_redacted_on_its_way(shop, tmp_path):
    path = put(
        tmp_path,
        'member,at,kind,text\nm0,2024-05-01 08:30:00,chat,"请打我电话13812345678，\n邮箱wang.secret@shop.example"\n'
        "m0,2024-05-01 08:31:00,review,很好\nm0,2024-05-01 08:32:00,review,\n",
    )
    ingest.ingest(shop.unit, source="interactions", path=path)
    texts = {row["kind"] + str(row["at"].minute): row["text"] for row in of(shop, "m0", FactTable.INTERACTIONS)}
    assert texts["review31"] == "很好"
    assert texts["review32"] is None
    assert "<PHONE>" in texts["chat30"]
    import pyarrow.parquet as pq

    for file in shop.home.facts.rglob("*.parquet"):
        with file.open("rb") as handle:
            content = repr(pq.read_table(handle).to_pylist())
        assert "13812345678" not in content
        assert "wang.secret" not in content
