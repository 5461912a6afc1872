"""PostgreSQL cases of the vault's benchmark: Debian's PostgreSQL 15, for its pgcrypto; CPU time of client and server.

The server is a throw-away one: data in a temporary folder, a socket and no port, durable as by default (fsync on). Its
CPU time is that of all its processes. Without Debian's packages these cases are left out, and the benchmark says so.
"""

import gc
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BIN = Path("/usr/lib/postgresql/15/bin")
PGCRYPTO = Path("/usr/share/postgresql/15/extension/pgcrypto.control")
TICK = os.sysconf("SC_CLK_TCK")
WORD = "a key of the peer, thirty-two by"
Rows = Sequence[tuple[str, ...]]


def available() -> bool:
    """Whether Debian's server with pgcrypto is here."""
    return (BIN / "initdb").exists() and PGCRYPTO.exists()


class Server:
    """One server. `url` is for libpq."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        self.data = folder / "data"
        self._as = {"user": account.pw_uid, "group": account.pw_gid} if os.geteuid() == 0 else {}
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {folder} -c listen_addresses='' -c shared_buffers=256MB -c max_wal_size=4GB -c autovacuum=off"
        self._run("pg_ctl", "-D", str(self.data), "-l", str(folder / "log"), "-w", "-o", options, "start")
        self.process = int((self.data / "postmaster.pid").read_text().split()[0])
        self.url = f"host={folder} user=postgres dbname=postgres"

    def _run(self, program: str, *words: str) -> None:
        subprocess.run([str(BIN / program), *words], check=True, stdout=subprocess.DEVNULL, cwd="/", **self._as)  # type: ignore[call-overload]

    def cpu(self) -> float:
        """CPU seconds of the server's processes so far, those that have ended included."""
        total = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parts = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(path.parent.name) == self.process:
                total += sum(map(int, parts[11:15]))  # its own, and those of children it has waited for
            elif int(parts[1]) == self.process:
                total += int(parts[11]) + int(parts[12])
        return total / TICK

    def analyse(self) -> None:
        """Let the planner know the tables, as autovacuum does within a minute of a load."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as link:
            link.execute("VACUUM ANALYZE")

    def close(self) -> None:
        """Stop it."""
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="pdms-bench-pg-"))
    try:
        server = Server(folder)
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Copied:
    """Plain text by binary COPY, three plain indexes: the floor."""

    name = "plain COPY"

    def __init__(self, server: Server, fields: Sequence[str], indexed: Sequence[int]) -> None:
        import psycopg

        self.link = psycopg.connect(server.url)
        self._names = ", ".join(fields)
        self.link.execute(
            f"CREATE TABLE plain_member (id serial PRIMARY KEY, {', '.join(f'{one} text' for one in fields)})"
        )
        for at in indexed:
            self.link.execute(f"CREATE INDEX ON plain_member ({fields[at]})")
        self.link.commit()
        self._types = ["text"] * len(fields)

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        statement = f"COPY plain_member ({self._names}) FROM STDIN (FORMAT BINARY)"
        with self.link.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(self._types)
            for row in rows:
                copy.write_row(row)
        self.link.commit()

    def look_up(self, phone: str) -> Any:
        """Find one and read its fields."""
        return self.link.execute("SELECT * FROM plain_member WHERE phone = %s", (phone,)).fetchall()


class PgCrypto:
    """`pgp_sym_encrypt` on each field, in the server, with a keyed digest to look up by."""

    name = "pgcrypto pgp_sym_encrypt"

    def __init__(self, server: Server, fields: Sequence[str]) -> None:
        import psycopg

        self.link = psycopg.connect(server.url)
        self.link.execute("CREATE EXTENSION pgcrypto")
        self.link.execute(
            f"CREATE TABLE crypto_member (id serial PRIMARY KEY, {', '.join(f'{one} bytea' for one in fields)},"
            " phone_digest bytea)"
        )
        self.link.execute("CREATE INDEX ON crypto_member (phone_digest)")
        self.link.commit()
        marks = ", ".join([f"pgp_sym_encrypt(%s, '{WORD}')"] * len(fields))
        self._insert = (
            f"INSERT INTO crypto_member ({', '.join(fields)}, phone_digest)"
            f" VALUES ({marks}, hmac(%s, '{WORD}', 'sha256'))"
        )
        self._opened = ", ".join(f"pgp_sym_decrypt({one}, '{WORD}')" for one in fields)

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        with self.link.cursor() as cursor:
            cursor.executemany(self._insert, [(*row, row[2]) for row in rows])
        self.link.commit()

    def look_up(self, phone: str) -> Any:
        """Find one and open its fields."""
        return self.link.execute(
            f"SELECT {self._opened} FROM crypto_member WHERE phone_digest = hmac(%s, '{WORD}', 'sha256')", (phone,)
        ).fetchall()


def timed(server: Server, client: Callable[[], float], work: Callable[[], Any]) -> float:
    """Return CPU seconds of `work`, client and server."""
    gc.collect()
    gc.disable()  # as in the SQLite cases
    try:
        began = client() + server.cpu()
        work()
        time.sleep(0.05)  # the server's clock ticks by hundredths
        return client() + server.cpu() - began
    finally:
        gc.enable()
