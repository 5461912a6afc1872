"""Reading facts by Apache Spark: the same tables as `read` gives, as Ibis tables on a Spark session.

Guarantees: one key is one row, the latest; what Spark spills, shuffles or is given lies below the home's spill folder
and is gone when the last reader closes; with a `local` master nothing listens beyond this machine; no web page of its
own, no log but errors. A failure names its condition, never what Spark read. Deliberately not here: a session kept for
later; the Java process, whose heap has held rows, ends with the last reader.
"""

import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pdms.errors import Conflict, IntegrityBroken, InvalidInput
from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.facts.read import FactsReader, own_spill
from pdms.facts.schemas import KEYS, PSEUDONYM, SCHEMAS, VERSION, stored_schema
from pdms.settings import Home, Reading, java

SHUFFLE_BYTES = 64 << 20
LOG = """rootLogger.level = off
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}%n
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = off
"""
"""Spark's own log is off: it would name files and, on a failure, values. What failed comes back as an error."""


@dataclass(frozen=True, slots=True)
class SparkReader(FactsReader):
    """Facts opened by Spark."""

    spill: Path
    session: Any = field(repr=False)
    kept: list[Any] = field(default_factory=list, repr=False)

    def given(self, name: str, rows: pa.Table) -> Any:
        """Hand rows to Spark as a file below the spill folder, so that the driver's heap need not hold them."""
        path = self.spill / f"{name}-{secrets.token_hex(4)}.parquet"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            pq.write_table(rows, file)
        self._read([path], rows.schema).createOrReplaceTempView(name)
        return self.connection.table(name)

    def keep(self, name: str, expression: Any) -> Any:
        """Compute an expression once; Spark keeps it in memory and, beyond that, in the spill folder."""
        frame = self.session.sql(self.connection.compile(expression)).persist()
        self.kept.append(frame)
        frame.createOrReplaceTempView(name)
        return self.connection.table(name)

    def fetch(self, expression: Any) -> pa.Table:
        """Compute an expression and return its rows, by way of files: the driver's heap need not hold them."""
        path = self.spill / f"fetched-{secrets.token_hex(8)}"
        self.session.sql(self.connection.compile(expression)).write.parquet(f"file:{path}")
        try:
            return pq.read_table(path).cast(expression.schema().to_pyarrow())
        finally:
            shutil.rmtree(path)

    def open_tables(self, home: Home) -> None:
        """Make the views of the fact tables."""
        for table in FactTable:
            folder, schema = store.Folder.of(home, table), stored_schema(table)
            for part, paths in (("bases", folder.bases()), ("parts", folder.parts())):
                self._read(paths, schema).createOrReplaceTempView(f"{table}_{part}")
            query = _query(table, parts=bool(folder.parts()))
            self.session.sql(query).createOrReplaceTempView(str(table))

    def _read(self, paths: list[Path], schema: pa.Schema) -> Any:
        from pyspark.sql.pandas.types import from_arrow_schema

        place = schema.get_field_index(PSEUDONYM)
        plain = schema if place < 0 else schema.set(place, schema.field(place).with_type(pa.binary()))
        declared = from_arrow_schema(plain)
        if not paths:
            return self.session.createDataFrame([], declared)
        return self.session.read.schema(declared).parquet(*map(_literal, paths))


@contextmanager
def open_spark(home: Home, reading: Reading) -> Iterator[SparkReader]:
    """Open facts for reading by Spark; the lock is held, shared, until the block ends.

    :raises InvalidInput: Spark or Java is not there. :raises Conflict: it runs for another home (SPARK_BUSY).
    :raises IntegrityBroken: Spark could not compute; its condition is named (FACTS_SPARK).
    """
    # the lock first: an erasure, which holds it alone, wipes the spill folder
    with store.locked(home, exclusive=False), session_of(home, reading) as (session, spill):
        import ibis
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        own = session.newSession()  # its views are its own
        reader = SparkReader(connection=ibis.pyspark.connect(own), spill=spill, session=own)
        own.conf.set("spark.sql.shuffle.partitions", str(_partitions(home, reading)))
        try:
            reader.open_tables(home)
            yield reader
        except PySparkException as error:
            # Not its message: it repeats values, and paths.
            condition = error.getCondition() or type(error).__name__
            raise IntegrityBroken(f"facts: Spark could not compute ({condition})", code="FACTS_SPARK") from None
        except Py4JError:
            raise IntegrityBroken("facts: Spark could not compute", code="FACTS_SPARK") from None
        finally:
            for frame in reader.kept:
                frame.unpersist()


def _partitions(home: Home, reading: Reading) -> int:
    """Return into how many parts Spark shuffles: what the files hold, 64 MB each, but one a thread at least."""
    held = sum(path.stat().st_size for table in FactTable for path in store.Folder.of(home, table).files())
    return max(reading.threads, held // SHUFFLE_BYTES)


@dataclass
class _Running:
    """The one session of this process: Spark allows no second context."""

    home: Path | None = None
    spill: Path | None = None
    session: Any = field(default=None, repr=False)
    readers: int = 0


_LOCK = threading.Lock()
_RUNNING = _Running()


@contextmanager
def session_of(home: Home, reading: Reading) -> Iterator[tuple[Any, Path]]:
    """Hold the process's Spark session, begun where none runs; the last holder ends it and wipes its spill folder.

    Holding it around several readers spares them the start, five to ten seconds.
    """
    with _LOCK:
        if _RUNNING.readers and home.root != _RUNNING.home:
            raise Conflict("engine: Spark is at work for another home in this process", code="SPARK_BUSY")
        if not _RUNNING.readers:
            spill = own_spill(home)
            try:
                _RUNNING.session = _begin(reading, spill)
            except BaseException:
                shutil.rmtree(spill, ignore_errors=True)
                raise
            _RUNNING.home, _RUNNING.spill = home.root, spill
        _RUNNING.readers += 1
        session, folder = _RUNNING.session, _RUNNING.spill
    assert folder is not None  # noqa: S101 - set with the session
    try:
        yield session, folder
    finally:
        with _LOCK:
            _RUNNING.readers -= 1
            if not _RUNNING.readers:
                _RUNNING.session = _RUNNING.home = _RUNNING.spill = None
                _end(session)
                shutil.rmtree(folder, ignore_errors=True)


def require() -> None:
    """Check that Spark could start. :raises InvalidInput: pyspark or Java is not there, with what to do."""
    from importlib.util import find_spec

    if find_spec("pyspark") is None:
        raise InvalidInput("settings: PDMS_ENGINE=spark needs pyspark; install the extra: pip install 'pdms[spark]'")
    if java() is None:
        raise InvalidInput("settings: PDMS_ENGINE=spark needs Java 17 or 21 on the PATH or under JAVA_HOME")


def _begin(reading: Reading, spill: Path) -> Any:
    require()
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    log = spill / "log4j2.properties"
    log.write_text(LOG, "ascii")
    local = reading.spark_master.startswith("local")
    said = {
        "spark.master": reading.spark_master,
        "spark.app.name": "pdms",
        "spark.ui.enabled": "false",
        "spark.driver.memory": f"{max(reading.memory, 512)}m",
        "spark.driver.maxResultSize": "0",
        "spark.driver.extraJavaOptions": " ".join(
            map(
                _quoted,
                (
                    f"-Dlog4j2.configurationFile={log.as_uri()}",
                    f"-Djava.io.tmpdir={spill}",
                    "-XX:-UsePerfData",
                    "-Duser.timezone=UTC",
                ),
            )
        ),
        "spark.local.dir": str(spill),
        "spark.sql.warehouse.dir": str(spill / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.fieldId.read.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if local:
        said |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
    builder = SparkSession.builder
    for key, value in said.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except PySparkException as error:
        condition = error.getCondition() or type(error).__name__
        raise InvalidInput(f"settings: PDMS_ENGINE=spark: Spark does not start ({condition})") from None


def _end(session: Any) -> None:
    """Stop Spark and its Java process, whose heap has held rows; pyspark alone would keep that until this one ends."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway  # noqa: SLF001 - pyspark has no public way to end its Java process
    session.stop()
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - or the next session would call on it
    gateway.shutdown()
    gateway.proc.stdin.close()  # Java's sign to end
    gateway.proc.wait()


def _query(table: FactTable, *, parts: bool) -> str:
    """Return Spark SQL for the latest row of each key of `table`."""
    columns, stored = _listed(SCHEMAS[table].names), _listed(stored_schema(table).names)
    keys = _listed(KEYS[table])
    if not parts:
        return f"SELECT {columns} FROM {table}_bases"
    touched = f"(SELECT {keys} FROM {table}_parts)"
    rows = (
        f"SELECT {stored} FROM {table}_bases LEFT SEMI JOIN {touched} USING ({keys}) "
        f"UNION ALL SELECT {stored} FROM {table}_parts"
    )
    place = f"row_number() OVER (PARTITION BY {keys} ORDER BY {VERSION} DESC) AS place_of_row"
    return (
        f"SELECT {columns} FROM {table}_bases LEFT ANTI JOIN {touched} USING ({keys}) "
        f"UNION ALL SELECT {columns} FROM (SELECT *, {place} FROM ({rows})) WHERE place_of_row = 1"
    )


def _quoted(option: str) -> str:
    """Return an option of Java as Spark's launcher splits them: a home may lie in a folder with a space."""
    return '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(path: Path) -> str:
    """Return a path as Spark reads it, which would take brackets and stars for patterns, and decodes nothing."""
    return "file:" + re.sub(r"([*?{}\[\]\\])", r"\\\1", str(path.resolve()))


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
