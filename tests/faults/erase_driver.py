"""Cuts an erasure off before one effect after another, lets it be finished, and writes what the home then holds.

A process of its own, since it forks: each run is a child that opens the home afresh. Arguments: folder,
form (`common.crash_images.try_out`), and for PostgreSQL the server's folder and the name of an empty database.
"""

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canary import search, search_bytes
from common import ask, deadly_postgres
from common.bytes_of import bytes_of_member
from common.crash_images import Trial
from common.deadly import in_child, preload, remember_policies
from common.opened import opened
from common.world import NOW, POLICIES, ROOT_VARIABLE, World, consents_of, orders_of, people
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.crypto import new_root_text
from pdms.db.parts import Part
from pdms.facts import service as facts
from pdms.publish import service as publish
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.settings import Settings
from pdms.taxonomy import MemberId

NUMBER = "H00003"
"""The one who asks for erasure; has invoiced orders, so that a hold stays behind."""
COUNTED = {
    *(f"vault.{name}" for name in ("member", "sealed_member", "external_index", "blind_index", "suppression")),
    *("vault.consent_record", "vault.purge_queue", "keys.member_key", "keys.fence", "held.held_record"),
}
FINISHERS = ("support again", "compliance sweep", "admin sweep")


def prepare(folder: Path, url: str | None) -> None:
    """Make the home that every run starts from, and note what must be gone afterwards."""
    world = World.make(folder, database=url)
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
    stored = bytes_of_member(world, NUMBER) if url is None else pseudonym_of(world)
    known = {
        "phone": members[3]["手机号"],
        "tokens": world.tokens,
        "member": world.id_of(NUMBER).hex(),
        "stored": [one.hex() for one in stored],
        "told": [v for k, v in members[3].items() if k not in ("会员编号", "性别", "注册时间", "出生日期", "姓名")],
        "others": opened(world.app, but=world.id_of(NUMBER)),
    }
    world.close()
    (folder / "known.json").write_text(json.dumps(known), "utf-8")


def pseudonym_of(world: World) -> list[bytes]:
    return [
        bytes(p)
        for (p,) in world.rows(world.app.main, "SELECT pseudonym FROM member WHERE member_id = ?", world.id_of(NUMBER))
    ]


@dataclass(frozen=True, slots=True)
class Home:
    """Where the home under trial lies."""

    root: Path
    url: str | None

    def ask(self, part: str, statement: str, values: tuple[object, ...] = ()) -> list[Any]:
        return ask.ask(self.root, part, statement, values, url=self.url)


def pdms(home: Home, token: str, *words: str, typed: str = "") -> int:
    os.environ["PDMS_TOKEN"] = token
    sys.stdin = io.StringIO(typed)
    with contextlib.redirect_stdout(io.StringIO()):
        return run(["--home", str(home.root), *words], clock=FixedClock(NOW))


def erase(home: Home, known: dict[str, Any]) -> None:
    code = pdms(home, known["tokens"]["support"], "member", "erase", f"shop:{NUMBER}", typed=known["phone"] + "\n")
    assert code == 0, code


def finish(home: Home, known: dict[str, Any], number: int) -> str:
    """As people would: run it again, or leave it to the nightly sweep. One not even begun must be asked for again."""
    how = FINISHERS[number % len(FINISHERS)]
    role, way = how.split()
    if way == "sweep":
        assert pdms(home, known["tokens"][role], "sweep") == 0
        if not begun(home):
            erase(home, known)
    elif not ended(home):
        erase(home, known)
    return how


def begun(home: Home) -> bool:
    return states(home) not in ([], ["received"], ["identity_check"], ["assessing"])


def ended(home: Home) -> bool:
    return bool(home.ask("vault", "SELECT 1 FROM subject_request WHERE receipt IS NOT NULL"))


def states(home: Home) -> list[str]:
    return [row[0] for row in home.ask("vault", "SELECT state FROM subject_request")]


def safe(home: Home, known: dict[str, Any]) -> list[str]:
    """What must hold in the very moment after a crash."""
    wrong = []
    member = bytes.fromhex(known["member"])
    key = home.ask("keys", "SELECT 1 FROM member_key WHERE member_id = ?", (member,))
    fence = home.ask("keys", "SELECT 1 FROM fence WHERE member_id = ?", (member,))
    row = home.ask("vault", "SELECT status FROM member WHERE member_id = ?", (member,))
    suppressed = home.ask("vault", "SELECT 1 FROM suppression")
    steps = {r[0] for r in home.ask("vault", "SELECT step FROM erasure_step")}
    kept = home.ask("held", "SELECT 1 FROM held_record")
    if not key and not fence:
        wrong.append("a key is gone without a fence")
    if not key and not suppressed:
        wrong.append("a key is gone and an old file would bring the member back")
    if not row and key:
        wrong.append("rows are gone and the key is not")
    if "hold" in steps and not kept:
        wrong.append("the hold is noted as done and nothing is held")
    if row and row[0][0] == "active" and "disable" in steps:
        wrong.append("still active after being disabled")
    return wrong


def state(home: Home, known: dict[str, Any]) -> dict[str, Any]:
    """What a home holds, without what chance or time decides."""
    settings = Settings(home=home.root, policies=POLICIES)
    with App.open(settings, clock=FixedClock(NOW)) as app:
        officer = app.authenticate(known["tokens"]["compliance"])
        with app.unit(officer) as uow:
            requests = [(r.type.value, r.state.value, bool(r.receipt)) for r in rights.list_requests(uow)]
            held = [(m.month, m.article, m.records) for m in rights.held_overview(uow)]
        app.sequence()
        with app.unit(officer) as uow:
            report = evidence.verify(uow)
            events = evidence.list_events(uow, kinds=(), limit=10_000).items
        others = opened(app, but=MemberId(bytes.fromhex(known["member"])))
        counts = {table.value: rows for table, rows in facts.counts(app.home).items()}
    rows = {f"{part}.{name}": n for part in Part for name, n in ask.tables(home.root, part, url=home.url).items()}
    told = {kind: sum(e.kind == kind for e in events) for kind in ("erase.step", "erase.done", "hold.created")}
    needles: list[bytes | str] = [*(bytes.fromhex(one) for one in known["stored"]), *known["told"]]
    left = search(home.root, needles) + search_bytes("rows", ask.values(home.root, url=home.url), needles)
    return {
        "requests": requests, "held": held, "rows": {n: count for n, count in rows.items() if n in COUNTED},
        "facts": counts, "steps": sorted(r[0] for r in home.ask("vault", "SELECT step FROM erasure_step")),
        "releases": sorted(r[0] for r in home.ask("anon", "SELECT state FROM release")),
        "others": others == known["others"], "events": told,
        "log": [list(map(str, report.problems)), report.unsequenced],
        "left": sorted({f"{hit.path} ({hit.form})" for hit in left}),
    }  # fmt: skip


def main() -> None:
    folder, form, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    preload()
    remember_policies(POLICIES)
    made, place = folder / "made", folder / "run"
    made.mkdir()
    place.mkdir()
    on = deadly_postgres.Place(place, folder, server=server[0], name=server[1]) if server else None
    home = Home(place / "home", on.url(on.name) if on is not None else None)
    assert in_child(lambda: prepare(made, home.url)) == 0
    known = json.loads((made / "known.json").read_text("utf-8"))
    (made / "home").rename(home.root)
    trial = Trial(
        place,
        act=lambda: erase(home, known),
        at_once=lambda: safe(home, known),
        again=lambda number: finish(home, known, number),
        state=lambda: state(home, known),
    )
    deadly_postgres.try_out(trial, folder, form, on)


if __name__ == "__main__":
    main()
