"""The vault layer against what Python offers: members stored in bulk, one looked up by phone with all fields opened.

Cases and peers run in one process, in turns, on SQLite files opened alike (WAL, synchronous=FULL); figures are CPU
time, user and system, of this process. Ours: eight sealed fields, a key of the member's own in a second database, three
untruncated blind indexes, one audit event a batch, committed. Peers get rows that are parsed already:
`StringEncryptedType` of SQLAlchemy-Utils (AES-GCM) on eight encrypted columns, which it cannot look up, by mapped
objects and a session, as its documentation has it (the goal is held against this), and by Core's executemany, its
fastest way; Fernet for each field with three keyed HMAC columns, indexed; and the floor: the same rows in
the clear with three plain indexes. For look-ups SQLAlchemy-Utils is given a plain indexed column to find by; the tail
is of CPU time too, since a busy machine's waiting would be measured otherwise. PostgreSQL cases: `_vault_postgres.py`;
epoch rotation: `_vault_epochs.py`; what the driver alone takes for the rows that were stored: `_vault_floor.py`.
"""

import gc
import importlib.util
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import Column, Integer, String, insert, select
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy_utils import StringEncryptedType
from sqlalchemy_utils.types.encrypted.encrypted_type import AesGcmEngine

from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import BlindIndex, new_key
from pdms.db import open_engine
from pdms.settings import Settings
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault.looking import look_up


def _beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"benches.{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_vault_postgres, _vault_epochs, _vault_floor = map(_beside, ("_vault_postgres", "_vault_epochs", "_vault_floor"))

OPERATOR = Actor("op-" + "0" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POLICIES = Path(__file__).resolve().parents[2] / "policies"
FIELDS = ("external", "name", "phone", "email", "birth_date", "gender", "address", "registered_at")
INDEXED = (0, 2, 3)
BATCH = 20_000
BULK_GOAL, PEER_GOAL, LOOK_UP_GOAL, TAIL_GOAL = 27.0, 4.0, 25.0, 3.0
COPY_GOAL, CRYPTO_GOAL, LOOK_UP_PG_GOAL = 23.0, 100.0, 100.0
UNIT = "us CPU/member"
SAME_ROWS = "of which the driver: these very rows, sealed already, by plain"
Rows = Sequence[tuple[str, ...]]


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Yield one measurement a line. :param quick: 40,000 members held instead of a million."""
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as name:
        folder = Path(name)
        settings = Settings(home=folder / "home", policies=POLICIES)
        clock = FixedClock(NOW)
        initialise(settings, clock=clock)
        with App.open(settings, clock=clock) as app:
            types = EncryptedTypes(folder)
            peers = [Floor(folder), FernetColumns(folder), types, EncryptedRows(types)]
            yield from _bulk(app, peers, rounds=1 if quick else 3)
            floor = _vault_floor.in_files(app, folder, BATCH, _timed)
            yield _row(f"{SAME_ROWS} executemany into the same tables", floor, UNIT, "no cryptography", 1.0, None, None)
            held = 40_000 if quick else 1_000_000
            yield from _look_up(app, peers[:3], held=held, tries=1_000 if quick else 10_000)
            yield from (_row(*found) for found in _vault_epochs.measured(app, folder, _timed))
    if _vault_postgres.available():
        yield from _postgres(quick)


def people(start: int, count: int) -> list[tuple[str, ...]]:
    """Fictitious members in normal form, in the order of `FIELDS`."""
    dice = random.Random(start)
    return [
        (
            f"M{at:09d}",
            "张" + chr(0x4E00 + dice.randint(0, 5000)) + chr(0x4E00 + dice.randint(0, 5000)),
            f"+86138{at:08d}",
            f"member{at}@shop.example",
            f"{dice.randint(1950, 2005)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}",
            "male" if at & 1 else "female",
            f"浙江省杭州市西湖区示例路{at % 900}号{at % 30}栋",
            f"202{at % 6}-05-01T00:00:00+00:00",
        )
        for at in range(start, start + count)
    ]


def store(app: App, rows: Rows) -> None:
    """Store a batch through the vault, in one unit."""
    columns = list(zip(*rows, strict=True))
    with app.unit(OPERATOR) as uow:
        fields = dict(zip(FIELDS[1:7], columns[1:7], strict=True))
        stored = vault.upsert_batch(
            uow, vault.MemberBatch(columns[0], fields, [datetime.fromisoformat(one) for one in columns[7]]),
            system="shop",
        )  # fmt: skip
    if stored.created != len(rows):
        raise RuntimeError("not every member was stored")


class Floor:
    """Plain text in a table of eight columns with three indexes."""

    name = "plain executemany"

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(folder / "plain.db")
        self.raw = self.engine.raw_connection()
        marks = ", ".join(FIELDS)
        self.raw.cursor().execute(f"CREATE TABLE member (id INTEGER PRIMARY KEY, {marks})")
        for at in INDEXED:
            self.raw.cursor().execute(f"CREATE INDEX by_{FIELDS[at]} ON member ({FIELDS[at]})")
        self._insert = f"INSERT INTO member ({marks}) VALUES ({', '.join('?' * len(FIELDS))})"

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        cursor = self.raw.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(self._insert, rows)
        cursor.execute("COMMIT")

    def look_up(self, phone: str) -> Any:
        """Find one and read its fields."""
        return self.raw.cursor().execute("SELECT * FROM member WHERE phone = ?", (phone,)).fetchall()


class FernetColumns:
    """Fernet for each field, three keyed HMAC columns with indexes, executemany."""

    name = "Fernet + HMAC"

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(folder / "fernet.db")
        self.raw = self.engine.raw_connection()
        self._fernet, self._index = Fernet(Fernet.generate_key()), BlindIndex(new_key())
        marks = ", ".join([*FIELDS, "d0", "d1", "d2"])
        self.raw.cursor().execute(f"CREATE TABLE member (id INTEGER PRIMARY KEY, {marks})")
        for at in range(3):
            self.raw.cursor().execute(f"CREATE INDEX by_d{at} ON member (d{at})")
        self._insert = f"INSERT INTO member ({marks}) VALUES ({', '.join('?' * (len(FIELDS) + 3))})"

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        encrypt, digest = self._fernet.encrypt, self._index.digest
        sealed = [
            (*(encrypt(one.encode()) for one in row), *(digest(row[at].encode()) for at in INDEXED)) for row in rows
        ]
        cursor = self.raw.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(self._insert, sealed)
        cursor.execute("COMMIT")

    def look_up(self, phone: str) -> Any:
        """Find one and open its fields."""
        found = self.raw.cursor().execute(
            "SELECT * FROM member WHERE d1 = ?", (self._index.digest(phone.encode()),)
        )  # fmt: skip
        return [[self._fernet.decrypt(one) for one in row[1:9]] for row in found.fetchall()]


class EncryptedTypes:
    """SQLAlchemy-Utils: eight columns of `StringEncryptedType`, AES-GCM."""

    name = "SQLAlchemy-Utils StringEncryptedType AES-GCM, session"

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(folder / "types.db")
        base = declarative_base()
        columns: dict[str, object] = {"__tablename__": "member", "id": Column(Integer, primary_key=True)}
        columns["plain_phone"] = Column(String, index=True)
        for name in FIELDS:
            columns[name] = Column(StringEncryptedType(String, key="a key of the peer", engine=AesGcmEngine))
        self.mapped: Any = type("Member", (base,), columns)
        base.metadata.create_all(self.engine)
        self.session = Session(self.engine)

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        with Session(self.engine) as session:
            session.add_all([self.mapped(**_told(row)) for row in rows])
            session.commit()

    def look_up(self, phone: str) -> Any:
        """Find one by a plain column and open its fields."""
        found = self.session.connection().execute(
            select(self.mapped.__table__).where(self.mapped.plain_phone == phone)
        )  # fmt: skip
        return [tuple(row) for row in found]


class EncryptedRows:
    """The same columns by Core's executemany."""

    name = "the same by Core executemany"

    def __init__(self, types: EncryptedTypes) -> None:
        self._types = types

    def store(self, rows: Rows) -> None:
        """Store a batch."""
        with self._types.engine.begin() as connection:
            connection.execute(insert(self._types.mapped.__table__), [_told(row) for row in rows])


def _told(row: tuple[str, ...]) -> dict[str, str]:
    return {"plain_phone": row[2], **dict(zip(FIELDS, row, strict=True))}


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _bulk(app: App, peers: Sequence[Any], *, rounds: int) -> Iterator[dict[str, Any]]:
    ours = 0.0
    theirs = dict.fromkeys([peer.name for peer in peers], 0.0)
    slow = (EncryptedTypes, EncryptedRows)
    counts = {peer.name: BATCH // 4 for peer in peers if isinstance(peer, slow)}  # fewer rows tell as much
    stored = dict.fromkeys(theirs, 0)
    for turn in range(-1, rounds):  # the first turn warms all up and does not count
        rows = people((turn + 1) * BATCH, BATCH)
        mine = _timed(lambda: store(app, rows))  # noqa: B023
        ours += mine if turn >= 0 else 0.0
        for peer in peers:
            part = rows[: counts.get(peer.name, BATCH)]
            taken = _timed(lambda: peer.store(part))  # noqa: B023
            if turn >= 0:
                theirs[peer.name] += taken
                stored[peer.name] += len(part)
    mine = ours / (rounds * BATCH) * 1e6
    case = "store, bulk, SQLite: 8 sealed fields + key + 3 blind indexes"
    yield _row(case, mine, "us CPU/member", "budget of the design", BULK_GOAL / mine, BULK_GOAL, mine <= BULK_GOAL)
    for peer in peers:
        one = theirs[peer.name] / stored[peer.name] * 1e6
        goal = PEER_GOAL if isinstance(peer, EncryptedTypes) else None
        yield _row(
            "the same", mine, "us CPU/member", f"{peer.name}: {one:.1f}", one / mine, goal,
            None if goal is None else one / mine >= goal,
        )  # fmt: skip


def _timed(work: Callable[[], Any]) -> float:
    gc.collect()
    gc.disable()  # as a load does: hundreds of thousands of short-lived tuples and no cycle
    try:
        began = cpu()
        work()
        return cpu() - began
    finally:
        gc.enable()


def _look_up(app: App, peers: Sequence[Any], *, held: int, tries: int) -> Iterator[dict[str, Any]]:
    with app.unit(OPERATOR, read_only=True) as uow:
        there = vault.count(uow)
    for start in range(there, held, BATCH):
        rows = people(start, BATCH)
        store(app, rows)
        for peer in peers:
            if not isinstance(peer, EncryptedTypes):
                peer.store(rows)
    dice = random.Random(1)
    with app.unit(OPERATOR, read_only=True) as uow:

        def ours(phone: str) -> Any:
            return look_up(uow, index="phone", value=phone)

        phones = [f"+86138{dice.randrange(held):08d}" for _ in range(tries)]
        if any(len(found[0].fields) != len(FIELDS) for found in map(ours, phones[:100])):
            raise RuntimeError("not every field was opened")
        mine, spread = _each(ours, phones)
        yield _row(
            f"look up by phone, open {len(FIELDS)} fields, {held:,} members held", mine, "us CPU",
            "budget of the design",
            LOOK_UP_GOAL / mine, LOOK_UP_GOAL, mine <= LOOK_UP_GOAL,
        )  # fmt: skip
        yield _row(
            "the same, p99 against p50", spread[1], "us CPU", f"p50: {spread[0]:.1f}", spread[1] / spread[0],
            TAIL_GOAL, spread[1] <= TAIL_GOAL * spread[0],
        )  # fmt: skip
        with _vault_floor.look_up_in_files(app, uow, phones) as asked:
            floor, (middle, tail) = _each(asked, phones)
        yield _row(
            "the same", mine, "us CPU", f"its two statements alone: {floor:.1f}, p50 {middle:.1f}, p99 {tail:.1f}",
            floor / mine, None, None,
        )  # fmt: skip
        known = [f"+86138{dice.randrange(BATCH // 4):08d}" for _ in range(tries)]
        for peer in peers:
            one, _ = _each(peer.look_up, known if isinstance(peer, EncryptedTypes) else phones)
            yield _row("the same", mine, "us CPU", f"{peer.name}: {one:.1f}", one / mine, None, None)


def _each(work: Callable[[str], Any], values: Sequence[str]) -> tuple[float, tuple[float, float]]:
    """Return mean CPU microseconds, and the median and the 99th percentile of the single ones."""
    for value in values[: len(values) // 4]:  # warm: statements prepared, upper pages of the trees in memory
        work(value)
    walls = []
    began = cpu()
    for value in values:
        at = time.thread_time_ns()
        work(value)
        walls.append((time.thread_time_ns() - at) / 1e9)
    used = (cpu() - began) / len(values) * 1e6
    cuts = statistics.quantiles(walls, n=100)
    return used, (cuts[49] * 1e6, cuts[98] * 1e6)


def _row(
    case: str, value: float, unit: str, peer: str, ratio: float, goal: float | None, met: bool | None
) -> dict[str, Any]:
    return {
        "bench": "vault", "case": case, "value": round(value, 1), "unit": unit, "peer": peer, "ratio": round(ratio, 2),
        "goal": goal, "met": met,
    }  # fmt: skip


def _postgres(quick: bool) -> Iterator[dict[str, Any]]:
    """The same two questions to a PostgreSQL server; few rows for pgcrypto, which takes milliseconds for each."""
    rounds, few, tries = (1, 500, 500) if quick else (4, 2_000, 3_000)
    with _vault_postgres.serving() as server, tempfile.TemporaryDirectory(prefix="pdms-bench-") as name:
        settings = Settings(home=Path(name) / "home", policies=POLICIES, database_url=server.url)
        clock = FixedClock(NOW)
        initialise(settings, clock=clock)
        peers = [_vault_postgres.Copied(server, FIELDS, INDEXED), _vault_postgres.PgCrypto(server, FIELDS)]
        with App.open(settings, clock=clock) as app:
            ours, theirs = 0.0, dict.fromkeys([peer.name for peer in peers], 0.0)
            for turn in range(-1, rounds):
                rows = people((turn + 1) * BATCH, BATCH)
                mine = _vault_postgres.timed(server, cpu, lambda: store(app, rows))  # noqa: B023
                ours += mine if turn >= 0 else 0.0
                for peer in peers:
                    part = rows[:few] if isinstance(peer, _vault_postgres.PgCrypto) else rows
                    taken = _vault_postgres.timed(server, cpu, lambda: peer.store(part)) / len(part)  # noqa: B023
                    theirs[peer.name] += taken if turn >= 0 else 0.0
            mine = ours / (rounds * BATCH) * 1e6
            case, unit = "store, bulk, PostgreSQL COPY: the same members", "us CPU/member, both sides"
            yield _row(case, mine, unit, "budget of the design", COPY_GOAL / mine, COPY_GOAL, mine <= COPY_GOAL)
            for peer in peers:
                one = theirs[peer.name] / rounds * 1e6
                goal = CRYPTO_GOAL if isinstance(peer, _vault_postgres.PgCrypto) else None
                yield _row(
                    "the same", mine, unit, f"{peer.name}: {one:,.1f}", one / mine, goal,
                    None if goal is None else one / mine >= goal,
                )  # fmt: skip
            floor = _vault_floor.in_postgres(server, lambda work: _vault_postgres.timed(server, cpu, work))
            yield _row(f"{SAME_ROWS} COPY into tables like them", floor, unit, "no cryptography", 1.0, None, None)
            server.analyse()
            yield from _postgres_look_up(app, server, peers, held=(rounds + 1) * BATCH, few=few, tries=tries)


def _postgres_look_up(
    app: App, server: Any, peers: Sequence[Any], *, held: int, few: int, tries: int
) -> Iterator[dict[str, Any]]:
    dice = random.Random(2)
    phones = [f"+86138{dice.randrange(held):08d}" for _ in range(tries)]
    known = [f"+86138{dice.randrange(few):08d}" for _ in range(tries // 5)]
    with app.unit(OPERATOR, read_only=True) as uow:
        case, unit = f"look up by phone, open {len(FIELDS)} fields, PostgreSQL", "us CPU, both sides"
        mine = 0.0
        for one, values in ((None, phones), (peers[0], phones), (peers[1], known)):
            work = one.look_up if one is not None else lambda phone: look_up(uow, index="phone", value=phone)
            for value in values[:100]:
                if not work(value):
                    raise RuntimeError("somebody who was stored was not found")
            taken = _vault_postgres.timed(server, cpu, lambda: [work(v) for v in values])  # noqa: B023
            each = taken / len(values) * 1e6
            if one is None:
                mine = each
                yield _row(
                    case, mine, unit, "budget of the design", LOOK_UP_PG_GOAL / mine, LOOK_UP_PG_GOAL,
                    mine <= LOOK_UP_PG_GOAL,
                )  # fmt: skip
            else:
                yield _row("the same", mine, unit, f"{one.name}: {each:,.1f}", each / mine, None, None)
