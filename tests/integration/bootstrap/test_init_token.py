"""A home whose root lies in a token: made, opened again, opened by nobody without PIN or token."""

import os

import pytest

from common.softhsm import PIN, make_token
from common.world import NOW, POLICIES
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import destroy_root
from pdms.errors import KeyUnavailable
from pdms.settings import Settings


def test_a_home_under_a_token(tmp_path, canary):
    label = f"home-{os.getpid()}"
    module = make_token(label)
    uri = f"pkcs11:token={label};object=epoch-1?module-path={module}"
    settings = Settings(home=tmp_path / "home", policies=POLICIES, root_key=uri, passphrase=PIN)
    assert initialise(settings, clock=FixedClock(NOW)).root_uri == uri
    assert not initialise(settings, clock=FixedClock(NOW)).created
    with App.open(settings, clock=FixedClock(NOW)) as app:
        assert app.root_uri == uri
        assert app.keys.signer("log").public_key
    assert canary.search(tmp_path / "home", [PIN]) == []
    destroy_root(uri)
    with pytest.raises(KeyUnavailable) as caught:
        App.open(settings, clock=FixedClock(NOW))
    assert caught.value.code == "ROOT_MISSING"


def test_epochs_move_into_a_token_and_on_within_it(tmp_path, monkeypatch):
    from common.world import World, people
    from pdms.rotation import service as rotation

    label = f"epochs-{os.getpid()}"
    module = make_token(label)
    monkeypatch.setenv("PIN_OF_TEST", PIN)
    world = World.make(tmp_path, file_root=True)
    assert world.ingest("shop-members", people(5)).rejected == 0
    units = world.app.units(world.actor("admin"))
    uri = f"pkcs11:token={label};object=epoch-2?module-path={module}&pin-source=env:PIN_OF_TEST"
    assert rotation.rotate_epoch(units, root_uri=uri).root == uri
    assert rotation.destroy_epoch(units, epoch=1).horizon
    third = rotation.rotate_epoch(units)
    assert third.root.startswith(f"pkcs11:token={label};object=epoch-3-")
    assert third.root.endswith("&pin-source=env:PIN_OF_TEST")
    assert rotation.destroy_epoch(units, epoch=2).horizon
    with App.open(world.app.settings, clock=world.clock) as app:
        assert len(app.keys.deks(list(app.keys.member_ids()))) == 5
        assert PIN not in app.root_uri
    with pytest.raises(KeyUnavailable) as caught:
        destroy_root(uri)
    assert caught.value.code == "ROOT_MISSING"
    world.close()


def test_a_home_of_the_other_suite(tmp_path):
    from common.world import ROOT_VARIABLE
    from pdms.crypto import new_root_text
    from pdms.errors import InvalidInput

    os.environ.setdefault(ROOT_VARIABLE, new_root_text())
    settings = Settings(home=tmp_path / "home", policies=POLICIES, root_key=f"env:{ROOT_VARIABLE}", suite="sm4-gcm")
    initialise(settings, clock=FixedClock(NOW))
    with App.open(settings, clock=FixedClock(NOW)) as app:
        assert app.keys.suite.name == "sm4-gcm"
        assert [len(one) for one in app.keys.mint([bytes(16)])] == [16]
    wrong = settings.model_copy(update={"home": tmp_path / "other", "suite": "rot13"})
    with pytest.raises(InvalidInput):
        initialise(wrong, clock=FixedClock(NOW))
