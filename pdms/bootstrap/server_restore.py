"""The databases of a backup, put into empty schemas of a PostgreSQL server.

Guarantee: a part is filled in one transaction; killed in between, the same restore begins anew, and nothing but what it
left itself is removed. Databases that hold rows are refused. The rows are loaded at the revision that they were written
with and then moved on.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine

from pdms.all_tables.schema import revisions
from pdms.all_tables.upgrade import upgrade
from pdms.backup.archive import SERVER, TABLES, broken
from pdms.db import tables_copy
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, InvalidInput, PdmsError
from pdms.settings import Home

_READ = 1 << 18


def check(home: Home, databases: Databases) -> None:
    """Refuse a restore from files to a server, or the other way round. :raises InvalidInput: it is one of these."""
    staged = (home.root / SERVER).is_dir()
    if staged and not databases.on_server:
        raise InvalidInput("PDMS_DATABASE_URL: the backup is of a server; name an empty database", code="DATABASE_URL")
    if not staged and databases.on_server:
        raise InvalidInput(
            "PDMS_DATABASE_URL: the backup is of a home with its data in files", code="DATABASE_IS_FILES"
        )


def fill(home: Home, databases: Databases) -> None:
    """Load what was unpacked, and remove it.

    :raises Conflict: RESTORE_NOT_EMPTY, SCHEMA_NEWER. :raises IntegrityBroken: BACKUP_FORM.
    """
    databases.make_schemas()
    with _parts(databases) as engines:
        for engine in engines.values():  # all of them before the first is touched
            tables_copy.refuse_rows(engine)
        for part, engine in engines.items():
            folder = home.root / SERVER / part
            described = tables_copy.Tables.from_json((folder / TABLES).read_bytes())
            if described.revision not in revisions(part):
                raise Conflict(f"schema of {part}: made by a later version of pdms; use that one", code="SCHEMA_NEWER")
            tables_copy.clear(engine)
            upgrade(part, engine, to=described.revision)
            tables_copy.load(engine, described, lambda table, folder=folder: _pieces(folder / table))  # type: ignore[misc]
            upgrade(part, engine)
    shutil.rmtree(home.root / SERVER)


@contextmanager
def undone_on_failure(databases: Databases) -> Iterator[None]:
    """Remove what a restore loaded, if it fails: what nobody may open lies nowhere. (A killed one: the next does.)"""
    try:
        yield
    except BaseException:
        if databases.on_server:
            with suppress(PdmsError), _parts(databases) as engines:
                for engine in engines.values():
                    tables_copy.clear(engine, but_finished=True)
        raise


def finish(databases: Databases) -> None:
    """Note that the restore came to its end."""
    if databases.on_server:
        with _parts(databases) as engines:
            for engine in engines.values():
                tables_copy.finish(engine)


@contextmanager
def _parts(databases: Databases) -> Iterator[dict[Part, Engine]]:
    engines = {part: databases.open(part) for part in Part}
    try:
        yield engines
    finally:
        for engine in engines.values():
            engine.dispose()


def _pieces(folder: Path) -> Iterator[bytes]:
    paths = sorted(folder.glob("*.copy"))
    if not paths:
        raise broken("a table is missing")
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_READ):
                yield piece
