"""The suite of a home: what is digested, sealed and wrapped in it; and a home brought from one suite to the other.

Digests are computed here by OpenSSL through `hmac` of the standard library, not by the code under test.
"""

import hmac
import json
from pathlib import Path

import pytest

from common.shell import Shell
from common.world import NOW, POLICIES, World, people
from pdms.bootstrap import backups
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import SuiteName, open_blob, sealing_suite, suite_of
from pdms.reports import keys as report
from pdms.rights import service as rights
from pdms.rotation import indexes
from pdms.rotation import service as rotation
from pdms.settings import Settings
from pdms.vault import service as vault

SM4 = SuiteName.SM4_GCM
CODE = {suite: bytes((1, suite_of(suite).code)) for suite in SuiteName}
NAME = {SuiteName.AES_256_GCM: "sha256", SM4: "sm3"}
COUNT = 9
MEMBERS = people(COUNT)
ERASED = MEMBERS[3]


@pytest.fixture
def world(tmp_path, database):
    made = World.make(tmp_path, database=database)
    filled(made)
    yield made
    made.close()


def filled(world):
    assert world.ingest("shop-members", MEMBERS).rejected == 0
    Shell(world)("support", "member", "erase", "shop:H00003", typed=ERASED["手机号"] + "\n")


def left(world):
    with world.unit("compliance") as uow:
        return report.needs_reseal(uow)


def wrapped(world):
    """The first two bytes of every wrapped key."""
    engine, found = world.app.keys.engine, []
    with engine.connect() as connection:
        for table in ("epoch", "system_key", "held_month_key", "member_key"):
            rows = connection.exec_driver_sql(f"SELECT wrapped FROM {table} WHERE wrapped IS NOT NULL").all()
            found += [bytes(row[0])[:2] for row in rows]
    assert len(found) > COUNT
    return set(found)


def check_digests(world, suite):
    """Identity, look-up, row and suppression entries are HMACs of the suite, by somebody else's HMAC."""
    keys, digest = world.app.keys, NAME[suite]

    def mac(label, message):
        return hmac.new(bytes(keys.system_key(label)), message, digest).digest()

    external = {bytes(row[0]) for row in world.rows(world.app.main, "SELECT digest FROM external_index")}
    living = [one for one in MEMBERS if one is not ERASED]
    assert external == {mac("index:external-id", f"shop\x1f{one['会员编号']}".encode()) for one in living}
    by_phone = {bytes(row[0]) for row in world.rows(world.app.main, "SELECT digest FROM blind_index")}
    assert by_phone >= {mac("index:phone", f"+86{one['手机号']}".encode()) for one in living}


def test_CCR_41_a_home_made_for_sm4_uses_it_for_everything(tmp_path: Path, database) -> None:
    from pydantic import SecretStr

    settings = Settings(
        home=tmp_path / "home", policies=POLICIES, suite=SM4.value,
        database_url=None if database is None else SecretStr(database),
    )  # fmt: skip
    clock = FixedClock(NOW)
    made = initialise(settings, clock=clock)
    root = Path(made.root_uri.removeprefix("file:"))
    stated = json.loads(root.read_text())
    assert stated["suite"] == "sm4-gcm"
    with App.open(settings, clock=clock) as app:
        keys = app.keys
        with keys.engine.connect() as connection:
            for table in ("epoch", "system_key"):
                rows = connection.exec_driver_sql(f"SELECT wrapped FROM {table}").all()
                assert {bytes(row[0])[:2] for row in rows} == {CODE[SM4]}
            labels = connection.exec_driver_sql("SELECT label FROM system_key").scalars().all()
        assert {keys.system_key(label).suite for label in labels} == {SM4}
        assert {len(keys.system_key(label)) for label in labels} == {32}
        assert sealing_suite(keys.held_month_key("2031-01")) is SM4
    root.write_text(json.dumps(stated | {"suite": "aes-256-gcm"}))
    with pytest.raises(Exception, match="not a root file") as caught:
        App.open(settings, clock=clock)
    assert caught.value.code == "ROOT_FILE_BROKEN"


def test_a_home_is_brought_to_sm4_and_back(world, tmp_path) -> None:
    check_digests(world, SuiteName.AES_256_GCM)
    before = tmp_path / "before"
    backups.create(world.app, world.actor("admin"), path=before, progress=lambda *_: None)
    with App.open(world.app.settings, clock=world.clock) as other:
        for suite in (SM4, SuiteName.AES_256_GCM):
            with world.unit("admin") as uow:
                plan = rotation.plan_suite(uow, suite=suite)
            assert (plan.members, plan.indexed) == (COUNT - 1, COUNT - 1)
            assert plan.suppressions > 0
            done = Shell(world).json("admin", "keys", "rotate", "suite", "--to", suite.value)
            assert (done["members"], done["indexed"], done["suppressions"]) == (
                COUNT - 1, COUNT - 1, plan.suppressions,
            )  # fmt: skip
            assert done["wrapped"] > 0
            assert wrapped(world) == {CODE[suite]}
            check_digests(world, suite)
            assert left(world).total == 0
            again = Shell(world).json("admin", "keys", "rotate", "suite", "--to", suite.value)
            assert (again["members"], again["indexed"], again["suppressions"], again["wrapped"]) == (0, 0, 0, 0)
            for app in (world.app, other):
                with app.unit(app.authenticate(world.tokens["support"])) as uow:
                    assert vault.find_external(uow, system="shop", external_id="H00001") is not None
                    assert len(vault.find(uow, index="phone", value="+86" + MEMBERS[1]["手机号"])) == 1
                    assert vault.suppressed_since(uow, system="shop", external_id="H00003") is not None
            assert world.ingest("shop-members", [ERASED]).by_rule == {"SUPPRESSED": 1}
            assert world.ingest("shop-members", [MEMBERS[1]]).unchanged == 1  # the row digest stays as it was made
            path = tmp_path / f"backup-{suite}"
            backups.create(world.app, world.actor("admin"), path=path, progress=lambda *_: None)
            assert path.read_bytes()[:12] == b"PDMSSTREAM" + CODE[suite]
            for one in (before, path):
                backups.verify(world.app, world.actor("admin"), path=one)


def test_blobs_follow_the_suite_in_force_and_older_ones_open(world) -> None:
    from pdms.crypto import seal_blob

    old = seal_blob(world.app.keys.system_key("request-details"), b"old", context=b"c")
    Shell(world)("admin", "keys", "rotate", "suite", "--to", "sm4-gcm")
    key = world.app.keys.system_key("request-details")
    new = seal_blob(key, b"new", context=b"c")
    assert (old[:2], new[:2]) == (CODE[SuiteName.AES_256_GCM], CODE[SM4])
    assert (open_blob(key, old, context=b"c"), open_blob(key, new, context=b"c")) == (b"old", b"new")
    assert seal_blob(world.app.keys.held_month_key("2031-01"), b"", context=b"")[:2] == CODE[SM4]


class Cut(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("step", ["rotate_index", "rotate_suppression", "wrap_by_suite"])
def test_cut_off_between_two_steps_the_same_command_goes_on(world, step, monkeypatch) -> None:
    from pdms.rotation import suites

    def cut(*_args, **_more):
        raise Cut

    units = world.app.units(world.actor("admin"))
    with monkeypatch.context() as patch:
        patch.setattr(suites.suites if step == "wrap_by_suite" else suites, step, cut)
        with pytest.raises(Cut):
            rotation.rotate_suite(units, suite=SM4)
    state = left(world)
    assert state.other_suite == 0
    assert state.other_wraps > 0
    assert (state.other_mac > 0) is (step != "wrap_by_suite")
    with world.unit("support") as uow:
        assert len(vault.find(uow, index="phone", value="+86" + MEMBERS[1]["手机号"])) == 1
        assert vault.suppressed_since(uow, system="shop", external_id="H00003") is not None
    rotation.rotate_suite(units, suite=SM4)
    assert left(world).total == 0
    check_digests(world, SM4)
    assert wrapped(world) == {CODE[SM4]}


def test_an_index_rotation_that_was_cut_off_is_finished_before_the_new_mac(world) -> None:
    def cut(*_):
        raise Cut

    units = world.app.units(world.actor("admin"))
    with pytest.raises(Cut):
        indexes.rotate_index(units, batch=2, progress=cut)
    rotation.rotate_suite(units, suite=SM4)
    assert left(world).total == 0
    check_digests(world, SM4)


def test_a_sweep_finishes_a_change_of_suite_that_was_cut_off_and_begins_none(world, monkeypatch) -> None:
    from pdms.rotation import suites

    def cut(*_args, **_more):
        raise Cut

    officer = world.app.units(world.actor("compliance"))
    assert rights.sweep(officer).rotations_finished == 0
    admin = world.app.units(world.actor("admin"))
    with monkeypatch.context() as patch:
        patch.setattr(suites, "rotate_suppression", cut)
        with pytest.raises(Cut):
            rotation.rotate_suite(admin, suite=SM4)
    assert left(world).total > 0
    assert rights.sweep(officer).rotations_finished == 1
    assert left(world).total == 0
    check_digests(world, SM4)
    assert rights.sweep(officer).rotations_finished == 0
