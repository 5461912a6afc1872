"""`pdms init` cut off where it hurts: the next run finishes it, under the same name, with one beginning of the log."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.world import POLICIES
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap import initialise as module
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.errors import Unauthenticated
from pdms.settings import Settings
from pdms.unit_of_work import Actor

CLOCK = FixedClock(datetime(2026, 11, 2, 1, tzinfo=UTC))


class Cut(Exception):
    """The process dies here."""


def test_cut_off_before_its_last_step_it_is_finished_under_the_same_name(tmp_path: Path, monkeypatch) -> None:
    settings = Settings(home=tmp_path / "home", policies=POLICIES)
    issued: list[str] = []
    real = module.access.create_operator

    def create(*args: object, **more: object):
        issued.append((made := real(*args, **more)).text)  # type: ignore[arg-type]
        return made

    def die(*_: object, **__: object) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(module.access, "create_operator", create)
        patched.setattr(module, "publish_config", die)
        with pytest.raises(Cut):
            initialise(settings, clock=CLOCK)
    done = initialise(settings, clock=CLOCK)
    assert done.created
    assert done.first_key is not None
    with App.open(settings, clock=CLOCK) as app:
        assert app.authenticate(done.first_key.text).role == "admin"
        with pytest.raises(Unauthenticated):  # nobody was shown it, nobody shall use it
            app.authenticate(issued[0])
        app.sequence()
        with app.unit(Actor.system()) as uow:
            begun = audit.list_events(uow.session, kinds=[EventKind.INIT], limit=10).items
            signed = audit.checkpoint(uow.session)
        assert len(begun) == 1
        assert signed is not None
        assert signed.checkpoint.origin == app.origin


def test_an_empty_passphrase_file_of_a_run_that_was_cut_off_is_not_taken_for_a_passphrase(tmp_path: Path) -> None:
    (tmp_path / "home.root").mkdir(mode=0o700)
    (tmp_path / "home.root" / "passphrase").touch(mode=0o600)
    settings = Settings(home=tmp_path / "home", policies=POLICIES)
    done = initialise(settings, clock=CLOCK)
    assert done.passphrase_file is not None
    assert len(done.passphrase_file.read_text().strip()) >= 16
    App.open(settings, clock=CLOCK).close()
