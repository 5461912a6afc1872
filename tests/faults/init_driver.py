"""Cuts `pdms init` off before one effect after another, runs it again, and writes what the home then is.

Arguments: folder, form (`common.crash_images.try_out`). Each run is a forked child.
"""

import contextlib
import json
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from common.crash_images import Trial, try_out
from common.deadly import preload, remember_policies
from common.world import NOW, POLICIES, TRAINED
from pdms.access import service as access
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.reports import evidence
from pdms.settings import Settings


def init(home: Path) -> None:
    """Make the home; what it prints goes into a file beside it, since only there stands the key."""
    with home.with_name("printed.txt").open("a", encoding="utf-8") as out, contextlib.redirect_stdout(out):
        code = run(["--home", str(home), "--policies", str(POLICIES), "--json", "init"], clock=FixedClock(NOW))
    assert code == 0, code


def keys_seen(home: Path) -> list[str]:
    """The keys that were printed, the newest last."""
    printed = home.with_name("printed.txt")
    lines = printed.read_text("utf-8").splitlines() if printed.exists() else []
    return [key for line in lines if (key := json.loads(line).get("api_key"))]


def state(home: Path) -> dict[str, Any]:
    """What a home is, without what chance decides; and that it works with the key that the last run printed."""
    settings = Settings(home=home)
    with App.open(settings, clock=FixedClock(NOW)) as app:
        admin = app.authenticate(keys_seen(home)[-1])
        operators = [(o.label, o.role, o.disabled) for o in app.run(admin, access.list_operators)]
        issued = app.run(admin, access.create_operator, label="officer", role="compliance", trained_until=TRAINED)
        app.sequence()
        with app.unit(app.authenticate(issued.text)) as uow:
            report = evidence.verify(uow)
            # A key that nobody saw is ended, and another issued; else there is nothing of the first run to be seen.
            keys_told = {"operator.key_issued", "operator.key_revoked"}
            kinds = sorted({e.kind for e in evidence.list_events(uow, limit=1000).items} - keys_told)
    tables = {}
    for name in ("vault", "keys", "held", "anon"):
        with closing(sqlite3.connect(home / f"{name}.db")) as database:
            tables[name] = sorted(r[0] for r in database.execute("SELECT name FROM sqlite_master"))
    with closing(sqlite3.connect(home / "keys.db")) as keys:
        epochs = keys.execute("SELECT epoch FROM epoch WHERE destroyed_at IS NULL").fetchall()
        labels = keys.execute("SELECT label FROM system_key GROUP BY label HAVING count(*) > 1").fetchall()
    beside = home.with_name(home.name + ".root")
    return {
        "operators": operators, "tables": tables, "epochs": epochs, "keys twice": labels, "kinds": kinds,
        "log": list(map(str, report.problems)), "files": sorted(p.name for p in home.iterdir()),
        # A draft may stay beside the root that it became (one file, two names): destroying the root overwrites both.
        "root": sorted(p.name for p in beside.iterdir() if not p.name.endswith(".draft")),
        "root modes": sorted({oct(stat.S_IMODE(p.stat().st_mode)) for p in beside.iterdir()}),
        "modes": oct(stat.S_IMODE(home.stat().st_mode)),
    }  # fmt: skip


def main() -> None:
    folder, form = Path(sys.argv[1]), sys.argv[2]
    for name in [name for name in os.environ if name.startswith("PDMS_") and name != "PDMS_TEST_DAY"]:
        del os.environ[name]
    preload()
    remember_policies(POLICIES)
    place = folder / "run"
    place.mkdir()
    home = place / "home"

    def again(_number: int) -> str:
        seen = len(keys_seen(home))
        init(home)
        return f"the same again, with {seen} keys seen before"

    trial = Trial(place, act=lambda: init(home), again=again, state=lambda: state(home))
    try_out(trial, folder, form)


if __name__ == "__main__":
    main()
