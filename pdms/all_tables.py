"""Collects every package's tables, for creating the databases (and, later, for migrations)."""

from sqlalchemy import Engine

import pdms.access.tables
import pdms.audit.tables
import pdms.consent.tables
import pdms.dispatch.tables
import pdms.gate.tables
import pdms.ingest.tables
import pdms.marketing.tables
import pdms.publish.tables
import pdms.rights.tables
import pdms.segments.tables
import pdms.vault.tables
import pdms.views.tables  # noqa: F401
from pdms.db.bases import AnonTable, HeldTable, MainTable


def create_all(*, main: Engine, held: Engine, anon: Engine) -> None:
    """Create the tables that are missing in each database; what exists is left alone."""
    for base, engine in ((MainTable, main), (HeldTable, held), (AnonTable, anon)):
        # DDL through its own raw connection: SQLAlchemy's own BEGIN IMMEDIATE makes it one transaction.
        base.metadata.create_all(engine)
