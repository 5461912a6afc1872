"""The end of an epoch: claimed of a root that was seen and destroyed, never of one that is merely out of reach."""

import os
from pathlib import Path

import pytest

from pdms.crypto.file_root import FileRoots
from pdms.errors import KeyUnavailable
from pdms.keystore import KeyStore, live_epochs, rotation


@pytest.fixture
def store(engine, root, clock, roots, tmp_path):
    """A key store in its second epoch; the root of the first lies on another medium than that of the second."""
    made = KeyStore(engine, root=root, clock=clock, roots=roots)
    made.initialise()
    made.mint([os.urandom(16) for _ in range(5)])
    rotation.begin(made, root=roots.create(f"file:{tmp_path}/other/epoch-2.json"), now=clock.now())
    rotation.rewrap_some(made)
    return made


@pytest.fixture
def medium(root):
    return Path(root.uri.removeprefix("file:")).parent


def refused(store, now):
    with pytest.raises(KeyUnavailable) as caught:
        rotation.end(store, 1, now=now)
    assert [one.id for one in live_epochs(store.engine)] == [1, 2]
    return caught.value


@pytest.mark.parametrize("place_stays", [True, False])
def test_a_medium_that_is_not_mounted_is_no_destroyed_root(store, clock, medium, place_stays):
    medium.rename(medium.with_name("drawer"))
    if place_stays:  # an empty mount point
        medium.mkdir()
    error = refused(store, clock.now())
    assert error.code == "ROOT_UNREACHABLE"
    assert "mount" in str(error)
    if place_stays:
        medium.rmdir()
    medium.with_name("drawer").rename(medium)
    assert rotation.end(store, 1, now=clock.now())
    assert [one.suffix for one in medium.iterdir()] == [".destroyed"]


def test_unmounted_after_the_end_was_begun_it_is_still_not_claimed(store, clock, medium, monkeypatch):
    def cut(_self, _uri):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FileRoots, "destroy", cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.end(store, 1, now=clock.now())
    medium.rename(medium.with_name("drawer"))
    medium.mkdir()
    assert refused(store, clock.now()).code == "ROOT_UNREACHABLE"
    medium.rmdir()
    medium.with_name("drawer").rename(medium)
    assert rotation.end(store, 1, now=clock.now())


@pytest.mark.parametrize("cut_at", ["Path.touch", "Path.unlink", "end_epoch"])
def test_cut_off_at_any_step_the_next_run_ends_it(store, clock, medium, cut_at, monkeypatch):
    def cut(*_arguments, **_named):
        raise KeyboardInterrupt

    place = {"end_epoch": (rotation, "end_epoch")}.get(cut_at, (Path, cut_at.rpartition(".")[2]))
    with monkeypatch.context() as patch:
        patch.setattr(*place, cut)
        with pytest.raises(KeyboardInterrupt):
            rotation.end(store, 1, now=clock.now())
    assert [one.id for one in live_epochs(store.engine)] == [1, 2]
    assert rotation.end(store, 1, now=clock.now())
    assert [one.id for one in live_epochs(store.engine)] == [2]
    assert [one.suffix for one in medium.iterdir()] == [".destroyed"]


def test_what_a_key_store_of_before_the_note_left_is_not_claimed(store, clock, root, roots):
    roots.destroy(root.uri)  # by hand, before the command: nothing is noted
    assert refused(store, clock.now()).code == "ROOT_UNREACHABLE"
