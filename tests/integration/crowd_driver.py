"""One process of a crowd on one home: `crowd_driver.py HOME ROLE SEED SECONDS`. Prints what it was told, as JSON.

Roles that write own one field each, so that a lost update shows: at the end each field must hold the last value that
its writer was told is stored. All of them create the same new members, at once.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pdms.bootstrap.app import App
from pdms.clock import FixedClock
from pdms.errors import Conflict, KeyUnavailable, NotFound
from pdms.rotation import service as rotation
from pdms.settings import Settings
from pdms.unit_of_work import Actor
from pdms.vault import service as vault
from pdms.vault.looking import look_up
from pdms.vault.service import MemberBatch, Outcome

STAYING, LEAVING, NEW = 60, 40, 400
SYSTEM = Actor.system()
GONE = (NotFound, KeyUnavailable)
"""What whoever works on a member learns whose erasure another process has begun."""


def phone(number: int) -> str:
    return f"+86138{number:08d}"


class Member:
    """What one process does, and what it was told."""

    def __init__(self, app: App, seed: int) -> None:
        self.app, self.dice, self.turn = app, random.Random(seed), 0
        self.stored: dict[str, str] = {}
        self.created: list[str] = []
        self.seen = self.erased = 0

    def find(self, name: str) -> bytes | None:
        with self.app.unit(SYSTEM, read_only=True) as uow:
            return vault.find_external(uow, system="shop", external_id=name)

    def upsert(self, field: str) -> None:
        names = [f"S{n}" for n in self.dice.sample(range(STAYING), 10)]
        names += [f"L{n}" for n in self.dice.sample(range(LEAVING), 5)]
        names += [f"N{(self.turn * 5 + n) % NEW}" for n in range(7)]
        self.dice.shuffle(names)
        value = f"{field}{self.turn}"
        with self.app.unit(SYSTEM) as uow:
            done = vault.upsert_batch(uow, MemberBatch(names, {field: [value] * len(names)}), system="shop")
        for name, outcome in zip(names, done.outcomes, strict=True):
            if outcome in (Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED):
                self.stored[name] = value
            if outcome is Outcome.CREATED:
                self.created.append(name)

    def correct(self, field: str) -> None:
        name = self.dice.choice("SSL") + str(self.dice.randrange(LEAVING))
        member = self.find(name)
        if member is None:
            return
        value = f"{field}{self.turn}"
        try:
            with self.app.unit(SYSTEM) as uow:
                vault.correct(uow, member, field=field, value=value)
        except GONE:
            return
        self.stored[name] = value

    def erase(self, _field: str) -> None:
        time.sleep(0.05)
        member = self.find(f"L{self.dice.randrange(LEAVING)}")
        if member is None:
            return
        try:
            with self.app.unit(SYSTEM) as uow:
                vault.suppress(uow, member)
        except GONE:
            return  # the other one was first
        with self.app.unit(SYSTEM) as uow:
            vault.destroy_key(uow, member)
        try:
            with self.app.unit(SYSTEM) as uow:
                self.erased += vault.forget(uow, member)
        except NotFound:
            return

    def rotate(self, _field: str) -> None:
        units = self.app.units(SYSTEM)
        what = self.turn % 3
        if what == 1:
            rotation.rotate_index(units, batch=20)
        elif what == 2:
            rotation.rotate_deks(units, batch=20)
        else:
            rotation.rotate_suppression(units, batch=20)

    def look(self, _field: str) -> None:
        number = self.dice.randrange(STAYING)
        with self.app.unit(SYSTEM, read_only=True) as uow:
            (found,) = look_up(uow, index="phone", value=phone(number))
            assert found.fields["external"] == f"S{number}"
            self.seen += 1


def main() -> None:
    home, role, seed, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    clock = FixedClock(datetime(2026, 11, 2, 1, 0, tzinfo=UTC))
    with App.open(Settings(home=home), clock=clock) as app:
        print("ready", flush=True)
        sys.stdin.readline()
        me = Member(app, seed)
        work: dict[str, Callable[[str], None]] = {
            "name": me.upsert, "login": me.upsert, "email": me.correct, "address": me.correct,
            "erase": me.erase, "look": me.look, "rotate": me.rotate,
        }  # fmt: skip
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            me.turn += 1
            work[role](role)
            if me.turn % 7 == 0:
                app.sequence()
        told = {"role": role, "turns": me.turn, "stored": me.stored, "created": me.created}
        print(json.dumps(told | {"seen": me.seen, "erased": me.erased}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Conflict as conflict:
        raise SystemExit(f"surfaced: {conflict.code}") from conflict
