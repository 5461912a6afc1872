"""One process of four on one home: `home_crowd_driver.py HOME ROLE SECONDS`. Prints what it was told, as JSON.

Everything goes through the services that the faces call. `ingest` writes addresses and new members by file, `staff`
looks up, reveals and corrects e-mail addresses, `erase` erases, `keys` takes orders in, rotates keys of every kind
and sweeps.
"""

import csv
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.world import NOW, POLICIES, orders_of, people
from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.errors import Denied, NotFound, PdmsError
from pdms.ingest import service as ingest
from pdms.rights import service as rights
from pdms.rotation import service as rotation
from pdms.settings import Settings
from pdms.taxonomy import MemberId, RequestType
from pdms.vault import service as vault

STAYING, LEAVING, NEW = 30, 30, 2000
PEOPLE = people(STAYING + LEAVING + NEW)
ROTATIONS: tuple[Callable[[Any], object], ...] = (
    rotation.rotate_deks,
    rotation.rotate_index,
    rotation.rotate_suppression,
    rotation.rotate_epoch,
)
REVEALS = 50
"""An operator may open sixty an hour."""


class Process:
    """What one process does, and what it was told."""

    def __init__(self, app: App, folder: Path, role: str) -> None:
        self.app, self.folder, self.role, self.turn = app, folder, role, 0
        self.dice = random.Random(role)
        self.stored: dict[str, str] = {}
        self.created: list[str] = []
        self.erased: list[str] = []
        self.seen = self.rotated = 0
        self.refused: Counter[str] = Counter()

    def units(self, role: str) -> Any:
        return self.app.units(self.app.authenticate(os.environ[f"KEY_{role.upper()}"]))

    def find(self, number: str) -> MemberId | None:
        with self.units("support")() as uow:
            return vault.find_external(uow, system="shop", external_id=number)

    def take(self, source: str, rows: list[dict[str, Any]]) -> Any:
        path = self.folder / f"{self.role}-{self.turn}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return ingest.ingest(self.units("ingest"), source=source, path=path, batch_rows=7)

    def ingest(self) -> None:
        address = f"上海市示例路{self.turn}号"
        fresh = PEOPLE[STAYING + LEAVING + self.turn * 5 : STAYING + LEAVING + self.turn * 5 + 5]
        some = [dict(row, 收货地址=address) for row in self.dice.sample(PEOPLE[:STAYING], 8)]
        leaving = [dict(row, 收货地址=address) for row in self.dice.sample(PEOPLE[STAYING : STAYING + LEAVING], 4)]
        report = self.take("shop-members", [*some, *leaving, *fresh])
        assert set(report.by_rule) <= {"SUPPRESSED", "MEMBER_DISABLED"}, report.by_rule
        self.stored |= {row["会员编号"]: address for row in some}
        self.created += [row["会员编号"] for row in fresh]

    def staff(self) -> None:
        row = self.dice.choice(PEOPLE[: STAYING + LEAVING])
        number = row["会员编号"]
        member = self.find(number)
        if member is None:
            assert number not in NUMBERS_STAYING
            return
        with self.units("support")() as uow:
            shown = vault.masked(uow, member)
            assert shown["phone"].endswith(row["手机号"][-2:])
        self.seen += 1
        if self.turn < REVEALS:
            with self.units("support")() as uow:
                opened = rights.reveal(uow, member_id=member, fields=("phone",), purpose="service", reason="CALL_BACK")
            assert opened["phone"].endswith(row["手机号"])
        if number in NUMBERS_STAYING:
            email = f"turn{self.turn}@example.net"
            with self.units("support")() as uow:
                made = rights.submit(
                    uow, member_id=member, request_type=RequestType.CORRECTION, field="email", value=email
                )
            with self.units("support")() as uow:
                rights.verify(uow, request_id=made.request_id, field="phone", value=row["手机号"])
            rights.execute(self.units("support"), request_id=made.request_id)
            self.stored[number] = email

    def erase(self) -> None:
        time.sleep(0.3)
        row = self.dice.choice(PEOPLE[STAYING : STAYING + LEAVING])
        member = self.find(row["会员编号"])
        if member is not None:
            rights.erase_member(self.units("support"), member_id=member, field="phone", value=row["手机号"])
            self.erased.append(row["会员编号"])

    def keys(self) -> None:
        orders, _ = orders_of(self.dice.sample(PEOPLE[: STAYING + LEAVING], 4), seed=self.turn)
        rows = [dict(row, 订单号=f"{self.turn}-{row['订单号']}") for row in orders]
        report = self.take("shop-orders", rows)
        assert set(report.by_rule) <= {"UNKNOWN_MEMBER"}, report.by_rule
        if self.turn % 2:
            ROTATIONS[self.rotated % len(ROTATIONS)](self.units("admin"))
            self.rotated += 1
        if self.turn % 5 == 0:
            rights.sweep(self.units("compliance"))

    def work(self, until: float) -> None:
        act: Callable[[], None] = getattr(self, self.role)
        while time.monotonic() < until:
            self.turn += 1
            try:
                act()
            except (NotFound, Denied) as gone:  # its erasure began a moment ago
                self.refused[gone.code] += 1
            if self.turn % 3 == 0:
                self.app.sequence()


NUMBERS_STAYING = {row["会员编号"] for row in PEOPLE[:STAYING]}


def main() -> None:
    home, role, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    with App.open(Settings(home=home, policies=POLICIES), clock=FixedClock(NOW)) as app:
        me = Process(app, home.parent, role)
        print("ready", flush=True)
        sys.stdin.readline()
        me.work(time.monotonic() + seconds)
        told = {"role": role, "turns": me.turn, "stored": me.stored, "created": me.created, "erased": me.erased}
        print(json.dumps(told | {"seen": me.seen, "rotated": me.rotated, "refused": me.refused}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except PdmsError as error:
        import traceback

        traceback.print_exc()
        raise SystemExit(f"surfaced: {error.code}") from error
