"""Publishing killed without warning before each effect on disk: run again, it ends as if nothing had happened."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import select

from common import publishing_world as world_of
from pdms.clock import FixedClock
from pdms.publish import service as publish
from pdms.publish.tables import Publication
from pdms.settings import Home
from pdms.taxonomy import ReleaseState
from pdms.views import service as views
from pdms.views import store

VIEW = "member_lifecycle"
KILLED = -9
EFFECTS = 16
"""More than an undisturbed run has; the last ones of the list are runs that end by themselves."""


@pytest.fixture(scope="module")
def populated(tmp_path_factory) -> Path:
    """A home with members and one release already published, so that the next one has something to withdraw."""
    root = tmp_path_factory.mktemp("populated") / "home"
    world = world_of.World(Home(root), FixedClock(world_of.NOW))
    world.populate(800)
    publish.publish(lambda: world.unit(world_of.OFFICER), view=VIEW)
    world.close()
    return root


def run(root: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", world_of.__name__, str(root), VIEW, *arguments]
    found = {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, check=False, capture_output=True, timeout=120, env=os.environ | found).returncode


def check(root: Path) -> str:
    """Check that the home holds one live release and nothing half-done; return the digest of its rows."""
    world = world_of.World(Home(root), FixedClock(world_of.NOW))
    try:
        with world.unit() as uow:
            uow.lock_anon_first()
            states = {row.release_id: row.state for row in uow.session.exec(select(Publication))}
            releases = {one.release_id: one for one in views.list_releases(uow)}
            live = [one for one in releases.values() if one.state is ReleaseState.LIVE]
            rows = views.read(uow, view=VIEW)
        assert publish.PublicationState.INTENT not in states.values()
        assert {k for k, v in states.items() if v == publish.PublicationState.PUBLISHED} == set(releases)
        assert [one.release_id for one in live] == [rows.info.release_id]
        folder = world.home.releases / VIEW
        assert {path.name for path in folder.iterdir() if path.name != ".lock"} == set(releases)
        with_rows = {path.parent.name for path in folder.rglob(store.DATA)}
        assert with_rows == {rows.info.release_id}
        return rows.info.data_sha256
    finally:
        world.close()


def points():
    few = {4, 11}
    return [pytest.param(n, marks=[] if n in few else [pytest.mark.slow]) for n in range(1, EFFECTS)]


@pytest.mark.parametrize("effect", points())
def test_a_killed_publication_leaves_nothing_that_the_next_does_not_mend(populated, tmp_path, effect):
    root = tmp_path / "home"
    shutil.copytree(populated, root)
    before = check(root)
    first = run(root, "--kill-at", str(effect))
    assert first in (KILLED, 0)
    assert run(root) == 0
    assert check(root) == before


@pytest.mark.parametrize("effect", [6])
def test_a_sweep_alone_closes_what_was_killed(populated, tmp_path, effect):
    root = tmp_path / "home"
    shutil.copytree(populated, root)
    before = check(root)
    assert run(root, "--kill-at", str(effect)) == KILLED
    world = world_of.World(Home(root), FixedClock(world_of.NOW))
    publish.close_open_intents(world.unit)
    assert publish.close_open_intents(world.unit) == publish.Closed(abandoned=(), completed=())
    world.close()
    assert check(root) == before
