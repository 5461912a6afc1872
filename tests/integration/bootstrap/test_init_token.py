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
