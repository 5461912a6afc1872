"""A process killed between commit and sequencing, or while it sequences, loses nothing and breaks nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from pdms.audit import service
from pdms.audit.note import NoteKey
from pdms.audit.tables import AuditCheckpoint, AuditEvent, AuditRun, AuditTile
from pdms.crypto import Signer
from pdms.db import begin
from pdms.db.bases import MainTable
from pdms.db.parts import Databases, Part
from pdms.settings import Home

SEED = bytes(range(32))
PROGRAM = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from pdms.audit import service, store
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.crypto import Signer
from pdms.db import begin
from pdms.db.parts import Databases, Part
from pdms.settings import Home

class Named:
    name = "pdms-test/audit"
    key = Signer(bytes(range(32)))
    public_key = key.public_key
    sign = staticmethod(key.sign)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

now = datetime(2026, 11, 22, tzinfo=UTC)
engine = Databases(Home(Path(sys.argv[1])), sys.argv[2] or None).open(Part.VAULT)
where = sys.argv[3]
with begin(engine) as session:
    service.append(session, [Event(EventKind.PERMIT, now, "system") for _ in range(100)])
    if where == "before-commit":
        die()
if where == "after-commit":
    die()
if where == "in-sequence":
    inner = store.write_tiles
    def write_and_die(session, tiles):
        inner(session, tiles)
        if engine.dialect.name == "sqlite":
            session.connection().exec_driver_sql("PRAGMA cache_spill = 1")
        die()
    store.write_tiles = write_and_die
with begin(engine) as session:
    service.sequence(session, signer=Named(), now=now)
    if where == "before-sequence-commit":
        die()
"""


class Named:
    name = "pdms-test/audit"
    key = Signer(SEED)
    public_key = key.public_key
    sign = staticmethod(key.sign)


@pytest.fixture
def log(tmp_path: Path, database: str | None) -> Databases:
    where = Databases(Home(tmp_path), database)
    engine = where.open(Part.VAULT)
    tables = [table.__table__ for table in (AuditEvent, AuditRun, AuditTile, AuditCheckpoint)]
    MainTable.metadata.create_all(engine, tables=tables)
    engine.dispose()
    return where


def run(log: Databases, where: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log.home.root), log.url or "", where], check=False
    ).returncode


@pytest.mark.parametrize(
    ("where", "committed"),
    [("before-commit", 0), ("after-commit", 100), ("in-sequence", 100), ("before-sequence-commit", 100)],
)
def test_kill_leaves_events_unsequenced_and_the_next_sequencer_takes_them(log, where, committed):
    assert run(log, "nowhere") == 0
    assert run(log, where) == -9
    engine = log.open(Part.VAULT)
    key = NoteKey(Named.name, Named.public_key)
    with begin(engine, read_only=True) as session:
        report = service.verify(session, key=key)
    assert report.ok
    assert (report.size, report.unsequenced) == (100, committed)
    assert run(log, "nowhere") == 0
    with begin(engine, read_only=True) as session:
        report = service.verify(session, key=key)
    assert report.ok
    assert (report.size, report.unsequenced) == (200 + committed, 0)
    engine.dispose()
