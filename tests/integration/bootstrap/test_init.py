"""`pdms init`: makes a home once, says where things lie, finishes what was begun, and keeps the root outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.world import POLICIES
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import new_root_text
from pdms.errors import InvalidInput, KeyUnavailable, NotFound, Unauthenticated
from pdms.settings import Settings

CLOCK = FixedClock(datetime(2026, 11, 2, 1, tzinfo=UTC))


def settings(folder: Path, **more: object) -> Settings:
    return Settings(home=folder / "home", policies=POLICIES, **more)


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Where the databases go, as the environment says: files, or a PostgreSQL database with nothing in it."""
    if request.param == "sqlite":
        yield dict(os.environ)
        return
    with request.getfixturevalue("postgres_server").bare() as url:
        monkeypatch.setenv("PDMS_DATABASE_URL", url)
        yield dict(os.environ)


def state(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.usefixtures("environment")
def test_asking_twice_changes_nothing(tmp_path: Path) -> None:
    first = initialise(settings(tmp_path), clock=CLOCK)
    assert first.created
    assert first.first_key is not None
    before = state(tmp_path)
    second = initialise(settings(tmp_path), clock=CLOCK)
    assert (second.created, second.first_key) == (False, None)
    assert state(tmp_path) == before


def test_the_first_key_opens_and_is_stored_nowhere(tmp_path: Path, canary) -> None:
    made = initialise(settings(tmp_path), clock=CLOCK)
    assert made.first_key is not None
    assert made.first_key.text not in repr(made)
    secret = made.first_key.text.split("_", 3)[3]  # the secret itself may hold a _
    assert canary.search(tmp_path, [secret]) == []
    with App.open(settings(tmp_path), clock=CLOCK) as app:
        assert app.authenticate(made.first_key.text).role == "admin"
        for wrong in (None, "", "nonsense", made.first_key.text[:-1], made.first_key.text[:-1] + "A" * 2):
            with pytest.raises(Unauthenticated):
                app.authenticate(wrong)


def test_the_root_lies_outside_the_home_and_the_home_alone_opens_nothing(tmp_path: Path) -> None:
    made = initialise(settings(tmp_path), clock=CLOCK)
    root = Path(made.root_uri.removeprefix("file:"))
    assert not root.is_relative_to(made.home)
    assert root.stat().st_mode & 0o077 == 0
    assert made.passphrase_file is not None
    assert made.passphrase_file.stat().st_mode & 0o077 == 0
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(KeyUnavailable):
        App.open(settings(tmp_path), clock=CLOCK)


def test_a_given_passphrase_is_written_nowhere_and_needed(tmp_path: Path, canary) -> None:
    phrase = "correct horse battery staple 7431"
    made = initialise(settings(tmp_path, passphrase=phrase), clock=CLOCK)
    assert made.passphrase_file is None
    assert canary.search(tmp_path, [phrase]) == []
    App.open(settings(tmp_path, passphrase=phrase), clock=CLOCK).close()
    with pytest.raises(KeyUnavailable):
        App.open(settings(tmp_path, passphrase="wrong horse battery staple"), clock=CLOCK)
    with pytest.raises(KeyUnavailable):
        App.open(settings(tmp_path), clock=CLOCK)


def test_an_environment_root_needs_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((KeyUnavailable, InvalidInput)):
        initialise(settings(tmp_path, root_key="env:PDMS_NO_SUCH_ROOT"), clock=CLOCK)
    monkeypatch.setenv("PDMS_SOME_ROOT", new_root_text())
    initialise(settings(tmp_path, root_key="env:PDMS_SOME_ROOT"), clock=CLOCK)
    App.open(settings(tmp_path), clock=CLOCK).close()
    monkeypatch.setenv("PDMS_SOME_ROOT", new_root_text())
    with pytest.raises(KeyUnavailable):
        App.open(settings(tmp_path), clock=CLOCK)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput):
        initialise(settings(tmp_path), clock=CLOCK)
    assert [p.name for p in (tmp_path / "home").iterdir() if not p.name.startswith(".")] == ["thesis.txt"]


def test_policies_that_do_not_load_make_no_home(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "policy.yaml").write_text("version: 1\nsurprise: yes\n")
    with pytest.raises(InvalidInput):
        initialise(Settings(home=tmp_path / "home", policies=tmp_path / "bad"), clock=CLOCK)
    with pytest.raises(NotFound):
        App.open(settings(tmp_path), clock=CLOCK)


KILLED = """
import os, signal, sys, threading, time
sys.path.insert(0, {tests!r})
from pdms.bootstrap.initialise import initialise
from pdms.clock import SystemClock
from pdms.settings import Settings
threading.Timer({after}, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
initialise(Settings(home={home!r}, policies={policies!r}), clock=SystemClock())
time.sleep(5)
"""


@pytest.mark.parametrize("after", [0.05, 0.3, 0.6, 0.9, 1.3])
def test_killed_and_asked_again_it_is_finished(tmp_path: Path, after: float, environment: dict[str, str]) -> None:
    script = KILLED.format(
        tests=str(Path(__file__).parents[2]), after=after, home=str(tmp_path / "home"), policies=str(POLICIES)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    finished = initialise(settings(tmp_path), clock=CLOCK)
    with App.open(settings(tmp_path), clock=CLOCK) as app:
        if finished.first_key is not None:  # the killed run had not shown one
            assert app.authenticate(finished.first_key.text).role == "admin"
    assert initialise(settings(tmp_path), clock=CLOCK).created is False


def test_two_at_once_make_one_home(tmp_path: Path, environment: dict[str, str]) -> None:
    script = KILLED.format(tests="", after=60, home=str(tmp_path / "home"), policies=str(POLICIES)).replace(
        "time.sleep(5)", "os._exit(0)"
    )
    running = [subprocess.Popen([sys.executable, "-c", script], env=environment) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    App.open(settings(tmp_path), clock=CLOCK).close()
