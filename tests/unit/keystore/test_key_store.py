"""Keys minted once, fenced for ever, destroyed only behind a fence; system keys made once; months destroyed."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pdms.clock import FixedClock
from pdms.crypto import ARGON2_TESTS_ONLY, BlindIndex, Dek, create_root
from pdms.db import open_engine
from pdms.errors import Conflict, IntegrityBroken, InvalidInput, KeyUnavailable
from pdms.keystore import KeyStore, SystemKey, live_epochs


def ids(count):
    return [os.urandom(16) for _ in range(count)]


def code_of(family, attempt):
    with pytest.raises(family) as caught:
        attempt()
    return caught.value.code


def again(keys, root, clock):
    """The same store as another process opens it: nothing cached."""
    return KeyStore(keys.engine, root=root, clock=clock)


class TestInitialise:
    def test_twice_changes_nothing(self, keys, root, clock):
        before = {label: keys.system_key(label) for label in SystemKey}
        assert not keys.initialise()
        other = again(keys, root, clock)
        assert not other.initialise()
        assert {label: other.system_key(label) for label in SystemKey} == before
        assert len(set(before.values())) == len(SystemKey)

    def test_first_time_says_so(self, engine, root, clock):
        assert live_epochs(engine) == []
        assert KeyStore(engine, root=root, clock=clock).initialise()
        [epoch] = live_epochs(engine)
        assert (epoch.id, epoch.root_uri, epoch.created_at) == (1, root.uri, clock.now())

    def test_without_it_no_key_is_made(self, engine, root, clock, keys):
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM system_key")
            connection.exec_driver_sql("DELETE FROM epoch")
        store = KeyStore(engine, root=root, clock=clock)
        assert code_of(KeyUnavailable, lambda: store.mint(ids(1))) == "NOT_INITIALISED"

    def test_another_root_opens_nothing(self, keys, clock, tmp_path):
        [member] = ids(1)
        keys.mint([member])
        wrong = create_root(f"file:{tmp_path}/wrong.json", passphrase=b"another passphrase", cost=ARGON2_TESTS_ONLY)
        stranger = again(keys, wrong, clock)
        for attempt in (
            stranger.initialise,
            lambda: stranger.deks([member]),
            lambda: stranger.mint(ids(1)),
            lambda: stranger.system_key("suppression"),
        ):
            assert code_of(KeyUnavailable, attempt) == "WRONG_ROOT"

    def test_older_roots_still_open_their_epochs(self, keys, root, clock, tmp_path):
        [member] = ids(1)
        [dek] = keys.mint([member])
        newer = create_root(f"file:{tmp_path}/newer.json", passphrase=b"another passphrase", cost=ARGON2_TESTS_ONLY)
        store = KeyStore(keys.engine, root=newer, clock=clock, older_roots=[root])
        assert store.deks([member]) == {member: dek}

    def test_destroyed_epoch_opens_nothing(self, keys, root, clock):
        [member] = ids(1)
        keys.mint([member])
        with keys.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE epoch SET wrapped = NULL, destroyed_at = '2026-03-02 00:00:00'")
        assert code_of(KeyUnavailable, lambda: again(keys, root, clock).deks([member])) == "EPOCH_DESTROYED"
        assert live_epochs(keys.engine) == []


class TestMembers:
    def test_minted_once(self, keys, root, clock):
        members = ids(2500)
        deks = keys.mint(members)
        assert len({bytes(dek) for dek in deks}) == 2500
        assert all(isinstance(dek, Dek) and len(dek) == 32 and dek.version == 1 for dek in deks)
        assert again(keys, root, clock).mint(members) == deks
        assert again(keys, root, clock).deks(members) == dict(zip(members, deks, strict=True))

    def test_old_and_new_and_repeated_together_keep_their_order(self, keys):
        old, new = ids(3), ids(3)
        first = keys.mint(old)
        asked = [new[0], old[2], new[1], old[0], new[0], old[1], new[2]]
        got = keys.mint(asked)
        assert (got[1], got[3], got[5]) == (first[2], first[0], first[1])
        assert got[0] == got[4]
        assert keys.deks(new) == {new[0]: got[0], new[1]: got[2], new[2]: got[6]}

    def test_nothing_asked(self, keys):
        assert keys.mint([]) == []
        assert keys.deks([]) == {}
        assert keys.fenced([]) == set()
        keys.fence([])
        keys.destroy([])

    def test_absent_ids_are_absent(self, keys):
        here, away = ids(1), ids(2)
        keys.mint(here)
        assert set(keys.deks([*away, *here])) == set(here)

    def test_shape_of_ids(self, keys):
        for attempt in (keys.mint, keys.deks, keys.fence, keys.destroy):
            assert code_of(InvalidInput, lambda attempt=attempt: attempt([bytes(15)])) == "MEMBER_ID_LENGTH"

    def test_fence_refuses_for_ever_and_for_the_whole_call(self, keys):
        member, other = ids(2)
        keys.mint([member])
        keys.fence([member])
        keys.fence([member])
        assert keys.fenced([member, other]) == {member}
        assert keys.deks([member]) == {}
        assert code_of(Conflict, lambda: keys.mint([other, member])) == "FENCED"
        assert keys.deks([other]) == {}
        keys.destroy([member])
        assert code_of(Conflict, lambda: keys.mint([member])) == "FENCED"

    def test_a_fence_may_precede_the_key(self, keys):
        [member] = ids(1)
        keys.fence([member])
        assert code_of(Conflict, lambda: keys.mint([member])) == "FENCED"

    def test_destroyed_only_behind_a_fence(self, keys):
        member, other = ids(2)
        keys.mint([member, other])
        keys.fence([member])
        assert code_of(Conflict, lambda: keys.destroy([member, other])) == "NOT_FENCED"
        assert stored_members(keys) == {member, other}
        keys.destroy([member])
        keys.destroy([member])
        assert stored_members(keys) == {other}

    def test_listing(self, keys, clock):
        early = ids(3)
        keys.mint(early)
        clock.instant += timedelta(days=2)
        late = ids(2)
        keys.mint(late)
        assert list(keys.member_ids()) == sorted(early + late)
        assert list(keys.member_ids(minted_before=clock.now() - timedelta(days=1))) == sorted(early)

    def test_orphans_are_dropped_but_not_young_ones(self, keys, clock):
        old = ids(2)
        keys.mint(old)
        clock.instant += timedelta(days=2)
        young = ids(2)
        keys.mint(young)
        limit = clock.now() - timedelta(days=1)
        assert keys.drop_orphans([], minted_before=limit) == 0
        assert keys.drop_orphans([old[0], *young], minted_before=limit) == 1
        assert stored_members(keys) == {old[1], *young}

    def test_swapped_rows_do_not_open(self, keys):
        a, b = ids(2)
        keys.mint([a, b])
        with keys.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE member_key SET wrapped = (SELECT wrapped FROM member_key WHERE member_id = ?)"
                " WHERE member_id = ?",
                (a, b),
            )
        assert set(keys.deks([a])) == {a}
        assert code_of(IntegrityBroken, lambda: keys.deks([b])) == "NOT_AUTHENTIC"

    def test_forged_version_or_epoch_does_not_open(self, keys, root, clock):
        [member] = ids(1)
        keys.mint([member])
        with keys.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE member_key SET key_version = 2")
        assert code_of(IntegrityBroken, lambda: keys.deks([member])) == "NOT_AUTHENTIC"

    def test_suite_of_the_home_sets_the_length(self, engine, root, clock):
        store = KeyStore(engine, root=root, clock=clock, suite="sm4-gcm")
        store.initialise()
        [member] = ids(1)
        [dek] = store.mint([member])
        assert len(dek) == 16
        assert KeyStore(engine, root=root, clock=clock).deks([member]) == {member: dek}


def stored_members(keys):
    with keys.engine.begin() as connection:
        return set(connection.exec_driver_sql("SELECT member_id FROM member_key").scalars())


class TestSystemKeys:
    def test_made_once(self, keys, root, clock):
        key = keys.system_key("index:phone")
        assert len(key) == 32
        assert keys.system_key("index:phone") == key
        assert again(keys, root, clock).system_key("index:phone") == key
        assert keys.system_key("index:email") != key

    @pytest.mark.parametrize("label", ["", "supression", "index:", "index:Phone", "index:phone\n", "sign:other"])
    def test_unknown_uses_are_refused(self, keys, label):
        assert code_of(InvalidInput, lambda: keys.system_key(label)) == "UNKNOWN_KEY_LABEL"

    def test_signers(self, keys, root, clock):
        names = ("log", "receipts", "manifests")
        signers = [keys.signer(name) for name in names]
        assert len({signer.public_key for signer in signers}) == 3
        assert keys.signer().public_key == signers[0].public_key
        again(keys, root, clock).signer("receipts").verifier.verify(b"m", signers[1].sign(b"m"))
        assert code_of(InvalidInput, lambda: keys.signer("other")) == "UNKNOWN_KEY_LABEL"

    def test_moved_system_key_does_not_open(self, keys, root, clock):
        with keys.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE system_key SET wrapped = (SELECT wrapped FROM system_key WHERE label = 'suppression')"
                " WHERE label = 'access-keys'"
            )
        assert code_of(IntegrityBroken, lambda: again(keys, root, clock).system_key("access-keys")) == "NOT_AUTHENTIC"


class TestHeldMonths:
    def test_made_once_and_destroyed_for_good(self, keys, root, clock):
        key = keys.held_month_key("2029-05")
        assert again(keys, root, clock).held_month_key("2029-05") == key
        assert keys.held_month_key("2029-06") != key
        keys.destroy_held_month("2029-05")
        keys.destroy_held_month("2029-05")
        for store in (keys, again(keys, root, clock)):
            assert code_of(KeyUnavailable, lambda store=store: store.held_month_key("2029-05")) == (
                "HELD_MONTH_DESTROYED"
            )
        keys.held_month_key("2029-06")

    def test_destroyed_before_it_was_made(self, keys):
        keys.destroy_held_month("2030-01")
        assert code_of(KeyUnavailable, lambda: keys.held_month_key("2030-01")) == "HELD_MONTH_DESTROYED"

    @pytest.mark.parametrize("month", ["2029-5", "2029-13", "2029-05-01", "29-05", ""])
    def test_form(self, keys, month):
        assert code_of(InvalidInput, lambda: keys.held_month_key(month)) == "MONTH_FORM"


@pytest.fixture
def in_files(keys):
    if keys.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps bytes in heap and WAL: the key level only is claimed there")


@pytest.mark.usefixtures("in_files")
class TestPurge:
    def test_destroyed_keys_leave_the_files(self, keys, tmp_path):
        members = ids(300)
        keys.mint(members)
        with keys.engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT member_id, wrapped FROM member_key").all()
        wrapped = dict(map(tuple, rows))
        gone, kept = members[:200], members[200:]

        def found():
            files = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
            return {member for member in members if wrapped[member] in files}

        assert found() == set(members), "the search itself must find what is there"
        keys.fence(gone)
        keys.destroy(gone)
        assert found() & set(gone), "without a purge the log still holds them"
        keys.purge()
        assert found() == set(kept)
        assert set(keys.deks(members)) == set(kept)

    def test_a_month_leaves_the_files(self, keys, tmp_path):
        keys.held_month_key("2029-05")
        with keys.engine.begin() as connection:
            wrapped = connection.exec_driver_sql("SELECT wrapped FROM held_month_key").scalar_one()
        assert any(wrapped in path.read_bytes() for path in tmp_path.glob("keys.db*"))
        keys.destroy_held_month("2029-05")
        keys.purge()
        assert not any(wrapped in path.read_bytes() for path in tmp_path.glob("keys.db*"))

    def test_a_reader_in_the_way_is_reported(self, keys, tmp_path):
        keys.mint(ids(10))
        reader = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM member_key").fetchone()
        keys.mint(ids(10))
        impatient = open_engine(tmp_path / "keys.db")
        with impatient.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=50")
        blocked = KeyStore(impatient, root=None, clock=FixedClock(keys._clock.now()))
        try:
            assert code_of(Conflict, blocked.purge) == "PURGE_INCOMPLETE"
        finally:
            reader.execute("ROLLBACK")
            reader.close()
        blocked.purge()
        impatient.dispose()
        keys.purge()


def test_threads_share_one_store(keys, root, clock):
    store = again(keys, root, clock)
    members = ids(200)
    index = BlindIndex(store.system_key("index:phone"))

    def work(turn):
        order = members[turn * 20 :] + members[: turn * 20]
        minted = dict(zip(order, store.mint(order), strict=True))
        assert store.deks(order) == minted
        return minted, [index.digest(one) for one in members], store.held_month_key("2029-05")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(result == results[0] for result in results)


def test_nothing_of_it_prints(keys):
    assert repr(keys) == "<KeyStore>"
    assert "wrap" not in repr(keys._epochs)
