"""A home made from a backup beside the living one: the roots that both hang on are not destroyed from the copy."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from common.shell import command_line
from common.world import World, people
from pdms.bootstrap import backups
from pdms.bootstrap.app import App
from pdms.errors import Conflict, KeyUnavailable
from pdms.keystore.epochs import begin_end
from pdms.keystore.walks import begin_walk, walk_of
from pdms.rotation import epochs
from pdms.rotation import service as rotation


def opens(world: World) -> bool:
    """Whether the home, opened anew, still opens a member."""
    world.app.close()
    world.app = App.open(world.app.settings, clock=world.clock)
    with world.app.unit(world.actor("admin")) as uow:
        return bool(uow.keys.deks([world.id_of("H00001")]))


def copy_of(world: World, folder: Path) -> App:
    """A drill: a backup restored beside the home that lives."""
    settings = world.app.settings.model_copy(update={"token": SecretStr(world.tokens["admin"])})
    path = folder.with_suffix(".sealed")
    backups.create(world.app, world.actor("admin"), path=path, progress=lambda _: None)
    backups.restore(settings, path=path, to=folder, clock=world.clock)
    return App.open(settings.model_copy(update={"home": folder}), clock=world.clock)


@pytest.fixture
def world(tmp_path):
    made = World.make(tmp_path, file_root=True)
    assert made.ingest("shop-members", people(3)).rejected == 0
    yield made
    made.close()


def test_the_copy_cannot_destroy_the_root_of_the_home_that_lives(world, tmp_path):
    with copy_of(world, tmp_path / "drill") as drill:
        units = drill.units(drill.authenticate(world.tokens["admin"]))
        assert rotation.rotate_epoch(units).to_destroy == (1,)
        with pytest.raises(Conflict) as caught:
            rotation.destroy_epoch(units, epoch=1)
        assert caught.value.code == "ROOT_SHARED"
        refused = command_line(drill.home.root, world.tokens["admin"], "--json", "keys", "destroy", "1", "--yes")
        assert (refused.code, "ROOT_SHARED" in refused.text) == (6, True)
    assert opens(world)


def test_once_the_other_home_is_gone_the_copy_ends_the_root(world, tmp_path):
    with copy_of(world, tmp_path / "drill") as drill:
        units = drill.units(drill.authenticate(world.tokens["admin"]))
        rotation.rotate_epoch(units)
        assert rotation.destroy_epoch(units, epoch=1, other_home_gone=True).horizon
        rotation.rotate_epoch(units)
        assert rotation.destroy_epoch(units, epoch=2).horizon  # a root of its own
    with pytest.raises(KeyUnavailable):
        opens(world)


def test_an_end_and_a_new_root_that_the_backup_caught_under_way_are_left_to_the_home_that_lives(world, tmp_path):
    units, store = world.app.units(world.actor("admin")), world.app.keys
    second = rotation.rotate_epoch(units).root
    coming = second.replace("epoch-2", "epoch-3")
    with store.engine.begin() as connection:
        begin_end(connection, 1, now=world.clock.now())
        begin_walk(connection, epochs.EPOCH, now=world.clock.now(), target=coming)
    first = world.app.home.root.with_suffix(".root") / "epoch-1.json"
    with copy_of(world, tmp_path / "drill") as drill:
        assert first.is_file()  # the restore's own sweep would have destroyed it
        assert walk_of(drill.keys.engine, epochs.EPOCH) is None
        assert rotation.rotate_epoch(drill.units(drill.authenticate(world.tokens["admin"]))).root != coming
    assert opens(world)
