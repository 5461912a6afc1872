"""Every rotation: all members stay who they are, found and opened by every process, cut off or not; none comes back."""

from datetime import timedelta

import pytest

from common.shell import Shell
from common.world import World, people
from pdms.bootstrap.app import App
from pdms.db import begin
from pdms.errors import KeyUnavailable
from pdms.keystore import member_keys
from pdms.reports import evidence
from pdms.reports import keys as report
from pdms.rights import receipts
from pdms.rights import service as rights
from pdms.rotation import members
from pdms.rotation import service as rotation
from pdms.vault import service as vault
from pdms.vault.looking import look_up

COUNT = 12
ERASED = "H00003"
MEMBERS = people(COUNT)
STAYING = [one for one in MEMBERS if one["会员编号"] != ERASED]
WALKS = {
    "deks": rotation.rotate_deks,
    "index": rotation.rotate_index,
    "suppression": rotation.rotate_suppression,
}


@pytest.fixture
def world(tmp_path, database):
    made = World.make(tmp_path, database=database)
    assert made.ingest("shop-members", MEMBERS).rejected == 0
    Shell(made)("support", "member", "erase", f"shop:{ERASED}", typed=MEMBERS[3]["手机号"] + "\n")
    yield made
    made.close()


@pytest.fixture
def other(world):
    """Another process's view of the home, opened before anything is rotated."""
    with App.open(world.app.settings, clock=world.clock) as app:
        with app.unit(app.authenticate(world.tokens["support"])) as uow:
            assert vault.find(uow, index="phone", value=phone(MEMBERS[0]))
        yield app


def phone(one):
    return "+86" + one["手机号"]


def whole(world, app=None):
    """Everything about everyone that must be the same whatever was rotated."""
    app = app or world.app
    actor = app.authenticate(world.tokens["support"])
    found = {}
    with app.unit(actor) as uow:
        for one in MEMBERS:
            by_phone = look_up(uow, index="phone", value=phone(one))
            by_number = vault.find_external(uow, system="shop", external_id=one["会员编号"])
            assert [o.member_id for o in by_phone] == vault.find(uow, index="phone", value=phone(one))
            assert [o.member_id for o in by_phone] == ([by_number] if by_number else [])
            if by_number:
                assert vault.matches(uow, by_number, field="phone", value=phone(one))
                assert not vault.matches(uow, by_number, field="phone", value="13900000000")
            found[one["会员编号"]] = (by_number, dict(by_phone[0].fields) if by_phone else None)
        known = vault.known_words(
            uow, [*(m["会员编号"] for m in MEMBERS), "H99999", phone(MEMBERS[5])], system="shop", index="phone"
        )
    assert known == {*(m["会员编号"] for m in STAYING), phone(MEMBERS[5])}
    return found


def imported_again(world):
    result = world.ingest("shop-members", MEMBERS)
    return result.accepted, result.rejected, dict(result.by_rule)


def left(world):
    with world.unit("compliance") as uow:
        return report.needs_reseal(uow)


def verified(world):
    world.app.sequence()
    with world.unit("compliance") as uow:
        return evidence.verify(uow).problems


@pytest.mark.parametrize("what", ["deks", "suite", "index", "suppression", "epoch", "log", "receipts", "manifests"])
def test_everyone_is_found_opened_and_suppressed_as_before(world, other, what, monkeypatch):
    from pdms.crypto import new_root_text

    before, counted = whole(world), imported_again(world)
    shell = Shell(world)
    words = ["keys", "rotate", what]
    if what == "suite":
        words += ["--to", "sm4-gcm"]
    if what == "epoch":
        monkeypatch.setenv("NEXT_ROOT_OF_TEST", new_root_text())
        rotation.rotate_epoch(world.app.units(world.actor("admin")), root_uri="env:NEXT_ROOT_OF_TEST")
    else:
        for _ in range(2):  # and once more on top
            shell("admin", *words)
    assert left(world).total == 0
    assert whole(world) == before
    assert whole(world, other) == before
    assert imported_again(world) == counted
    assert world.ingest("shop-members", [MEMBERS[3]]).accepted == counted[0] - len(STAYING)
    with world.unit("support") as uow:
        assert vault.suppressed_since(uow, system="shop", external_id=ERASED) is not None
        assert vault.suppressed_since(uow, system="shop", external_id="H00001") is None
    with other.unit(other.authenticate(world.tokens["support"])) as uow:
        assert vault.suppressed_since(uow, system="shop", external_id=ERASED) is not None
    assert verified(world) == ()
    new = world.ingest("shop-members", people(COUNT + 2)[COUNT:])
    assert new.rejected == 0
    assert len(whole(world, other)) == len(before)
    Shell(world)("support", "member", "erase", "shop:H00005", typed=MEMBERS[5]["手机号"] + "\n")
    assert verified(world) == ()


@pytest.mark.parametrize("what", WALKS)
def test_cut_off_everything_goes_on_and_the_same_command_finishes(world, other, what):
    before, counted = whole(world), imported_again(world)

    def cut(done, total):
        raise KeyboardInterrupt

    units = world.app.units(world.actor("admin"))
    batch = 2 if what == "suppression" else 4
    with pytest.raises(KeyboardInterrupt):
        WALKS[what](units, batch=batch, progress=cut)
    if what == "deks":  # some members have a new key, most have not
        assert sorted(versions(world)) == [1] * (COUNT - 5) + [2] * 4
    else:
        assert left(world).total > 0
    assert whole(world) == before
    assert whole(world, other) == before
    assert imported_again(world) == counted
    changed = {**MEMBERS[7], "收货地址": "浙江省杭州市新迁路5号"}
    world.ingest("shop-members", [changed])
    Shell(world)("support", "member", "erase", "shop:H00008", typed=MEMBERS[8]["手机号"] + "\n")
    Shell(world)("admin", "keys", "rotate", what)
    assert left(world).total == 0
    if what == "deks":  # nobody's a second time
        assert versions(world) == [2] * (COUNT - 2)
    after = whole_of(world, other)
    assert after["H00007"][1]["address"] != before["H00007"][1]["address"]
    assert after["H00008"] == (None, None)
    for number in set(before) - {"H00007", "H00008"}:
        assert after[number] == before[number]
    assert verified(world) == ()


def versions(world):
    """The key version that each member's fields are sealed under."""
    return [version for (version,) in world.rows(world.app.main, "SELECT key_version FROM sealed_member")]


@pytest.mark.parametrize("later", [0, 5])
def test_killed_just_before_its_end_a_renewal_does_not_begin_anew(world, later, monkeypatch):
    def cut(*_arguments, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members, "end_walk", cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate_deks(world.app.units(world.actor("admin")))
    world.clock.instant += timedelta(seconds=later)
    assert rotation.rotate_deks(world.app.units(world.actor("admin"))).members == 0
    assert set(versions(world)) == {2}
    assert rotation.rotate_deks(world.app.units(world.actor("admin"))).members == COUNT - 1  # asked anew


def whole_of(world, app):
    with app.unit(app.authenticate(world.tokens["support"])) as uow:
        found = {}
        for one in MEMBERS:
            opened = look_up(uow, index="phone", value=phone(one))
            found[one["会员编号"]] = (opened[0].member_id, dict(opened[0].fields)) if opened else (None, None)
        return found


def test_a_rotated_key_opens_nothing_that_was_sealed_before(world):
    store, member = world.app.keys, world.id_of("H00001")
    query = "SELECT s.row_no, s.sealed FROM sealed_member s JOIN member m ON m.row_no = s.row_no WHERE m.member_id = ?"
    ((number, old),) = world.rows(world.app.main, query, member)
    dek = store.deks([member])[member]
    Shell(world)("admin", "keys", "rotate", "deks")
    assert store.deks([member])[member] != dek
    assert store.deks([member])[member].version == 2
    with begin(world.app.main) as session:
        session.connection().exec_driver_sql("UPDATE sealed_member SET sealed = ? WHERE row_no = ?", (old, number))
    with pytest.raises(Exception, match="key version"), world.unit("support") as uow:
        vault.masked(uow, member)


def test_the_suite_changes_length_and_header_of_everything(world):
    from pdms.crypto import SealedValue

    Shell(world)("admin", "keys", "rotate", "suite", "--to", "sm4-gcm")
    assert {len(key) for key in world.app.keys.deks(list(world.app.keys.member_ids())).values()} == {16}
    import msgspec

    for (blob,) in world.rows(world.app.main, "SELECT sealed FROM sealed_member"):
        assert {SealedValue(one).suite for one in msgspec.msgpack.decode(blob).values()} == {"sm4-gcm"}
    world.ingest("shop-members", people(COUNT + 1)[COUNT:])
    assert left(world).total == 0
    Shell(world)("admin", "keys", "rotate", "suite", "--to", "aes-256-gcm")
    assert {len(key) for key in world.app.keys.deks(list(world.app.keys.member_ids())).values()} == {32}


def test_old_receipts_verify_under_the_old_key_and_new_ones_under_the_new(world):
    with world.unit("compliance") as uow:
        [old] = [one.receipt for one in rights.list_requests(uow) if one.receipt]
    shell = Shell(world)
    told = shell.json("admin", "keys", "rotate", "receipts")
    shell("support", "member", "erase", "shop:H00004", typed=MEMBERS[4]["手机号"] + "\n")
    with world.unit("compliance") as uow:
        [new] = [one.receipt for one in rights.list_requests(uow) if one.receipt and one.receipt != old]
        newest, older = uow.keys.public_keys("receipts")
    assert newest.hex() == told["public_key"]
    assert receipts.check(old, public_key=older)
    assert receipts.check(new, public_key=newest)
    with pytest.raises(Exception, match="signature"):
        receipts.check(new, public_key=older)


def test_no_coming_key_is_minted_for_the_erased(world):
    store, erased = world.app.keys, None
    ids = list(store.member_ids())
    erased = ids[0]
    store.fence([erased])
    member_keys.mint_next(store, ids, now=world.clock.instant)
    assert set(member_keys.coming(store)) == set(ids) - {erased}
    store.fence([ids[1]])
    store.destroy([ids[1]])
    assert ids[1] not in member_keys.coming(store)
    assert member_keys.promote(store, [erased, ids[1]]) == 0
    with pytest.raises(KeyUnavailable), world.unit("support") as uow:
        vault.masked(uow, ids[1])


def test_what_is_counted_before_anything_is_done(world):
    shell = Shell(world)
    assert shell.json("admin", "keys", "rotate", "deks", "--dry-run")["members"] == COUNT - 1
    assert shell.json("admin", "keys", "rotate", "suite", "--to", "sm4-gcm", "--dry-run")["members"] == COUNT - 1
    assert shell.json("admin", "keys", "rotate", "suite", "--to", "aes-256-gcm", "--dry-run")["members"] == 0
    assert shell.json("admin", "keys", "rotate", "index", "--dry-run")["rows"] == COUNT - 1
    assert shell.json("admin", "keys", "rotate", "suppression", "--dry-run")["rows"] >= 4
    shell("admin", "keys", "rotate", "log", "--dry-run", expect=2)
    shell("admin", "keys", "rotate", "suite", expect=2)
    shell("admin", "keys", "rotate", "deks", "--to", "sm4-gcm", expect=2)
    shell("compliance", "keys", "rotate", "index", expect=4)
    listed = shell.json("compliance", "keys", "list")
    assert (listed["needs_reseal"], listed["system_keys"]) == (0, [])


def test_late_events_of_the_erased_are_refused_also_after_their_key_was_rotated(world):
    order = {"会员编号": ERASED, "订单号": "B1", "下单时间": "2026-10-01 10:00:00", "完成时间": "2026-10-01 10:00:00",
             "订单金额": 9.9, "状态": "已完成", "是否开票": "否"}  # fmt: skip
    for _ in range(2):
        refused = world.ingest("shop-orders", [order])
        assert (refused.accepted, refused.rejected) == (0, 1)
        assert world.ingest("shop-orders", [{**order, "会员编号": "H00001", "订单号": "B2"}]).accepted == 1
        Shell(world)("admin", "keys", "rotate", "suppression")
        Shell(world)("admin", "keys", "rotate", "index")
    with world.unit("support") as uow:
        before = vault.count(uow)
    world.ingest("shop-members", MEMBERS)
    with world.unit("support") as uow:
        assert vault.count(uow) == before
    back = {**MEMBERS[3], "注册时间": "2026-11-03"}  # a registration later than the erasure passes
    world.pass_time(days=3)
    world.ingest("shop-members", [back])
    with world.unit("support") as uow:
        assert vault.count(uow) == before + 1


def test_who_comes_meanwhile_is_under_the_new_key_and_not_walked_to(world):
    """Or a shop that takes members in faster than they are indexed anew would never see the end."""
    units, coming = world.app.units(world.actor("admin")), iter(people(200)[COUNT:])
    there = len(STAYING)

    def meanwhile(done, total):
        assert total == there
        assert done <= total
        world.ingest("shop-members", [next(coming) for _ in range(5)])

    done = rotation.rotate_index(units, batch=4, progress=meanwhile)
    assert done.rows == there
    assert left(world).total == 0
    ((_, tried),) = {one for use, one in world.app.keys.system.counts().items() if use == "index:phone"}
    assert tried == 1  # the old key is asked no more: whoever is found is found by the new one
    with world.unit("support") as uow:
        for one in [m for m in people(COUNT + 15) if m["会员编号"] != ERASED]:
            (member,) = vault.find(uow, index="phone", value=phone(one))
            assert vault.find_external(uow, system="shop", external_id=one["会员编号"]) == member


def test_a_sweep_finishes_every_walk_that_was_cut_off_and_begins_none(world):
    def cut(done, total):
        raise KeyboardInterrupt

    before = whole(world)
    units = world.app.units(world.actor("admin"))
    for what, rotate in WALKS.items():
        with pytest.raises(KeyboardInterrupt):
            rotate(units, batch=2 if what == "suppression" else 4, progress=cut)
    made = world.app.keys.system.counts()
    officer = world.app.units(world.actor("compliance"))
    assert rights.sweep(officer).rotations_finished == len(WALKS)
    assert left(world).total == 0
    assert versions(world) == [2] * (COUNT - 1)
    assert whole(world) == before
    assert rights.sweep(officer).rotations_finished == 0
    assert {use: count for use, (count, _) in world.app.keys.system.counts().items()} == {
        use: count for use, (count, _) in made.items()
    }
    assert verified(world) == ()
