"""Collects every package's tables, part by part: for creating the databases, and for migrating them.

A part is one database of a home (or one schema of a PostgreSQL database) with a migration line of its own.
"""

from typing import Final

from sqlalchemy import Engine, MetaData

import pdms.access.tables
import pdms.audit.tables
import pdms.budgets.tables
import pdms.consent.tables
import pdms.db.tables
import pdms.dispatch.tables
import pdms.gate.tables
import pdms.ingest.tables
import pdms.keystore.tables
import pdms.marketing.tables
import pdms.publish.tables
import pdms.reports.tables
import pdms.rights.tables
import pdms.segments.tables
import pdms.vault.tables
import pdms.views.tables  # noqa: F401 - imported for their tables: each registers itself
from pdms.db.bases import AnonTable, HeldTable, KeysTable, MainTable
from pdms.db.parts import Part

__all__ = ["TABLES", "Part", "create_all"]


TABLES: Final[dict[Part, MetaData]] = {
    Part.KEYS: KeysTable.metadata,
    Part.VAULT: MainTable.metadata,
    Part.HELD: HeldTable.metadata,
    Part.ANON: AnonTable.metadata,
}


def create_all(*, main: Engine, held: Engine, anon: Engine) -> None:
    """Create the tables that are missing in each database, without their migration state (`schema.create` has it)."""
    for part, engine in ((Part.VAULT, main), (Part.HELD, held), (Part.ANON, anon)):
        # DDL through its own raw connection: SQLAlchemy's own BEGIN IMMEDIATE makes it one transaction.
        TABLES[part].create_all(engine)
