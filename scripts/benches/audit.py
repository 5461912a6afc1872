"""The log: append and sequence in bulk and one by one, proofs, verification.

Figures are CPU time of this process unless the unit says wall. Peers, in the same run and alternating: for appending, a
bare hash chain in the same SQLite settings (no tree, no salt, one index less), the floor for anything tamper-evident;
for one by one, bare writes made durable on the same disk; for proofs, pymerkle's tree in SQLite. Events are made
beforehand, as a unit of work holds them; making them is timed apart. `synchronous=FULL` throughout.
"""

import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from benches._disk import bare_syncs, device
from pdms.audit import service
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.audit.note import note_key
from pdms.audit.tables import AuditCheckpoint, AuditEvent, AuditRun, AuditTile
from pdms.audit.verifier import verify_file
from pdms.crypto import Signer
from pdms.db import begin, open_engine
from pdms.db.bases import MainTable

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BATCH = 20_000
TURN = 50


class Named:
    """The log's signer."""

    name = "bench.example/audit"

    def __init__(self) -> None:
        key = Signer.generate()
        self.public_key, self.sign = key.public_key, key.sign


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one result a case."""
    leaves = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as folder:
        home, signer = Path(folder), Named()
        engine, chain = _log(home), _chain(home)
        yield from _bulk(engine, chain, signer, leaves)
        yield from _one_by_one(home, signer, 500 if quick else 3000)
        yield from _proofs(engine, home, 300)
        yield from _verification(engine, signer, home)
        engine.dispose()
        chain.dispose()


def _log(home: Path, name: str = "log.db") -> Engine:
    engine = open_engine(home / name)
    tables = [table.__table__ for table in (AuditEvent, AuditRun, AuditTile, AuditCheckpoint)]
    MainTable.metadata.create_all(engine, tables=tables)
    return engine


def _chain(home: Path) -> Engine:
    engine = open_engine(home / "chain.db")
    with begin(engine) as session:
        session.connection().exec_driver_sql("CREATE TABLE chain (seq INTEGER PRIMARY KEY, body BLOB, link BLOB)")
    return engine


def _bulk(engine: Engine, chain: Engine, signer: Named, leaves: int) -> Iterator[dict[str, Any]]:
    for case, member in (
        ("append and sequence, events of sets", False),
        ("append and sequence, one member each", True),
    ):
        ours, floor, making = [], [], []
        for _ in range(leaves // 2 // BATCH):
            taken, events = _timed(lambda: _events(BATCH, member=member))  # noqa: B023
            making.append(taken)
            floor.append(_timed(lambda: _append_chain(chain, events))[0])  # noqa: B023
            ours.append(_timed(lambda: _append(engine, signer, events))[0])  # noqa: B023
        mine, peer = sum(ours) / len(ours) / BATCH * 1e6, sum(floor) / len(floor) / BATCH * 1e6
        yield _row(case, BATCH * len(ours) / sum(ours), "events/s", BATCH * len(floor) / sum(floor), 100_000, more=True)
        yield _row(f"{case}: mean of one", mine, "µs", peer, None)
        yield _row(f"{case}: one, in the best batch", min(ours) / BATCH * 1e6, "µs", min(floor) / BATCH * 1e6, 10.0)
    yield _row("making one event", min(making) / BATCH * 1e6, "µs", None, None)


def _one_by_one(home: Path, signer: Named, count: int) -> Iterator[dict[str, Any]]:
    """Durable commits, in turns with bare writes to the same disk, each made durable: what it gives at this moment."""
    engine = _log(home, "single.db")
    events = _events(count, member=True)
    wall = cpu = bare = 0.0
    for at in range(0, count, TURN):
        bare += bare_syncs(home, TURN)
        begun, begun_cpu = time.perf_counter(), time.process_time()
        for event in events[at : at + TURN]:
            with begin(engine) as session:
                service.append(session, [event])
        wall, cpu = wall + time.perf_counter() - begun, cpu + time.process_time() - begun_cpu
    name = f"durable, one by one, on {device(home)}"
    yield _row(name, count / wall, "events/s wall", count / bare, 2000, more=True)
    yield _row("durable, one by one: CPU of one", cpu / count * 1e6, "µs", None, None)
    start = time.perf_counter()
    for event in _events(count // 4, member=True):
        _append(engine, signer, [event])
    yield _row(
        "durable and sequenced, one by one", count // 4 / (time.perf_counter() - start), "events/s wall", None, None
    )
    engine.dispose()


def _proofs(engine: Engine, home: Path, count: int) -> Iterator[dict[str, Any]]:
    with begin(engine, read_only=True) as session:
        size = service.checkpoint(session).size
        peer = _pymerkle(home, size)
        seqs = random.sample(range(1, size + 1), count)
        found = [service.store.rows(session, "SELECT event_id FROM audit_event WHERE seq = ?", (seq,)) for seq in seqs]
        ids = [row[0][0].hex() for row in found]
        for name, work in (
            ("inclusion proof", lambda: [service.prove(session, event_id) for event_id in ids]),
            ("consistency proof", lambda: [service.consistency(session, old_size=seq) for seq in seqs]),
        ):
            work()
            best = min(_timed(work)[0] for _ in range(5)) / count * 1e3
            yield _row(f"{name} at {size:,} leaves", best, "ms", peer, 0.2)


def _verification(engine: Engine, signer: Named, home: Path) -> Iterator[dict[str, Any]]:
    key = note_key(signer)
    with begin(engine, read_only=True) as session:
        taken, report = _timed(lambda: service.verify(session, key=key))
        yield _row("verify in place, each leaf", taken / report.size * 1e6, "µs", None, None)
        taken, result = _timed(lambda: service.export(session, home / "export.jsonl", key=key))
        yield _row("export, each leaf", taken / result.leaves * 1e6, "µs", None, None)
    taken, offline = _timed(lambda: verify_file(home / "export.jsonl", key=key))
    yield _row("verify the export, each leaf", taken / offline.size * 1e6, "µs", None, None)
    if not (report.ok and offline.ok):
        raise RuntimeError("the log that was measured does not verify")


def _events(count: int, *, member: bool) -> list[Event]:
    return [
        Event(
            EventKind.PERMIT,
            NOW,
            "op-" + "0f" * 16,
            member_id=os.urandom(16).hex() if member else None,
            purpose="segment",
            outcome=Outcome.PERMITTED,
            refs={"permit": "perm-" + "ab" * 16},
        )
        for _ in range(count)
    ]


def _append(engine: Engine, signer: Named, events: list[Event]) -> None:
    with begin(engine) as session:
        service.append(session, events)
    with begin(engine) as session:
        service.sequence(session, signer=signer, now=NOW)


def _append_chain(engine: Engine, events: list[Event]) -> None:
    link, rows = bytes(32), []
    for event in events:
        body = event.canonical()
        link = sha256(link + body).digest()
        rows.append((body, link))
    with begin(engine) as session:
        session.connection().exec_driver_sql("INSERT INTO chain (body, link) VALUES (?, ?)", rows)


def _pymerkle(home: Path, leaves: int) -> float | None:
    """Return milliseconds of one inclusion proof by pymerkle's SQLite tree, None where it is not installed."""
    try:
        from pymerkle import SqliteTree
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = SqliteTree(str(home / "pymerkle.db"), algorithm="sha256")
        tree.append_entries([index.to_bytes(4, "big") for index in range(leaves)])
        places = random.sample(range(1, leaves + 1), 3)
        return _timed(lambda: [tree.prove_inclusion(place, leaves) for place in places])[0] / len(places) * 1e3


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _row(
    case: str, value: float, unit: str, peer: float | None, goal: float | None, *, more: bool = False
) -> dict[str, Any]:
    met = None if goal is None else (value >= goal if more else value <= goal)
    return {
        "bench": "audit", "case": case, "value": value, "unit": unit, "peer": peer,
        "ratio": None if peer is None else value / peer, "goal": goal, "met": met,
    }  # fmt: skip
