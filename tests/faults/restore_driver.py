"""Cuts a restore off before one effect after another, gives the same command again, and writes what the home then is.

Arguments: folder, form (`common.crash_images.try_out`), and for PostgreSQL the server's folder, the name of an empty
database for the home that is backed up, and of one to restore into. Each run is a forked child.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from canary import search, search_bytes
from common import ask, deadly_postgres
from common.crash_images import Trial
from common.deadly import in_child, preload, remember_policies
from common.opened import opened
from common.world import NOW, POLICIES, ROOT_VARIABLE, World, consents_of, orders_of, people
from pdms.access import service as access
from pdms.bootstrap import backups
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.consent import service as consent
from pdms.crypto import new_root_text
from pdms.db.parts import Part
from pdms.facts import service as facts
from pdms.publish import service as publish
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.settings import Settings
from pdms.taxonomy import RequestType
from pdms.vault import service as vault

COUNT, ERASED, WITHDRAWN, CORRECTED = 56, "H00002", "H00003", "H00004"


def prepare(folder: Path, url: str | None) -> None:
    """Make a home, a backup of it, and what members decide afterwards; of the home only its ledger is left."""
    world = World.make(folder, database=url)
    members = people(COUNT)
    orders, _ = orders_of(members)
    for source, rows in (("shop-members", members), ("shop-orders", orders), ("shop-consents", consents_of(members))):
        assert world.ingest(source, rows).rejected == 0
    publish.publish(world.app.units(world.actor("compliance")), view="member_lifecycle")
    backups.create(world.app, world.actor("admin"), path=folder / "backup.sealed", progress=lambda _: None)
    erased, support = world.id_of(ERASED), world.app.units(world.actor("support"))
    rights.erase_member(support, member_id=erased, field="phone", value=members[2]["手机号"])
    world.run("support", rights.withdraw, member_id=world.id_of(WITHDRAWN), purpose="segment", channel="phone")
    corrected = world.id_of(CORRECTED)
    request = world.run(
        "support",
        rights.submit,
        member_id=corrected,
        request_type=RequestType.CORRECTION,
        field="address",
        value="上海市示例路8号",
    )
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[4]["手机号"])
    rights.execute(support, request_id=request.request_id)
    known = {
        "token": world.tokens["admin"],
        "officer": world.actor("compliance").id,
        "erased": erased.hex(),
        "told": [v for k, v in members[2].items() if k not in ("会员编号", "性别", "注册时间", "出生日期", "姓名")],
        "others": opened(world.app, but=corrected),
    }
    (folder / "rights.ledger").write_bytes(world.app.home.rights_ledger.read_bytes())
    world.close()
    (folder / "known.json").write_text(json.dumps(known), "utf-8")


def restore(made: Path, to: Path, known: dict[str, Any], url: str | None) -> None:
    os.environ["PDMS_TOKEN"] = known["token"]
    if url is not None:
        os.environ["PDMS_DATABASE_URL"] = url
    words = ["restore", str(made / "backup.sealed"), "--to", str(to), "--ledger", str(made / "rights.ledger")]
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(["--policies", str(POLICIES), "--json", "backup", *words], clock=FixedClock(NOW))
    assert code == 0, code


def state(to: Path, known: dict[str, Any], url: str | None) -> dict[str, Any]:
    os.environ.pop("PDMS_DATABASE_URL", None)
    grows = ("audit_event", "audit_run", "audit_tile", "audit_checkpoint", "login_attempt")
    rows = {f"{part}.{name}": n for part in Part for name, n in ask.tables(to, part, url=url).items()}
    erased = bytes.fromhex(known["erased"])
    left = search(to, known["told"]) + search_bytes("rows", ask.values(to, url=url), known["told"])
    with App.open(Settings(home=to, policies=POLICIES), clock=FixedClock(NOW)) as app:
        admin = app.authenticate(known["token"])
        keys = {one.label: [key.revoked for key in one.keys] for one in app.run(admin, access.list_operators)}
        officer = app.run(admin, access.issue_key, operator_id=known["officer"]).text
        app.sequence()
        with app.unit(app.authenticate(officer)) as uow:
            report = evidence.verify(uow)
            requests = sorted([r.type.value, r.state.value, bool(r.receipt)] for r in rights.list_requests(uow))
            ids = {n: vault.find_external(uow, system="shop", external_id=n) for n in (ERASED, WITHDRAWN, CORRECTED)}
            corrected, withdrawn = ids[CORRECTED], ids[WITHDRAWN]
            assert corrected is not None
            assert withdrawn is not None
            standing = consent.state_of(uow, withdrawn, purpose="segment").state.value
            restricted = [one.kind.value for one in consent.standing_restrictions(uow, corrected)]
        others = opened(app, but=corrected)
        counts = {table.value: n for table, n in facts.counts(app.home).items()}
    return {
        "rows": {name: n for name, n in rows.items() if name.partition(".")[2] not in grows},
        "requests": requests, "erased is there": ids[ERASED] is not None, "withdrawn": standing,
        "key": ask.ask(to, "keys", "SELECT count(*) FROM member_key WHERE member_id = ?", (erased,), url=url)[0][0],
        "fence": ask.ask(to, "keys", "SELECT count(*) FROM fence WHERE member_id = ?", (erased,), url=url)[0][0],
        "restricted": restricted, "others": others == known["others"], "facts": counts,
        "left": sorted({f"{hit.path} ({hit.form})" for hit in left}),
        "revoked": keys,
        "log": [list(map(str, report.problems)), report.unsequenced],
        "folders": sorted(path.name for path in to.parent.iterdir()),
    }  # fmt: skip


def main() -> None:
    folder, form, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    preload()
    remember_policies(POLICIES)
    made, place = folder / "made", folder / "run"
    made.mkdir()
    place.mkdir()
    on = deadly_postgres.Place(place, folder, server=server[0], name=server[2]) if server else None
    url = on.url(on.name) if on is not None else None
    assert in_child(lambda: prepare(made, on.url(server[1]) if on is not None else None)) == 0
    known, to = json.loads((made / "known.json").read_text("utf-8")), place / "again"

    def again(_number: int) -> str:
        if to.exists():
            return "nothing: it is there"
        restore(made, to, known, url)
        return "the same again"

    trial = Trial(
        place,
        act=lambda: restore(made, to, known, url),
        again=again,
        state=lambda: state(to, known, url),
    )
    deadly_postgres.try_out(trial, folder, form, on)


if __name__ == "__main__":
    main()
