"""Names of the fact tables and of what an order may be. Light: imports no data library."""

from enum import StrEnum


class FactTable(StrEnum):
    """What pdms holds about subjects beyond their identity, by pseudonym."""

    ORDERS = "orders"
    ORDER_LINES = "order_lines"
    EVENTS = "events"
    INTERACTIONS = "interactions"
    CAMPAIGN_CONTACTS = "campaign_contacts"
    SUBJECT_ATTRIBUTES = "subject_attributes"


class OrderStatus(StrEnum):
    """Life of an order; features count every order but a cancelled one."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    RETURNED = "returned"


MICROS = "unix_micros"
"""Function of both engines, by Spark's name: whole microseconds of an instant since 1970-01-01 00:00 UTC."""
