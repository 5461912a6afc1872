"""Which revision of its schema a part is at, and making a part anew.

Guarantees: a new part has all its tables and its revision, or nothing: both are one transaction. A part of another
revision than this version of pdms writes is not opened: `require_current` says what to do. Reading the revision imports
no migration library, so that each command can afford it. Moving a part on is `upgrade`'s work.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select

from pdms.all_tables import TABLES, Part
from pdms.db import Lock, alone
from pdms.errors import Conflict, IntegrityBroken

VERSIONS: Final = Path(__file__).with_name("versions")
UPGRADE: Final = "pdms init --upgrade"
_FILE: Final = re.compile(r"r(\d{4})_\w+\.py")
# As Alembic makes it (alembic.runtime.migration), so that either finds what the other wrote.
STATE: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
STATE.primary_key.name = "alembic_version_pkc"


@cache
def revisions(part: Part, folder: Path = VERSIONS) -> tuple[str, ...]:
    """Return the revisions of a part, oldest first: `0001`, `0002`, …"""
    return tuple(sorted(found[1] for path in (folder / part).iterdir() if (found := _FILE.fullmatch(path.name))))


def head(part: Part) -> str:
    """Return the newest revision of a part: the one that this version of pdms writes."""
    return revisions(part)[-1]


def create(part: Part, engine: Engine) -> None:
    """Make a part's tables in an empty database, at the newest revision; one that holds something is left alone."""
    with engine.begin() as connection:
        alone(connection, Lock.INITIALISE)
        if not is_empty(connection):
            return
        TABLES[part].create_all(connection)
        stamp(connection, head(part))


def is_empty(connection: Connection) -> bool:
    """Say whether a database has no table at all."""
    return not inspect(connection).get_table_names()


def stamp(connection: Connection, revision: str) -> None:
    """Note the revision of a part that had none."""
    STATE.create(connection)
    connection.execute(insert(STATE).values(version_num=revision))


def stored(connection: Connection) -> str | None:
    """Return the revision that a database says it is at; None: it was made before there were any, or is empty."""
    if not inspect(connection).has_table(STATE.name):
        return None
    return connection.execute(select(STATE.c.version_num)).scalar_one_or_none()


def require_current(part: Part, engine: Engine) -> None:
    """Refuse a database of another schema than the one that this version of pdms works on.

    :raises Conflict: SCHEMA_OLD: made by an earlier version. SCHEMA_NEWER: by a later one.
    :raises IntegrityBroken: it is empty: a home's database was lost.
    """
    with engine.execution_options(pdms_begin="DEFERRED").connect() as connection:
        found = stored(connection)
        if found == head(part):
            return
        if found is None and is_empty(connection):
            raise IntegrityBroken(f"database {part}: its tables are missing, it is not as init made it")
    if found is None or found in revisions(part):
        raise Conflict(
            f"schema of {part}: made by an earlier version of pdms; make a backup with that version,"
            f" then run: {UPGRADE}",
            code="SCHEMA_OLD",
        )
    raise newer(part)


def newer(part: Part) -> Conflict:
    """Return the error that tells of a schema from the future."""
    return Conflict(f"schema of {part}: made by a later version of pdms; use that one", code="SCHEMA_NEWER")
