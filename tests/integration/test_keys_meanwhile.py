"""One process rotates everything while another reads, writes and erases: nobody is lost, nobody is there twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.world import World, people
from pdms.reports import evidence
from pdms.reports import keys as report
from pdms.rotation import service as rotation
from pdms.vault import service as vault
from pdms.vault.looking import look_up

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("rotation_peer.py")
MEMBERS = people(40)


@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_rotations_beside_a_working_process(tmp_path, database, rounds):
    world = World.make(tmp_path, file_root=True, database=database)
    assert world.ingest("shop-members", MEMBERS).rejected == 0
    end, wrong = tmp_path / "end", tmp_path / "wrong.json"
    (tmp_path / "tokens.json").write_text(json.dumps(world.tokens), "utf-8")
    peer = subprocess.Popen(
        [sys.executable, str(PEER), str(world.app.home.root), str(end), str(wrong), str(tmp_path / "tokens.json")],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}"},
    )  # fmt: skip
    units = world.app.units(world.actor("admin"))
    try:
        for number in range(rounds):
            rotation.rotate_deks(units, batch=7)
            rotation.rotate_index(units, batch=7)
            rotation.rotate_suppression(units, batch=7)
            done = rotation.rotate_epoch(units, batch=7)
            rotation.destroy_epoch(units, epoch=done.to_destroy[0])
            suite = ("sm4-gcm", "aes-256-gcm")[number % 2]
            rotation.rotate_deks(units, suite=rotation.SuiteName(suite), batch=7)
            rotation.rotate_suite(units, suite=rotation.SuiteName(suite))
    finally:
        end.touch()
        error = peer.communicate(timeout=300)[1]
    told = json.loads(wrong.read_text("utf-8"))
    assert told["problems"] == [], (told, error)
    assert told["turns"] >= 3
    gone = {one["会员编号"] for one in MEMBERS[20 : 20 + told["erased"]]}
    with world.unit("support") as uow:
        for one in MEMBERS:
            found = look_up(uow, index="phone", value="+86" + one["手机号"])
            assert len(found) == (one["会员编号"] not in gone), one["会员编号"]
        assert vault.count(uow) == len(MEMBERS) - len(gone) + told["turns"]
    with world.unit("compliance") as uow:
        assert report.needs_reseal(uow).total == 0
    world.app.sequence()
    with world.unit("compliance") as uow:
        assert evidence.verify(uow).problems == ()
    world.close()
