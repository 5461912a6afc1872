"""A log on a real database, a named key, and events."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from pdms.audit import service
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.audit.note import NoteKey, note_key
from pdms.audit.tables import AuditCheckpoint, AuditEvent, AuditRun, AuditTile
from pdms.crypto import Signer
from pdms.db import Session, begin, open_engine
from pdms.db.bases import MainTable
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Named:
    """A signer with a name."""

    name: str
    key: Signer

    @property
    def public_key(self) -> bytes:
        return self.key.public_key

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass
class Log:
    """One log, and what a test does with it."""

    engine: Engine
    signer: Named
    folder: Path

    @property
    def key(self) -> NoteKey:
        return note_key(self.signer)

    def begin(self, *, read_only: bool = False) -> AbstractContextManager[Session]:
        return begin(self.engine, read_only=read_only)

    def append(self, *events: Event) -> None:
        with self.begin() as session:
            service.append(session, events)

    def sequence(self) -> service.Checkpoint | None:
        with self.begin() as session:
            return service.sequence(session, signer=self.signer, now=NOW)

    def grow(self, *sizes: int) -> list[Event]:
        """Append and sequence that many events at a time."""
        grown = []
        for size in sizes:
            events = [make_event() for _ in range(size)]
            self.append(*events)
            self.sequence()
            grown += events
        return grown

    def verify(self, **options) -> service.VerifyReport:
        with self.begin(read_only=True) as session:
            return service.verify(session, key=self.key, **options)

    def export(self, name: str = "export.jsonl") -> Path:
        with self.begin(read_only=True) as session:
            return service.export(session, self.folder / name, key=self.key).path

    def tamper(self, statement: str, **values) -> None:
        """Change the database behind the service's back, by SQLite's SQL."""
        if self.engine.dialect.name == "postgresql":
            if "CAST(body AS TEXT)" in statement:
                pytest.skip("text cannot stand where PostgreSQL keeps bytes")
            statement = re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", statement)
            statement = re.sub(
                r"CAST\(replace\(body, ('\w+'), ('\w+')\) AS BLOB\)",
                r"convert_to(replace(convert_from(body, 'UTF8'), \1, \2), 'UTF8')",
                statement,
            )
        with self.begin() as session:
            assert session.connection().execute(text(statement), values).rowcount != 0


def make_event(kind: EventKind = EventKind.REVEAL, **parts) -> Event:
    parts = {"member_id": os.urandom(16).hex(), "purpose": "segment", **parts}
    return Event(kind, parts.pop("at", NOW), parts.pop("actor", "system"), **parts)


@pytest.fixture
def event() -> Callable[..., Event]:
    return make_event


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def named() -> Callable[[str], Named]:
    return lambda name: Named(name, Signer.generate())


@pytest.fixture(params=["sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "sqlite":
        engine = open_engine(tmp_path / "log.db")
    else:
        engine = open_postgres(request.getfixturevalue("postgres"), schema=Part.VAULT.schema)
    tables = [table.__table__ for table in (AuditEvent, AuditRun, AuditTile, AuditCheckpoint)]
    MainTable.metadata.create_all(engine, tables=tables)
    yield Log(engine, Named("pdms-test/audit", Signer.generate()), tmp_path)
    engine.dispose()
