"""Which facts a statute keeps after an erasure, until when, and under which article. Pure.

Only laws and administrative regulations support PIPL-47-2: ECL-31 (platforms, three years from completion of the trade)
and TAX-29 (vouchers, ten years). A hold keeps rows of a trade, never behaviour or interaction; the consignee's fields
only under a duty that names them. Each duty is a record of its own, so that each ends on its own day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pdms.clock import SHANGHAI
from pdms.policy.definitions import Policy, Retention


@dataclass(frozen=True, slots=True)
class Hold:
    """One order that must stay under one duty: its rows by fact table, and the member fields that the duty names."""

    order_id: str = field(repr=False)
    article: str
    until: date
    rows: Mapping[str, Sequence[Mapping[str, object]]] = field(repr=False)
    fields: tuple[str, ...]


def holds_of(policy: Policy, facts: Mapping[str, Sequence[Mapping[str, object]]], *, today: date) -> tuple[Hold, ...]:
    """Return the orders of one subject that a statute keeps beyond `today`.

    :param facts: rows of one subject by fact table name, as `facts.of_subject` gives them.
    """
    duties = [r for purpose in policy.purposes.values() for r in purpose.retention if r.trigger == "trade"]
    found = []
    for order in facts.get("orders", ()):
        order_id = str(order["order_id"])
        for duty in duties:
            until = _until(policy, duty, order)
            if until is None or until < today:
                continue
            rows = {
                table: [row for row in facts.get(table, ()) if str(row.get("order_id")) == order_id]
                for table in duty.facts
            }
            found.append(Hold(order_id, duty.article, until, rows, duty.fields))
    return tuple(found)


def _until(policy: Policy, duty: Retention, order: Mapping[str, object]) -> date | None:
    if duty.when == "platform" and policy.controller.role != "platform":
        return None
    if duty.when == "voucher" and not order.get("invoiced"):
        return None
    if order.get("status") == "cancelled":  # no trade was made
        return None
    start = order.get("completed_at") or order.get("placed_at")
    if not isinstance(start, datetime):
        return None
    return start.astimezone(SHANGHAI).date() + timedelta(days=duty.days)
