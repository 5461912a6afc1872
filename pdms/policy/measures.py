"""The closed list of measures that a feature view may cut: what `features` computes, and from which fact table.

The loader needs it to refuse what a view must never hold: an identifier, a token, an exact value without edges.
"""

from dataclasses import dataclass
from typing import Literal

Absent = Literal["zero", "window", "never", "none"]
"""What a subject without data counts as: 0; as many days as the window has; the label `never`; no value at all, for
which the view's feature has a leaf."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One computable column: its kind decides whether edges or a hierarchy must coarsen it."""

    name: str
    kind: Literal["number", "category"]
    fact: str
    """Fact table that it is computed from; its data category must belong to the view's purpose."""
    unit: str
    meaning: str
    zh: str
    """Its name in Chinese."""
    absent: Absent = "none"


def _number(name: str, fact: str, unit: str, absent: Absent, meaning: str, zh: str) -> Measure:
    return Measure(name, "number", fact, unit, meaning, zh, absent)


def _category(name: str, fact: str, meaning: str, zh: str, absent: Absent = "none") -> Measure:
    return Measure(name, "category", fact, "", meaning, zh, absent)


_O, _L, _E, _I, _S = "orders", "order_lines", "events", "interactions", "subject_attributes"

MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        _number("recency_days", _O, "days", "window", "whole days since the last order", "最近一次下单距今天数"),
        _number("orders", _O, "count", "zero", "orders placed in the window", "下单次数"),
        _number("spend", _O, "currency", "zero", "sum of order amounts in the window", "消费金额"),
        _number("average_order", _O, "currency", "none", "mean order amount in the window", "客单价"),
        _number("largest_order", _O, "currency", "none", "greatest order amount in the window", "窗口内最大订单金额"),
        _number("first_order_days", _O, "days", "none", "whole days since the first order", "距首次下单的整日数"),
        _number("order_days", _O, "count", "zero", "days with an order in the window", "窗口内有下单的天数"),
        _number(
            "order_gap_days",
            _O,
            "days",
            "none",
            "mean whole days from one day with an order to the next, in the window",
            "窗口内相邻下单日的平均间隔整日数",
        ),
        _number("recent_orders", _O, "count", "zero", "orders of the window's last 90 days", "窗口最近 90 天下单次数"),
        _number(
            "recent_spend",
            _O,
            "currency",
            "zero",
            "sum of order amounts of the window's last 90 days",
            "窗口最近 90 天订单金额合计",
        ),
        _number(
            "recent_share",
            _O,
            "share",
            "none",
            "share of the window's spend that falls into its last 90 days",
            "窗口最近 90 天消费占窗口消费的比例",
        ),
        _number("returned_orders", _O, "count", "zero", "orders of the window that were returned", "窗口内退货订单数"),
        _number(
            "weekend_share",
            _O,
            "share",
            "none",
            "share of the window's orders placed on a Saturday or Sunday",
            "窗口内周六、周日下单的比例",
        ),
        _number(
            "night_share",
            _O,
            "share",
            "none",
            "share of the window's orders placed from 22:00 until before 06:00",
            "窗口内 22:00 至次日 06:00 前下单的比例",
        ),
        _category("lifecycle_stage", _O, "new, active, lapsing, lapsed, never", "生命周期阶段", "never"),
        _number("items", _L, "count", "zero", "sum of quantities in the window", "购买件数"),
        _number("lines", _L, "count", "zero", "order lines in the window", "窗口内订单行数"),
        _number("products", _L, "count", "zero", "different products ordered in the window", "窗口内所购不同商品数"),
        _number(
            "categories", _L, "count", "zero", "different product categories in the window", "窗口内所购不同品类数"
        ),
        _number(
            "average_price",
            _L,
            "currency",
            "none",
            "amount of the window's order lines for each item",
            "窗口内每件商品的平均金额",
        ),
        _category("top_category", _L, "product category with the greatest spend", "消费最多的类目"),
        _number(
            "top_category_share",
            _L,
            "share",
            "none",
            "share of that category in the spend of all categories",
            "消费最多品类占各品类消费的比例",
        ),
        _number("events", _E, "count", "zero", "browsing events in the window", "浏览次数"),
        _number(
            "event_days", _E, "count", "zero", "days with a browsing event in the window", "窗口内有浏览行为的天数"
        ),
        _number(
            "event_recency_days",
            _E,
            "days",
            "window",
            "whole days since the last browsing event",
            "距最近一次浏览行为的整日数",
        ),
        _number(
            "interactions",
            _I,
            "count",
            "zero",
            "service contacts and reviews in the window",
            "服务互动次数",
        ),
        _number("tenure_days", _S, "days", "none", "days since the month of registration", "注册时长（天）"),
        _category("age_band", _S, "age band", "年龄段"),
        _category("gender", _S, "gender as stated", "性别"),
        _category("city_tier", _S, "tier of the city of residence", "城市级别"),
        _category("prefecture", _S, "prefecture of GB/T 2260", "地级市"),
    )
}

IDENTIFYING = frozenset(
    [
        "member_id",
        "pseudonym",
        "external_id",
        "member_token",
        "device_id",
        "name",
        "phone",
        "email",
        "address",
        "id_number",
        "birth_date",
        "login",
        "ip",
        "order_id",
        "session_id",
    ]
)
"""Names that a view must never carry, whatever they hold (PIPL-4, 73(3)(4))."""

FACT_TABLES = frozenset(["orders", "order_lines", "events", "interactions", "campaign_contacts", "subject_attributes"])
