"""SQLAlchemy engines for PostgreSQL, the production database.

Guarantees: calling code has one text for both databases: driver SQL is written with `?` marks. A writer runs READ
COMMITTED: each of its statements sees what others have committed, so that a row lock or a unique constraint decides a
race and the loser reads on with the winner's state; under REPEATABLE READ or SERIALIZABLE it would fail instead, and a
unit of work cannot be run a second time from below. A reader runs REPEATABLE READ READ ONLY: one state for all its
statements, as on SQLite, and it can never fail to serialise. No value reaches an exception (`hide_parameters`, and the
server's DETAIL is dropped) nor, as far as the role may say so, the server's log. Nobody waits longer than 30 s for a
lock.

It does not erase bytes: heap and WAL keep old row versions, so pdms claims the key level only.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from pdms.db.damage import told_by
from pdms.errors import InvalidInput

if TYPE_CHECKING:
    import psycopg

OPTIONS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "client_encoding": "UTF8",
    "client_min_messages": "warning",
    "lock_timeout": "30s",
    "jit": "off",
    "log_parameter_max_length_on_error": "0",
}
"""Set for each connection; every role may."""

QUIET: Final = {
    "log_min_messages": "fatal",  # a failed statement's own message may repeat a value; pdms tells of it instead
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_statement": "none",
}
"""What keeps values out of the server's log and only a superuser, or a role that was granted it, may set."""

_SECRET: Final = frozenset({"password", "sslpassword"})

_QUIET_SQL: Final = (
    "SELECT set_config(name, value, false) FROM (VALUES {}) AS wanted (name, value)"
    " WHERE has_parameter_privilege(name, 'SET')"
).format(", ".join(f"('{name}', '{value}')" for name, value in QUIET.items()))


class Dialect(PGDialect_psycopg):
    """psycopg's dialect; driver SQL has `?` marks, and its results come in binary."""

    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement; what SQLAlchemy compiled has psycopg's own marks already."""
        if context is not None and context.compiled is None:
            cursor.execute(driver_text(statement), parameters, binary=True)
        else:
            cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement for each of many rows."""
        own = context is not None and context.compiled is None
        cursor.executemany(driver_text(statement) if own else statement, parameters)


registry.register("postgresql.pdms", "pdms.db.postgres", "Dialect")


@lru_cache(maxsize=4096)
def driver_text(statement: str) -> str:
    """Return a statement with psycopg's marks in place of `?`."""
    return statement.replace("%", "%%").replace("?", "%s")


def open_postgres(url: str, *, schema: str) -> Engine:
    """Return an engine on one schema. It connects on first use.

    :param url: libpq's, URI or `key=value`; a password comes from it, from PGPASSWORD, .pgpass or a service file.
    :raises InvalidInput: the driver is not installed (NO_POSTGRES_DRIVER), or the URL is none (DATABASE_URL).
    """
    driver = _driver()
    parts = _parts(url)
    own = " ".join(f"-c {name}={value}" for name, value in (OPTIONS | {"search_path": schema}).items())
    parts["options"] = f"{parts.get('options', '')} {own}".strip()
    parts.setdefault("application_name", "pdms")
    parts.setdefault("connect_timeout", "10")
    reading, writing = driver.IsolationLevel.REPEATABLE_READ, driver.IsolationLevel.READ_COMMITTED

    def connect() -> "psycopg.Connection[Any]":
        connection: psycopg.Connection[Any] = driver.connect(**parts, autocommit=True)
        connection.execute(_QUIET_SQL)
        connection.autocommit = False
        connection.read_only, connection.isolation_level = False, writing
        return connection

    engine = create_engine(
        "postgresql+pdms://",
        creator=connect,
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=28,
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        raw = connection.connection.driver_connection
        mode = connection.get_execution_options().get("pdms_begin", "IMMEDIATE")
        read_only = mode != "IMMEDIATE"
        level = reading if mode == "DEFERRED" else writing
        if raw.read_only is not read_only or raw.isolation_level is not level:  # setting them is the driver's slow path
            raw.read_only, raw.isolation_level = read_only, level

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, driver.Error):
            _drop_values(error)  # SQLAlchemy shows it as the cause of whatever is raised here
        told = told_by(error)
        if told is not None:
            raise told from None
        if isinstance(error, driver.Error) and isinstance(context.sqlalchemy_exception, DBAPIError):
            kind = type(context.sqlalchemy_exception)
            raise kind(context.statement, None, error, hide_parameters=True) from None

    return engine


@contextmanager
def quiet() -> Iterator[None]:
    """Translate the driver's errors where it is used without SQLAlchemy, as an engine's `handle_error` does."""
    psycopg = _driver()
    try:
        yield
    except psycopg.Error as error:
        _drop_values(error)
        told = told_by(error)
        if told is not None:
            raise told from None
        kind = IntegrityError if isinstance(error, psycopg.IntegrityError) else DBAPIError
        raise kind(None, None, error, hide_parameters=True) from None


def ask(cursor: Any, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of one SELECT (with `?` marks) by a cursor of the driver; errors are translated."""
    try:
        return cursor.execute(driver_text(statement), values).fetchall()  # type: ignore[no-any-return]
    except Exception:
        with quiet():
            raise


def without_password(url: str) -> str:
    """Return the connection string as it may be noted: without any secret."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo("", **{name: part for name, part in _parts(url).items() if name not in _SECRET})


def holds_password(url: str) -> bool:
    """Tell whether a connection string holds a secret. :raises InvalidInput: it is none."""
    return not _SECRET.isdisjoint(_parts(url))


def _parts(url: str) -> dict[str, Any]:
    psycopg = _driver()
    try:
        return dict(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise InvalidInput("database: not a PostgreSQL URL (postgresql://host/name)", code="DATABASE_URL") from None


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise InvalidInput(
            "database: the PostgreSQL driver is missing; install it with: pip install 'pdms[postgres]'",
            code="NO_POSTGRES_DRIVER",
        ) from None
    return psycopg


def _drop_values(error: Any) -> None:
    """Let an error name the constraint, never the row: what the server says may repeat values, DETAIL always does."""
    found = [part for part in (error.diag.table_name, error.diag.column_name, error.diag.constraint_name) if part]
    error.args = (" ".join([f"SQLSTATE {error.sqlstate or 'none'}", *found]),)
