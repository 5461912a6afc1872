"""Children of the residue tests: one that spills until it is killed, one that is killed in the middle of an act.

Arguments: `spill HOME`, or `act FOLDER ACT AT`; an act ends by SIGKILL before its AT-th effect, or has no such effect.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from common.deadly import count_effects
from common.world import NOW, POLICIES
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.facts import service as facts
from pdms.ingest import service as ingest
from pdms.rights import service as rights
from pdms.settings import Home, Settings
from pdms.taxonomy import RequestType
from pdms.vault import service as vault

SORT = """
SELECT count(*), min(row) FROM (
    SELECT *, row_number() OVER (ORDER BY hash(pseudonym, product, i), i) AS row
    FROM order_lines, range(20000) AS copies(i)
)
"""


def spill(home: Path) -> None:
    """Sort far more than the memory allowed holds, again and again."""
    with facts.read(Home(home), memory_limit="80MB", threads=1) as reader:
        while True:
            reader.connection.raw_sql(SORT)


def act(folder: Path, name: str, at: int) -> None:
    """Do one act in the home below `folder`, dying on the way. Roles' keys are in the environment."""
    settings = Settings(home=folder / "home", policies=POLICIES)
    count_effects(at, folder / "died-before")
    with App.open(settings, clock=FixedClock(NOW)) as app:
        ACTS[name](app, folder)


def _files(app: App, folder: Path) -> None:
    units = app.units(app.authenticate(os.environ["KEY_INGEST"]))
    ingest.ingest(units, source="shop-members", path=folder / "sources" / "members.csv", batch_rows=4)


def _table(app: App, folder: Path) -> None:
    units = app.units(app.authenticate(os.environ["KEY_INGEST"]))
    address = f"sqlite:///{folder / 'sources' / 'old.db'}"
    ingest.ingest_table(units, source="shop-members", address=address, table="members", batch_rows=4)


def _access(app: App, folder: Path) -> None:
    support = app.authenticate(os.environ["KEY_SUPPORT"])
    with closing(sqlite3.connect(folder / "sources" / "old.db")) as old:
        number, phone = old.execute("SELECT 会员编号, 手机号 FROM members ORDER BY 会员编号 LIMIT 1").fetchone()
    with app.unit(support) as uow:
        member = vault.find_external(uow, system="shop", external_id=number)
    assert member is not None
    made = app.run(support, rights.submit, member_id=member, request_type=RequestType.ACCESS)
    app.run(support, rights.verify, request_id=made.request_id, field="phone", value=phone)
    rights.execute(app.units(support), request_id=made.request_id)


ACTS: dict[str, Callable[[App, Path], None]] = {"files": _files, "table": _table, "access": _access}


if __name__ == "__main__":
    if sys.argv[1] == "spill":
        spill(Path(sys.argv[2]))
    else:
        act(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
