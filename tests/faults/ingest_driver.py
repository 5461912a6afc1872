"""Cuts a load of files, or a take-over of a table, off before one effect after another, gives it again, and writes what
the home then holds.

Arguments: folder, what is loaded (files, table), form (`common.crash_images.try_out`), and for PostgreSQL the server's
folder and the name of an empty database. Each run is a forked child.
"""

import json
import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from common import deadly_postgres
from common.crash_images import Trial
from common.deadly import in_child, preload, remember_policies
from common.world import POLICIES, ROOT_VARIABLE
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import new_root_text
from pdms.facts import service as facts
from pdms.facts.names import FactTable
from pdms.ingest import service as ingest
from pdms.reports import evidence
from pdms.settings import Settings
from pdms.taxonomy import MemberId, Scope
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
OPERATOR = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
OFFICER = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}))
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


def state(root: Path) -> dict[str, Any]:
    """Return what a home holds, by the shop's member numbers instead of random ids."""
    with open_app(root) as app:
        facts.compact(app.home, tables=[FactTable.ORDERS])  # as the nightly sweep does: what a kill left goes
        with app.unit(Actor.system(), read_only=True) as uow:
            held = held_in(app, uow)
        app.sequence()
        with app.unit(OFFICER) as uow:
            report = evidence.verify(uow)
    return {**held, "log": [list(map(str, report.problems)), report.unsequenced]}


def held_in(app: App, uow: UnitOfWork) -> dict[str, Any]:
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
    folder, loads, form, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    os.environ["PDMS_ROOT_KEY"] = f"env:{ROOT_VARIABLE}"
    preload()
    remember_policies(POLICIES)
    write_files(folder)
    place = folder / "run"
    place.mkdir()
    root = place / "home"
    on = deadly_postgres.Place(place, folder, server=server[0], name=server[1]) if server else None
    url = None if on is None else SecretStr(on.url(on.name))

    def prepare() -> None:
        initialise(Settings(home=root, policies=POLICIES, database_url=url), clock=FixedClock(NOW))

    assert in_child(prepare) == 0

    def again(_number: int) -> str:
        load_all(root, folder, loads)
        return "the same again"

    trial = Trial(place, act=lambda: load_all(root, folder, loads), again=again, state=lambda: state(root))
    deadly_postgres.try_out(trial, folder, form, on)


if __name__ == "__main__":
    main()
