"""Epochs and data keys rotated side by side: no coming key is left under a root that ends, none is put back."""

import os
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdms.errors import Conflict
from pdms.keystore import KeyStore, member_keys, rotation


def wrap_all(store):
    after = None
    while True:
        some, after = rotation.rewrap_some(store, batch=7, after=after)
        if not some.members:
            return


def coming_of(store, ids):
    return {one: (dek.version, bytes(dek), bytes(dek.other)) for one, dek in store.deks(ids).items()}


def test_an_epoch_rotation_takes_coming_keys_along(store, roots, next_uri, clock, engine):
    ids = [os.urandom(16) for _ in range(20)]
    store.mint(ids)
    member_keys.mint_next(store, ids[:9], now=clock.now())
    before = coming_of(store, ids[:9])
    assert {version for version, _, _ in before.values()} == {2}
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    assert rotation.left(store) > 20  # both keys of nine members
    first, _ = rotation.rewrap_some(store, batch=7)
    assert (first.members, first.coming) == (7, 9)
    wrap_all(store)
    assert rotation.left(store) == 0
    again = KeyStore(engine, root=roots.open(next_uri), clock=clock)  # the new root alone
    assert coming_of(again, ids[:9]) == before
    assert rotation.end(store, 1, now=clock.now())
    assert member_keys.promote(again, ids) == 9
    assert {one: bytes(dek) for one, dek in again.deks(ids[:9]).items()} == {o: k for o, (_, k, _) in before.items()}


@pytest.mark.parametrize("table", ["member_key", "member_key_next", "system_key", "held_month_key"])
def test_an_epoch_stays_while_one_row_of_any_kind_hangs_on_it(store, roots, next_uri, clock, engine, root, table):
    ids = [os.urandom(16) for _ in range(3)]
    store.mint(ids)
    member_keys.mint_next(store, ids, now=clock.now())
    store.held_month_key("2029-05")
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    with engine.begin() as connection:
        kept = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings().all()[0]
    wrap_all(store)
    key = next(iter(kept))
    with engine.begin() as connection:  # as a run leaves it that was cut off before this row
        connection.exec_driver_sql(
            f"UPDATE {table} SET epoch = 1, wrapped = ? WHERE {key} = ?", (kept["wrapped"], kept[key])
        )
    with pytest.raises(Conflict) as caught:
        rotation.end(store, 1, now=clock.now())
    assert caught.value.code == "EPOCH_IN_USE"
    assert Path(root.uri.removeprefix("file:")).exists()
    wrap_all(store)
    assert rotation.end(store, 1, now=clock.now())


@contextmanager
def before_statement(engine, beginning, work, *, nth=1):
    """Another connection's `work`, done when this engine is about to send the nth statement of a kind."""
    from sqlalchemy.event import listen, remove

    done = []

    def strike(_connection, _cursor, statement, _parameters, _context, _many):
        if statement.startswith(beginning):
            done.append(statement)
            if len(done) == nth:
                work()

    listen(engine, "before_cursor_execute", strike)
    try:
        yield done
    finally:
        remove(engine, "before_cursor_execute", strike)


def test_a_key_promoted_between_reading_and_writing_stays(store, roots, next_uri, clock, engine, request):
    if engine.dialect.name != "postgresql":
        pytest.skip("on SQLite one transaction writes at a time: nothing comes between")
    ids = sorted(os.urandom(16) for _ in range(12))
    store.mint(ids)
    member_keys.mint_next(store, ids, now=clock.now())
    coming = {one: bytes(dek) for one, dek in store.deks(ids).items()}
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    other = KeyStore(engine, root=store.root, clock=clock, roots=roots)
    promoted = []
    thread = threading.Thread(target=lambda: promoted.append(member_keys.promote(other, ids)))

    def between():
        thread.start()
        thread.join(timeout=1)  # behind a row lock it ends only after this transaction

    with before_statement(engine, "UPDATE member_key SET epoch", between) as struck:
        wrap_all(store)
    thread.join()
    assert struck
    assert promoted == [12]
    wrap_all(store)
    assert rotation.left(store) == 0
    rotation.end(store, 1, now=clock.now())
    found = store.deks(ids)
    assert {one: bytes(dek) for one, dek in found.items()} == coming
    assert {dek.version for dek in found.values()} == {2}


def test_an_epoch_does_not_end_while_a_key_changes_place(store, roots, next_uri, clock, engine):
    """Promoted after one of the two tables was counted and before the other is."""
    if engine.dialect.name != "postgresql":
        pytest.skip("on SQLite one transaction writes at a time: nothing comes between")
    ids = [os.urandom(16) for _ in range(3)]
    store.mint(ids)
    rotation.begin(store, root=roots.create(next_uri), now=clock.now())
    wrap_all(store)
    with engine.begin() as connection:  # under the old epoch, by a process that did not know the new one
        epoch = store.epoch(connection, 1)
        wrapped = epoch.member.wrap(os.urandom(32), context=ids[0] + (2).to_bytes(4, "big") + (1).to_bytes(4, "big"))
        connection.exec_driver_sql(
            "INSERT INTO member_key_next (member_id, key_version, epoch, minted_at, wrapped) VALUES (?, 2, 1, 0, ?)",
            (ids[0], wrapped),
        )
    promoted = []
    counting = "SELECT epoch, count(*) FROM member_key"
    work = lambda: promoted.append(member_keys.promote(store, ids))  # noqa: E731
    with before_statement(engine, counting, work, nth=2), pytest.raises(Conflict) as caught:
        rotation.end(store, 1, now=clock.now())
    assert promoted == [1]
    assert caught.value.code == "EPOCH_IN_USE"
    assert rotation.endings(store) == []  # nor was it begun
    assert store.deks(ids)[ids[0]].version == 2
