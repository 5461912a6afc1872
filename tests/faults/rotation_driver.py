"""Kills one rotation before one effect after another, looks at once at what then holds, does it again, looks again.

Arguments: folder, act (epoch, deks, suite, index, suppression, destroy), step, first. Each run is a forked child.
"""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import configure_mappers

from common.deadly import effects_of, in_child, killed_at, preload
from common.world import NOW, POLICIES, World, people
from pdms.bootstrap import app
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.crypto import ARGON2_TESTS_ONLY, file_root
from pdms.reports import evidence
from pdms.reports import keys as report
from pdms.rotation import epochs, indexes, members
from pdms.settings import Settings
from pdms.vault import service as vault
from pdms.vault.looking import look_up

COUNT, ERASED = 14, "H00003"
PEOPLE = people(COUNT)
BATCH = 4
CONFLICT = 6
WORDS = {
    "epoch": ["keys", "rotate", "epoch"],
    "deks": ["keys", "rotate", "deks"],
    "suite": ["keys", "rotate", "suite", "--to", "sm4-gcm"],
    "index": ["keys", "rotate", "index"],
    "suppression": ["keys", "rotate", "suppression"],
    "destroy": ["keys", "destroy", "1", "--yes"],
}


def prepare(folder: Path, act: str) -> None:
    world = World.make(folder, file_root=True)
    assert world.ingest("shop-members", PEOPLE).rejected == 0
    home, tokens = world.app.home.root, dict(world.tokens)
    world.close()
    assert pdms(home, tokens["support"], "member", "erase", f"shop:{ERASED}", typed=PEOPLE[3]["手机号"] + "\n") == 0
    if act == "destroy":
        assert pdms(home, tokens["admin"], *WORDS["epoch"]) == 0
    (folder / "known.json").write_text(json.dumps(tokens), "utf-8")


def pdms(home: Path, token: str, *words: str, typed: str = "") -> int:
    os.environ["PDMS_TOKEN"] = token
    sys.stdin, out, error = io.StringIO(typed), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run(["--home", str(home), "--json", *words], clock=FixedClock(NOW))
    if code:
        sys.stderr.write(error.getvalue())
    return code


def act_on(home: Path, tokens: dict[str, str], act: str) -> None:
    code = pdms(home, tokens["admin"], *WORDS[act])
    assert code == 0 or (act == "destroy" and code == CONFLICT and ended(home)), code


def ended(home: Path) -> bool:
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        return bool(keys.execute("SELECT 1 FROM epoch WHERE epoch = 1 AND destroyed_at IS NOT NULL").fetchall())


def looked_at(home: Path, tokens: dict[str, str]) -> dict[str, Any]:
    """What must be the same at every moment, in a process that comes fresh to whatever a killed one left."""
    with App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW)) as started:
        support = started.authenticate(tokens["support"])
        found = {}
        with started.unit(support) as uow:
            for one in PEOPLE:
                opened = look_up(uow, index="phone", value="+86" + one["手机号"])
                number = one["会员编号"]
                same = [o.member_id for o in opened] == [
                    m for m in [vault.find_external(uow, system="shop", external_id=number)] if m
                ]
                found[number] = [[sorted(o.fields.items()) for o in opened], same]
            stopped = vault.suppressed_since(uow, system="shop", external_id=ERASED) is not None
    return {"people": found, "stopped": stopped}


def finished(home: Path, tokens: dict[str, str]) -> dict[str, Any]:
    """What holds when the command was given again."""
    what = looked_at(home, tokens)
    with App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW)) as started:
        officer = started.authenticate(tokens["compliance"])
        started.sequence()
        with started.unit(officer) as uow:
            what["left"] = report.needs_reseal(uow).total
            what["log"] = [list(map(str, (verified := evidence.verify(uow)).problems)), verified.unsequenced]
        with started.unit(started.authenticate(tokens["ingest"])) as uow:
            rows = [vault.MemberRow(one["会员编号"], {"phone": "+86" + one["手机号"]}) for one in PEOPLE]
            outcomes = vault.upsert_members(uow, rows, system="shop").outcomes
        what["imported"] = sorted({str(o) for o in outcomes})
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        what["fenced with a key"] = keys.execute(
            "SELECT count(*) FROM member_key WHERE member_id IN (SELECT member_id FROM fence)"
        ).fetchone()[0]
        what["keys"] = keys.execute("SELECT count(*) FROM member_key").fetchone()[0]
    return what


def main() -> None:
    folder, act, step, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    epochs.keys.rewrap_some.__kwdefaults__["batch"] = BATCH
    epochs.rotate_epoch.__kwdefaults__["batch"] = BATCH
    members.rotate_deks.__kwdefaults__["batch"] = BATCH
    indexes.rotate_index.__kwdefaults__["batch"] = BATCH
    indexes.rotate_suppression.__kwdefaults__["batch"] = 2
    # Stretching a passphrase takes most of the time of a run, and is not what is tried here.
    cheap = file_root.FileRoots.create
    file_root.FileRoots.create = lambda self, uri, *, passphrase, cost: cheap(
        self, uri, passphrase=passphrase, cost=ARGON2_TESTS_ONLY
    )
    # Nor is reading the policy, nor what SQLAlchemy finds out about the tables: once, for all children.
    app.load = cache(app.load)
    app.load(POLICIES)
    preload()
    configure_mappers()
    assert in_child(lambda: prepare(folder, act)) == 0
    tokens = json.loads((folder / "known.json").read_text("utf-8"))
    place = folder / "run"

    def fresh() -> Path:
        """The home where it was: its root key has an absolute address."""
        for name in ("home", "home.root"):
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(place / name, folder / name)
        return folder / "home"

    def note(name: str, what: dict[str, Any]) -> None:
        (folder / f"{name}.json").write_text(json.dumps(what, ensure_ascii=False, indent=1), "utf-8")

    place.mkdir()
    for name in ("home", "home.root"):
        shutil.copytree(folder / name, place / name)
    home = fresh()
    in_child(lambda: note("before", looked_at(home, tokens)))
    effects = effects_of(lambda: act_on(home, tokens, act), folder / "effects")
    in_child(lambda: note("undisturbed", finished(home, tokens)))
    for at in range(first, effects + 1, step):
        home, died = fresh(), folder / "died"
        if not killed_at(lambda home=home: act_on(home, tokens, act), at, died):
            break
        what: dict[str, Any] = {"died before": died.read_text("utf-8")}
        for name, look in (("at once", looked_at), ("state", finished)):
            try:
                if name == "state":
                    in_child(lambda home=home: act_on(home, tokens, act))
                in_child(lambda look=look, home=home: note("seen", look(home, tokens)))
                what[name] = json.loads((folder / "seen.json").read_text("utf-8"))
            except RuntimeError:
                what[name] = "failed"
        note(f"killed-{at:04d}", what)
    note("effects-counted", {"effects": effects})


if __name__ == "__main__":
    main()
