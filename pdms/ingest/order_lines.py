"""Kind `order_lines`: lines become facts, and where no orders file exists the orders are their sums.

Guarantees: an order that `make_orders` makes is written once, when its last line lies a few batches back or the file
has ended; a line that comes later still is rejected (LINES_NOT_TOGETHER) rather than counted in a second sum. So memory
is bounded by the orders of a few batches. A file must hold an order whole: the sum is taken over one file. Without line
numbers in the file, a line's number is its place among the lines of its order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from pdms.facts.names import FactTable, OrderStatus
from pdms.ingest.commerce import append, fact_table
from pdms.ingest.kind import Stored, column_name, no_repeats, with_members
from pdms.ingest.mapping import KEY_MEMBER, Batch
from pdms.ingest.seen import KeysSeen
from pdms.ingest.values import to_cents
from pdms.policy.definitions import Source
from pdms.taxonomy import Pseudonym
from pdms.unit_of_work import UnitOfWork

KEPT_OPEN = 5
"""Batches for which an order waits for more lines."""
_ZERO = Decimal(0)

_OrderKey = tuple[str, str]


@dataclass(slots=True)
class _Open:
    """An order whose lines may still come."""

    pseudonym: Pseudonym | None
    placed_at: datetime
    last_batch: int
    lines: int = 0
    amount: Decimal = _ZERO
    accepted: bool = False


class OrderLines:
    """Order lines; remembers the orders of the last batches."""

    tables: ClassVar[tuple[FactTable, ...]] = (FactTable.ORDER_LINES, FactTable.ORDERS)

    def __init__(self, source: Source, load_id: str) -> None:
        self._source, self._load_id = source, load_id
        self._numbered = any(column.target == "key.line" for column in source.columns)
        self._remembers = source.make_orders or not self._numbered
        self._open: dict[_OrderKey, _Open] = {}
        self._closed = KeysSeen()
        self._seen = KeysSeen()

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Append one batch to `order_lines`, and the orders that are complete to `orders`."""
        numbered = self._numbered and "key.line" in batch.values
        if numbered:
            keys = list(zip(*(batch.values[target] for target in (KEY_MEMBER, "key.order", "key.line")), strict=True))
            batch = no_repeats(batch, self._seen, keys, self._source, "key.line")
        if self._remembers:
            batch = self._together(batch)
        batch = self._with_amounts(batch)
        numbers = None if numbered else self._count(batch)
        batch = batch if numbers is None else _with(batch, "key.line", numbers)
        batch, members = with_members(uow, batch, self._source)
        values = batch.values
        tokens = [one.pseudonym for one in members]
        if self._source.make_orders:
            self._add(batch, tokens)
        if write:
            empty = [None] * len(batch)
            columns: dict[str, Sequence[Any]] = {
                "pseudonym": tokens,
                "order_id": values["key.order"],
                "line": values["key.line"],
                "placed_at": values["placed_at"],
                "product": values["product"],
                "product_name": values.get("product_name", empty),
                "category": values.get("category", empty),
                "quantity": values["quantity"],
                "unit_price": values.get("unit_price", empty),
                "amount": values["amount"],
            }
            table = fact_table(FactTable.ORDER_LINES, columns)
            append(uow, FactTable.ORDER_LINES, table, load_id=self._load_id, batch=batch.number)
        done = {key: one for key, one in self._open.items() if one.last_batch <= batch.number - KEPT_OPEN}
        self._close(uow, done, batch.number, write=write)
        return Stored(accepted=len(batch), rejected=batch.rejected) if write else Stored()

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Write the orders that were still open."""
        self._close(uow, dict(self._open), batch, write=True)

    def _keys(self, batch: Batch) -> list[_OrderKey]:
        return list(zip(batch.values[KEY_MEMBER], batch.values["key.order"], strict=True))

    def _together(self, batch: Batch) -> Batch:
        """Reject lines of orders that were closed; open the orders of the others."""
        keys = self._keys(batch)
        fresh = list(dict.fromkeys(key for key in keys if key not in self._open))
        late = {fresh[at] for at in self._closed.add(fresh)} if fresh else set()
        name = column_name(self._source, "key.order")
        for at, key in enumerate(keys):
            if key in late:
                continue
            one = self._open.get(key)
            if one is None:
                one = self._open[key] = _Open(None, batch.values["placed_at"][at], batch.number)
            one.last_batch = batch.number
            one.placed_at = min(one.placed_at, batch.values["placed_at"][at])
        return batch.without({at: (name, "LINES_NOT_TOGETHER") for at, key in enumerate(keys) if key in late})

    def _count(self, batch: Batch) -> list[int]:
        numbers = []
        for key in self._keys(batch):
            one = self._open[key]
            one.lines += 1
            numbers.append(one.lines)
        return numbers

    def _with_amounts(self, batch: Batch) -> Batch:
        """Fill amounts that the file does not say with quantity times unit price."""
        said = batch.values.get("amount", [None] * len(batch))
        prices = batch.values.get("unit_price", [None] * len(batch))
        wrong: dict[int, tuple[str, str]] = {}
        amounts: list[Decimal | None] = []
        for at, (amount, quantity, price) in enumerate(zip(said, batch.values["quantity"], prices, strict=True)):
            if amount is None and price is None:
                wrong[at] = (column_name(self._source, "amount"), "MISSING_VALUE")
            amounts.append(to_cents(quantity * price) if amount is None and price is not None else amount)
        return _with(batch, "amount", amounts).without(wrong)

    def _add(self, batch: Batch, tokens: Sequence[Pseudonym]) -> None:
        for key, token, amount in zip(self._keys(batch), tokens, batch.values["amount"], strict=True):
            one = self._open[key]
            one.pseudonym, one.accepted = token, True
            one.amount += amount

    def _close(self, uow: UnitOfWork, done: dict[_OrderKey, _Open], batch: int, *, write: bool) -> None:
        for key in done:
            del self._open[key]
        made = [(key[1], one) for key, one in done.items() if one.accepted]
        if not write or not self._source.make_orders or not made:
            return
        columns: dict[str, Sequence[Any]] = {
            "pseudonym": [one.pseudonym for _, one in made],
            "order_id": [order for order, _ in made],
            "placed_at": [one.placed_at for _, one in made],
            "completed_at": [None] * len(made),
            "amount": [one.amount for _, one in made],
            "status": [OrderStatus.CANCELLED if one.amount < 0 else OrderStatus.COMPLETED for _, one in made],
            "invoiced": [False] * len(made),
        }
        append(uow, FactTable.ORDERS, fact_table(FactTable.ORDERS, columns), load_id=self._load_id, batch=batch)


def _with(batch: Batch, target: str, column: Sequence[Any]) -> Batch:
    return Batch(batch.number, batch.numbers, {**batch.values, target: column}, batch.rejected, batch.read)
