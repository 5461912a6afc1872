"""Kinds `orders`, `events`, `interactions`: rows become facts under the pseudonym of their member.

Guarantees: no id of a member but the pseudonym reaches a fact; free text arrives redacted; a row whose member is
unknown, erased or disabled is rejected. A row without an id of its own gets a keyed digest of what it says, so that the
same file again is the same facts.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pdms.crypto import BlindIndex, derive
from pdms.facts import service as facts
from pdms.facts.names import FactTable, OrderStatus
from pdms.ingest.kind import Stored, column_name, no_repeats, with_members
from pdms.ingest.mapping import KEY_MEMBER, Batch
from pdms.ingest.mentions import without_mentions
from pdms.ingest.seen import KeysSeen
from pdms.policy.definitions import Source
from pdms.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pyarrow as pa

_STATUSES = frozenset(OrderStatus)


class Orders:
    """Orders, one row each."""

    tables: ClassVar[tuple[FactTable, ...]] = (FactTable.ORDERS,)

    def __init__(self, source: Source, load_id: str) -> None:
        self._source, self._load_id = source, load_id
        self._seen = KeysSeen()

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Append one batch to `orders`."""
        keys = list(zip(batch.values[KEY_MEMBER], batch.values["key.order"], strict=True))
        batch = no_repeats(batch, self._seen, keys, self._source, "key.order")
        if not write:
            return Stored()
        statuses = batch.values.get("status")
        if statuses is not None:
            name = column_name(self._source, "status")
            batch = batch.without(
                {
                    at: (name, "VALUE_UNKNOWN")
                    for at, status in enumerate(statuses)
                    if status is not None and status not in _STATUSES
                }
            )
        batch, members = with_members(uow, batch, self._source)
        size = len(batch)
        values = batch.values
        table = fact_table(
            FactTable.ORDERS,
            {
                "pseudonym": [one.pseudonym for one in members],
                "order_id": values["key.order"],
                "placed_at": values["placed_at"],
                "completed_at": values.get("completed_at", [None] * size),
                "amount": values["amount"],
                "status": [one or OrderStatus.COMPLETED for one in values.get("status", [None] * size)],
                "invoiced": [bool(one) for one in values.get("invoiced", [None] * size)],
            },
        )
        append(uow, FactTable.ORDERS, table, load_id=self._load_id, batch=batch.number)
        return Stored(accepted=size, rejected=batch.rejected)

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Nothing is left over."""


class Happenings:
    """Events and interactions: something at an instant."""

    def __init__(self, source: Source, load_id: str) -> None:
        self._source, self._load_id = source, load_id
        self._seen = KeysSeen()

    _table: ClassVar[FactTable]
    _key: ClassVar[str]
    _id: ClassVar[str]
    _said: ClassVar[tuple[str, ...]]

    def store(self, uow: UnitOfWork, batch: Batch, *, write: bool) -> Stored:
        """Append one batch."""
        if self._key in batch.values:
            keys = list(zip(batch.values[KEY_MEMBER], batch.values[self._key], strict=True))
            batch = no_repeats(batch, self._seen, keys, self._source, self._key)
        if not write:
            return Stored()
        batch, members = with_members(uow, batch, self._source)
        empty = [None] * len(batch)
        columns: dict[str, Sequence[Any]] = {name: batch.values.get(name, empty) for name in self._said}
        ids = _ids(uow, batch, self._key, [columns[name] for name in self._said])
        columns |= {"pseudonym": [one.pseudonym for one in members], self._id: ids}
        table = fact_table(self._table, self._prepared(uow, columns))
        append(uow, self._table, table, load_id=self._load_id, batch=batch.number)
        return Stored(accepted=len(batch), rejected=batch.rejected)

    def _prepared(self, uow: UnitOfWork, columns: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:  # noqa: ARG002  # for those who look up
        return columns

    def finish(self, uow: UnitOfWork, batch: int) -> None:
        """Nothing is left over."""


class Events(Happenings):
    """Browsing events."""

    tables: ClassVar[tuple[FactTable, ...]] = (FactTable.EVENTS,)
    _table = FactTable.EVENTS
    _key = "key.event"
    _id = "event_id"
    _said = ("at", "kind", "item", "category")


class Interactions(Happenings):
    """Service contacts and reviews; their text is redacted on its way."""

    tables: ClassVar[tuple[FactTable, ...]] = (FactTable.INTERACTIONS,)
    _table = FactTable.INTERACTIONS
    _key = "key.interaction"
    _id = "interaction_id"
    _said = ("at", "kind", "channel", "text")

    def _prepared(self, uow: UnitOfWork, columns: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
        from pdms.discovery.redact import redact_many

        texts = columns["text"]
        if any(texts):
            redacted = redact_many([text or "" for text in texts])
            unnamed = without_mentions(uow, [one.text for one in redacted], system=self._source.system)
            columns = columns | {"text": [text or None for text in unnamed]}
        return columns


def _ids(uow: UnitOfWork, batch: Batch, key: str, said: Sequence[Sequence[Any]]) -> list[str]:
    own = batch.values.get(key, [None] * len(batch))
    if all(own):
        return list(own)
    index = BlindIndex(derive(uow.keys.system_key("row-digest"), f"ingest:{key.replace('.', '-')}"))
    rows = zip(batch.values[KEY_MEMBER], *said, strict=True)
    return [one or index.digest(repr(row).encode())[:16].hex() for one, row in zip(own, rows, strict=True)]


def fact_table(table: FactTable, columns: Mapping[str, Sequence[Any]]) -> "pa.Table":
    """Return columns of Python values as the Arrow table that facts take."""
    import pyarrow as pa

    from pdms.facts.schemas import SCHEMAS

    schema = SCHEMAS[table]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def append(uow: UnitOfWork, table: FactTable, rows: "pa.Table", *, load_id: str, batch: int) -> None:
    """Append a batch where it holds any row."""
    if rows.num_rows:
        facts.append(uow, table, rows, load_id=load_id, batch=batch)
