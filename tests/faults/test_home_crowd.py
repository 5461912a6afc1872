"""Four processes ingest, look up, reveal, correct, erase and rotate on one SQLite home at once: nothing is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.world import World
from faults.home_crowd_driver import LEAVING, PEOPLE, STAYING
from pdms.audit import service as audit
from pdms.db import begin
from pdms.facts import service as facts
from pdms.rights import service as rights
from pdms.taxonomy import MemberId
from pdms.unit_of_work import Actor
from pdms.vault import service as vault
from pdms.vault.reading import stored_member
from pdms.vault.sealing import FieldCodes, Indexes, open_member

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("home_crowd_driver.py")
ROLES = ("ingest", "staff", "erase", "keys")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    world = World.make(tmp_path, file_root=True)
    world.ingest("shop-members", PEOPLE[: STAYING + LEAVING])
    yield world
    world.close()


def crowd(world: World, seconds: float) -> dict[str, dict[str, Any]]:
    keys = {f"KEY_{role.upper()}": word for role, word in world.tokens.items()}
    processes = [
        subprocess.Popen(
            [sys.executable, str(DRIVER), str(world.app.home.root), role, str(seconds)],
            env=os.environ | keys | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for role in ROLES
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdin is not None
            line = process.stdout.readline()
            assert line == "ready\n", process.communicate()[1][-3000:]
        for process in processes:
            process.stdin.write("go\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        told = {}
        for process in processes:
            out, err = process.communicate(timeout=seconds + 240)
            assert process.returncode == 0, err[-3000:]
            one = json.loads(out)
            told[one["role"]] = one
        return told
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


def check(world: World, told: dict[str, dict[str, Any]]) -> None:
    app = world.app
    world.pass_time(days=2)  # keys without a member are dropped once nobody can still be storing it
    rights.sweep(app.units(world.actor("compliance")))
    with app.unit(Actor.system()) as uow:
        run = uow.session.connection().exec_driver_sql
        for table in ("member", "sealed_member"):
            living = run(
                f"SELECT count(*) FROM {table} t JOIN member m ON m.row_no = t.row_no WHERE m.status <> 'erased'"
            )
            assert living.scalar_one() == vault.count(uow), f"{table}: a member is half there"
        ids = [MemberId(one) for (one,) in run("SELECT member_id FROM member WHERE status <> 'erased'").all()]
        assert set(uow.keys.member_ids()) == set(ids), "the key store and the vault differ"
        by_number = dict(whole(uow, one) for one in ids)
        assert len(by_number) == len(ids), "a member is held twice"
        sealed = {row for (row,) in run("SELECT row_no FROM sealed_member").all()}
        assert {row for (row,) in run("SELECT row_no FROM blind_index").all()} <= sealed
        pseudonyms = set(vault.pseudonyms_of(uow, ids).values())
    for row in PEOPLE[:STAYING]:
        held = by_number[row["会员编号"]]
        address = told["ingest"]["stored"].get(row["会员编号"], row["收货地址"])
        email = told["staff"]["stored"].get(row["会员编号"], row["邮箱"])
        assert (held["address"], held["email"]) == (address, email), "an update was lost"
    assert set(told["ingest"]["created"]) <= set(by_number)
    assert not set(told["erase"]["erased"]) & set(by_number), "an erased member is there"
    assert facts.pseudonyms(app.home) <= pseudonyms, "facts of nobody"
    app.sequence()
    with begin(app.main, read_only=True) as session:
        report = audit.verify(session, key=audit.note_key(app.unit(Actor.system()).log_signer))
    assert report.ok, report.problems
    assert report.unsequenced == 0
    states = world.run("compliance", rights.list_requests, limit=10_000)
    assert all(one.state in ("fulfilled", "partial", "cancelled", "lapsed") for one in states)


def whole(uow: Any, member: MemberId) -> tuple[str, dict[str, str]]:
    """Open a member and look each up by what is indexed."""
    stored = stored_member(uow, member)
    fields = FieldCodes(uow.policy).named(open_member(uow.keys.deks([member])[member], stored.sealed))
    indexes = Indexes(uow.keys, uow.policy)
    for kind, name in indexes.field_of.items():
        if fields.get(name):
            assert member in vault.find(uow, index=kind, value=fields[name]), f"{name}: not found by its index"
    return fields["external"], fields


def busy(told: dict[str, dict[str, Any]]) -> None:
    """Everybody came to do something: else nothing was proved."""
    assert told["ingest"]["created"]
    assert told["staff"]["seen"]
    assert told["erase"]["erased"]
    assert told["keys"]["rotated"]


def test_four_processes_at_once(shop: World) -> None:
    told = crowd(shop, 10)
    busy(told)
    check(shop, told)


@pytest.mark.slow
def test_four_processes_at_once_for_two_minutes(shop: World) -> None:
    told = crowd(shop, 120)
    busy(told)
    check(shop, told)
