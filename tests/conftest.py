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
    from common.world import World


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
def world(tmp_path: Path) -> Iterator["World"]:
    """An empty home with one operator in each role."""
    from common.world import World

    made = World.make(tmp_path)
    yield made
    made.close()
