"""Rights used at once on PostgreSQL: who drew the smaller number may commit later, and is in the rights ledger all the
same."""

import threading
from pathlib import Path

import pytest

from common.world import World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.consent import service as consent
from pdms.db import begin
from pdms.policy.decide import RestrictionFact
from pdms.rights import ledger
from pdms.taxonomy import MemberId, RestrictionKind
from pdms.unit_of_work import Actor


@pytest.fixture
def shop(tmp_path: Path, postgres: str):
    made = World.make(tmp_path, database=postgres)
    made.ingest("shop-members", people(3))
    made.app.extend_ledger()
    yield made
    made.close()


def lines(world: World) -> list[tuple[ledger.What, MemberId | None]]:
    key = world.app.keys.system_key(ledger.LABEL)
    return [(line.what, line.member_id) for line in ledger.read(world.app.home.rights_ledger, key=key)]


def corrected(world: World, member: MemberId) -> Event:
    return Event(
        EventKind.MEMBER_CORRECTED, world.clock.now(), "system", member_id=member.hex(), refs={"field": "name"}
    )


def test_an_event_that_commits_late_is_awaited_and_not_passed_over(shop):
    first, second = shop.id_of("H00000"), shop.id_of("H00001")
    done = threading.Event()

    def other() -> None:
        with begin(shop.app.main) as session:
            audit.append(session, [corrected(shop, second)])
        shop.app.extend_ledger()
        done.set()

    with begin(shop.app.main) as slow:
        audit.append(slow, [corrected(shop, first)])  # has its number, and is not committed
        thread = threading.Thread(target=other)
        thread.start()
        assert not done.wait(1.0), "the ledger went past a number that was drawn"
    thread.join(30)
    assert done.is_set()
    shop.app.extend_ledger()
    found = [member for what, member in lines(shop) if what is ledger.What.CORRECTION]
    assert sorted(found) == sorted([first, second])


def test_restrictions_too(shop):
    first, second = shop.id_of("H00000"), shop.id_of("H00001")
    fact = RestrictionFact(RestrictionKind.DO_NOT_CONTACT, "", "email")
    done = threading.Event()

    def other() -> None:
        with shop.app.unit(Actor.system()) as uow:
            consent.restrict(uow, second, kind=fact.kind, channel="email")
        done.set()

    slow = shop.app.unit(Actor.system())
    with slow:
        consent.restrict(slow, first, kind=fact.kind, channel="email")
        thread = threading.Thread(target=other)
        thread.start()
        assert not done.wait(1.0)
    thread.join(30)
    assert done.is_set()
    found = [member for what, member in lines(shop) if what is ledger.What.RESTRICTION_SET]
    assert sorted(found) == sorted([first, second])
