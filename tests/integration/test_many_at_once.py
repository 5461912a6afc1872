"""Many do the same at one moment, on both databases: one does it, the others learn so, nothing is done twice."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.world import World, consents_of, people
from pdms.access import idempotency
from pdms.access import service as access
from pdms.access.idempotency import Claim
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent import store
from pdms.db import begin
from pdms.errors import Conflict
from pdms.gate import service as gate
from pdms.rights import service as rights
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import ConsentState, RequestState, RequestType, RestrictionKind

MANY = 6


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    made = World.make(tmp_path, database=database)
    report = made.ingest("shop-members", people(MANY))
    assert report.created == MANY
    yield made
    made.close()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do all works together; return their results, or the `Conflict` that one ended with. Anything else is raised."""
    gates, results, failed = threading.Barrier(len(works)), [], []

    def one(work: Callable[[], Any]) -> None:
        try:
            gates.wait()
            results.append(work())
        except Conflict as error:
            results.append(error)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return results


def told(results: list[Any]) -> Counter[bool]:
    return Counter(isinstance(one, Conflict) for one in results)


def events(world: World, *kinds: EventKind) -> int:
    with world.unit() as uow:
        return len(audit.list_events(uow.session, kinds=list(kinds), limit=1000).items)


def test_one_operator_has_a_label(shop: World) -> None:
    admin = shop.actor("admin")
    make = [lambda: shop.app.run(admin, access.create_operator, label="anna", role="marketing")] * MANY
    assert told(at_once(*make)) == {False: 1, True: MANY - 1}
    assert len([one for one in shop.app.run(admin, access.list_operators) if one.label == "anna"]) == 1


def test_a_member_has_one_open_request_of_a_kind_and_each_request_a_number(shop: World) -> None:
    support, ids = shop.actor("support"), [shop.id_of(f"H{n:05d}") for n in range(MANY)]

    def submit(member: Any, kind: RequestType) -> Callable[[], Any]:
        return lambda: shop.app.run(support, rights.submit, member_id=member, request_type=kind)

    assert told(at_once(*[submit(ids[0], RequestType.ACCESS)] * MANY)) == {False: 1, True: MANY - 1}
    made = at_once(*[submit(one, RequestType.DELETION) for one in ids])
    assert told(made) == {False: MANY}
    assert len({one.number for one in made}) == MANY


def test_tries_at_an_identity_check_are_all_counted(shop: World) -> None:
    support = shop.actor("support")
    request = shop.app.run(support, rights.submit, member_id=shop.id_of("H00000"), request_type=RequestType.ACCESS)

    def guess(number: int) -> Callable[[], Any]:
        def work() -> str:
            try:
                shop.app.run(
                    support, rights.verify, request_id=request.request_id, field="phone", value=f"1390000{number:04d}"
                )
            except Conflict:
                raise
            except Exception as error:
                return type(error).__name__
            return "in"

        return work

    found = at_once(*[guess(n) for n in range(8)])
    # Five are counted and let it lapse; who was counted before the last and looked after it is told that it has.
    denied = [one for one in found if not isinstance(one, Conflict)]
    assert set(denied) <= {"Denied"}
    assert (len(found), len(denied) <= 5) == (8, True)
    with shop.app.unit(support) as uow:
        row = uow.session.get(SubjectRequestRow, request.request_id)
        assert (row.state, row.code_tries) == (RequestState.LAPSED, 6)


def test_a_key_of_a_write_is_claimed_once(shop: World) -> None:
    admin = shop.actor("admin")
    asked = {"key": "k-1", "route": "POST /v1/x", "path": "/v1/x", "body": b"{}"}
    found = at_once(*[lambda: shop.app.run(admin, idempotency.claim, **asked)] * MANY)
    assert told(found) == {False: 1, True: MANY - 1}
    assert sum(isinstance(one, Claim) for one in found) == 1


def test_a_restriction_set_by_many_is_one_event(shop: World) -> None:
    support, member = shop.actor("support"), shop.id_of("H00000")
    at_once(*[lambda: shop.app.run(support, rights.restrict, member_id=member, kind=RestrictionKind.OBJECTION)] * MANY)
    assert events(shop, EventKind.RESTRICTION_SET) == 1


def test_what_many_record_of_one_member_ends_as_the_fold_says(shop: World) -> None:
    support, member = shop.actor("support"), shop.id_of("H00000")

    def record(state: ConsentState) -> Callable[[], Any]:
        return lambda: shop.app.run(
            support, gate.record_consent, member, purpose="market_email", state=state, channel="web"
        )

    at_once(*[record(ConsentState.GIVEN if n % 2 else ConsentState.WITHDRAWN) for n in range(MANY)])
    assert events(shop, EventKind.CONSENT_RECORDED, EventKind.CONSENT_WITHDRAWN) == MANY
    columns = "purpose, recipient, shape, occurred_at, rank, seq"
    kept = shop.rows(shop.app.main, f"SELECT {columns} FROM consent_current ORDER BY purpose, recipient")
    with begin(shop.app.main) as session:
        store.rebuild_current(session)
    assert kept == shop.rows(shop.app.main, f"SELECT {columns} FROM consent_current ORDER BY purpose, recipient")
    with shop.unit() as uow:
        assert audit.verify(uow.session, key=audit.note_key(uow.log_signer)).ok


def test_one_file_taken_in_by_many_is_taken_in_once(shop: World) -> None:
    path = shop.file("consents.csv", consents_of(people(MANY)))
    at_once(*[lambda: shop.ingest("shop-consents", path)] * 3)
    shop.ingest("shop-consents", path)
    assert shop.rows(shop.app.main, "SELECT count(*) FROM consent_record WHERE source = 'import'") == [(2 * MANY,)]


def test_one_policy_is_put_in_force_once(shop: World) -> None:
    before = events(shop, EventKind.POLICY_ACTIVATED)
    with begin(shop.app.main) as session:
        session.connection().exec_driver_sql("DELETE FROM policy_version")  # as before the first activation
    at_once(*[shop.app.activate_policy] * MANY)
    assert events(shop, EventKind.POLICY_ACTIVATED) == before + 1
    assert shop.rows(shop.app.main, "SELECT count(*) FROM policy_version") == [(1,)]
