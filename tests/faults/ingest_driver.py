"""Kills an ingest at its n-th crash point, runs it again, and prints what the home then holds. Run by the test.

A process of its own, since it forks: each run is a child that opens the home afresh and dies by SIGKILL where told.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.facts import service as facts
from pdms.facts import store
from pdms.facts.names import FactTable
from pdms.ingest import service as ingest
from pdms.keystore import KeyStore
from pdms.settings import Settings
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member

POLICIES = Path(__file__).resolve().parents[2] / "policies"
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OPERATOR = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
LOADS = {
    "files": (("shop-members", "members.csv", 7), ("shop-order-lines", "lines.csv", 9)),
    "table": (("shop-members", "members.db", 5),),
}


def write_files(folder: Path) -> None:
    """Write the files: some rows wrong, one key twice."""
    members = ["会员编号,姓名,手机号,出生日期,性别,收货地址,注册时间"]
    members += [f"m{n},王{n},138{n:08d},1990-03-{n % 28 + 1:02d},女,浙江省杭州市,2024-05-01" for n in range(20)]
    members[5] = members[5].replace("1380000", "nonsense")
    members.append("m3,王三,13800000003,1990-03-04,女,,2024-05-01")
    (folder / "members.csv").write_text("\n".join(members) + "\n", "utf-8")
    header, *rows = [line.split(",") for line in members]
    with closing(sqlite3.connect(folder / "members.db")) as old:
        old.execute(f"CREATE TABLE members ({', '.join(header)}, 备注 INTEGER PRIMARY KEY)")
        old.executemany(f"INSERT INTO members VALUES ({'?, ' * len(header)}NULL)", rows)
        old.commit()
    lines = ["会员编号,订单号,行号,下单时间,商品编码,商品名称,类目,数量,单价,金额"]
    lines += [f"m{n % 22},o{n // 2},{n % 2},2024-06-01 10:00:00,p{n},货,grocery,1,{n},{n}" for n in range(30)]
    (folder / "lines.csv").write_text("\n".join(lines) + "\n", "utf-8")


def open_app(root: Path) -> App:
    return App.open(Settings(home=root, policies=POLICIES), clock=FixedClock(NOW))


def load_all(root: Path, folder: Path, loads: str) -> None:
    with open_app(root) as app:
        with app.unit(OPERATOR) as uow:
            done = {one.source for one in ingest.loads(uow) if one.finished_at}
        for source, name, size in LOADS[loads]:
            if source in done:
                continue
            if name.endswith(".db"):
                address = f"sqlite:///{folder / name}"
                ingest.ingest_table(
                    app.units(OPERATOR), source=source, address=address, table="members", batch_rows=size
                )
            else:
                ingest.ingest(app.units(OPERATOR), source=source, path=folder / name, batch_rows=size)


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a child; return the signal that ended it, or 0."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("a run failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def deadly(at: int) -> None:
    """Die at the `at`-th crash point: before and after each commit, each file of facts, each minting of keys."""
    left = at

    def point() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def around(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def wrapped(*arguments: Any, **more: Any) -> Any:
            point()
            result = real(*arguments, **more)
            point()
            return result

        setattr(owner, name, wrapped)

    around(UnitOfWork, "_commit")
    around(KeyStore, "mint")
    around(store, "write_file")


def state(root: Path) -> dict[str, Any]:
    """Return what a home holds, by the shop's member numbers instead of random ids."""
    with open_app(root) as app, app.unit(Actor.system(), read_only=True) as uow:
        run = uow.session.connection().exec_driver_sql
        codes = FieldCodes(uow.policy)
        members = {}
        tokens = set()
        for member_id, pseudonym in run("SELECT member_id, pseudonym FROM member").all():
            stored = stored_member(uow, MemberId(member_id))
            fields = codes.named(open_member(uow.keys.deks([member_id])[member_id], stored.sealed))
            held = facts.of_subject(app.home, pseudonym)
            tokens.add(pseudonym)
            members[fields["external"]] = {
                "fields": fields,
                "facts": {
                    table: sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)
                    for table, rows in held.items()
                },
            }
        counts = {
            table: run(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("member", "sealed_member", "external_index", "blind_index", "notice_delivery")
        }
        loads = [
            [*row]
            for row in run(
                "SELECT source, read, created, updated, unchanged, accepted, rejected, finished_at IS NOT NULL"
                " FROM ingest_load ORDER BY source"
            ).all()
        ]
        rejected = [[*row] for row in run("SELECT row, field, rule FROM ingest_rejected ORDER BY load_id, row").all()]
        rejected.sort()
        kinds = dict(run("SELECT kind, count(*) FROM audit_event GROUP BY kind").all())
        strays = len(facts.pseudonyms(app.home) - tokens)
        leftovers = [path.name for path in app.home.facts.rglob("*.tmp")]
    return {
        "members": members, "counts": counts, "loads": loads, "rejected": rejected, "events": kinds,
        "facts of nobody": strays, "temporary files": leftovers,
        "rows": {table: n for table, n in facts.counts(app.home).items() if table is not FactTable.CAMPAIGN_CONTACTS},
    }  # fmt: skip


def main() -> None:
    """Print one JSON line for each crash point, the undisturbed run first."""
    folder = Path(sys.argv[1])
    step, start, loads = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    write_files(folder)
    template = folder / "template"
    in_child(lambda: void(initialise(Settings(home=template, policies=POLICIES), clock=FixedClock(NOW))))
    homes = {"undisturbed": None}

    def tell(name: str, root: Path) -> None:
        out = folder / f"{name}.json"
        in_child(lambda: void(out.write_text(json.dumps(state(root), sort_keys=True), "utf-8")))

    def fresh(name: str) -> Path:
        root = folder / name
        shutil.copytree(template, root)
        return root

    root = fresh("undisturbed")
    in_child(lambda: load_all(root, folder, loads))
    tell("undisturbed", root)
    at, ended = start, 0
    while True:
        root = fresh(f"killed-{at}")

        def attempt(root: Path = root, at: int = at) -> None:
            deadly(at)
            load_all(root, folder, loads)

        ended = in_child(attempt)
        if not ended:
            break  # the run has no such point
        in_child(lambda root=root: load_all(root, folder, loads))
        tell(f"killed-{at}", root)
        shutil.rmtree(root)
        at += step
    print(json.dumps({"points": at - start, "homes": len(homes)}))


def void(_: object) -> None:
    """Drop a result."""


if __name__ == "__main__":
    main()
