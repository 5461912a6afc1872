"""Databases that are not pdms's own, opened for reading only: a shop's old members table.

Guarantees: nothing can be written (SQLite opened `mode=ro`, PostgreSQL in READ ONLY transactions); what a driver says
of a failure is not repeated, neither as text nor as the cause of our error, since it may hold a value, an address or a
password; the address holds no password, since others on the machine can read command lines, and `name` says nothing of
how one is given. It does not protect the old database itself.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from pdms.errors import Conflict, InvalidInput, NotFound, PdmsError

T = TypeVar("T")

CONNECT_SECONDS: Final = 10
_POSTGRES: Final = frozenset({"postgresql", "postgresql+psycopg", "postgres"})
_SECRET: Final = frozenset({"password", "sslpassword"})
_PLACE: Final = frozenset({"host", "hostaddr", "port", "dbname", "user", "service"})
"""What a URL's query may say of server, database and account; the rest says how to get there."""
_SESSION: Final = "SET datestyle TO ISO; SET timezone TO 'UTC'"
"""Dates and instants come in one form, whatever the server's or the account's defaults are."""
_NOT_UTF8: Final = frozenset({"22021", "22P05"})


@dataclass(frozen=True, slots=True)
class Outside:
    """A database of somebody else."""

    engine: Engine = field(repr=False)
    name: str = field(repr=False)
    """Server, database and account, or the file: tells one source from another. Not for logs."""

    @property
    def is_sqlite(self) -> bool:
        """Tell whether it is an SQLite file."""
        return self.engine.dialect.name == "sqlite"


def open_outside(address: str, *, password: str | None = None) -> Outside:
    """Open a database by its SQLAlchemy URL (`sqlite:///PATH`, `postgresql://ACCOUNT@HOST/NAME`); nothing is read yet.

    :param password: of the account; None: from PGPASSWORD, .pgpass or a service file.
    :raises InvalidInput: URL_FORM, URL_KIND, PASSWORD_ON_COMMAND_LINE.
    :raises NotFound: SOURCE_MISSING: no such SQLite file.
    """
    url = asked(lambda: make_url(address), otherwise=InvalidInput("url: not a database URL", code="URL_FORM"))
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(url)
    if url.drivername in _POSTGRES:
        return _postgres(url, password)
    raise InvalidInput("url: only sqlite and postgresql are read", code="URL_KIND")


def asked(work: Callable[[], T], *, otherwise: PdmsError | None = None) -> T:
    """Return what `work` gives; a failure of the database becomes an error of ours that carries nothing of it."""
    try:
        return work()
    except (SQLAlchemyError, sqlite3.Error, UnicodeError, OSError, ValueError) as error:
        told = otherwise or _told(error)
    raise told  # here, outside the handler, the driver's error is not its context either


def _sqlite(url: URL) -> Outside:
    if not url.database or url.database == ":memory:":
        raise InvalidInput("url: an SQLite source is a file", code="URL_FORM")
    path = Path(url.database).resolve()
    if not path.is_file():
        raise NotFound("url: there is no such SQLite file", code="SOURCE_MISSING")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=30)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    return Outside(engine, f"sqlite:{path}")


def _postgres(url: URL, password: str | None) -> Outside:
    if url.password is not None or not _SECRET.isdisjoint(url.query):
        raise InvalidInput(
            "url: no password on a command line; use PDMS_SOURCE_PASSWORD, PGPASSWORD or .pgpass",
            code="PASSWORD_ON_COMMAND_LINE",
        )
    if "plugin" in url.query:  # SQLAlchemy would load the code that it names
        raise InvalidInput("url: not a database URL", code="URL_FORM")
    url = url.set(drivername="postgresql+psycopg")
    name = url.set(query={key: url.query[key] for key in sorted(_PLACE.intersection(url.query))})
    connect_args = {
        "connect_timeout": CONNECT_SECONDS, "application_name": "pdms ingest", "client_encoding": "utf8",
    }  # fmt: skip
    try:
        engine = asked(
            lambda: create_engine(
                url if password is None else url.set(password=password),
                poolclass=NullPool, hide_parameters=True, connect_args=connect_args,
            ),
            otherwise=InvalidInput("url: not a database URL", code="URL_FORM"),
        )  # fmt: skip
    except ImportError:
        raise InvalidInput("url: PostgreSQL needs the extra `postgres`", code="URL_KIND") from None

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute(_SESSION)
        connection.autocommit = False
        connection.read_only = True

    return Outside(engine, name.render_as_string())


def _told(error: Exception) -> PdmsError:
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None)
    if isinstance(original, sqlite3.Error):
        if getattr(original, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Conflict("source database: in use by others for too long; try again", code="SOURCE_BUSY")
        return InvalidInput("source database: it cannot be read, or is no SQLite database", code="SOURCE_BROKEN")
    if state in _NOT_UTF8 or isinstance(original, UnicodeError):
        return InvalidInput("source database: a text cannot be turned into UTF-8", code="ENCODING")
    if state == "42501":
        return InvalidInput("source database: the account may not read the table", code="SOURCE_DENIED")
    if isinstance(state, str):
        return InvalidInput(f"source database: it refused the query (SQLSTATE {state})", code="SOURCE_FAILED")
    return InvalidInput("source database: it cannot be reached, or refused the account", code="SOURCE_UNREACHABLE")
