"""Before the erasure horizon an old backup opens an erased member, shown; after it none does, with any key there is."""

import json
import sqlite3
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr

from common.ask import ask
from common.shell import command_line
from common.world import World, people
from pdms.bootstrap import backups
from pdms.crypto import ARGON2_TESTS_ONLY, create_root, new_root_text, open_root
from pdms.crypto.file_root import FileRoots
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, KeyUnavailable
from pdms.keystore import KeyStore
from pdms.keystore import rotation as keys_rotation
from pdms.reports import evidence
from pdms.rights import service as rights
from pdms.rotation import epochs
from pdms.rotation import service as rotation
from pdms.settings import Home
from pdms.vault import service as vault
from pdms.vault.sealing import SealedMember, open_member

NUMBER = "H00003"
"""Who asks for erasure."""


@pytest.fixture
def world(tmp_path, database):
    made = World.make(tmp_path, file_root=True, database=database)
    members = people(12)
    assert made.ingest("shop-members", members).rejected == 0
    yield made
    made.close()


class Hands:
    """The command line as one role or another."""

    def __init__(self, world):
        self.world = world

    def run(self, role, *words, typed=""):
        return command_line(self.world.app.home.root, self.world.tokens[role], "--json", *words, typed=typed)

    def ok(self, role, *words, typed=""):
        answer = self.run(role, *words, typed=typed)
        assert answer.code == 0, answer.text
        return answer


@contextmanager
def copied(world, folder, database, request):
    """A thief's copy of data and key store: of the files while they are in use, or of the whole database."""
    folder.mkdir()
    if database is not None:
        world.app.close()  # it connects again by itself; nobody has the database open while it is copied
        with request.getfixturevalue("postgres_server").copied(database) as url:
            yield Databases(Home(folder), url)
        return
    for name in ("vault.db", "keys.db"):
        with closing(sqlite3.connect(world.app.home.root / name)) as source:
            source.execute(f"VACUUM INTO '{folder / name}'")
    yield Databases(Home(folder))


def opened_with(stolen, root, world, member):
    """Every value of a member in a copy, opened with one root."""
    engine = stolen.open(Part.KEYS)
    try:
        keys = KeyStore(engine, root=root, clock=world.clock)
        dek = keys.deks([member])[member]
        (row,) = ask(
            stolen.home.root, "vault",
            "SELECT s.key_version, s.write_seq, s.sealed FROM sealed_member s JOIN member m ON m.row_no = s.row_no"
            " WHERE m.member_id = ?", (member,), url=stolen.url,
        )  # fmt: skip
        return set(open_member(dek, SealedMember(member, *row)).values())
    finally:
        engine.dispose()


@pytest.fixture
def stolen(world, tmp_path, database, request):
    """What a thief copied before the erasure."""
    with copied(world, tmp_path / "stolen", database, request) as found:
        yield found


def test_no_key_that_exists_opens_the_erased_member_in_an_old_backup(world, stolen, tmp_path, database, request):
    member, shell = world.id_of(NUMBER), Hands(world)
    person = next(one for one in people(12) if one["会员编号"] == NUMBER)
    sealed = tmp_path / "backup.sealed"
    backups.create(world.app, world.actor("admin"), path=sealed, progress=lambda _: None)
    words = (tmp_path / "home.root" / "passphrase").read_bytes().strip()
    first = world.app.keys.root.uri

    shell.ok("support", "member", "erase", f"shop:{NUMBER}", typed=person["手机号"] + "\n")
    with world.unit() as uow:
        [erasure] = [one for one in rights.list_requests(uow) if one.receipt]
        document = json.loads(erasure.receipt)["document"]
    assert document["backup_horizon"]["kind"] == "planned"
    assert "planned: 2027-06-05, when the root of epoch 1 is to be destroyed" in document["gone"]["backups"]

    # Before the horizon: the copy opens, and so does the sealed backup.
    assert person["手机号"] in " ".join(opened_with(stolen, open_root(first, passphrase=words), world, member))
    assert backups.verify(world.app, world.actor("admin"), path=sealed).files
    assert [one["horizon"] for one in shell.ok("compliance", "keys", "horizon").json] == ["planned"]

    # The command line rotates and destroys; only when it is confirmed, and only when nothing hangs on it.
    assert shell.run("admin", "keys", "destroy", "1", "--yes").code == 6
    planned = shell.ok("admin", "keys", "rotate", "epoch", "--dry-run").json
    assert (planned["epoch"], planned["begins"], planned["members"]) == (2, True, 11)
    done = shell.ok("admin", "keys", "rotate", "epoch").json
    assert (done["epoch"], done["members"], done["to_destroy"]) == (2, 11, [1])
    assert shell.run("admin", "keys", "destroy", "1").code == 2
    assert shell.run("compliance", "keys", "destroy", "1", "--yes").code == 4
    ended = shell.ok("admin", "keys", "destroy", "1", "--yes").json
    assert (ended["horizon"], ended["purged"]) == (True, True)
    assert shell.run("admin", "keys", "destroy", "1", "--yes").code == 6

    # After it: with every root that still exists, neither copy nor backup opens.
    assert [one["horizon"] for one in shell.ok("compliance", "keys", "horizon").json] == ["reached", "planned"]
    roots = [path for path in (tmp_path / "home.root").iterdir() if path.suffix == ".json"]
    assert len(roots) == 1
    for path in roots:
        root = open_root(f"file:{path}", passphrase=words)
        with pytest.raises(KeyUnavailable) as caught:
            opened_with(stolen, root, world, member)
        assert caught.value.code == "WRONG_ROOT"
        [(wrapped,)] = ask(stolen.home.root, "keys", "SELECT wrapped FROM epoch", url=stolen.url)
        for context in (b"epoch\0\0\0\1", b"epoch\0\0\0\2"):
            with pytest.raises(KeyUnavailable):
                root.unwrap(wrapped, context=context)
    settings = world.app.settings.model_copy(update={"token": SecretStr(world.tokens["admin"])})
    if database is not None:
        spare = request.getfixturevalue("postgres_server").bare_for_good()
        settings = settings.model_copy(update={"database_url": SecretStr(spare)})
    with pytest.raises(KeyUnavailable) as caught:
        backups.restore(
            settings, path=sealed, to=tmp_path / "again", clock=world.clock, ledger_path=world.app.home.rights_ledger
        )
    assert caught.value.code == "ROOT_MISSING"
    # Those who stayed are all there, in this process (which has seen nothing of the rotation) and in a new one.
    assert world.run("support", lambda uow: len(list(uow.keys.member_ids()))) == 11
    assert world.run("support", masked_phone, "H00004")
    assert shell.ok("support", "member", "show", "shop:H00004").json


def masked_phone(uow, number):
    member = vault.find_external(uow, system="shop", external_id=number)
    return vault.masked(uow, member)["phone"]


def test_what_is_done_is_in_the_log_before_and_after(world):
    units = world.app.units(world.actor("admin"))
    rotation.rotate_epoch(units)
    rotation.destroy_epoch(units, epoch=1)
    world.app.sequence()
    with world.unit() as uow:
        events = evidence.list_events(uow, kinds=(), limit=1000).items
    told = [(e.kind, e.outcome) for e in events if e.kind.startswith("key.")]
    kinds = [kind for kind, _ in told]
    assert kinds.count("key.epoch_created") == 3  # by init, about to begin, begun
    assert kinds.count("key.rotated") >= 1
    assert [outcome for kind, outcome in told if kind == "key.epoch_destroyed"] in (
        ["intended", "done"], ["done", "intended"],
    )  # fmt: skip


def test_a_copied_secret_has_no_horizon_and_it_is_said(tmp_path, monkeypatch):
    world = World.make(tmp_path)
    try:
        world.ingest("shop-members", people(3))
        shell = Hands(world)
        [only] = shell.ok("compliance", "keys", "horizon").json
        assert (only["horizon"], only["date"]) == ("none", None)
        assert only["said"].startswith("none: copies of the root of epoch 1 cannot be known")
        assert shell.ok("compliance", "keys", "show").json["erasure_horizon"].startswith("none")
        units = world.app.units(world.actor("admin"))
        monkeypatch.setenv("PDMS_SECOND_ROOT", new_root_text())
        with pytest.raises(Exception, match="name the new root"):
            rotation.rotate_epoch(units)
        assert rotation.rotate_epoch(units, root_uri="env:PDMS_SECOND_ROOT").members == 3
        ended = rotation.destroy_epoch(units, epoch=1)
        assert not ended.horizon
        with world.unit() as uow:
            assert [one.horizon.value for one in rotation.horizons(uow)] == ["none", "none"]
    finally:
        world.close()


def test_a_rotation_cut_off_goes_on_and_the_sweep_finishes_it(world, tmp_path):
    units = world.app.units(world.actor("admin"))
    calls = []

    def cut(done, total):
        calls.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.rotate_epoch(units, batch=5, progress=cut)
    with pytest.raises(Conflict) as caught:
        rotation.rotate_epoch(units, root_uri=f"file:{tmp_path}/other.json")
    assert caught.value.code == "ROTATION_RUNNING"
    with world.unit("admin") as uow:
        plan = rotation.plan_epoch(uow)
    assert (plan.epoch, plan.begins, plan.members) == (2, False, 7)
    rights.sweep(world.app.units(world.actor("compliance")))
    with world.unit("admin") as uow:
        assert rotation.plan_epoch(uow).begins
    assert rotation.destroy_epoch(units, epoch=1).horizon
    assert len(calls) == 1


def test_an_end_that_was_cut_off_is_finished_by_the_sweep(world, monkeypatch):
    units = world.app.units(world.actor("admin"))
    rotation.rotate_epoch(units)

    def cut(*_arguments, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keys_rotation, "end_epoch", cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.destroy_epoch(units, epoch=1)  # the root is gone, the epoch's row does not know
    rights.sweep(world.app.units(world.actor("compliance")))
    rights.sweep(world.app.units(world.actor("compliance")))
    with world.unit("compliance") as uow:
        assert [one.destroyed_at is not None for one in rotation.horizons(uow)] == [True, False]
        assert [one.horizon.value for one in rotation.horizons(uow)] == ["reached", "planned"]
    world.app.sequence()
    with world.unit() as uow:
        ended = evidence.list_events(uow, kinds=["key.epoch_destroyed"], limit=10).items
        assert sorted(str(one.outcome) for one in ended) == ["done", "intended"]
        assert evidence.verify(uow).problems == ()


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("cut_before", ["create", "begin", "rewrap_some", "_end_walk"])
def test_a_rotation_cut_off_anywhere_goes_on_by_the_same_command(world, tmp_path, named, cut_before, monkeypatch):
    units = world.app.units(world.actor("admin"))
    uri = f"file:{tmp_path}/other/second.json" if named else None

    def cut(*_arguments, **_named):
        raise KeyboardInterrupt

    place = {"create": FileRoots, "_end_walk": epochs}.get(cut_before, keys_rotation)
    with monkeypatch.context() as patch:
        patch.setattr(place, cut_before, cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate_epoch(units, root_uri=uri)
    roots = sorted(tmp_path.glob("*/*.json"))
    done = rotation.rotate_epoch(units, root_uri=uri)
    assert (done.epoch, done.to_destroy) == (2, (1,))
    assert done.members == (0 if cut_before == "_end_walk" else 12)
    if cut_before != "create":
        assert sorted(tmp_path.glob("*/*.json")) == roots  # none was made for nothing
    assert rotation.destroy_epoch(units, epoch=1).horizon
    assert world.run("support", masked_phone, "H00004")
    assert rotation.rotate_epoch(units).epoch == 3  # asked anew


def test_a_root_that_is_there_already_is_never_taken_for_one_of_ours(world, tmp_path):
    units = world.app.units(world.actor("admin"))
    uri = f"file:{tmp_path}/other/second.json"
    words = (tmp_path / "home.root" / "passphrase").read_bytes().strip()
    create_root(uri, passphrase=words, cost=ARGON2_TESTS_ONLY)  # of another home
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            rotation.rotate_epoch(units, root_uri=uri)
        assert caught.value.code == "ROOT_EXISTS"
    with world.unit("admin") as uow:
        assert rotation.plan_epoch(uow).begins
    assert rotation.rotate_epoch(units).epoch == 2
