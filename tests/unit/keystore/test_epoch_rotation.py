"""Epochs: all keys move under a new root and stay the same keys; the old root ends only when nothing hangs on it."""

import os
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from pdms.crypto import SuiteName
from pdms.db import open_engine
from pdms.errors import Conflict, IntegrityBroken, KeyUnavailable, NotFound
from pdms.keystore import KeyStore, SystemKey, live_epochs, member_keys, rotation


def ids_of(count):
    return [os.urandom(16) for _ in range(count)]


def all_of(store):
    after, done = None, 0
    while True:
        some, after = rotation.rewrap_some(store, batch=100, after=after)
        done += some.members
        if not some.members:
            return done


def rotated(store, roots, uri, now):
    rotation.begin(store, root=roots.create(uri), now=now)
    return all_of(store)


def wrapped_in(engine):
    with engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT member_id, wrapped FROM member_key").all()
    return {bytes(row[0]): bytes(row[1]) for row in rows}


def put(engine, member, wrapped):
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE member_key SET wrapped = ? WHERE member_id = ?", (wrapped, member))


def code_of(family, attempt):
    with pytest.raises(family) as caught:
        attempt()
    return caught.value.code


def test_keys_stay_the_same_under_another_root(store, roots, next_uri, clock, engine):
    ids = ids_of(250)
    deks, system = store.mint(ids), {label: store.system_key(label) for label in SystemKey}
    month = store.held_month_key("2029-05")
    store.destroy_held_month("2027-01")
    before = wrapped_in(engine)
    assert rotated(store, roots, next_uri, clock.now()) == 250
    assert rotation.left(store) == 0
    again = KeyStore(engine, root=roots.open(next_uri), clock=clock)  # the new root alone, and no older one
    found = again.deks(ids)
    assert [found[one] for one in ids] == deks
    assert {label: again.system_key(label) for label in SystemKey} == system
    assert again.held_month_key("2029-05") == month
    assert code_of(KeyUnavailable, lambda: again.held_month_key("2027-01")) == "HELD_MONTH_DESTROYED"
    after = wrapped_in(engine)
    assert not set(before.values()) & set(after.values())
    assert again.root.uri == store.root.uri == next_uri
    assert next(one.total for one in rotation.counts(store)) == 0


def test_the_old_root_ends_only_when_nothing_hangs_on_it(store, roots, next_uri, clock, root, engine, tmp_path):
    ids = ids_of(150)
    deks = store.mint(ids)
    copied = engine.dialect.name == "sqlite"
    if copied:
        with sqlite3.connect(tmp_path / "keys.db") as raw:
            raw.execute(f"VACUUM INTO '{tmp_path / 'backup.db'}'")
        raw.close()
    assert code_of(Conflict, lambda: rotation.end(store, 1, now=clock.now())) == "EPOCH_NEWEST"
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    assert code_of(Conflict, lambda: rotation.end(store, 1, now=clock.now())) == "EPOCH_IN_USE"
    rotation.rewrap_some(store, batch=100)
    assert code_of(Conflict, lambda: rotation.end(store, 1, now=clock.now())) == "EPOCH_IN_USE"
    all_of(store)
    with pytest.raises(NotFound):
        rotation.end(store, 9, now=clock.now())
    assert rotation.end(store, 1, now=clock.now())
    assert code_of(Conflict, lambda: rotation.end(store, 1, now=clock.now())) == "EPOCH_ENDED"
    assert not Path(root.uri.removeprefix("file:")).exists()
    assert [one.id for one in live_epochs(engine)] == [2]
    found = store.deks(ids)
    assert [found[one] for one in ids] == deks
    if not copied:
        return
    # the copy made before: no root that still exists opens it
    copy = open_engine(tmp_path / "backup.db")
    old = KeyStore(copy, root=roots.open(next_uri), clock=clock, roots=roots)
    assert code_of(KeyUnavailable, lambda: old.deks(ids)) == "ROOT_MISSING"
    copy.dispose()


def test_a_root_serves_one_epoch_only(store, roots, root, next_uri, clock):
    store.mint(ids_of(3))
    assert code_of(Conflict, lambda: rotation.begin(store, root=root, now=clock.now())) == "ROOT_IN_USE"
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    third = roots.create(next_uri.replace("2", "3"))
    assert code_of(Conflict, lambda: rotation.begin(store, root=third, now=clock.now())) == "ROTATION_RUNNING"


def test_another_process_sees_the_new_epoch(store, roots, roots_elsewhere, next_uri, clock, engine, tmp_path):
    other = KeyStore(engine, root=store.root, clock=clock, roots=roots_elsewhere)
    ids = ids_of(120)
    deks = other.mint(ids)
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    late = ids_of(5)
    late_deks = other.mint(late)  # under the new epoch, which this process never opened before
    assert all_of(store) == 120
    rotation.end(store, 1, now=clock.now())
    found = other.deks([*ids, *late])
    assert [found[one] for one in (*ids, *late)] == [*deks, *late_deks]
    other.mint(ids_of(1))
    assert list(other._epochs) == [2]  # what was destroyed does not live on in memory


def test_reading_and_minting_go_on_meanwhile(store, roots, next_uri, clock, engine, tmp_path):
    ids = ids_of(600)
    deks = dict(zip(ids, store.mint(ids), strict=True))
    other = KeyStore(engine, root=store.root, clock=clock, roots=roots)
    ended, wrong, minted = threading.Event(), [], {}

    def work():
        while not ended.is_set():
            if other.deks(ids[:50]) != {one: deks[one] for one in ids[:50]}:
                wrong.append("a key changed")
            fresh = ids_of(3)
            minted.update(zip(fresh, other.mint(fresh), strict=True))

    thread = threading.Thread(target=work)
    thread.start()
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    after = None
    while True:
        some, after = rotation.rewrap_some(store, batch=20, after=after)
        if not some.members:
            break
    ended.set()
    thread.join()
    assert wrong == []
    assert rotation.left(store) == 0
    assert store.deks(list(minted)) == minted


def test_an_altered_row_stops_the_rotation_and_harms_nothing(store, roots, next_uri, clock, engine, tmp_path):
    ids = ids_of(30)
    deks = store.mint(ids)
    wrapped = wrapped_in(engine)[ids[7]]
    put(engine, ids[7], wrapped[:-1] + bytes((wrapped[-1] ^ 1,)))
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    assert code_of(IntegrityBroken, lambda: rotation.rewrap_some(store)) == "NOT_AUTHENTIC"
    put(engine, ids[7], wrapped)
    assert all_of(store) == 30
    found = store.deks(ids)
    assert [found[one] for one in ids] == deks


def test_many_epochs_behind(store, roots, next_uri, clock):
    ids = ids_of(40)
    deks = store.mint(ids)
    rotated(store, roots, next_uri, clock.now())
    clock.instant += timedelta(days=1)
    rotated(store, roots, next_uri.replace("2", "3"), clock.now())
    assert [one.members for one in rotation.counts(store)] == [0, 0, 40]
    rotation.end(store, 1, now=clock.now())
    rotation.end(store, 2, now=clock.now())
    assert [store.deks(ids)[one] for one in ids] == deks


def test_keys_of_both_suites_and_several_versions_move_alike(store, roots, next_uri, clock, engine):
    ids = ids_of(24)
    store.mint(ids[:8])
    member_keys.choose_suite(store, SuiteName.SM4_GCM, now=clock.now())
    store.mint(ids[8:16])
    member_keys.mint_next(store, ids[4:8], now=clock.now())
    member_keys.choose_suite(store, SuiteName.AES_256_GCM, now=clock.now())
    store.mint(ids[16:])
    assert member_keys.promote(store, ids) == 4
    before = {one: (dek.version, bytes(dek)) for one, dek in store.deks(ids).items()}
    assert sorted({(version, len(dek)) for version, dek in before.values()}) == [(1, 16), (1, 32), (2, 16)]
    assert rotated(store, roots, next_uri, clock.now()) == 24
    again = KeyStore(engine, root=roots.open(next_uri), clock=clock)
    assert {one: (dek.version, bytes(dek)) for one, dek in again.deks(ids).items()} == before


def test_what_the_database_calls_back_is_not_left_behind(store, roots, next_uri, clock, engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("only SQLite calls back")
    store.mint(ids_of(4))
    rotated(store, roots, next_uri, clock.now())
    with engine.connect() as connection, pytest.raises(OperationalError, match=r"no such function|raised exception"):
        connection.exec_driver_sql("SELECT pdms_rewrap(member_id, key_version, epoch, wrapped) FROM member_key")
