"""Cuts one rotation off before one effect after another, looks at once at what then holds, does it again, looks again.

Arguments: folder, act (epoch, deks, suite, index, suppression, destroy), form (`common.crash_images.try_out`), and for
PostgreSQL the server's folder and the name of an empty database. Each run is a forked child.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.orm import configure_mappers

from common import deadly_postgres
from common.ask import ask
from common.crash_images import Trial, note
from common.deadly import in_child, preload, remember_policies
from common.world import NOW, POLICIES, World, people
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
FENCED_WITH_KEY = "SELECT count(*) FROM member_key WHERE member_id IN (SELECT member_id FROM fence)"
ENDED = "SELECT 1 FROM epoch WHERE epoch = 1 AND destroyed_at IS NOT NULL"


def prepare(folder: Path, place: Path, act: str, url: str | None) -> None:
    world = World.make(place, file_root=True, database=url)
    assert world.ingest("shop-members", PEOPLE).rejected == 0
    home, tokens = world.app.home.root, dict(world.tokens)
    world.close()
    assert pdms(home, tokens["support"], "member", "erase", f"shop:{ERASED}", typed=PEOPLE[3]["手机号"] + "\n") == 0
    if act == "destroy":
        assert pdms(home, tokens["admin"], *WORDS["epoch"]) == 0
    note(folder / "known.json", tokens)


def pdms(home: Path, token: str, *words: str, typed: str = "") -> int:
    os.environ["PDMS_TOKEN"] = token
    sys.stdin, out, error = io.StringIO(typed), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = run(["--home", str(home), "--json", *words], clock=FixedClock(NOW))
    if code:
        sys.stderr.write(error.getvalue())
    return code


class Home:
    """The home that is rotated, and who may do what in it."""

    def __init__(self, root: Path, tokens: dict[str, str], url: str | None) -> None:
        self.root, self.tokens, self.url = root, tokens, url

    def ask(self, statement: str) -> list[Any]:
        return ask(self.root, "keys", statement, url=self.url)

    def rotate(self, act: str) -> str:
        code = pdms(self.root, self.tokens["admin"], *WORDS[act])
        assert code == 0 or (act == "destroy" and code == CONFLICT and self.ask(ENDED)), code
        return "the same again"

    def looked_at(self) -> dict[str, Any]:
        """What must be the same at every moment, in a process that comes fresh to whatever a killed one left."""
        with App.open(Settings(home=self.root, policies=POLICIES), clock=FixedClock(NOW)) as app:
            found = {}
            with app.unit(app.authenticate(self.tokens["support"])) as uow:
                for one in PEOPLE:
                    opened = look_up(uow, index="phone", value="+86" + one["手机号"])
                    number = one["会员编号"]
                    same = [o.member_id for o in opened] == [
                        m for m in [vault.find_external(uow, system="shop", external_id=number)] if m
                    ]
                    found[number] = [[[list(pair) for pair in sorted(o.fields.items())] for o in opened], same]
                stopped = vault.suppressed_since(uow, system="shop", external_id=ERASED) is not None
        return {"people": found, "stopped": stopped}

    def finished(self) -> dict[str, Any]:
        """What holds when the command was given again."""
        what = self.looked_at()
        with App.open(Settings(home=self.root, policies=POLICIES), clock=FixedClock(NOW)) as app:
            app.sequence()
            with app.unit(app.authenticate(self.tokens["compliance"])) as uow:
                what["left"] = report.needs_reseal(uow).total
                what["log"] = [list(map(str, (verified := evidence.verify(uow)).problems)), verified.unsequenced]
            with app.unit(app.authenticate(self.tokens["ingest"])) as uow:
                rows = [vault.MemberRow(one["会员编号"], {"phone": "+86" + one["手机号"]}) for one in PEOPLE]
                outcomes = vault.upsert_members(uow, rows, system="shop").outcomes
            what["imported"] = sorted({str(o) for o in outcomes})
        what["fenced with a key"] = self.ask(FENCED_WITH_KEY)[0][0]
        what["keys"] = self.ask("SELECT count(*) FROM member_key")[0][0]
        what["going on"] = self.ask("SELECT count(*) FROM key_rotation WHERE finished_at IS NULL AND what <> 'suite'")[
            0
        ][0]
        return what


def cheaper() -> None:
    """Small batches, so that a rotation takes several; and nothing that takes time and is not what is tried here."""
    epochs.keys.rewrap_some.__kwdefaults__["batch"] = BATCH
    epochs.rotate_epoch.__kwdefaults__["batch"] = BATCH
    members.rotate_deks.__kwdefaults__["batch"] = BATCH
    indexes.rotate_index.__kwdefaults__["batch"] = BATCH
    indexes.rotate_suppression.__kwdefaults__["batch"] = 2
    stretched = file_root.FileRoots.create
    file_root.FileRoots.create = lambda self, uri, *, passphrase, cost: stretched(
        self, uri, passphrase=passphrase, cost=ARGON2_TESTS_ONLY
    )
    preload()
    remember_policies(POLICIES)
    configure_mappers()


def main() -> None:
    folder, act, form, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    cheaper()
    place = folder / "run"
    place.mkdir()
    on = deadly_postgres.Place(place, folder, server=server[0], name=server[1]) if server else None
    url = on.url(on.name) if on is not None else None
    assert in_child(lambda: prepare(folder, place, act, url)) == 0
    home = Home(place / "home", json.loads((folder / "known.json").read_text("utf-8")), url)
    assert in_child(lambda: note(folder / "before.json", home.looked_at())) == 0
    trial = Trial(
        place,
        act=lambda: home.rotate(act),
        at_once=home.looked_at,
        again=lambda _number: home.rotate(act),
        state=home.finished,
    )
    deadly_postgres.try_out(trial, folder, form, on)


if __name__ == "__main__":
    main()
