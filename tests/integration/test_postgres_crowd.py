"""Several processes on one PostgreSQL home at once: they store, correct, look up, rotate and erase; nothing is lost."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from common.world import World
from integration.crowd_driver import LEAVING, STAYING, phone
from pdms.audit import service as audit
from pdms.db import begin
from pdms.rotation import service as rotation
from pdms.unit_of_work import Actor
from pdms.vault import service as vault
from pdms.vault.looking import look_up
from pdms.vault.service import MemberBatch, Outcome
from pdms.vault.upsert import Upsert

DRIVER = Path(__file__).with_name("crowd_driver.py")
ROOT = Path(__file__).resolve().parents[2]
SYSTEM = Actor.system()
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def run_crowd(world: World, roles: list[str], seconds: float) -> list[dict[str, Any]]:
    """Let one process for each role work at once; return what each was told."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(world.app.home.root), role, str(seed), str(seconds)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for seed, role in enumerate(roles)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    told = []
    for process in processes:
        out, err = process.communicate(timeout=seconds + 120)
        assert process.returncode == 0, err[-3000:]
        told.append(json.loads(out))
    return told


def check(world: World, told: list[dict[str, Any]]) -> None:
    by_role = {one["role"]: one for one in told}
    created = Counter(name for one in told for name in one["created"])
    with world.app.unit(SYSTEM, read_only=True) as uow:
        run = uow.session.connection().exec_driver_sql
        numbers = [
            {row[0] for row in run(f"SELECT row_no FROM {table}")}
            for table in ("member", "sealed_member", "external_index")
        ]
        assert numbers[0] == numbers[1] == numbers[2], "a member is half there"
        assert {row[0] for row in run("SELECT row_no FROM blind_index")} <= numbers[0]
        ids = [row[0] for row in run("SELECT member_id FROM member WHERE status <> 'erased'")]
        assert set(ids) <= set(world.app.keys.deks(ids)), "a member without a key"
        keyed = set(world.app.keys.member_ids())
        assert keyed == set(ids), "a key without a member"
        found = {name: vault.find_external(uow, system="shop", external_id=name) for name in everyone(told)}
        for number in range(STAYING):
            (opened,) = look_up(uow, index="phone", value=phone(number))
            for field in ("name", "login", "email", "address"):
                last = by_role[field]["stored"].get(f"S{number}") if field in by_role else None
                assert last is None or opened.fields[field] == last, f"an update of {field} was lost"
    assert all(found[f"S{number}"] for number in range(STAYING))
    assert {name: count for name, count in created.items() if name[0] in "SN" and count > 1} == {}
    assert all(found[name] for name in created if name[0] == "N")
    leavers = {f"L{n}" for n in range(LEAVING) if found.get(f"L{n}") is None}
    assert sum(one["erased"] for one in told) == len(leavers), "an erased member came back, or was erased twice"
    names = sorted(leavers)
    with world.app.unit(SYSTEM) as uow:
        done = vault.upsert_batch(uow, MemberBatch(names, {"name": ["again"] * len(names)}), system="shop")
        assert set(done.outcomes) <= {Outcome.SUPPRESSED}
    world.app.sequence()
    with begin(world.app.main, read_only=True) as session:
        report = audit.verify(session, key=audit.note_key(world.app.unit(SYSTEM).log_signer))
        (deadlocks,) = session.connection().exec_driver_sql(DEADLOCKS).one()
    assert deadlocks == 0
    assert report.ok, report.problems
    assert report.unsequenced == 0


def everyone(told: list[dict[str, Any]]) -> set[str]:
    names = {f"S{n}" for n in range(STAYING)} | {f"L{n}" for n in range(LEAVING)}
    return names.union(*(one["created"] for one in told))


@pytest.fixture
def crowded(tmp_path: Path, postgres: str) -> Any:
    made = World.make(tmp_path, database=postgres)
    for letter, count, start in (("S", STAYING, 0), ("L", LEAVING, 1000)):
        names = [f"{letter}{n}" for n in range(count)]
        fields = {"phone": [phone(start + n) for n in range(count)], "email": [f"{name}@example.com" for name in names]}
        with made.app.unit(SYSTEM) as uow:
            vault.upsert_batch(uow, MemberBatch(names, fields), system="shop")
    yield made
    made.close()


def test_a_suppression_key_waits_for_who_enters_members_under_the_old_one(crowded):
    with crowded.app.unit(SYSTEM) as uow:
        member = vault.find_external(uow, system="shop", external_id="L0")
        vault.suppress(uow, member)
    with crowded.app.unit(SYSTEM) as uow:
        vault.destroy_key(uow, member)
    with crowded.app.unit(SYSTEM) as uow:
        vault.forget(uow, member)
    rotating = threading.Thread(target=lambda: rotation.rotate_suppression(crowded.app.units(SYSTEM)))
    with crowded.app.unit(SYSTEM) as uow:
        work = Upsert(uow, "shop", ["L0"], {"name": ["again"]}, None)
        assert work.indexes.suppression_version == 1  # as it reads the keys, before it asks who is suppressed
        rotating.start()
        rotating.join(2)
        assert work.run().outcomes == [Outcome.SUPPRESSED]
    rotating.join(60)
    with crowded.app.unit(SYSTEM) as uow:
        assert vault.shallow_suppressions(uow) == 0
        again = vault.upsert_batch(uow, MemberBatch(["L0"], {"name": ["again"]}), system="shop")
        assert again.outcomes == [Outcome.SUPPRESSED]


def test_a_small_crowd(crowded):
    told = run_crowd(crowded, ["name", "login", "email", "erase", "look", "rotate"], 6)
    assert all(one["turns"] > 1 for one in told if one["role"] != "rotate")
    check(crowded, told)


@pytest.mark.slow
def test_eight_processes_for_two_minutes(crowded):
    told = run_crowd(crowded, ["name", "login", "email", "address", "erase", "erase", "look", "rotate"], 120)
    check(crowded, told)
