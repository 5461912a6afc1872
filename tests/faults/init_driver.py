"""Kills `pdms init` before one effect after another, runs it again, and writes what the home then is.

Arguments: folder, step, first. Each run is a forked child.
"""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from common.deadly import effects_of, in_child, killed_at, preload
from common.world import NOW, POLICIES, TRAINED
from pdms.access import service as access
from pdms.bootstrap.app import App
from pdms.cli.entry import run
from pdms.clock import FixedClock
from pdms.reports import evidence
from pdms.settings import Settings


def init(home: Path) -> None:
    """Make the home; what it prints goes beside it, since only there stands the key."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(["--home", str(home), "--policies", str(POLICIES), "--json", "init"], clock=FixedClock(NOW))
    assert code == 0, code
    home.with_name("printed.json").write_text(out.getvalue(), "utf-8")


def state(home: Path) -> dict[str, Any]:
    """What a home is, without what chance decides; and that it works with the key that the last run printed."""
    printed = json.loads(home.with_name("printed.json").read_text("utf-8"))
    settings = Settings(home=home)
    with App.open(settings, clock=FixedClock(NOW)) as app:
        admin = app.authenticate(printed["api_key"])
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
    folder, step, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for name in [name for name in os.environ if name.startswith("PDMS_")]:
        del os.environ[name]
    preload()
    place = folder / "run"

    def fresh() -> Path:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place / "home"

    def note(name: str, what: dict[str, Any]) -> None:
        (folder / f"{name}.json").write_text(json.dumps(what, ensure_ascii=False, indent=1), "utf-8")

    home = fresh()
    effects = effects_of(lambda: init(home), folder / "effects")
    in_child(lambda: note("undisturbed", state(home)))
    for at in range(first, effects + 1, step):
        home, died = fresh(), folder / "died"
        if not killed_at(lambda home=home: init(home), at, died):
            break  # chance decides on a few effects: this run had fewer
        what: dict[str, Any] = {
            "died before": died.read_text("utf-8"),
            "printed": home.with_name("printed.json").exists(),
        }
        try:
            in_child(lambda home=home: init(home))
            in_child(lambda home=home: note("state", state(home)))
            what["state"] = json.loads((folder / "state.json").read_text("utf-8"))
        except RuntimeError:
            what["state"] = "could not be made"
        note(f"killed-{at:04d}", what)
    note("effects-counted", {"effects": effects})


if __name__ == "__main__":
    main()
