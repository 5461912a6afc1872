"""The databases of a backup, put into empty schemas of a PostgreSQL server.

Guarantee: a part is filled in one transaction; killed at any point, the same restore begins anew, and nothing but what
it left itself is removed: it knows that by a name that lies in the unfinished folder and in each part that it filled,
since folder and databases have no common commit. Other databases that hold rows are refused. The rows are loaded at the
revision that they were written with and then moved on.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from sqlalchemy import Engine

from pdms.all_tables.schema import revisions
from pdms.all_tables.upgrade import upgrade
from pdms.backup.archive import SERVER, TABLES, broken
from pdms.db import tables_copy
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, InvalidInput, PdmsError
from pdms.settings import Home

NAME = ".restore"
"""The file of an unfinished folder that tells the restore's name."""
_NAME = re.compile(r"[0-9a-f]{32}")
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


def own_name(folder: Path) -> str:
    """Return the name of the restore into a folder: that of the run that was cut off there, or a new one."""
    path = folder / NAME
    with suppress(FileNotFoundError):
        if _NAME.fullmatch(found := path.read_text("ascii")):
            return found
    name = secrets.token_hex(16)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    return name


def fill(home: Home, databases: Databases, *, own: str) -> None:
    """Load what was unpacked, and remove it. :param own: name of this restore (`own_name`).

    :raises Conflict: RESTORE_NOT_EMPTY, SCHEMA_NEWER. :raises IntegrityBroken: BACKUP_FORM.
    """
    databases.make_schemas()
    with _parts(databases) as engines:
        for engine in engines.values():  # all of them before the first is touched
            tables_copy.refuse_rows(engine, own=own)
        for part, engine in engines.items():
            folder = home.root / SERVER / part
            described = tables_copy.Tables.from_json((folder / TABLES).read_bytes())
            if described.revision not in revisions(part):
                raise Conflict(f"schema of {part}: made by a later version of pdms; use that one", code="SCHEMA_NEWER")
            tables_copy.clear(engine, own=own)
            upgrade(part, engine, to=described.revision)
            pieces = partial(_pieces, folder)
            tables_copy.load(engine, described, pieces, own=own)
            upgrade(part, engine)
    shutil.rmtree(home.root / SERVER)


@contextmanager
def undone_on_failure(home: Home, databases: Databases, *, own: str) -> Iterator[None]:
    """Remove what a restore loaded, if it fails before the unfinished folder `home` got its name: what nobody may open
    lies nowhere. (Of one that was killed, the next does.)"""
    try:
        yield
    except BaseException:
        if databases.on_server and home.root.exists():
            with suppress(PdmsError), _parts(databases) as engines:
                for engine in engines.values():
                    tables_copy.clear_own(engine, own=own)
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


def _pieces(folder: Path, table: str) -> Iterator[bytes]:
    paths = sorted((folder / table).glob("*.copy"))
    if not paths:
        raise broken("a table is missing")
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_READ):
                yield piece
