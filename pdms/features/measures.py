"""What each measure of `policy.measures` means, as Ibis expressions over facts.

One row for each subject asked for, whoever has data; a subject without is documented here and nowhere else:
recency_days = the window's length (never, or not within it); orders, spend, items, events, interactions = 0;
average_order and tenure_days absent; categories absent; lifecycle_stage `never`.
Days are those of Asia/Shanghai, which has been UTC+8 without summer time since 1992. The window is the `window_days`
days that end with today. Cancelled orders and their lines count nowhere. Every expression casts explicitly, so that two
engines give the same numbers (design section 9): int64, decimal(18,2), epoch seconds divided by 86,400.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pdms.errors import InvalidInput
from pdms.facts.names import FactTable, OrderStatus
from pdms.policy.definitions import View

SHANGHAI_SECONDS = 8 * 3600
DAY_SECONDS = 86_400
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
    wanted = {feature.measure for feature in view.features}
    result = subjects
    for names, build in _GROUPS:
        if wanted & names:
            result = _joined(result, build(tables, subjects, window))
    columns = [_VALUES[feature.measure](result, window).name(feature.name) for feature in view.features]
    return result.select(result.pseudonym, *columns)


def _joined(left: Any, right: Any) -> Any:
    return left.left_join(right, "pseudonym").drop("pseudonym_right")


def _epoch_day(instant: Any) -> Any:
    return ((_epoch_second(instant) + SHANGHAI_SECONDS) // DAY_SECONDS).cast("int64")


def _epoch_second(instant: Any) -> Any:
    # DuckDB gives fractions, which a cast would round: the last half second of a day would be the next day's
    return instant.epoch_seconds().cast("float64").floor().cast("int64")


def _of(rows: Any, subjects: Any) -> Any:
    return rows.semi_join(subjects, "pseudonym")


def _count_if(condition: Any) -> Any:
    return condition.cast("int64").sum().cast("int64")


def _orders(tables: Tables, subjects: Any, window: Window) -> Any:
    rows = _of(tables(FactTable.ORDERS), subjects)
    rows = rows.filter(rows.status != OrderStatus.CANCELLED.value)
    rows = rows.filter(window.until_today(rows.placed_at))
    inside = window.inside(rows.placed_at)
    return rows.group_by("pseudonym").agg(
        last_day=_epoch_day(rows.placed_at.max()),
        first_day=_epoch_day(rows.placed_at.min()),
        orders_inside=_count_if(inside),
        spend_inside=inside.ifelse(rows.amount, 0).cast("decimal(18,2)").sum().cast("decimal(18,2)"),
    )


def _lines(tables: Tables, subjects: Any, window: Window) -> Any:
    import ibis

    rows = tables(FactTable.ORDER_LINES)
    rows = _of(rows.filter(window.until_today(rows.placed_at) & window.inside(rows.placed_at)), subjects)
    orders = _of(tables(FactTable.ORDERS), subjects)
    void = orders.filter(orders.status == OrderStatus.CANCELLED.value).select("pseudonym", "order_id")
    rows = rows.anti_join(void, ["pseudonym", "order_id"])
    sums = rows.group_by("pseudonym", "category").agg(spent=rows.amount.sum(), quantity=rows.quantity.sum())
    sums = sums.mutate(spent=sums.category.notnull().ifelse(sums.spent.cast("decimal(18,2)"), ibis.null()))
    # equal sums: the first by name, so that two engines choose alike (argmax alone leaves it open)
    once = sums.group_by("pseudonym", "spent").agg(category=sums.category.min(), quantity=sums.quantity.sum())
    return once.group_by("pseudonym").agg(
        items_inside=once.quantity.sum().cast("decimal(18,3)"), top_category=once.category.argmax(once.spent)
    )


def _counted(table: FactTable, name: str) -> Callable[[Tables, Any, Window], Any]:
    def build(tables: Tables, subjects: Any, window: Window) -> Any:
        rows = _of(tables(table), subjects)
        rows = rows.filter(window.until_today(rows["at"]) & window.inside(rows["at"]))
        return rows.group_by("pseudonym").agg(**{name: rows.count().cast("int64")})

    return build


def _attributes(tables: Tables, subjects: Any, _window: Window) -> Any:
    rows = _of(tables(FactTable.SUBJECT_ATTRIBUTES), subjects)
    registered = (_epoch_second(rows.registered_on.cast("timestamp")) // DAY_SECONDS).cast("int64")
    return rows.select("pseudonym", "age_band", "gender", "prefecture", "city_tier", registered_day=registered)


_GROUPS: Sequence[tuple[frozenset[str], Callable[[Tables, Any, Window], Any]]] = (
    (frozenset({"recency_days", "orders", "spend", "average_order", "lifecycle_stage"}), _orders),
    (frozenset({"items", "top_category"}), _lines),
    (frozenset({"events"}), _counted(FactTable.EVENTS, "events_inside")),
    (frozenset({"interactions"}), _counted(FactTable.INTERACTIONS, "interactions_inside")),
    (frozenset({"tenure_days", "age_band", "gender", "city_tier", "prefecture"}), _attributes),
)
"""Which measures one pass over one fact table gives."""


def _recency(rows: Any, window: Window) -> Any:
    import ibis

    days = ibis.least(window.today - rows.last_day, window.days)
    return days.fill_null(window.days).cast("float64")


def _average(rows: Any, _window: Window) -> Any:
    import ibis

    mean = rows.spend_inside.cast("float64") / rows.orders_inside.cast("float64")
    return (rows.orders_inside > 0).ifelse(mean, ibis.null("float64"))


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


def _number(column: str) -> Callable[[Any, Window], Any]:
    return lambda rows, _window: rows[column].cast("float64").fill_null(0.0)


def _label(column: str) -> Callable[[Any, Window], Any]:
    return lambda rows, _window: rows[column].cast("string")


_VALUES: dict[str, Callable[[Any, Window], Any]] = {
    "recency_days": _recency,
    "orders": _number("orders_inside"),
    "spend": _number("spend_inside"),
    "average_order": _average,
    "items": _number("items_inside"),
    "top_category": _label("top_category"),
    "lifecycle_stage": _stage,
    "events": _number("events_inside"),
    "interactions": _number("interactions_inside"),
    "tenure_days": lambda rows, window: (window.today - rows.registered_day).cast("float64"),
    "age_band": _label("age_band"),
    "gender": _label("gender"),
    "city_tier": _label("city_tier"),
    "prefecture": _label("prefecture"),
}


def computable(measure: str) -> None:
    """Check that a measure is known here. :raises InvalidInput: it is not."""
    if measure not in _VALUES:
        raise InvalidInput("view: a measure is not computed by this version")
