"""Taking an existing members table over, and verifying it, against the same members from a CSV file in one run.

An SQLite table of eight columns is read page by page and stored through the public service, then read again and
compared with what the vault opens. CPU time (user and system) for a member; memory is the process's peak after a table
and after one ten times as long, taken over and verified.
"""

import csv
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benches.ingest import EIGHT, NOW, OPERATOR, POLICIES, _cpu, _peak_mb, make_members
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.ingest import service as ingest
from pdms.settings import Settings

ROUNDS = 3
RATIO_GOAL = 0.75
MEMORY_GOAL = 1.2


def make_table(path: Path, source: Path) -> None:
    """Write the members of a CSV file into a table of an SQLite database."""
    with closing(sqlite3.connect(path)) as database, source.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = ", ".join(f'"{name}" text' for name in next(rows))
        database.execute(f'CREATE TABLE members ({names}, PRIMARY KEY ("{EIGHT[0]}"))')
        database.executemany(f"INSERT INTO members VALUES ({', '.join('?' * len(EIGHT))})", rows)
        database.commit()


def _open(folder: Path) -> App:
    settings = Settings(home=folder / "home", policies=POLICIES)
    initialise(settings, clock=FixedClock(NOW))
    app = App.open(settings, clock=FixedClock(NOW))
    app.activate_policy()
    return app


def _take(app: App, path: Path) -> ingest.IngestReport:
    return ingest.ingest_table(app.units(OPERATOR), source="shop-members", address=f"sqlite:///{path}", table="members")


def _verify(app: App, path: Path) -> ingest.Verification:
    return ingest.verify_table(app.units(OPERATOR), source="shop-members", address=f"sqlite:///{path}", table="members")


def run(quick: bool) -> Iterator[dict[str, object]]:
    """Yield one measurement a line. :param quick: fewer members."""
    each = 5_000 if quick else 25_000
    with tempfile.TemporaryDirectory(prefix="pdms-bench-") as name:
        folder = Path(name)
        with _open(folder) as app:
            taken = verified = filed = 0.0
            for turn in range(-1, ROUNDS):  # the first turn warms all up and does not count
                count = each if turn >= 0 else 500
                start = 10_000_000 * (turn + 2)
                file, table = folder / f"{turn}.csv", folder / f"{turn}.db"
                make_members(folder / "table.csv", count, start=start)
                make_table(table, folder / "table.csv")
                make_members(file, count, start=start + 5_000_000)
                spent = [_cpu()]
                report = ingest.ingest(app.units(OPERATOR), source="shop-members", path=file)
                spent.append(_cpu())
                mine = _take(app, table)
                spent.append(_cpu())
                found = _verify(app, table)
                spent.append(_cpu())
                if report.created != count or mine.created != count or found.equal != count:
                    raise RuntimeError("not every member was stored alike")
                if turn >= 0:
                    filed, taken, verified = (
                        total + after - before
                        for total, before, after in zip((filed, taken, verified), spent, spent[1:], strict=False)
                    )
            per = 1e6 / (ROUNDS * each)
            yield {
                "bench": "takeover", "case": f"{ROUNDS * each} members, SQLite table to commit",
                "value": round(taken * per, 1), "unit": "us CPU/member", "peer": f"from CSV: {filed * per:.1f}",
                "ratio": round(filed / taken, 2), "goal": RATIO_GOAL, "met": filed / taken >= RATIO_GOAL,
            }  # fmt: skip
            yield {
                "bench": "takeover", "case": "the same, verified", "value": round(verified * per, 1),
                "unit": "us CPU/member", "peer": f"taking over: {taken * per:.1f}",
                "ratio": round(taken / verified, 2), "goal": None, "met": None,
            }  # fmt: skip
            peaks: list[float] = []
            walls: list[float] = []
            sizes = (20_000, 200_000) if quick else (100_000, 1_000_000)
            for number, count in enumerate(sizes):
                path = folder / f"long-{count}.db"
                make_members(folder / "long.csv", count, start=100_000_000 + 10_000_000 * number)
                make_table(path, folder / "long.csv")
                for work in (_take, _verify):
                    began = time.perf_counter()
                    work(app, path)
                    walls.append(time.perf_counter() - began)
                path.unlink()
                peaks.append(_peak_mb())
            yield {
                "bench": "takeover", "case": f"peak memory, {sizes[0]} to {sizes[1]} members, taken over and verified",
                "value": round(peaks[1]), "unit": "MB", "peer": f"{sizes[0]} members: {peaks[0]:.0f} MB",
                "ratio": round(peaks[1] / peaks[0], 2), "goal": MEMORY_GOAL, "met": peaks[1] / peaks[0] <= MEMORY_GOAL,
            }  # fmt: skip
            yield {
                "bench": "takeover", "case": f"{sizes[1]} members, wall clock", "value": round(sizes[1] / walls[2]),
                "unit": "members/s taken over", "peer": f"verified: {sizes[1] / walls[3]:.0f}/s", "ratio": None,
                "goal": None, "met": None,
            }  # fmt: skip
