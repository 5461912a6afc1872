"""Facts: appended, updated, merged, read and erased on real files."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdms.errors import Conflict, IntegrityBroken, InvalidInput
from pdms.facts import service, store
from pdms.facts.names import FactTable
from pdms.facts.schemas import KEYS, SCHEMAS
from pdms.settings import Home

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def uow(tmp_path):
    return SimpleNamespace(home=Home(tmp_path / "home"), now=NOW)


def person(number: int) -> bytes:
    return bytes([number * 7 % 256]) + number.to_bytes(15, "big")


def orders(rows) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "pseudonym": person(who),
                "order_id": order,
                "placed_at": NOW - timedelta(days=age),
                "amount": Decimal(amount),
                "status": "completed",
                "invoiced": False,
            }
            for who, order, age, amount in rows
        ],
        schema=SCHEMAS[FactTable.ORDERS].remove(3),
    )


def amounts(home) -> dict[tuple[bytes, str], Decimal]:
    with service.read(home) as reader:
        rows = reader.table(FactTable.ORDERS).to_pyarrow().to_pylist()
    found = {(row["pseudonym"], row["order_id"]): row["amount"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_an_empty_home_has_every_table_with_its_columns(uow):
    with service.read(uow.home) as reader:
        for table in FactTable:
            frame = reader.table(table)
            assert list(frame.columns) == SCHEMAS[table].names
            assert frame.count().to_pyarrow().as_py() == 0
    assert service.pseudonyms(uow.home) == set()


@pytest.mark.parametrize("merged", [False, True])
def test_the_same_key_again_updates_the_row(uow, merged):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "10.00"), (2, "a", 3, "20.00")]), load_id="one", batch=0)
    if merged:
        service.compact(uow.home)
    service.append(uow, FactTable.ORDERS, orders([(2, "a", 3, "25.50"), (2, "b", 1, "5.00")]), load_id="two", batch=0)
    expected = {
        (person(1), "a"): Decimal("10.00"),
        (person(2), "a"): Decimal("25.50"),
        (person(2), "b"): Decimal("5.00"),
    }
    assert amounts(uow.home) == expected
    service.compact(uow.home)
    assert amounts(uow.home) == expected
    assert store.Folder.of(uow.home, FactTable.ORDERS).parts() == []


def test_the_same_batch_again_replaces_its_part(uow):
    for _ in range(2):
        service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "10.00")]), load_id="one", batch=0)
    assert len(store.Folder.of(uow.home, FactTable.ORDERS).parts()) == 1
    assert service.counts(uow.home)[FactTable.ORDERS] == 1


def test_the_last_of_equal_keys_in_one_batch_counts(uow):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00"), (1, "a", 3, "2.00")]), load_id="one", batch=0)
    assert amounts(uow.home) == {(person(1), "a"): Decimal("2.00")}


def test_a_merge_that_was_killed_before_the_parts_left_changes_nothing(uow, monkeypatch):
    service.append(uow, FactTable.ORDERS, orders([(n, "a", 3, "1.00") for n in range(50)]), load_id="one", batch=0)
    service.append(uow, FactTable.ORDERS, orders([(n, "a", 3, "2.00") for n in range(25)]), load_id="two", batch=0)
    before = amounts(uow.home)
    removed = []

    def die_at_second(path):
        removed.append(path)
        if len(removed) == 2:
            raise KeyboardInterrupt
        path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_file", die_at_second)
        with pytest.raises(KeyboardInterrupt):
            service.compact(uow.home)
    assert len(store.Folder.of(uow.home, FactTable.ORDERS).parts()) == 1
    assert amounts(uow.home) == before
    service.compact(uow.home)
    assert amounts(uow.home) == before


def test_merging_twice_writes_no_file_the_second_time(uow):
    service.append(uow, FactTable.ORDERS, orders([(n, "a", 3, "1.00") for n in range(50)]), load_id="one", batch=0)
    first = service.compact(uow.home)
    assert (first.parts, first.rows) == (1, 50)
    assert service.compact(uow.home) == type(first)(parts=0, rows=0, buckets=0)


def test_merging_a_run_of_buckets_at_a_time_gives_the_same_rows(uow, monkeypatch):
    from pdms.facts import compact

    monkeypatch.setattr(compact, "RUN_ROWS", 10)
    for batch in range(5):
        rows = [(n, f"{n % 3}", 3, f"{batch}.00") for n in range(batch, batch + 20)]
        service.append(uow, FactTable.ORDERS, orders(rows), load_id="one", batch=batch)
    before = amounts(uow.home)
    assert service.compact(uow.home).parts == 5
    assert amounts(uow.home) == before


@pytest.mark.parametrize("merged", [False, True])
def test_erasing_leaves_no_row_and_no_file_that_decodes_to_it(uow, merged):
    gone = person(3)
    for table, columns in SCHEMAS.items():
        row = {
            name: value
            for name, value in {
                **dict.fromkeys(["order_id", "event_id", "interaction_id", "campaign_id"], "canary-7c1"), "line": 1,
                "placed_at": NOW, "at": NOW, "updated_at": NOW, "amount": Decimal("1.00"), "quantity": Decimal(1),
                "status": "completed", "invoiced": True, "product": "canary-7c1", "kind": "view", "channel": "email",
                "outcome": "sent", "text": "canary-7c1", "registered_on": date(2025, 1, 1),
            }.items()
            if name in columns.names
        }  # fmt: skip
        others = [
            {**row, **{k: "other" for k, v in row.items() if v == "canary-7c1"}, "pseudonym": person(n)}
            for n in range(40)
        ]
        mine = {**row, "pseudonym": gone}
        keep = [one for one in others if one["pseudonym"] != gone]
        service.append(uow, table, pa.Table.from_pylist([*keep, mine], schema=columns), load_id="one", batch=0)
    if merged:
        service.compact(uow.home)
    stray = uow.home.facts / "orders" / ".base.parquet.0.tmp"
    stray.write_bytes(gone)
    (uow.home.spill).mkdir(exist_ok=True)
    (uow.home.spill / "1-x").write_bytes(gone)
    assert all(service.of_subject(uow.home, gone).values())
    result = service.erase(uow.home, [gone])
    assert set(result.rows.values()) == {1}
    assert service.erase(uow.home, [gone]).total == 0
    assert not any(service.of_subject(uow.home, gone).values())
    assert len(service.pseudonyms(uow.home)) == 39
    for path in uow.home.root.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert gone not in raw
            assert b"canary-7c1" not in raw
            if path.suffix == ".parquet":
                for value in pq.ParquetFile(path).read().to_pylist():
                    assert gone not in value.values()
                    assert "canary-7c1" not in value.values()


def test_one_table_alone_can_be_erased(uow):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id="one", batch=0)
    event = {"pseudonym": person(1), "event_id": "e", "at": NOW, "kind": "view"}
    events = pa.Table.from_pylist([event], schema=SCHEMAS[FactTable.EVENTS])
    service.append(uow, FactTable.EVENTS, events, load_id="one", batch=0)
    assert service.erase(uow.home, [person(1)], tables=[FactTable.EVENTS]).rows == {FactTable.EVENTS: 1}
    assert service.counts(uow.home)[FactTable.ORDERS] == 1


def test_old_rows_expire(uow):
    service.append(uow, FactTable.ORDERS, orders([(n, "a", n, "1.00") for n in range(10)]), load_id="one", batch=0)
    service.compact(uow.home)
    assert service.expire(uow.home, FactTable.ORDERS, before=NOW - timedelta(days=4)) == 5
    assert {key[0] for key in amounts(uow.home)} == {person(n) for n in range(5)}


def test_one_subject_is_read_with_the_latest_rows_and_without_the_pseudonym(uow):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00"), (2, "a", 1, "9.00")]), load_id="one", batch=0)
    service.compact(uow.home)
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "2.00")]), load_id="two", batch=0)
    mine = service.of_subject(uow.home, person(1))
    assert set(mine) == set(FactTable)
    assert mine[FactTable.ORDERS] == [
        {
            "order_id": "a",
            "placed_at": NOW - timedelta(days=3),
            "completed_at": None,
            "amount": Decimal("2.00"),
            "status": "completed",
            "invoiced": False,
        }
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.append_column("phone", pa.array(["x"])), "no column phone"),
        (lambda t: t.drop_columns("amount"), "needs the column amount"),
        (lambda t: t.set_column(0, "pseudonym", pa.array([b"short"], pa.binary())), "16 bytes"),
        (lambda t: t.set_column(3, "amount", pa.array(["lots"])), "does not fit"),
        (lambda t: t.set_column(4, "status", pa.array([None], pa.string())), "must not be empty"),
    ],
)
def test_rows_that_do_not_fit_are_refused_without_their_values(uow, change, message):
    with pytest.raises(InvalidInput, match=message) as error:
        service.append(uow, FactTable.ORDERS, change(orders([(1, "a", 3, "1.00")])), load_id="one", batch=0)
    assert "lots" not in str(error.value)
    assert not list(uow.home.root.rglob("*.parquet"))


@pytest.mark.parametrize("load_id", ["", "../x", "A b", "x" * 65])
def test_a_load_id_that_is_no_id_is_refused(uow, load_id):
    with pytest.raises(InvalidInput, match="load_id"):
        service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id=load_id, batch=0)


def test_every_key_is_a_column_that_must_be_present():
    for table, key in KEYS.items():
        assert all(not SCHEMAS[table].field(name).nullable for name in key)
        assert key[0] == "pseudonym"


def test_reading_leaves_no_spill_and_no_database_file(uow):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id="one", batch=0)
    assert service.counts(uow.home)[FactTable.ORDERS] == 1
    assert list(uow.home.spill.iterdir()) == []
    assert {path.suffix for path in uow.home.root.rglob("*") if path.is_file()} <= {".parquet", ""}


def test_files_do_not_change_under_a_reader(uow, monkeypatch):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id="one", batch=0)
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.05)
    with service.read(uow.home) as reader:
        with pytest.raises(Conflict) as error:
            service.erase(uow.home, [person(1)])
        assert error.value.code == "FACTS_LOCKED"
        assert reader.table(FactTable.ORDERS).count().to_pyarrow().as_py() == 1
    assert service.erase(uow.home, [person(1)]).total == 1


def test_an_erasure_that_was_killed_is_ended_by_the_next(uow, monkeypatch):
    for batch in range(4):
        service.append(uow, FactTable.ORDERS, orders([(1, str(batch), 3, "1.00")]), load_id="one", batch=batch)
    service.append(uow, FactTable.ORDERS, orders([(2, "a", 3, "1.00")]), load_id="two", batch=0)
    real, calls = store.remove_file, []

    def die_at_third(path):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_file", die_at_third)
        with pytest.raises(KeyboardInterrupt):
            service.erase(uow.home, [person(1)])
    assert service.erase(uow.home, [person(1)]).total == 2
    assert service.pseudonyms(uow.home) == {person(2)}


def test_a_file_that_is_none_of_ours_is_named_as_broken(uow):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id="one", batch=0)
    (part,) = store.Folder.of(uow.home, FactTable.ORDERS).parts()
    pq.write_table(pa.table({"pseudonym": [b"x" * 16], "version": [1]}), part)
    with pytest.raises(IntegrityBroken):
        service.compact(uow.home)


@pytest.mark.parametrize(
    "columns",
    [
        {"pseudonym": [b"x" * 16]},
        {"version": [1]},
        {"pseudonym": [b"x" * 16], "version": ["one"]},
        {"pseudonym": pa.array([], pa.binary()), "version": pa.array([], pa.int64())},
    ],
)
def test_a_file_without_what_every_file_has_is_named_as_broken(uow, columns):
    service.append(uow, FactTable.ORDERS, orders([(1, "a", 3, "1.00")]), load_id="one", batch=0)
    (part,) = store.Folder.of(uow.home, FactTable.ORDERS).parts()
    pq.write_table(pa.table(columns), part)
    for work in (
        lambda: (
            store.version_of(part) if "pseudonym" in columns else store.read_buckets(part, FactTable.ORDERS, range(64))
        ),
        lambda: service.compact(uow.home),
    ):
        with pytest.raises(IntegrityBroken):
            work()
