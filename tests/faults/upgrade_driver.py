"""Cuts `pdms init --upgrade` off before one effect after another, asks again, and writes what the home then holds.

Arguments: folder, where from (`first`: the schema before there were revisions; `previous`: the last but one of each
part), form (`common.crash_images.try_out`), and for PostgreSQL the server's folder and the name of an empty database.
Each run is a forked child.
"""

import contextlib
import io
import json
import os
import sqlite3
import sys
import tarfile
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Boolean, Date, DateTime, MetaData, Table

from common import ask, deadly_postgres
from common.crash_images import Trial
from common.deadly import in_child, preload, remember_policies
from common.world import NOW, POLICIES, ROOT_VARIABLE
from pdms.all_tables.schema import revisions
from pdms.all_tables.upgrade import upgrade
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.db.parts import Databases, Part
from pdms.facts import service as facts
from pdms.reports import evidence
from pdms.settings import Home, Settings
from pdms.unit_of_work import Actor
from pdms.vault import service as vault
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, open_member

HOME_OF_SCHEMA_1 = Path(__file__).resolve().parents[1] / "vectors" / "home_of_schema_1.tar.gz"
GROWING = ("audit_event", "audit_run", "audit_tile", "audit_checkpoint", "epoch", "system_key")
"""Tables to which an upgrade, or opening what it left, may add rows."""
SEQUENCES = (
    "SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)"
    " FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
)


def load(home: Path, url: str) -> None:
    """Put the rows of a home's files into an empty PostgreSQL database at the first revision; the home is its then."""
    databases = Databases(Home(home), url)
    databases.make_schemas()
    for part in Part:
        engine, reflected = databases.open(part), MetaData()
        upgrade(part, engine, to="0001")
        with engine.begin() as connection:
            reflected.reflect(connection)
            for table in reflected.sorted_tables:
                if table.name != "alembic_version" and (rows := rows_of(home, part, table)):
                    connection.execute(table.insert(), rows)
            for table_name, column, sequence in connection.exec_driver_sql(SEQUENCES).all():
                last = connection.exec_driver_sql(f'SELECT max("{column}") FROM "{table_name}"').scalar_one()
                if last is not None:
                    connection.exec_driver_sql("SELECT setval(?::regclass, ?)", (sequence, last))
        engine.dispose()
        (home / f"{part}.db").unlink()
    config = yaml.safe_load((home / "home.yaml").read_text("utf-8"))
    (home / "home.yaml").write_text(yaml.safe_dump(config | {"database": url}, sort_keys=True), "utf-8")


def rows_of(home: Path, part: Part, table: Table) -> list[dict[str, Any]]:
    """Rows of a table in a file, as PostgreSQL has them."""
    with closing(sqlite3.connect(home / f"{part}.db")) as file:
        file.row_factory = sqlite3.Row
        rows = [dict(row) for row in file.execute(f'SELECT * FROM "{table.name}"')]
    forms = {c.name: bool for c in table.columns if isinstance(c.type, Boolean)}
    forms |= {c.name: datetime.fromisoformat for c in table.columns if isinstance(c.type, DateTime)}
    forms |= {c.name: date.fromisoformat for c in table.columns if isinstance(c.type, Date)}
    for row in rows:
        row |= {name: form(row[name]) for name, form in forms.items() if row[name] is not None}
    return rows


def move_on(home: Path, url: str | None) -> None:
    """Bring each part to its last revision but one."""
    databases = Databases(Home(home), url)
    for part in Part:
        engine = databases.open(part)
        upgrade(part, engine, to=revisions(part)[-2 if len(revisions(part)) > 1 else -1])
        engine.dispose()


def init(home: Path) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(
            ["--home", str(home), "--policies", str(POLICIES), "--json", "init", "--upgrade"], clock=FixedClock(NOW)
        )
    assert code == 0, code
    assert "was there already" in json.loads(out.getvalue())["state"]


def held(home: Path, url: str | None) -> dict[str, Any]:
    """What must be the same before and after: rows of every table that only members and staff write to."""
    rows = {f"{part}.{name}": n for part in Part for name, n in ask.tables(home, part, url=url).items()}
    return {name: n for name, n in rows.items() if name.partition(".")[2] not in (*GROWING, "alembic_version")}


def state(home: Path, url: str | None, told: dict[str, Any]) -> dict[str, Any]:
    rows = held(home, url)
    events = ask.ask(home, "vault", "SELECT count(*) FROM audit_event WHERE kind = 'home.upgraded'", url=url)
    revision = {p: ask.ask(home, p, "SELECT version_num FROM alembic_version", url=url)[0][0] for p in Part}
    columns = {part: ask.columns(home, part, url=url) for part in Part}
    with App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW)) as app:
        with app.unit(Actor.system(), read_only=True) as uow:
            codes, members = FieldCodes(uow.policy), []
            for one in told["members"]:
                (member,) = vault.find(uow, index="phone", value="+86" + one["手机号"])
                assert vault.find_external(uow, system="shop", external_id=one["会员编号"]) == member
                dek = uow.keys.deks([member])[member]
                members.append(dict(codes.named(open_member(dek, stored_member(uow, member).sealed))))
        app.sequence()
        with app.unit(app.authenticate(told["tokens"]["compliance"])) as uow:
            report = evidence.verify(uow)
        counts = {table.value: n for table, n in facts.counts(app.home).items()}
    return {
        "rows": rows, "told in the log": events[0][0] >= 1, "revision": revision, "columns": columns,
        "members": members, "facts": counts, "log": [list(map(str, report.problems)), report.unsequenced],
        "begun": (home / ".upgrading").exists(),
    }  # fmt: skip


def main() -> None:
    folder, since, form, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    place = folder / "run"
    with tarfile.open(HOME_OF_SCHEMA_1) as archive:
        archive.extractall(place, filter="data")
    home, told = place / "home", json.loads((place / "told.json").read_text("utf-8"))
    os.environ[ROOT_VARIABLE] = told["root"]
    preload()
    remember_policies(POLICIES)
    on = deadly_postgres.Place(place, folder, server=server[0], name=server[1]) if server else None
    url = on.url(on.name) if on is not None else None
    if url is not None:
        in_child(lambda: load(home, url))
    if since == "previous":
        in_child(lambda: move_on(home, url))
    (folder / "before.json").write_text(json.dumps(held(home, url)), "utf-8")

    def again(_number: int) -> str:
        init(home)
        return "the same again"

    trial = Trial(place, act=lambda: init(home), again=again, state=lambda: state(home, url, told))
    deadly_postgres.try_out(trial, folder, form, on)


if __name__ == "__main__":
    main()
