"""Releases of one family between two commits: a copy that is taken while a release is replaced, an outcome that only
the identified side knows, and a restore of what was read since."""

import threading
from dataclasses import replace
from types import MappingProxyType

import pytest
from sqlmodel import select

from common import publishing_world as world_of
from pdms.clock import FixedClock
from pdms.errors import Conflict
from pdms.gate import service as gate
from pdms.publish import ledger
from pdms.publish import service as publish
from pdms.publish.tables import Publication
from pdms.rights import replay
from pdms.settings import Home
from pdms.taxonomy import ReleaseState
from pdms.views import copies
from pdms.views import service as views
from pdms.views.tables import Release

FIRST, SECOND = "member_value", "member_lifecycle"


@pytest.fixture
def world(tmp_path, database):
    found = world_of.World(Home(tmp_path / "home"), FixedClock(world_of.NOW), database)
    found.populate(700)
    one_family = {
        name: replace(view, family="members", held_back_limit=1.0, suppression_limit=0.2)
        for name, view in found.policy.views.items()
    }
    found.policy = replace(found.policy, views=MappingProxyType(one_family))
    yield found
    found.close()


def published(world, view, **more):
    return publish.publish(lambda: world.unit(world_of.OFFICER), view=view, **more)


def test_a_copy_whose_reading_ends_after_the_release_is_replaced_binds_the_next(world):
    first = published(world, FIRST)
    reading, done = threading.Event(), threading.Event()

    def read_slowly() -> None:
        with world.anon_unit() as uow:
            views.read(uow, view=FIRST)
            reading.set()
            done.wait(1)  # with the copy entered and not committed

    reader = threading.Thread(target=read_slowly)

    def meanwhile(stage: str) -> None:
        if stage == "outcome" and not reading.is_set():
            reader.start()
            assert reading.wait(20)

    second = published(world, FIRST, progress=meanwhile)
    done.set()
    reader.join(30)
    assert second.together.releases == (first.release_id,)


def test_a_copy_whose_reading_ends_after_the_release_went_stale_binds_the_next(world):
    first = published(world, FIRST)
    with world.unit() as uow:
        views.mark_stale(uow, release_id=first.release_id)

    def meanwhile(stage: str) -> None:
        if stage == "write":
            with world.anon_unit() as uow:  # began while it was live, and commits at last
                copies.taken(uow, release_id=first.release_id)

    for view in (FIRST, SECOND):
        assert first.release_id in published(world, view, progress=meanwhile).together.releases


def test_a_second_withdrawal_is_seen_while_the_eligible_set_is_taken(world, monkeypatch):
    """Its mark must not pass over the row because an earlier one, which is being taken back, is on it still."""
    decide, taken, others = gate.eligible, [], []

    def withdrawn() -> None:
        with world.unit() as uow:
            publish.mark_stale_for(uow, purpose=None)

    def slowly(*given, **more):
        found = decide(*given, **more)
        taken.append(found)
        if not others:
            others.append(threading.Thread(target=withdrawn))
            others[0].start()
            others[0].join(0.5)  # it waits for this unit, or is done: it must be noticed either way
        return found

    monkeypatch.setattr(gate, "eligible", slowly)
    published(world, FIRST, progress=lambda stage: withdrawn() if stage == "eligible" and not taken else None)
    others[0].join(30)
    assert len(taken) == 2


def test_a_publication_that_another_machine_closed_gives_no_release(world):
    def closed(stage: str) -> None:
        if stage == "outcome":
            with world.unit() as uow:
                uow.session.exec(select(Publication)).one().state = publish.PublicationState.ABANDONED

    with pytest.raises(Conflict, match="each time anew"):
        published(world, FIRST, progress=closed)
    with world.unit() as uow:
        assert views.list_releases(uow) == ()


def test_a_release_that_only_the_identified_side_knows_binds_the_views_of_its_family(world):
    first = published(world, FIRST)
    with world.unit() as uow:  # killed between the two commits of the outcome
        uow.anon.delete(uow.anon.get(Release, first.release_id))
    with world.unit() as uow:
        uow.lock_anon_first()
        assert ledger.prune(uow) == 0
    second = published(world, SECOND)
    closed = publish.close_open_intents(world.unit)
    with world.unit() as uow:
        live = {info.release_id for info in views.list_releases(uow, state=ReleaseState.LIVE)}
        out = ledger.standing(uow, family="members").releases
    assert closed.completed == (first.release_id,)
    assert live == {first.release_id, second.release_id}
    assert second.together.releases == (first.release_id,)
    assert set(out) == live


def test_after_a_restore_whatever_was_live_counts_as_read_until_each_role_says_otherwise(world):
    first = published(world, FIRST)
    replay.replay(world.unit, ())  # of a backup made at this moment; who read it since, it does not know
    second = published(world, FIRST)
    assert second.together.releases == (first.release_id,)
    with world.unit() as uow:
        (*held,) = (copy.consumer for copy in copies.list_copies(uow, release_id=first.release_id))
    assert held == ["compliance", "marketing"]
    for consumer in held:
        with world.unit() as uow:
            copies.acknowledge_deleted(uow, release_id=first.release_id, consumer=consumer)
    with world.unit() as uow:
        uow.lock_anon_first()
        assert ledger.standing(uow, family="members", view=FIRST).releases == ()


def test_a_publication_killed_after_it_closed_the_former_release_is_mended_by_the_next(world, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_args):
        raise Killed

    first = published(world, FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "_finish", die)
        with pytest.raises(Killed):
            published(world, FIRST)
    with world.unit() as uow:
        assert [info.state for info in views.list_releases(uow)] == [ReleaseState.STALE], "nobody can take a copy"
    (abandoned,) = publish.close_open_intents(world.unit).abandoned
    assert not (world.home.releases / FIRST / abandoned).exists()
    again = published(world, FIRST)
    with world.unit() as uow:
        states = {info.release_id: info.state for info in views.list_releases(uow)}
    assert states == {first.release_id: ReleaseState.WITHDRAWN, again.release_id: ReleaseState.LIVE}
    assert again.together.releases == ()
