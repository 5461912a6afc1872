"""A key store on a file, under a root that costs nothing."""

from datetime import UTC, datetime

import pytest

from pdms.clock import FixedClock
from pdms.crypto import ARGON2_TESTS_ONLY, RootsOf, create_root
from pdms.db import open_engine
from pdms.db.parts import Part
from pdms.db.postgres import open_postgres
from pdms.keystore import KeyStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = b"correct horse battery staple"


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def root(tmp_path):
    uri = f"file:{tmp_path}/roots/epoch-1.json"
    return create_root(uri, passphrase=WORDS, cost=ARGON2_TESTS_ONLY)


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


@pytest.fixture
def roots():
    return RootsOf(WORDS, cost=ARGON2_TESTS_ONLY)


@pytest.fixture
def roots_elsewhere():
    """The same roots as another process opens them."""
    return RootsOf(WORDS, cost=ARGON2_TESTS_ONLY)


@pytest.fixture
def next_uri(tmp_path):
    return f"file:{tmp_path}/roots/epoch-2.json"


@pytest.fixture
def store(engine, root, clock, roots):
    """A key store that may open and make further roots."""
    made = KeyStore(engine, root=root, clock=clock, roots=roots)
    made.initialise()
    return made
