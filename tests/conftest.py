"""Fixtures that every test may use."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from common.postgres import Server
    from common.world import World


@pytest.fixture(scope="session")
def postgres_server() -> Iterator["Server"]:
    """A real PostgreSQL, one for each test process; it starts in two seconds when the first test asks for it."""
    from common.postgres import Server

    server = Server()
    yield server
    server.close()


@pytest.fixture
def postgres(postgres_server: "Server") -> Iterator[str]:
    """Connection string of a PostgreSQL database with empty schemas and tables; leave the tables as they are."""
    with postgres_server.recycled() as url:
        yield url


@pytest.fixture
def database() -> str | None:
    """Where homes keep their databases: None is files. Parametrised over both in tests/integration."""
    return None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; they live beside the repository and are not part of it."""
    folder = Path(os.environ.get("PDMS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data sets are not at {folder} (set PDMS_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def canary() -> ModuleType:
    """The canary search of `scripts/canary.py`, as a module."""
    path = Path(__file__).resolve().parents[1] / "scripts" / "canary.py"
    spec = importlib.util.spec_from_file_location("canary", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["canary"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(tmp_path: Path, database: str | None) -> Iterator["World"]:
    """An empty home with one operator in each role."""
    from common.world import World

    made = World.make(tmp_path, database=database)
    yield made
    made.close()
