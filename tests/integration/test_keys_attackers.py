"""What a thief of files sees, and what somebody who edits rows or puts old files back cannot hide."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from common.world import World, people
from pdms.clock import FixedClock
from pdms.crypto import new_root_text, open_root
from pdms.db import open_engine
from pdms.errors import IntegrityBroken, KeyUnavailable
from pdms.keystore import KeyStore
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.vault import service as vault
from pdms.vault.looking import look_up

MEMBERS = people(8)
VICTIM, OTHER = "H00001", "H00002"
SECRET = ("手机号", "邮箱", "身份证号", "收货地址", "登录名")


@pytest.fixture
def world(tmp_path):
    made = World.make(tmp_path)
    assert made.ingest("shop-members", MEMBERS).rejected == 0
    yield made
    made.close()


def rows(path, sql, *values):
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(sql, values).fetchall()
        database.commit()
        return found


def stolen(world, folder, *names):
    """A copy of some files, as a thief takes them: with their logs, while the home is in use."""
    folder.mkdir()
    for name in names:
        for path in world.app.home.root.glob(f"{name}*"):
            shutil.copy(path, folder / path.name)
    return folder


def words(member):
    return [member[name] for name in SECRET] + ["+86" + member["手机号"]]


def test_a_database_thief_sees_no_value_and_can_confirm_no_guess(world, tmp_path, canary):
    folder = stolen(world, tmp_path / "thief", "vault.db", "held.db", "anon.db")
    assert canary.search(folder, [one for member in MEMBERS for one in words(member)]) == []
    shown = rows(folder / "vault.db", "SELECT digest FROM blind_index")
    import hashlib
    import hmac

    guessed = {
        digest(value.encode()).digest()
        for member in MEMBERS for value in words(member)
        for digest in (hashlib.sha256, lambda v: hmac.new(b"", v, "sha256"))
    }  # fmt: skip
    assert not guessed & {row[0] for row in shown}
    # What is seen, as the threat model says: how many there are, in which state, and which values are equal.
    assert rows(folder / "vault.db", "SELECT count(*), min(status), max(status) FROM member") == [
        (8, "active", "active")
    ]
    assert len({row[0] for row in shown}) == len(shown)


def test_a_key_store_thief_opens_nothing_without_the_root(world, tmp_path, monkeypatch, canary):
    member = world.id_of(VICTIM)
    folder = stolen(world, tmp_path / "thief", "keys.db")
    assert canary.search(folder, [one for m in MEMBERS for one in words(m)]) == []
    dek = world.app.keys.deks([member])[member]
    system = world.app.keys.system_key("index:phone")
    assert canary.search(folder, [bytes(dek), bytes(system)]) == []
    monkeypatch.setenv("THIEF_ROOT", new_root_text())
    engine = open_engine(folder / "keys.db")
    try:
        keys = KeyStore(engine, root=open_root("env:THIEF_ROOT"), clock=FixedClock(world.clock.instant))
        for ask in (lambda: keys.deks([member]), lambda: keys.system_key("index:phone"), lambda: keys.signer("log")):
            with pytest.raises(KeyUnavailable) as caught:
                ask()
            assert caught.value.code == "WRONG_ROOT"
        assert len(list(keys.member_ids())) == 8  # what is seen: random ids, and when each key was made
    finally:
        engine.dispose()


def refused(world, ask):
    with pytest.raises(IntegrityBroken) as caught, world.unit("support") as uow:
        ask(uow)
    assert not any(word in str(caught.value) for member in MEMBERS for word in words(member))
    return caught.value.code


def sealed_of(world, number):
    [found] = rows(
        world.app.home.vault_db,
        "SELECT s.row_no, s.sealed, s.key_version, s.write_seq FROM sealed_member s"
        " JOIN member m ON m.row_no = s.row_no WHERE m.member_id = ?", world.id_of(number),
    )  # fmt: skip
    return found


def test_who_edits_rows_is_found_when_they_are_opened(world):
    import msgspec

    path, victim, other = world.app.home.vault_db, world.id_of(VICTIM), world.id_of(OTHER)
    number, sealed, version, sequence = sealed_of(world, VICTIM)
    _, theirs, _, _ = sealed_of(world, OTHER)

    def put(what, **columns):
        for name, value in columns.items():
            rows(path, f"UPDATE sealed_member SET {name} = ? WHERE row_no = ?", value, number)
        code = refused(world, lambda uow: vault.masked(uow, victim))
        original = {"sealed": sealed, "key_version": version, "write_seq": sequence}
        for name in columns:
            rows(path, f"UPDATE sealed_member SET {name} = ? WHERE row_no = ?", original[name], number)
        return f"{what}: {code}"

    own, foreign = msgspec.msgpack.decode(sealed), msgspec.msgpack.decode(theirs)
    one, another = sorted(own)[1:3]
    encode = msgspec.msgpack.encode
    assert [
        put("another member's values", sealed=theirs),
        put("one value of another member", sealed=encode({**own, one: foreign[one]})),
        put("two fields changed places", sealed=encode({**own, one: own[another], another: own[one]})),
        put("a value cut", sealed=encode({**own, one: own[one][:40]})),
        put("no map", sealed=b"\x01"),
        put("a later write claimed", write_seq=sequence + 1),
        put("another key version claimed", key_version=version + 1),
    ] == [
        "another member's values: NOT_AUTHENTIC",
        "one value of another member: NOT_AUTHENTIC",
        "two fields changed places: NOT_AUTHENTIC",
        "a value cut: TRUNCATED",
        "no map: SEALED_MAP",
        "a later write claimed: WRONG_WRITE_SEQUENCE",
        "another key version claimed: WRONG_KEY_VERSION",
    ]
    keys = world.app.home.keys_db
    [(mine,)] = rows(keys, "SELECT wrapped FROM member_key WHERE member_id = ?", victim)
    [(his,)] = rows(keys, "SELECT wrapped FROM member_key WHERE member_id = ?", other)
    rows(keys, "UPDATE member_key SET wrapped = ? WHERE member_id = ?", his, victim)
    assert refused(world, lambda uow: vault.masked(uow, victim)) == "NOT_AUTHENTIC"
    rows(keys, "UPDATE member_key SET wrapped = ? WHERE member_id = ?", mine, victim)
    with world.unit("support") as uow:
        assert vault.masked(uow, victim)


def test_an_index_entry_moved_to_another_member_is_found_when_it_is_used(world):
    path, phone = world.app.home.vault_db, "+86" + MEMBERS[1]["手机号"]
    number = sealed_of(world, VICTIM)[0]
    theirs = sealed_of(world, OTHER)[0]
    rows(path, "UPDATE blind_index SET row_no = ? WHERE row_no = ?", -1, number)
    rows(path, "UPDATE blind_index SET row_no = ? WHERE row_no = ?", number, theirs)
    rows(path, "UPDATE blind_index SET row_no = ? WHERE row_no = ?", theirs, -1)
    assert refused(world, lambda uow: look_up(uow, index="phone", value=phone)) == "INDEX_MOVED"


def test_an_old_value_put_back_after_a_correction_does_not_open(world):
    victim = world.id_of(VICTIM)
    number, before, _, _ = sealed_of(world, VICTIM)
    world.run("support", vault.correct, victim, field="address", value="浙江省杭州市新迁路1号")
    rows(world.app.home.vault_db, "UPDATE sealed_member SET sealed = ? WHERE row_no = ?", before, number)
    assert refused(world, lambda uow: vault.masked(uow, victim)) == "WRONG_WRITE_SEQUENCE"


def erase(world, number):
    member = next(one for one in MEMBERS if one["会员编号"] == number)
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=world.id_of(number), field="phone", value=member["手机号"]
    )


def put_back(world, folder):
    """The rollback attacker: the old database in place of the new one, behind everybody's back."""
    world.app.main.dispose()
    for path in world.app.home.root.glob("vault.db*"):
        path.unlink()
    for path in folder.glob("vault.db*"):
        shutil.copy(path, world.app.home.root / path.name)


def test_an_old_database_under_a_newer_checkpoint_is_detected(world, tmp_path):
    world.app.sequence()
    old = stolen(world, tmp_path / "old", "vault.db")
    erase(world, VICTIM)
    world.app.sequence()
    with world.unit("compliance") as uow:
        kept = tmp_path / "kept.note"
        kept.write_text(evidence.head(uow).note)
    put_back(world, old)
    with world.unit("compliance") as uow:
        problems = {one.code for one in evidence.verify(uow, earlier=kept).problems}
    assert "CHECKPOINT_BEYOND" in problems


def test_an_old_database_under_a_newer_rights_ledger_is_detected_and_opens_nobody_who_was_erased(world, tmp_path):
    world.app.sequence()
    victim = world.id_of(VICTIM)
    old = stolen(world, tmp_path / "old", "vault.db")
    erase(world, VICTIM)
    with world.unit("compliance") as uow:
        evidence.head(uow)
    put_back(world, old)
    with pytest.raises(KeyUnavailable), world.unit("support") as uow:  # the key is gone and stays fenced
        vault.masked(uow, victim)
    with pytest.raises(IntegrityBroken) as caught:
        world.app.extend_ledger()
    assert caught.value.code == "DATABASE_ROLLED_BACK"
    with pytest.raises(IntegrityBroken) as caught:
        erase(world, OTHER)
    assert caught.value.code == "DATABASE_ROLLED_BACK"
