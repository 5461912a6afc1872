"""Columns and keys of the fact tables.

Guarantees: every row carries a pseudonym and no other id of a member; a key names one row, so that the same row
appended twice is one row. `version` exists only in the files: it says which of two rows of one key came later.
"""

import pyarrow as pa

from pdms.facts.names import FactTable
from pdms.taxonomy import ID_BYTES

PSEUDONYM = "pseudonym"
VERSION = "version"

INSTANT = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(18, 2)


def _schema(*columns: pa.Field) -> pa.Schema:
    return pa.schema([pa.field(PSEUDONYM, pa.binary(ID_BYTES), nullable=False), *columns])


def _must(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


SCHEMAS: dict[FactTable, pa.Schema] = {
    FactTable.ORDERS: _schema(
        _must("order_id", pa.string()),
        _must("placed_at", INSTANT),
        pa.field("completed_at", INSTANT),
        _must("amount", MONEY),
        _must("status", pa.string()),
        _must("invoiced", pa.bool_()),
    ),
    FactTable.ORDER_LINES: _schema(
        _must("order_id", pa.string()),
        _must("line", pa.int32()),
        _must("placed_at", INSTANT),
        _must("product", pa.string()),
        pa.field("product_name", pa.string()),
        pa.field("category", pa.string()),
        _must("quantity", pa.decimal128(18, 3)),
        pa.field("unit_price", pa.decimal128(18, 4)),
        _must("amount", MONEY),
    ),
    FactTable.EVENTS: _schema(
        _must("event_id", pa.string()),
        _must("at", INSTANT),
        _must("kind", pa.string()),
        pa.field("item", pa.string()),
        pa.field("category", pa.string()),
    ),
    FactTable.INTERACTIONS: _schema(
        _must("interaction_id", pa.string()),
        _must("at", INSTANT),
        _must("kind", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("text", pa.string()),
    ),
    FactTable.CAMPAIGN_CONTACTS: _schema(
        _must("campaign_id", pa.string()),
        _must("channel", pa.string()),
        _must("at", INSTANT),
        _must("outcome", pa.string()),
    ),
    FactTable.SUBJECT_ATTRIBUTES: _schema(
        pa.field("age_band", pa.string()),
        pa.field("gender", pa.string()),
        pa.field("prefecture", pa.string()),
        pa.field("city_tier", pa.string()),
        pa.field("registered_on", pa.date32()),
        _must("updated_at", INSTANT),
    ),
}

KEYS: dict[FactTable, tuple[str, ...]] = {
    FactTable.ORDERS: (PSEUDONYM, "order_id"),
    FactTable.ORDER_LINES: (PSEUDONYM, "order_id", "line"),
    FactTable.EVENTS: (PSEUDONYM, "event_id"),
    FactTable.INTERACTIONS: (PSEUDONYM, "interaction_id"),
    FactTable.CAMPAIGN_CONTACTS: (PSEUDONYM, "campaign_id", "channel"),
    FactTable.SUBJECT_ATTRIBUTES: (PSEUDONYM,),
}

TIMES: dict[FactTable, str] = {
    FactTable.ORDERS: "placed_at",
    FactTable.ORDER_LINES: "placed_at",
    FactTable.EVENTS: "at",
    FactTable.INTERACTIONS: "at",
    FactTable.CAMPAIGN_CONTACTS: "at",
    FactTable.SUBJECT_ATTRIBUTES: "updated_at",
}
"""The column by which a row grows old (retention)."""


def stored_schema(table: FactTable) -> pa.Schema:
    """Return the columns as they lie in the files: those of the table, and the version."""
    return SCHEMAS[table].append(pa.field(VERSION, pa.int64(), nullable=False))
