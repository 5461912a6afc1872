"""A commit that fails lets go of every database and keeps nothing."""

import pytest
from sqlmodel import text

from common.world import World
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind


def test_a_commit_that_fails_rolls_everything_back_and_holds_no_lock(world: World, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(audit, "append", fail)
        uow = world.app.unit(world.actor("compliance"))
        with pytest.raises(RuntimeError), uow:  # noqa: PT012 - the commit is what fails
            uow.lock_anon_first()
            uow.session.exec(text("UPDATE operator SET role = 'nobody'"))  # type: ignore[call-overload]
            uow.held.connection()

            uow.record(EventKind.REPORT_READ, refs={"report": "consent"})
    assert (uow._main, uow._held, uow._anon) == (None, None, None)
    assert world.actor("support").role == "support"
