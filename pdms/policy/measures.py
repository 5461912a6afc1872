"""The closed list of measures that a feature view may cut: what `features` computes, and from which fact table.

The loader needs it to refuse what a view must never hold: an identifier, a token, an exact value without edges.
"""

from dataclasses import dataclass
from typing import Literal


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


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("recency_days", "number", "orders", "days", "whole days since the last order", "最近一次下单距今天数"),
        Measure("orders", "number", "orders", "count", "orders placed in the window", "下单次数"),
        Measure("spend", "number", "orders", "currency", "sum of order amounts in the window", "消费金额"),
        Measure("average_order", "number", "orders", "currency", "mean order amount in the window", "客单价"),
        Measure("items", "number", "order_lines", "count", "sum of quantities in the window", "购买件数"),
        Measure(
            "top_category", "category", "order_lines", "", "product category with the greatest spend", "消费最多的类目"
        ),
        Measure("lifecycle_stage", "category", "orders", "", "new, active, lapsing, lapsed, never", "生命周期阶段"),
        Measure("events", "number", "events", "count", "browsing events in the window", "浏览次数"),
        Measure(
            "interactions",
            "number",
            "interactions",
            "count",
            "service contacts and reviews in the window",
            "服务互动次数",
        ),
        Measure(
            "tenure_days",
            "number",
            "subject_attributes",
            "days",
            "days since the month of registration",
            "注册时长（天）",
        ),
        Measure("age_band", "category", "subject_attributes", "", "age band", "年龄段"),
        Measure("gender", "category", "subject_attributes", "", "gender as stated", "性别"),
        Measure("city_tier", "category", "subject_attributes", "", "tier of the city of residence", "城市级别"),
        Measure("prefecture", "category", "subject_attributes", "", "prefecture of GB/T 2260", "地级市"),
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
