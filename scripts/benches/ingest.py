"""Ingest of members, from CSV line to commit, against SQLAlchemy-Utils encrypted columns on the same parsed rows.

Both run in one process, alternating, on databases opened alike; figures are CPU time (user and system) for a member.
The peer inserts rows that are parsed already, each cell encrypted, and keeps no index; it is measured as its
documentation uses it, by mapped objects and a session, and by Core's executemany, its fastest way. pdms reads, cleans,
seals the same cells, indexes, derives attributes, records that the notice was shown, audits and commits. The first case
has eight fields, the member number among them, and three blind indexes; the second adds ID number and login, both
indexed.
Memory is the growth of the process's peak between a file and one ten times as long; the longer one also gives the pace
by the clock, which is only worth reading on a machine at rest, and so does a first load in large batches.
"""

import csv
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Integer, insert
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy_utils import StringEncryptedType
from sqlalchemy_utils.types.encrypted.encrypted_type import AesGcmEngine

from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.db import open_engine
from pdms.ingest import service as ingest
from pdms.settings import Settings
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind

EIGHT = ("会员编号", "姓名", "手机号", "邮箱", "出生日期", "性别", "收货地址", "注册时间")
TEN = (*EIGHT, "身份证号", "登录名")
OPERATOR = Actor("op-" + "0" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POLICIES = Path(__file__).resolve().parents[2] / "policies"
ROUNDS = 4
RATE_GOAL = 2.0
MEMORY_GOAL = 1.2
CPU_GOAL = 55.0
PACE_GOAL = 15_000
FIRST_LOAD = 160_000
"""Rows of a batch where nobody else writes: `pdms ingest --batch-rows`."""
PEER = "SQLAlchemy-Utils StringEncryptedType, AES-GCM"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def make_members(path: Path, count: int, *, start: int = 0, columns: Sequence[str] = EIGHT) -> None:
    """Write fictitious members: valid check digits, no real person."""
    rng = random.Random(start)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        for at in range(start, start + count):
            born = f"{rng.randint(1950, 2005)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
            number = f"330106{born.replace('-', '')}{at % 1000:03d}"
            number += "10X98765432"[sum(int(d) * w for d, w in zip(number, _WEIGHTS, strict=True)) % 11]
            name = "张" + chr(0x4E00 + rng.randint(0, 5000)) + chr(0x4E00 + rng.randint(0, 5000))
            registered = f"202{at % 6}-{rng.randint(1, 9):02d}-{rng.randint(1, 28):02d}"
            cells = (
                f"M{at:09d}", name, f"138{at:08d}", f"member{at}@shop.example", born, "男女"[at & 1],
                f"浙江省杭州市西湖区示例路{at % 900}号{at % 30}栋", registered, number, f"login{at}",
            )  # fmt: skip
            out.writerow(cells[: len(columns)])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Peer:
    """A table of encrypted columns, one mapped class."""

    def __init__(self, path: Path, width: int) -> None:
        self.engine = open_engine(path)
        base = declarative_base()
        columns: dict[str, object] = {"__tablename__": "member", "id": Column(Integer, primary_key=True)}
        for n in range(width):
            columns[f"f{n}"] = Column(StringEncryptedType(key="a key of the peer", engine=AesGcmEngine))
        self.mapped = type("Member", (base,), columns)
        base.metadata.create_all(self.engine)

    def take(self, rows: list[dict[str, str]], *, core: bool) -> float:
        """Store parsed rows; return CPU seconds."""
        began = _cpu()
        for at in range(0, len(rows), ingest.BATCH_ROWS):
            part = rows[at : at + ingest.BATCH_ROWS]
            if core:
                with self.engine.begin() as connection:
                    connection.execute(insert(self.mapped.__table__), part)  # type: ignore[attr-defined]
            else:
                with Session(self.engine) as session:
                    session.add_all([self.mapped(**row) for row in part])
                    session.commit()
        return _cpu() - began


def _parsed(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{f"f{n}": cell for n, cell in enumerate(row)} for row in list(csv.reader(file))[1:]]


def _open(folder: Path) -> App:
    settings = Settings(home=folder / "home", policies=POLICIES)
    clock = FixedClock(NOW)
    initialise(settings, clock=clock)
    return App.open(settings, clock=clock)


def _alternate(app: App, folder: Path, columns: Sequence[str], *, each: int, start: int) -> tuple[float, float, float]:
    """Load files with all sides in turn; return CPU microseconds for a member: ours, the peer's by session, by Core."""
    width = len(columns)
    peers = {core: Peer(folder / f"peer-{width}-{core}.db", width) for core in (False, True)}
    ours = 0.0
    theirs = dict.fromkeys(peers, 0.0)
    for turn in range(-1, ROUNDS):  # the first turn warms all up and does not count
        path = folder / f"{width}-{turn}.csv"
        make_members(path, each if turn >= 0 else 500, start=start + (turn + 1) * each, columns=columns)
        began = _cpu()
        report = ingest.ingest(app.units(OPERATOR), source="shop-members", path=path)
        mine = _cpu() - began
        if report.rejected or report.created != report.read:
            raise RuntimeError("not every member was stored")
        rows = _parsed(path)
        taken = {core: peer.take(rows, core=core) for core, peer in peers.items()}
        if turn >= 0:
            ours += mine
            theirs = {core: theirs[core] + one for core, one in taken.items()}
    per = 1e6 / (ROUNDS * each)
    return ours * per, theirs[False] * per, theirs[True] * per


def run(quick: bool) -> Iterator[dict[str, object]]:
    """Yield one measurement a line. :param quick: fewer members."""
    each = 5_000 if quick else 25_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as name:
        folder = Path(name)
        with _open(folder) as app:
            mine, session, core = _alternate(app, folder, EIGHT, each=each, start=0)
            yield {
                "bench": "ingest", "case": f"{ROUNDS * each} members x 8 fields, CSV line to commit",
                "value": round(mine, 1), "unit": "us CPU/member", "peer": f"{PEER}, session: {session:.1f}",
                "ratio": round(session / mine, 2), "goal": RATE_GOAL, "met": session / mine >= RATE_GOAL,
            }  # fmt: skip
            yield {
                "bench": "ingest", "case": "the same, against the peer's fastest way", "value": round(mine, 1),
                "unit": "us CPU/member", "peer": f"{PEER}, Core executemany: {core:.1f}",
                "ratio": round(core / mine, 2), "goal": None, "met": None,
            }  # fmt: skip
            yield {
                "bench": "ingest", "case": "the same, absolute", "value": round(mine, 1), "unit": "us CPU/member",
                "peer": "budget of the design", "ratio": round(CPU_GOAL / mine, 2), "goal": CPU_GOAL,
                "met": mine <= CPU_GOAL,
            }  # fmt: skip
            wide, session, core = _alternate(app, folder, TEN, each=each, start=10_000_000)
            yield {
                "bench": "ingest", "case": "with ID number and login, both indexed", "value": round(wide, 1),
                "unit": "us CPU/member", "peer": f"{PEER}, session: {session:.1f}, Core: {core:.1f}",
                "ratio": round(session / wide, 2), "goal": None, "met": None,
            }  # fmt: skip
            began = _cpu()
            report = ingest.ingest(app.units(OPERATOR), source="shop-members", path=folder / "8-0.csv")
            same = (_cpu() - began) / each * 1e6
            yield {
                "bench": "ingest", "case": "the same file again: nothing written", "value": round(same, 1),
                "unit": "us CPU/member", "peer": f"first time: {mine:.1f}", "ratio": round(mine / same, 2),
                "goal": None, "met": report.unchanged == each,
            }  # fmt: skip
        sizes = (20_000, 200_000) if quick else (100_000, 1_000_000)
        with _open(folder / "long") as app:
            paces, peaks = zip(
                *[_long(app, folder, count, batch_rows=ingest.BATCH_ROWS) for count in sizes], strict=True
            )
        yield _pace(sizes[1], paces[1], "batches of 40,000")
        yield {
            "bench": "ingest", "case": f"peak memory, {sizes[0]} to {sizes[1]} members", "value": round(peaks[1]),
            "unit": "MB", "peer": f"{sizes[0]} members: {peaks[0]:.0f} MB", "ratio": round(peaks[1] / peaks[0], 2),
            "goal": MEMORY_GOAL, "met": peaks[1] / peaks[0] <= MEMORY_GOAL,
        }  # fmt: skip
        with _open(folder / "first") as app:
            pace, peak = _long(app, folder, sizes[1], batch_rows=FIRST_LOAD)
        yield _pace(sizes[1], pace, f"--batch-rows {FIRST_LOAD}, peak {peak:.0f} MB")


def _long(app: App, folder: Path, count: int, *, batch_rows: int) -> tuple[float, float]:
    """Return members a second by the clock of one long file, and the peak of the process's memory so far, MB."""
    path = folder / f"long-{count}.csv"
    make_members(path, count, start=20_000_000 + 10 * count)
    began = time.monotonic()
    ingest.ingest(app.units(OPERATOR), source="shop-members", path=path, batch_rows=batch_rows)
    taken = time.monotonic() - began
    path.unlink()
    return count / taken, _peak_mb()


def _pace(count: int, pace: float, how: str) -> dict[str, object]:
    return {
        "bench": "ingest", "case": f"{count:,} members from one file, one process, by the clock ({how})",
        "value": round(pace), "unit": "members/s", "peer": "budget of the design", "ratio": round(pace / PACE_GOAL, 2),
        "goal": PACE_GOAL, "met": pace >= PACE_GOAL,
    }  # fmt: skip
