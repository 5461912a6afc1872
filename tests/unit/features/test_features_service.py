"""Features against plain Python on the same facts."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import ibis
import numpy as np
import pyarrow as pa
import pytest

from pdms.anonymize import flat, tabulate
from pdms.errors import IntegrityBroken
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.facts.schemas import SCHEMAS
from pdms.features import coding, measures, service
from pdms.policy.measures import MEASURES
from pdms.views.definitions import space_of

SHANGHAI = timezone(timedelta(hours=8))
EPOCH = date(1970, 1, 1)
UNKNOWN = object()


def person(number: int) -> bytes:
    return bytes([number * 11 % 256]) + number.to_bytes(15, "big")


def day(instant: datetime) -> int:
    return (instant.astimezone(SHANGHAI).date() - EPOCH).days


@pytest.fixture
def world(uow):
    rng = random.Random(7)
    rows = defaultdict(list)
    for number in range(120):
        who = {"pseudonym": person(number)}
        for n in range(rng.choice([0, 0, 1, 1, 2, 3, 7])):
            placed = uow.now - timedelta(seconds=rng.randrange(-2 * 86400, 800 * 86400))
            status = rng.choice(["completed", "completed", "placed", "cancelled", "returned"])
            lines = [
                {
                    **who,
                    "order_id": f"o{n}",
                    "line": line,
                    "placed_at": placed,
                    "product": rng.choice("pqrs"),
                    "category": rng.choice(["food", "tools", "toys", None]),
                    "quantity": Decimal(rng.randrange(-1, 5)),
                    "amount": Decimal(rng.randrange(-500, 30000)) / 100,
                }
                for line in range(rng.randrange(1, 4))
            ]
            rows[FactTable.ORDER_LINES] += lines
            amount = sum(line["amount"] for line in lines)
            rows[FactTable.ORDERS].append(
                {**who, "order_id": f"o{n}", "placed_at": placed, "amount": amount, "status": status, "invoiced": False}
            )
        for table, key in ((FactTable.EVENTS, "event_id"), (FactTable.INTERACTIONS, "interaction_id")):
            rows[table] += [
                {**who, key: str(n), "at": uow.now - timedelta(days=rng.randrange(-1, 500)), "kind": "view"}
                for n in range(rng.randrange(0, 8))
            ]
        if rng.random() < 0.8:
            rows[FactTable.SUBJECT_ATTRIBUTES].append(
                {
                    **who,
                    "age_band": rng.choice(["18-24", "25-34", None, "95-99"]),
                    "gender": rng.choice(["female", "male", None]),
                    "prefecture": rng.choice(["3101", None]),
                    "city_tier": rng.choice(["1", "2", "new"]),
                    "registered_on": rng.choice([None, date(2025, 7, 1), date(2024, 1, 1)]),
                    "updated_at": uow.now,
                }
            )
    for table, found in rows.items():
        facts.append(uow, table, pa.Table.from_pylist(found, schema=SCHEMAS[table]), load_id="world", batch=0)
    return rows


def expected(rows, who: bytes, now: datetime, window: int) -> dict[str, object]:
    today = day(now)
    mine = {table: [row for row in rows[table] if row["pseudonym"] == who] for table in FactTable}
    counted = [o for o in mine[FactTable.ORDERS] if o["status"] != "cancelled" and day(o["placed_at"]) <= today]
    inside = [o for o in counted if day(o["placed_at"]) > today - window]
    void = {o["order_id"] for o in mine[FactTable.ORDERS] if o["status"] == "cancelled"}
    lines = [
        line
        for line in mine[FactTable.ORDER_LINES]
        if line["order_id"] not in void and today - window < day(line["placed_at"]) <= today
    ]
    by_category = Counter()
    for line in lines:
        if line["category"] is not None:
            by_category[line["category"]] += line["amount"]
    last = max((day(o["placed_at"]) for o in counted), default=None)
    first = min((day(o["placed_at"]) for o in counted), default=None)
    spend = float(sum(o["amount"] for o in inside))
    stage = "never"
    if last is not None:
        since = today - last
        stage = "new" if today - first < 30 else "active" if since < 90 else "lapsing" if since < 180 else "lapsed"
    days = sorted({day(o["placed_at"]) for o in inside})
    recent = [o for o in inside if day(o["placed_at"]) > today - 90]
    clocks = [o["placed_at"].astimezone(SHANGHAI) for o in inside]
    items, amount = sum(line["quantity"] for line in lines), sum(line["amount"] for line in lines)
    named = sum(by_category.values())
    browsed = sorted(day(e["at"]) for e in mine[FactTable.EVENTS] if today - window < day(e["at"]) <= today)
    attributes = mine[FactTable.SUBJECT_ATTRIBUTES][0] if mine[FactTable.SUBJECT_ATTRIBUTES] else {}
    registered = attributes.get("registered_on")
    return {
        "recency_days": float(min(today - last, window)) if last is not None else float(window),
        "orders": float(len(inside)),
        "spend": spend,
        "average_order": spend / len(inside) if inside else None,
        "items": float(sum(line["quantity"] for line in lines)),
        "top_category": min(by_category, key=lambda c: (-by_category[c], c)) if by_category else None,
        "lifecycle_stage": stage,
        "largest_order": max((float(o["amount"]) for o in inside), default=None),
        "first_order_days": None if first is None else float(today - first),
        "order_days": float(len(days)),
        "order_gap_days": float((days[-1] - days[0]) // (len(days) - 1)) if len(days) > 1 else None,
        "recent_orders": float(len(recent)),
        "recent_spend": float(sum(o["amount"] for o in recent)),
        "recent_share": float(sum(o["amount"] for o in recent)) / spend if spend > 0 else None,
        "returned_orders": float(sum(o["status"] == "returned" for o in inside)),
        "weekend_share": sum(at.weekday() >= 5 for at in clocks) / len(clocks) if clocks else None,
        "night_share": sum(at.hour >= 22 or at.hour < 6 for at in clocks) / len(clocks) if clocks else None,
        "lines": float(len(lines)),
        "products": float(len({line["product"] for line in lines})),
        "categories": float(len(by_category)),
        "average_price": float(amount / items) if items > 0 else None,
        "top_category_share": float(max(by_category.values()) / named) if named > 0 else None,
        "events": float(len(browsed)),
        "event_days": float(len(set(browsed))),
        "event_recency_days": float(min(today - browsed[-1], window)) if browsed else float(window),
        "interactions": float(sum(today - window < day(e["at"]) <= today for e in mine[FactTable.INTERACTIONS])),
        "tenure_days": float(today - (registered - EPOCH).days) if registered else None,
        **{name: attributes.get(name) for name in ("age_band", "gender", "city_tier", "prefecture")},
    }


def leaf(hierarchy, value) -> str:
    if value is None:
        return "unknown"
    return value if value in hierarchy.leaves else "other" if "other" in hierarchy.leaves else "unknown"


@pytest.mark.parametrize("part", range(-(-len(MEASURES) // 5)))
def test_exact_columns_are_those_of_plain_python(uow, views, world, part):
    view = views[part]
    asked = [person(n) for n in range(0, 130, 2)]
    found = service.exact_columns(uow, view=view, pseudonyms=asked)
    assert sorted(found.pseudonyms) == sorted(asked)
    space = space_of(uow.policy, view.name)
    for place, who in enumerate(found.pseudonyms):
        truth = expected(world, who, uow.now, view.window_days)
        for feature in view.features:
            got, want = found.columns[feature.name][place], truth[feature.measure]
            if feature.edges is None:
                assert got == leaf(space[feature.name], want), feature.name
            elif want is None:
                assert np.isnan(got), feature.name
            else:
                assert got == pytest.approx(want, abs=1e-6), feature.name


@pytest.mark.parametrize("part", range(-(-len(MEASURES) // 5)))
def test_codes_and_frequencies_are_those_of_the_hierarchies(uow, views, world, part):
    view = views[part]
    asked = [person(n) for n in range(100)]
    exact = service.exact_columns(uow, view=view, pseudonyms=asked)
    space = space_of(uow.policy, view.name)
    codes = np.stack(
        [
            space[name].encode_numbers(column) if space[name].edges else space[name].encode(column)
            for name, column in exact.columns.items()
        ],
        axis=1,
    )
    computed = service.compute_at(uow.home, uow.policy, view=view, pseudonyms=asked, now=uow.now, rows=True)
    truth, _ = tabulate(codes)
    assert computed.features == tuple(space)
    assert np.array_equal(computed.frequency.codes, truth.codes)
    assert np.array_equal(computed.frequency.counts, truth.counts)
    by_person = {row["pseudonym"]: tuple(row[name] for name in space) for row in computed.rows.to_pylist()}
    assert by_person == dict(zip(exact.pseudonyms, map(tuple, codes.tolist()), strict=True))


def test_amounts_as_large_as_may_be_stop_nobody(uow, views, world):
    most, who = Decimal("9999999999999999.99"), {"pseudonym": person(200), "placed_at": uow.now}
    orders = [{**who, "order_id": f"o{n}", "amount": most, "status": "completed", "invoiced": False} for n in range(3)]
    line = {**who, "line": 0, "product": "p", "quantity": Decimal(10**15 - 1), "amount": most}
    lines = [{**line, "order_id": f"o{n}", "category": "food" if n else "tools"} for n in range(3)]
    for table, rows in ((FactTable.ORDERS, orders), (FactTable.ORDER_LINES, lines)):
        facts.append(uow, table, pa.Table.from_pylist(rows, schema=SCHEMAS[table]), load_id="large", batch=0)
    found = {}
    for view in views:
        found |= service.exact_columns(uow, view=view, pseudonyms=[person(200)]).columns
    sums = [found[name][0] for name in ("spend", "recent_spend", "items")]
    assert sums == [pytest.approx(1e16), pytest.approx(1e16), pytest.approx(1e15)]


def test_what_the_engine_says_of_a_value_is_not_repeated(uow, world):
    with pytest.raises(IntegrityBroken) as error, facts.compute(uow.home) as reader:
        reader.connection.raw_sql("SELECT CAST('17777777777777777.76' AS decimal(18,2))").fetchall()
    assert error.value.code == "FACTS_DUCKDB"
    assert "1777" not in str(error.value)
    assert error.value.__cause__ is None


def test_the_query_does_not_grow_with_the_leaves_of_a_category():
    exact = ibis.table({"pseudonym": "binary", "topic": "string"}, name="exact")
    queries = []
    for leaves in (2, 5_000):
        space = {"topic": flat("topic", [f"leaf-{number:04}" for number in range(leaves)], missing="leaf-0000")}
        given = {}

        def give(name, rows, given=given):
            given[name] = rows
            return ibis.table(ibis.Schema.from_pyarrow(rows.schema), name=name)

        queries.append(ibis.to_sql(coding.coded(exact, space, give), dialect="duckdb"))
        assert [rows.num_rows for rows in given.values()] == [leaves]
    assert len(queries[1]) < len(queries[0]) + 100


def test_values_that_the_hierarchy_lacks_are_counted(uow, views, world):
    view = next(v for v in views if any(f.measure == "age_band" for f in v.features))
    asked = [person(n) for n in range(120)]
    computed = service.compute_at(uow.home, uow.policy, view=view, pseudonyms=asked, now=uow.now)
    beyond = sum(row["age_band"] == "95-99" for row in world[FactTable.SUBJECT_ATTRIBUTES])
    assert computed.uncovered["age_band"] == beyond > 0


def test_a_feature_may_bear_any_name(uow, views, world):
    view = next(v for v in views if any(f.measure == "age_band" for f in v.features))
    asked = [person(n) for n in range(120)]
    plain = service.compute_at(uow.home, uow.policy, view=view, pseudonyms=asked, now=uow.now)
    names = ("members", "code_0", "leaf_1", "subjects", "unlisted_code_0")
    other = replace(view, features=tuple(replace(f, name=n) for f, n in zip(view.features, names, strict=True)))
    policy = replace(uow.policy, views={view.name: other})
    named = service.compute_at(uow.home, policy, view=other, pseudonyms=asked, now=uow.now)
    assert np.array_equal(named.frequency.codes, plain.frequency.codes)
    assert sorted(named.uncovered.values()) == sorted(plain.uncovered.values())


def test_every_measure_of_the_policy_is_computed_and_says_what_it_means():
    assert set(measures._MEASURES) == set(MEASURES)
    for one in MEASURES.values():
        assert one.meaning
        assert any("\u4e00" <= sign <= "\u9fff" for sign in one.zh)
        assert bool(one.unit) == (one.kind == "number")
        assert one.absent != "never" or one.kind == "category"


def test_nobody_asked_for_gives_an_empty_table(uow, views, world):
    assert service.compute_at(uow.home, uow.policy, view=views[0], pseudonyms=[], now=uow.now).frequency.rows == 0


def test_the_day_turns_at_midnight_in_shanghai(uow, views):
    view = next(v for v in views if any(f.measure == "recency_days" for f in v.features))
    for number, placed in enumerate(["2026-02-28T15:59:59+00:00", "2026-02-28T16:00:00+00:00"]):
        row = {
            "pseudonym": person(number),
            "order_id": "o",
            "placed_at": datetime.fromisoformat(placed),
            "amount": Decimal(1),
            "status": "completed",
            "invoiced": False,
        }
        rows = pa.Table.from_pylist([row], schema=SCHEMAS[FactTable.ORDERS])
        facts.append(uow, FactTable.ORDERS, rows, load_id="midnight", batch=number)
    uow.now = datetime(2026, 3, 1, 1, tzinfo=UTC)
    found = service.exact_columns(uow, view=view, pseudonyms=[person(0), person(1)])
    days = dict(zip(found.pseudonyms, found.columns["recency_days"], strict=True))
    assert days == {person(0): 1.0, person(1): 0.0}
