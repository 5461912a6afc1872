"""What each measure of `policy.measures` means, as Ibis expressions over facts.

One row for each subject asked for, whoever has data; `Measure.absent` says what a subject without data gets, and
nothing else does: 0, the window's length, `never`, or no value. A share or mean whose divisor is not positive has none.
Days are those of Asia/Shanghai, which has been UTC+8 without summer time since 1992. The window is the `window_days`
days that end with today. Cancelled orders and their lines count nowhere. Every expression casts explicitly, so that two
engines give the same numbers (design section 9): int64, decimal(18,2), whole epoch seconds divided by 86,400; sums are
of integers and decimals, which no order of adding changes, and become doubles at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pdms.errors import InvalidInput
from pdms.facts.names import MICROS, FactTable, OrderStatus
from pdms.policy.definitions import View

SHANGHAI_SECONDS = 8 * 3600
DAY_SECONDS = 86_400
NIGHT_BEGINS, NIGHT_ENDS = 22 * 3600, 6 * 3600
RECENT_DAYS = 90
EPOCH_WEEKDAY = 3 + 7_000_000
"""1970-01-01 was a Thursday; whole weeks are added, since engines differ on the remainder of a negative number."""
NEW_DAYS, ACTIVE_DAYS, LAPSING_DAYS = 30, 90, 180
"""Lifecycle: `new` first ordered within 30 days; else by the last order: `active` 90, `lapsing` 180, else `lapsed`."""

Tables = Callable[[FactTable], Any]


def day_of(instant: datetime) -> int:
    """Return the day of an aware instant in Asia/Shanghai, counted from 1970-01-01."""
    return (int(instant.astimezone(UTC).timestamp()) + SHANGHAI_SECONDS) // DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Window:
    """Days `first` to `today`, both included."""

    today: int
    days: int

    def instant(self, day: int) -> Any:
        """Return the first instant of a day, as an Ibis literal: rows are compared with it, never turned into days."""
        import ibis

        begin = datetime.fromtimestamp(day * DAY_SECONDS - SHANGHAI_SECONDS, tz=UTC)
        return ibis.literal(begin, type="timestamp('UTC')")

    def until_today(self, at: Any) -> Any:
        """Return the condition that an instant lies no later than today."""
        return at < self.instant(self.today + 1)

    def inside(self, at: Any) -> Any:
        """Return the condition that an instant lies in the window, given that it is no later than today."""
        return at >= self.instant(self.today - self.days + 1)


def exact(tables: Tables, subjects: Any, view: View, *, now: datetime) -> Any:
    """Return an Ibis table: `pseudonym`, then one column for each feature: float64 or string, null where absent.

    `subjects`: an Ibis table with the one column `pseudonym`, each once.
    """
    window = Window(today=day_of(now), days=view.window_days)
    result = subjects
    for build in dict.fromkeys(_MEASURES[feature.measure][0] for feature in view.features):
        result = _joined(result, build(tables, subjects, window))
    columns = [_MEASURES[feature.measure][1](result, window).name(feature.name) for feature in view.features]
    return result.select(result.pseudonym, *columns)


def _joined(left: Any, right: Any) -> Any:
    return left.left_join(right, "pseudonym").drop("pseudonym_right")


def _epoch_day(instant: Any) -> Any:
    return ((_epoch_second(instant) + SHANGHAI_SECONDS) // DAY_SECONDS).cast("int64")


def _epoch_second(instant: Any) -> Any:
    # not epoch_seconds(): one engine gives fractions, which a cast rounds into the next day; one cuts towards 1970
    import ibis

    # Ibis is untyped; without an annotation its functions take any instant, and a built-in's body is never run
    @ibis.udf.scalar.builtin(name=MICROS)  # type: ignore[untyped-decorator]
    def micros(at) -> int:  # type: ignore[no-untyped-def,empty-body]  # noqa: ANN001
        """Return microseconds since 1970-01-01 00:00 UTC."""

    return (micros(instant) // 1_000_000).cast("int64")


def _of(rows: Any, subjects: Any) -> Any:
    return rows.semi_join(subjects, "pseudonym")


def _count_if(condition: Any) -> Any:
    return condition.cast("int64").sum().cast("int64")


def _sum_if(condition: Any, amount: Any) -> Any:
    return _sum(condition.ifelse(amount, 0).cast("decimal(18,2)"))


def _sum(amounts: Any, *, scale: int = 2) -> Any:
    """Add up to at most what 18 digits hold: a few amounts as large as ingest lets in must stop nobody's release."""
    import ibis

    kind, most = f"decimal(18,{scale})", Decimal(10**18 - 1).scaleb(-scale)
    wide = amounts.sum().cast(f"decimal(38,{scale})")
    return wide.clip(ibis.literal(-most, kind), ibis.literal(most, kind)).cast(kind)


def _orders(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = _of(tables(FactTable.ORDERS), subjects)
    rows = rows.filter(rows.status != OrderStatus.CANCELLED.value)
    rows = rows.filter(window.until_today(rows.placed_at))
    inside = window.inside(rows.placed_at)
    recent = inside & (rows.placed_at >= window.instant(window.today - RECENT_DAYS + 1))
    second = _epoch_second(rows.placed_at) + SHANGHAI_SECONDS
    day = (second // DAY_SECONDS).cast("int64")
    of_day = second - day * DAY_SECONDS
    return rows.group_by("pseudonym").agg(
        last_day=_epoch_day(rows.placed_at.max()),
        first_day=_epoch_day(rows.placed_at.min()),
        last_day_inside=_epoch_day(rows.placed_at.max(where=inside)),
        first_day_inside=_epoch_day(rows.placed_at.min(where=inside)),
        days_inside=day.nunique(where=inside).cast("int64"),
        orders_inside=_count_if(inside),
        spend_inside=_sum_if(inside, rows.amount),
        largest_inside=rows.amount.max(where=inside).cast("decimal(18,2)"),
        recent_orders=_count_if(recent),
        recent_spend=_sum_if(recent, rows.amount),
        returned_inside=_count_if(inside & (rows.status == OrderStatus.RETURNED.value)),
        weekend_inside=_count_if(inside & ((day + EPOCH_WEEKDAY) % 7 >= 5)),
        night_inside=_count_if(inside & ((of_day >= NIGHT_BEGINS) | (of_day < NIGHT_ENDS))),
    )


def _lines_inside(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = tables(FactTable.ORDER_LINES)
    rows = _of(rows.filter(window.until_today(rows.placed_at) & window.inside(rows.placed_at)), subjects)
    orders = _of(tables(FactTable.ORDERS), subjects)
    void = orders.filter(orders.status == OrderStatus.CANCELLED.value).select("pseudonym", "order_id")
    return rows.anti_join(void, ["pseudonym", "order_id"])


def _lines(tables: Tables, subjects: Any, window: Window) -> Any:
    import ibis

    rows = _lines_inside(tables, subjects, window)
    sums = rows.group_by("pseudonym", "category").agg(
        amount=_sum(rows.amount), quantity=rows.quantity.sum(), lines=rows.count().cast("int64")
    )
    sums = sums.mutate(spent=sums.category.notnull().ifelse(sums.amount, ibis.null()))
    # equal sums: the first by name, so that two engines choose alike (argmax alone leaves it open)
    once = sums.group_by("pseudonym", "spent").agg(
        category=sums.category.min(),
        categories=sums.category.count().cast("int64"),
        together=_sum(sums.spent),
        amount=_sum(sums.amount),
        quantity=sums.quantity.sum(),
        lines=sums.lines.sum().cast("int64"),
    )
    return once.group_by("pseudonym").agg(
        items_inside=_sum(once.quantity, scale=3),
        lines_inside=once.lines.sum().cast("int64"),
        lines_amount=_sum(once.amount),
        categories_inside=once.categories.sum().cast("int64"),
        categories_spend=_sum(once.together),
        top_spend=once.spent.max().cast("decimal(18,2)"),
        top_category=once.category.argmax(once.spent),
    )


def _products(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = _lines_inside(tables, subjects, window)
    return rows.group_by("pseudonym").agg(products_inside=rows["product"].nunique().cast("int64"))


def _events(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = _of(tables(FactTable.EVENTS), subjects)
    rows = rows.filter(window.until_today(rows["at"]) & window.inside(rows["at"]))
    return rows.group_by("pseudonym").agg(
        events_inside=rows.count().cast("int64"),
        event_days=_epoch_day(rows["at"]).nunique().cast("int64"),
        last_event_day=_epoch_day(rows["at"].max()),
    )


def _interactions(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = _of(tables(FactTable.INTERACTIONS), subjects)
    rows = rows.filter(window.until_today(rows["at"]) & window.inside(rows["at"]))
    return rows.group_by("pseudonym").agg(interactions_inside=rows.count().cast("int64"))


def _attributes(tables: Tables, subjects: Any, _window: Window) -> Any:
    rows = _of(tables(FactTable.SUBJECT_ATTRIBUTES), subjects)
    registered = (_epoch_second(rows.registered_on.cast("timestamp")) // DAY_SECONDS).cast("int64")
    return rows.select("pseudonym", "age_band", "gender", "prefecture", "city_tier", registered_day=registered)


def _recency(column: str) -> "Value":
    def value(rows: Any, window: Window) -> Any:
        import ibis

        return ibis.least(window.today - rows[column], window.days).fill_null(window.days).cast("float64")

    return value


def _since(column: str) -> "Value":
    return lambda rows, window: (window.today - rows[column]).cast("float64")


def _ratio(part: str, whole: str) -> "Value":
    def value(rows: Any, _window: Window) -> Any:
        import ibis

        # null, not zero, below the line: one engine evaluates what it does not take, and refuses to divide by zero
        divisor = (rows[whole] > 0).ifelse(rows[whole].cast("float64"), ibis.null("float64"))
        return rows[part].cast("float64") / divisor

    return value


def _gap(rows: Any, _window: Window) -> Any:
    import ibis

    steps = (rows.days_inside > 1).ifelse(rows.days_inside - 1, ibis.null("int64"))
    return ((rows.last_day_inside - rows.first_day_inside) // steps).cast("float64")


def _stage(rows: Any, window: Window) -> Any:
    import ibis

    since_first, since_last = window.today - rows.first_day, window.today - rows.last_day
    return ibis.cases(
        (rows.last_day.isnull(), "never"),
        (since_first < NEW_DAYS, "new"),
        (since_last < ACTIVE_DAYS, "active"),
        (since_last < LAPSING_DAYS, "lapsing"),
        else_="lapsed",
    )


def _number(column: str) -> "Value":
    return lambda rows, _window: rows[column].cast("float64").fill_null(0.0)


def _plain(column: str) -> "Value":
    return lambda rows, _window: rows[column].cast("float64")


def _label(column: str) -> "Value":
    return lambda rows, _window: rows[column].cast("string")


Build = Callable[[Tables, Any, Window], Any]
Value = Callable[[Any, Window], Any]

_MEASURES: dict[str, tuple[Build, Value]] = {
    "recency_days": (_orders, _recency("last_day")),
    "orders": (_orders, _number("orders_inside")),
    "spend": (_orders, _number("spend_inside")),
    "average_order": (_orders, _ratio("spend_inside", "orders_inside")),
    "largest_order": (_orders, _plain("largest_inside")),
    "first_order_days": (_orders, _since("first_day")),
    "order_days": (_orders, _number("days_inside")),
    "order_gap_days": (_orders, _gap),
    "recent_orders": (_orders, _number("recent_orders")),
    "recent_spend": (_orders, _number("recent_spend")),
    "recent_share": (_orders, _ratio("recent_spend", "spend_inside")),
    "returned_orders": (_orders, _number("returned_inside")),
    "weekend_share": (_orders, _ratio("weekend_inside", "orders_inside")),
    "night_share": (_orders, _ratio("night_inside", "orders_inside")),
    "lifecycle_stage": (_orders, _stage),
    "items": (_lines, _number("items_inside")),
    "lines": (_lines, _number("lines_inside")),
    "categories": (_lines, _number("categories_inside")),
    "average_price": (_lines, _ratio("lines_amount", "items_inside")),
    "top_category": (_lines, _label("top_category")),
    "top_category_share": (_lines, _ratio("top_spend", "categories_spend")),
    "products": (_products, _number("products_inside")),
    "events": (_events, _number("events_inside")),
    "event_days": (_events, _number("event_days")),
    "event_recency_days": (_events, _recency("last_event_day")),
    "interactions": (_interactions, _number("interactions_inside")),
    "tenure_days": (_attributes, _since("registered_day")),
    "age_band": (_attributes, _label("age_band")),
    "gender": (_attributes, _label("gender")),
    "city_tier": (_attributes, _label("city_tier")),
    "prefecture": (_attributes, _label("prefecture")),
}
"""For each measure, the pass over one fact table that gives its columns, and its value of them."""


def computable(measure: str) -> None:
    """Check that a measure is known here. :raises InvalidInput: it is not."""
    if measure not in _MEASURES:
        raise InvalidInput("view: a measure is not computed by this version")
