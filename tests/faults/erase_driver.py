"""Kills an erasure before one effect after another, lets it be finished, and writes what the home then holds.

A process of its own, since it forks: each run is a child that opens the home afresh. Arguments: folder, step, first.
"""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from canary import search
from common.bytes_of import bytes_of_member
from common.deadly import effects_of, in_child, killed_at, preload
from common.world import NOW, POLICIES, ROOT_VARIABLE, World, consents_of, orders_of, people
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.crypto import new_root_text
from pdms.facts import service as facts
from pdms.publish import service as publish
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.settings import Settings

NUMBER = "H00003"
"""The one who asks for erasure; has invoiced orders, so that a hold stays behind."""
FINISHERS = ("support again", "compliance sweep", "admin sweep")


def prepare(folder: Path) -> None:
    """Make the home that every run starts from, and note what must be gone afterwards."""
    world = World.make(folder)
    members = people(90)
    orders, lines = orders_of(members)
    for order in orders:
        order["是否开票"] = "是" if order["会员编号"] == NUMBER else "否"
    for source, rows in (
        ("shop-members", members),
        ("shop-orders", orders),
        ("shop-order-lines", lines),
        ("shop-consents", consents_of(members)),
    ):
        assert world.ingest(source, rows).rejected == 0
    publish.publish(world.app.units(world.actor("compliance")), view="member_lifecycle")
    world.app.sequence()
    stored = bytes_of_member(world, NUMBER)
    known = {
        "phone": members[3]["手机号"],
        "tokens": world.tokens,
        "member": world.id_of(NUMBER).hex(),
        "stored": [one.hex() for one in stored],
        "told": [v for k, v in members[3].items() if k not in ("会员编号", "性别", "注册时间", "出生日期", "姓名")],
        "strangers": world.id_of("H00004").hex(),
    }
    world.close()
    (folder / "known.json").write_text(json.dumps(known), "utf-8")


def pdms(home: Path, token: str, *words: str, typed: str = "") -> int:
    os.environ["PDMS_TOKEN"] = token
    sys.stdin = io.StringIO(typed)
    with contextlib.redirect_stdout(io.StringIO()):
        return run(["--home", str(home), *words], clock=FixedClock(NOW))


def erase(home: Path, known: dict[str, Any]) -> None:
    code = pdms(home, known["tokens"]["support"], "member", "erase", f"shop:{NUMBER}", typed=known["phone"] + "\n")
    assert code == 0, code


def finish(home: Path, known: dict[str, Any], how: str) -> None:
    """As people would: run it again, or leave it to the nightly sweep. One not even begun must be asked for again."""
    role, way = how.split()
    if way == "sweep":
        assert pdms(home, known["tokens"][role], "sweep") == 0
        if not begun(home):
            erase(home, known)
    elif not ended(home):
        erase(home, known)


def begun(home: Path) -> bool:
    return states(home) not in ([], ["received"], ["identity_check"], ["assessing"])


def ended(home: Path) -> bool:
    with closing(sqlite3.connect(home / "vault.db")) as database:
        return bool(database.execute("SELECT 1 FROM subject_request WHERE receipt IS NOT NULL").fetchall())


def states(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "vault.db")) as database:
        return [row[0] for row in database.execute("SELECT state FROM subject_request")]


def safe(home: Path, known: dict[str, Any]) -> list[str]:
    """What must hold in the very moment after a crash."""
    wrong = []
    member = bytes.fromhex(known["member"])
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        key = keys.execute("SELECT 1 FROM member_key WHERE member_id = ?", (member,)).fetchone()
        fence = keys.execute("SELECT 1 FROM fence WHERE member_id = ?", (member,)).fetchone()
    with closing(sqlite3.connect(home / "vault.db")) as vault:
        row = vault.execute("SELECT status FROM member WHERE member_id = ?", (member,)).fetchone()
        suppressed = vault.execute("SELECT count(*) FROM suppression").fetchone()[0]
        steps = {r[0] for r in vault.execute("SELECT step FROM erasure_step")}
    with closing(sqlite3.connect(home / "held.db")) as held:
        kept = held.execute("SELECT count(*) FROM held_record").fetchone()[0]
    if not key and not fence:
        wrong.append("a key is gone without a fence")
    if not key and not suppressed:
        wrong.append("a key is gone and an old file would bring the member back")
    if not row and key:
        wrong.append("rows are gone and the key is not")
    if ("hold" in steps) != bool(kept) and "hold" in steps:
        wrong.append("the hold is noted as done and nothing is held")
    if row and row[0] == "active" and "disable" in steps:
        wrong.append("still active after being disabled")
    return wrong


def state(home: Path, known: dict[str, Any]) -> dict[str, Any]:
    """What a home holds, without what chance or time decides."""
    settings = Settings(home=home, policies=POLICIES)
    with App.open(settings, clock=FixedClock(NOW)) as app:
        officer = app.authenticate(known["tokens"]["compliance"])
        with app.unit(officer) as uow:
            requests = [(r.type.value, r.state.value, bool(r.receipt)) for r in rights.list_requests(uow)]
            held = [(m.month, m.article, m.records) for m in rights.held_overview(uow)]
        app.sequence()
        with app.unit(officer) as uow:
            report = evidence.verify(uow)
            events = evidence.list_events(uow, kinds=(), limit=10_000).items
        counts = {table.value: rows for table, rows in facts.counts(app.home).items()}
    with closing(sqlite3.connect(home / "vault.db")) as vault:
        tables = (
            "member",
            "sealed_member",
            "external_index",
            "blind_index",
            "suppression",
            "consent_record",
            "purge_queue",
        )
        there = {r[0] for r in vault.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = {t: vault.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables if t in there}
        steps = sorted(r[0] for r in vault.execute("SELECT step FROM erasure_step"))
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        rows |= {t: keys.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("member_key", "fence")}
    with closing(sqlite3.connect(home / "anon.db")) as anon:
        releases = sorted(r[0] for r in anon.execute("SELECT state FROM release"))
    told = {kind: sum(e.kind == kind for e in events) for kind in ("erase.step", "erase.done", "hold.created")}
    left = search(home, [bytes.fromhex(one) for one in known["stored"]]) + search(home, known["told"])
    return {
        "requests": requests, "held": held, "rows": rows, "facts": counts, "steps": steps, "releases": releases,
        "events": told, "log": [list(map(str, report.problems)), report.unsequenced],
        "left": sorted({f"{hit.path} ({hit.form})" for hit in left}),
    }  # fmt: skip


def main() -> None:
    folder, step, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    preload()
    assert in_child(lambda: prepare(folder)) == 0
    known = json.loads((folder / "known.json").read_text("utf-8"))
    home, run_home = folder / "home", folder / "run"

    def fresh() -> None:
        shutil.rmtree(run_home, ignore_errors=True)
        shutil.copytree(home, run_home)

    def note(name: str, what: dict[str, Any]) -> None:
        (folder / f"{name}.json").write_text(json.dumps(what, ensure_ascii=False, indent=1), "utf-8")

    fresh()
    effects = effects_of(lambda: erase(run_home, known), folder / "effects")
    in_child(lambda: note("undisturbed", state(run_home, known)))
    for number, at in enumerate(range(first, effects + 1, step)):
        fresh()
        died = folder / "died"
        if not killed_at(lambda: erase(run_home, known), at, died):
            break  # chance decides on a few effects: this run had fewer
        how = FINISHERS[number % len(FINISHERS)]
        what: dict[str, Any] = {
            "died before": died.read_text("utf-8"),
            "finished by": how,
            "unsafe": safe(run_home, known),
        }
        try:
            in_child(lambda how=how: finish(run_home, known, how))
            in_child(lambda: note("state", state(run_home, known)))
            what["state"] = json.loads((folder / "state.json").read_text("utf-8"))
        except RuntimeError:
            what["state"] = "could not be finished"
        note(f"killed-{at:04d}", what)
    note("effects-counted", {"effects": effects})


if __name__ == "__main__":
    main()
