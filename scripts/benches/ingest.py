"""Ingest of members, from CSV line to commit, against SQLAlchemy-Utils encrypted columns on the same parsed rows.

Both run in one process, alternating, on databases opened alike; figures are CPU time (user and system) for a member.
The peer only inserts rows that are parsed already, and keeps no index; pdms reads, cleans, seals, indexes, derives,
audits and commits. Memory is the growth of the process's peak between a file and one ten times as long.
"""

import csv
import os
import random
import resource
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, insert
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

FIELDS = ("姓名", "手机号", "邮箱", "身份证号", "出生日期", "性别", "收货地址", "登录名")
OPERATOR = Actor("op-" + "0" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
POLICIES = Path(__file__).resolve().parents[2] / "policies"
RATE_GOAL = 2.0
CPU_GOAL = 55.0
PEER = "SQLAlchemy-Utils StringEncryptedType, AES-GCM"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def make_members(path: Path, count: int, *, start: int = 0) -> None:
    """Write fictitious members: valid check digits, no real person."""
    rng = random.Random(start)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("会员编号", *FIELDS))
        for at in range(start, start + count):
            born = f"{rng.randint(1950, 2005)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
            number = f"330106{born.replace('-', '')}{at % 1000:03d}"
            number += "10X98765432"[sum(int(d) * w for d, w in zip(number, _WEIGHTS, strict=True)) % 11]
            name = "张" + chr(0x4E00 + rng.randint(0, 5000)) + chr(0x4E00 + rng.randint(0, 5000))
            out.writerow(
                (
                    f"M{at:09d}", name, f"138{at:08d}", f"member{at}@shop.example", number, born,
                    "男女"[at & 1], f"浙江省杭州市西湖区示例路{at % 900}号{at % 30}栋", f"login{at}",
                )
            )  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Peer:
    """A table of encrypted columns, filled by Core `insert` in batches of the same size."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(folder / "peer.db")
        encrypted = [
            Column(f"f{n}", StringEncryptedType(key="a key of the peer", engine=AesGcmEngine))
            for n in range(len(FIELDS))
        ]
        self.table = Table("member", MetaData(), Column("id", Integer, primary_key=True), *encrypted)
        self.table.create(self.engine)

    def take(self, rows: list[dict[str, str]]) -> float:
        """Store parsed rows; return CPU seconds."""
        began = _cpu()
        for at in range(0, len(rows), ingest.BATCH_ROWS):
            with self.engine.begin() as connection:
                connection.execute(insert(self.table), rows[at : at + ingest.BATCH_ROWS])
        return _cpu() - began


def _parsed(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{f"f{n}": cell for n, cell in enumerate(row[1:])} for row in list(csv.reader(file))[1:]]


def _open(folder: Path) -> App:
    settings = Settings(home=folder / "home", policies=POLICIES)
    clock = FixedClock(NOW)
    initialise(settings, clock=clock)
    return App.open(settings, clock=clock)


def run(quick: bool) -> Iterator[dict[str, object]]:
    """Yield one measurement a line. :param quick: a tenth of the members."""
    rounds = 4
    each = 2_500 if quick else 25_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as name:
        folder = Path(name)
        with _open(folder) as app:
            units = app.units(OPERATOR)
            peer = Peer(folder)
            warm = folder / "warm.csv"
            make_members(warm, 500, start=900_000_000 // 10)
            ingest.ingest(units, source="shop-members", path=warm)
            peer.take(_parsed(warm))
            ours, theirs = 0.0, 0.0
            for turn in range(rounds):
                path = folder / f"members-{turn}.csv"
                make_members(path, each, start=turn * each)
                began = _cpu()
                report = ingest.ingest(units, source="shop-members", path=path)
                ours += _cpu() - began
                if report.created != each:
                    raise RuntimeError("not every member was stored")
                theirs += peer.take(_parsed(path))
            count = rounds * each
            mine, peers = ours / count * 1e6, theirs / count * 1e6
            yield {
                "bench": "ingest", "case": f"members, 8 fields, CSV to commit, {count}", "value": round(mine, 1),
                "unit": "us CPU/member", "peer": f"{PEER}: {peers:.1f}", "ratio": round(peers / mine, 2),
                "goal": RATE_GOAL, "met": peers / mine >= RATE_GOAL,
            }  # fmt: skip
            yield {
                "bench": "ingest", "case": "members, CSV to commit, absolute", "value": round(mine, 1),
                "unit": "us CPU/member", "peer": "design budget", "ratio": round(CPU_GOAL / mine, 2),
                "goal": CPU_GOAL, "met": mine <= CPU_GOAL,
            }  # fmt: skip
            again = folder / "members-0.csv"
            began = _cpu()
            report = ingest.ingest(units, source="shop-members", path=again)
            same = (_cpu() - began) / each * 1e6
            yield {
                "bench": "ingest", "case": "the same file again", "value": round(same, 1), "unit": "us CPU/member",
                "peer": "first time", "ratio": round(mine / same, 2), "goal": 1.0, "met": report.unchanged == each,
            }  # fmt: skip
            small, big = (5_000, 50_000) if quick else (100_000, 1_000_000)
            peaks = []
            for number, count in enumerate((small, big)):
                path = folder / f"long-{count}.csv"
                make_members(path, count, start=10_000_000 * (number + 1))
                ingest.ingest(units, source="shop-members", path=path)
                peaks.append(_peak_mb())
            yield {
                "bench": "ingest", "case": f"peak memory, {small} to {big} members", "value": round(peaks[1], 0),
                "unit": "MB", "peer": f"{small} members: {peaks[0]:.0f} MB", "ratio": round(peaks[1] / peaks[0], 2),
                "goal": 1.2, "met": peaks[1] / peaks[0] <= 1.2,
            }  # fmt: skip


if __name__ == "__main__":
    for line in run(quick=not os.environ.get("PDMS_BENCH_FULL")):
        print(line)
