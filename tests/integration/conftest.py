"""Every integration test runs on both databases: in files (SQLite), and on a real PostgreSQL."""

from collections.abc import Iterator

import pytest


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Where homes keep their databases: None is files, else a connection string of a fresh PostgreSQL database."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def lasting_database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The same for a home that all tests of a module share."""
    if request.param == "sqlite":
        yield None
        return
    with request.getfixturevalue("postgres_server").fresh() as url:
        yield url
