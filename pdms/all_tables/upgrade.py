"""Moves a part from one revision of its schema to the next (Alembic), all at once or not at all.

Guarantees: all steps of a part are one transaction, its revision with them, on SQLite as on PostgreSQL: a run that was
killed left either the old schema or the new one, and the next run goes on. Two runs at once: the second waits, then
finds nothing to do. A database made before there were revisions is adopted as the first one, after its schema was found
to be that very one. No key and no value is opened.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from pdms.all_tables import Part
from pdms.all_tables.schema import VERSIONS, is_empty, newer, revisions, stamp, stored
from pdms.all_tables.shape import shape
from pdms.errors import IntegrityBroken

_LOCK = 0x70646D73  # "pdms": the advisory lock of migrations


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one part. `before` is None where it was made before there were revisions."""

    part: Part
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.before != self.after


def upgrade(part: Part, engine: Engine, *, to: str | None = None, folder: Path = VERSIONS) -> Step:
    """Bring a part to revision `to` (default: the newest). An empty database goes through every revision.

    :raises Conflict: SCHEMA_NEWER: a later version of pdms wrote it.
    :raises IntegrityBroken: SCHEMA_ALTERED: its tables are not those of any revision.
    """
    known = revisions(part, folder)
    target = to or known[-1]
    with _alone(engine) as connection:
        before = found = stored(connection)
        if found is None and not is_empty(connection):
            _adopt(part, connection, known[0], folder)
            found = known[0]
        if found is not None and found not in known:
            raise newer(part)
        if found is None or known.index(found) < known.index(target):
            _run(part, connection, target, folder)
        return Step(part, before, stored(connection) or target)


def _adopt(part: Part, connection: Connection, first: str, folder: Path) -> None:
    """Note the first revision for a database that has its tables: only SQLite homes are older than revisions."""
    memory = create_engine("sqlite://", hide_parameters=True)
    try:
        with memory.begin() as scratch:
            _run(part, scratch, first, folder)
            wanted = shape(scratch)
    finally:
        memory.dispose()
    if connection.dialect.name != "sqlite" or shape(connection) != wanted:
        raise IntegrityBroken(
            f"schema of {part}: its tables are not those that any version of pdms made", code="SCHEMA_ALTERED"
        )
    stamp(connection, first)


def _run(part: Part, connection: Connection, target: str, folder: Path) -> None:
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(folder), version_locations=[str(folder / part)])

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(target, revision)  # noqa: SLF001 - as alembic.command.upgrade does

    from alembic.config import Config

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        # The connection is in a transaction of ours: Alembic neither commits nor rolls back.
        environment.configure(connection=connection)
        environment.run_migrations()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Give one connection in one transaction that no other migration shares."""
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                yield connection
            return
        driver = connection.connection.cursor()
        # A table is altered by copying it: references to it must hold at the end, not while it is replaced. SQLite
        # takes this setting outside of transactions only (sqlite.org/lang_altertable.html, section 7).
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                    raise IntegrityBroken("schema: rows refer to rows that are not there", code="SCHEMA_ALTERED")
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
            driver.close()
