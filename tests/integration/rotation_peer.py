"""Another process: reads, writes and erases while keys are rotated, until a file says that it is enough.

Arguments: home, file that ends it, file for what went wrong, file with the roles' tokens (JSON).
"""

import json
import sys
import time
import traceback
from pathlib import Path

from common.world import NOW, POLICIES, people
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.rights import service as rights
from pdms.settings import Settings
from pdms.vault import service as vault
from pdms.vault.looking import look_up

MEMBERS = people(40)


def main() -> None:
    home, end, wrong, known = map(Path, sys.argv[1:5])
    tokens = json.loads(known.read_text("utf-8"))
    problems: list[str] = []
    turns = erased = 0
    with App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW)) as app:
        ingest, support = app.authenticate(tokens["ingest"]), app.authenticate(tokens["support"])
        while not end.exists() or turns < 3:
            turns += 1
            time.sleep(0.02)  # SQLite's writers do not queue: who never pauses keeps all others waiting
            try:
                with app.unit(support) as uow:
                    for one in MEMBERS[:20]:
                        if len(look_up(uow, index="phone", value="+86" + one["手机号"])) != 1:
                            problems.append(f"{one['会员编号']}: not found by telephone in turn {turns}")
                        if vault.find_external(uow, system="shop", external_id=one["会员编号"]) is None:
                            problems.append(f"{one['会员编号']}: not found by number in turn {turns}")
                with app.unit(ingest) as uow:
                    rows = [
                        vault.MemberRow(one["会员编号"], {"phone": "+86" + one["手机号"], "address": f"第{turns}号"})
                        for one in MEMBERS[:20]
                    ]
                    outcomes = {str(one) for one in vault.upsert_members(uow, rows, system="shop").outcomes}
                    fresh = vault.MemberRow(f"P{turns:05d}", {"phone": f"+861500000{turns:04d}", "address": "新"})
                    vault.upsert_members(uow, [fresh], system="shop")
                if outcomes - {"updated", "unchanged"}:
                    problems.append(f"turn {turns}: {sorted(outcomes)}")
                if turns % 4 == 0 and erased < 10:
                    one = MEMBERS[20 + erased]
                    with app.unit(support) as uow:
                        member = vault.find_external(uow, system="shop", external_id=one["会员编号"])
                    rights.erase_member(app.units(support), member_id=member, field="phone", value=one["手机号"])
                    erased += 1
            except Exception:
                problems.append(traceback.format_exc())
                break
    wrong.write_text(json.dumps({"problems": problems, "turns": turns, "erased": erased}), "utf-8")


if __name__ == "__main__":
    main()
