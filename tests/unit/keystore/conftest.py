"""A key store on a file, under a root that costs nothing."""

from datetime import UTC, datetime

import pytest

from pdms.clock import FixedClock
from pdms.crypto import ARGON2_TESTS_ONLY, create_root
from pdms.db import open_engine
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres
from pdms.keystore import KeyStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def root(tmp_path):
    uri = f"file:{tmp_path}/roots/epoch-1.json"
    return create_root(uri, passphrase=b"correct horse battery staple", cost=ARGON2_TESTS_ONLY)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        engine = open_engine(tmp_path / "keys.db")
    else:
        engine = open_postgres(request.getfixturevalue("postgres"), schema=Part.KEYS.schema)
    yield engine
    engine.dispose()


@pytest.fixture
def keys(engine, root, clock):
    store = KeyStore(engine, root=root, clock=clock)
    store.initialise()
    return store
