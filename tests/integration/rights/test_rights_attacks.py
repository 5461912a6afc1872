"""What an attacker, a slip, a crash or a second process could make of subject requests."""

import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from sqlalchemy.exc import DBAPIError

from common.shell import Shell
from common.world import World, populated
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import ANONYMOUS
from pdms.crypto import BlindIndex
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.publish import service as publish
from pdms.rights import erase, held, packages, receipts
from pdms.rights import execute as execution
from pdms.rights import service as rights
from pdms.rights.tables import SubjectRequestRow
from pdms.taxonomy import MemberId, RequestState, RequestType, RestrictionKind
from pdms.unit_of_work import Actor, UnitOfWork
from pdms.vault import service as vault


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None
) -> Iterator[tuple[World, list[dict[str, str]]]]:
    made, members = populated(tmp_path_factory.mktemp("attacks"), count=60, database=lasting_database)
    yield made, members
    made.close()


class Cut(Exception):
    """The process dies here."""


def units(world: World, role: str = "support"):
    return world.app.units(world.actor(role))


def assessed(world: World, members: list[dict[str, str]], number: int, kind: RequestType, **more: str) -> str:
    """A request of a member whose identity was checked."""
    member = world.id_of(f"H{number:05d}")
    request = world.run("support", rights.submit, member_id=member, request_type=kind, **more)
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[number]["手机号"])
    return str(request.request_id)


def denials(world: World, member: MemberId) -> int:
    with world.unit() as uow:
        return len(audit.list_events(uow.session, kinds=[EventKind.DENIAL], member_id=member.hex(), limit=100).items)


@pytest.mark.parametrize("kind", [RequestType.DELETION, RequestType.ACCESS, RequestType.CORRECTION])
def test_cut_off_before_its_receipt_a_request_goes_on_to_it(shop, monkeypatch: pytest.MonkeyPatch, kind) -> None:
    world, members = shop
    number = {RequestType.DELETION: 1, RequestType.ACCESS: 2, RequestType.CORRECTION: 3}[kind]
    more = {"field": "address", "value": "广东省深圳市示例路9号"} if kind is RequestType.CORRECTION else {}
    request = assessed(world, members, number, kind, **more)

    def die(*_args: object, **_more: object) -> str:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(receipts, "signed", die)
        with pytest.raises(Cut):
            rights.execute(units(world), request_id=request)
    done = rights.execute(units(world), request_id=request)
    assert done.receipt is not None
    receipts.check(done.receipt, public_key=world.app.keys.signer("receipts").public_key)
    assert done.request.state in (RequestState.FULFILLED, RequestState.PARTIAL)
    if kind is RequestType.ACCESS:
        assert done.link is not None, "the first link was handed to nobody"
        assert world.app.run(world.actor("support"), rights.open_package, secret=done.link.secret).content
    if kind is RequestType.DELETION:
        with world.unit() as uow:
            ended = audit.list_events(uow.session, kinds=[EventKind.ERASE_DONE], limit=100).items
        assert [e.event.refs["request"] for e in ended].count(request) == 1, "one erasure is told once"


def test_an_erasure_cut_off_before_its_receipt_does_not_stop_the_sweep(shop, monkeypatch) -> None:
    world, members = shop
    request = assessed(world, members, 4, RequestType.DELETION)
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "signed", lambda *_, **__: (_ for _ in ()).throw(Cut()))
        with pytest.raises(Cut):
            rights.execute(units(world), request_id=request)
    assert rights.sweep(units(world, "admin")).erasures_finished == 1
    assert world.run("support", rights.show, request_id=request).receipt is not None


def test_after_erasure_no_sealed_value_of_another_request_is_left(shop) -> None:
    world, members = shop
    pending = assessed(world, members, 5, RequestType.CORRECTION, field="email", value="new-address-7319@example.com")
    rights.execute(units(world), request_id=assessed(world, members, 5, RequestType.DELETION))
    with world.unit() as uow:
        row = uow.session.get(SubjectRequestRow, pending)
        assert row is not None
        assert (row.detail, row.code_digest) == (None, None), "sealed under a system key, which does not die"
        assert row.state == RequestState.CANCELLED


def test_a_lapsed_request_keeps_no_value(shop) -> None:
    world, _ = shop
    member = world.id_of("H00006")
    request = world.run(
        "support", rights.submit, member_id=member, request_type=RequestType.CORRECTION, field="name", value="王小明"
    )
    for _ in range(5):
        with pytest.raises(Denied):
            world.run("support", rights.verify, request_id=request.request_id, field="phone", value="13900000000")
    with pytest.raises(Conflict):
        world.run("support", rights.verify, request_id=request.request_id, field="phone", value="13900000000")
    with world.unit() as uow:
        row = uow.session.get(SubjectRequestRow, request.request_id)
        assert row is not None
        assert (row.state, row.detail) == (RequestState.LAPSED, None)


def test_what_was_cancelled_while_identity_was_checked_stays_cancelled(shop, monkeypatch) -> None:
    """The try is counted by a commit of its own, which lets go of the request: the member cancels it just then."""
    world, members = shop
    member = world.id_of("H00040")
    request = world.run("support", rights.submit, member_id=member, request_type=RequestType.DELETION)
    commit = UnitOfWork.commit_intent

    def cancelled_then(uow: UnitOfWork) -> None:
        commit(uow)
        monkeypatch.setattr(UnitOfWork, "commit_intent", commit)
        world.run("support", rights.cancel, request_id=request.request_id)

    monkeypatch.setattr(UnitOfWork, "commit_intent", cancelled_then)
    with pytest.raises(Conflict):
        world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[40]["手机号"])
    assert world.run("support", rights.show, request_id=request.request_id).state is RequestState.CANCELLED


def test_of_two_who_open_one_link_at_once_one_gets_the_data(shop, monkeypatch) -> None:
    world, members = shop
    request = assessed(world, members, 41, RequestType.ACCESS)
    link = rights.execute(units(world), request_id=request).link
    assert link is not None
    both, opened = threading.Barrier(2), packages.open_blob

    def together(*args, **more):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)
        return opened(*args, **more)

    monkeypatch.setattr(packages, "open_blob", together)

    def ask(_number: int) -> bool:
        try:
            return bool(world.app.run(ANONYMOUS, rights.open_package, secret=link.secret).content)
        except NotFound:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ask, range(2))) == [False, True]


def test_a_sweep_beside_it_does_not_take_a_package_that_is_being_made(shop) -> None:
    world, members = shop
    request = assessed(world, members, 42, RequestType.ACCESS)
    with ThreadPoolExecutor(1) as pool:
        with world.app.units(world.actor("support"))() as uow:
            row = uow.session.get(SubjectRequestRow, request)
            assert row is not None
            link = packages.build(uow, row)
            swept = pool.submit(world.app.run, world.actor("admin"), packages.drop_expired)
            wait([swept], timeout=0.5)  # it waits for the commit, or is over too soon
        swept.result(30)
    assert world.app.run(ANONYMOUS, rights.open_package, secret=link.secret).content


@pytest.mark.parametrize("field", ["gender", "birth_date", "name", "address"])
def test_what_others_know_or_can_guess_proves_nobody(shop, field: str) -> None:
    world, members = shop
    member = world.id_of("H00007")
    column = {"gender": "性别", "birth_date": "出生日期", "name": "姓名", "address": "收货地址"}[field]
    request = world.run("support", rights.submit, member_id=member, request_type=RequestType.ACCESS)
    with pytest.raises(InvalidInput):
        world.run("support", rights.verify, request_id=request.request_id, field=field, value=members[7][column])
    assert world.run("support", rights.show, request_id=request.request_id).state is RequestState.IDENTITY_CHECK
    world.run("support", rights.cancel, request_id=request.request_id)


def test_a_contact_just_corrected_does_not_prove_who_asks(shop) -> None:
    world, members = shop
    request = assessed(world, members, 8, RequestType.CORRECTION, field="email", value="taken-over@example.com")
    rights.execute(units(world), request_id=request)
    with pytest.raises(Denied):
        rights.erase_member(
            units(world), member_id=world.id_of("H00008"), field="email", value="taken-over@example.com"
        )
    done = rights.erase_member(units(world), member_id=world.id_of("H00008"), field="phone", value=members[8]["手机号"])
    assert done.receipt


def test_a_number_that_nobody_has_shows_nobody_elses_receipt(shop) -> None:
    world, members = shop
    request = assessed(world, members, 9, RequestType.DELETION)

    def stop(step: str) -> None:
        if step == "rows":
            raise Cut

    with pytest.raises(Cut):
        rights.execute(units(world), request_id=request, progress=stop)
    path = world.folder / "not-mine.json"
    answer = Shell(world)(
        "support", "member", "erase", "shop:NOBODY", "--receipt", str(path), typed="13800138000\n", expect=5
    )
    assert not path.exists()
    assert "erasure receipt" not in answer.out
    again = Shell(world)("support", "--json", "member", "erase", "shop:H00009", "--receipt", str(path), typed="")
    assert json.loads(path.read_text())["document"]["request_id"] == request == again.json["document"]["request_id"]


def test_a_restriction_asked_for_makes_releases_stale_though_the_policy_dropped_their_view(shop, monkeypatch) -> None:
    world, members = shop
    publish.publish(units(world, "compliance"), view="member_lifecycle")
    monkeypatch.setattr(world.app, "policy", replace(world.app.policy, views=MappingProxyType({})))
    rights.execute(units(world), request_id=assessed(world, members, 10, RequestType.RESTRICTION))
    with world.unit() as uow:
        assert publish.mark_stale_for(uow, purpose="segment") == (), "it was stale already"


def test_who_may_not_look_at_members_learns_nothing_from_asking_for_a_token(shop) -> None:
    world, _ = shop
    for member in (world.id_of("H00011"), MemberId(b"\x07" * 16)):
        with pytest.raises(Denied):
            world.run("marketing", rights.member_token, member_id=member)


def test_reaching_for_another_member_is_in_the_log(shop) -> None:
    world, members = shop
    me, other = world.id_of("H00012"), world.id_of("H00013")
    request = assessed(world, members, 13, RequestType.ACCESS)
    attempts = (
        (rights.submit, {"member_id": other, "request_type": RequestType.ACCESS}),
        (rights.withdraw, {"member_id": other, "purpose": "segment"}),
        (rights.restrict, {"member_id": other, "kind": RestrictionKind.OBJECTION}),
        (rights.lift, {"member_id": other, "kind": RestrictionKind.OBJECTION}),
        (rights.show, {"request_id": request}),
        (rights.cancel, {"request_id": request}),
    )
    for number, (service, more) in enumerate(attempts, start=1):
        with pytest.raises(NotFound):
            world.app.run(world.member(me), service, **more)
        assert denials(world, me) == number, service.__name__
    with pytest.raises(NotFound):
        rights.execute(world.app.units(world.member(me)), request_id=request)
    assert denials(world, me) == len(attempts) + 1
    world.run("support", rights.cancel, request_id=request)


@pytest.mark.parametrize("service", ["withdraw", "restrict", "lift"])
def test_a_member_who_is_not_here_leaves_no_record(shop, service: str) -> None:
    world, _ = shop
    more = {"purpose": "segment"} if service == "withdraw" else {"kind": RestrictionKind.OBJECTION}
    with pytest.raises(NotFound):
        world.run("support", getattr(rights, service), member_id=MemberId(b"\x08" * 16), **more)


def test_an_order_that_comes_in_while_erasure_runs_is_held_too_or_refused(shop) -> None:
    world, members = shop
    request = assessed(world, members, 14, RequestType.DELETION)
    late = {
        "会员编号": "H00014",
        "订单号": "LATE-14",
        "下单时间": "2026-10-30 10:00:00",
        "完成时间": "2026-10-30 10:00:00",
        "订单金额": 5,
        "状态": "已完成",
        "是否开票": "否",
    }
    seen: list[dict[str, int]] = []

    def between(step: str) -> None:
        if step == "hold":
            seen.append(dict(world.ingest("shop-orders", [late]).by_rule))

    rights.execute(units(world), request_id=request, progress=between)
    assert seen == [{"UNKNOWN_MEMBER": 1}], "taken in here it would be erased without having been held"


def test_after_the_receipt_nothing_ties_held_records_to_the_erasure(shop) -> None:
    world, members = shop
    request = assessed(world, members, 15, RequestType.DELETION)
    rights.execute(units(world), request_id=request)
    batch = BlindIndex(world.app.keys.system_key(held.BATCH_LABEL)).digest(request.encode()).hex()
    raw = world.bytes_of(world.app.held, "held.db*")
    assert raw
    assert batch.encode() not in raw, "recomputed from the request's id, it would lead from a held record to a member"
    if world.in_files:  # rows in order of their making would tell, too; PostgreSQL keeps one (threat model)
        with pytest.raises(DBAPIError):
            world.rows(world.app.held, "SELECT rowid FROM held_record")


def test_two_processes_that_finish_one_erasure_end_with_one_receipt(shop) -> None:
    world, members = shop
    request = assessed(world, members, 16, RequestType.DELETION)
    other: list[str | None] = []

    def both(step: str) -> None:
        if step == "packages":  # the other one overtakes before the last steps
            other.append(rights.execute(units(world), request_id=request).receipt)

    mine = rights.execute(units(world), request_id=request, progress=both)
    assert [mine.receipt] == other
    assert mine.receipt is not None


def test_a_step_that_another_process_acknowledged_meanwhile_is_no_error(shop, monkeypatch) -> None:
    world, members = shop
    request = assessed(world, members, 17, RequestType.DELETION)
    real, done = vault.purge, []

    def purge(uow: object) -> None:
        real(uow)  # type: ignore[arg-type]
        if not done:
            done.append("begun")
            done.append(rights.execute(units(world), request_id=request).receipt or "")

    monkeypatch.setattr(erase.vault, "purge", purge)
    assert rights.execute(units(world), request_id=request).receipt == done[1]


def test_one_erasure_that_cannot_go_on_does_not_hold_up_the_sweep(shop, monkeypatch) -> None:
    world, members = shop
    first = assessed(world, members, 18, RequestType.DELETION)

    def stop(step: str) -> None:
        raise Cut

    with pytest.raises(Cut):
        rights.execute(units(world), request_id=first, progress=stop)
    with monkeypatch.context() as patched:

        def locked(*_: object, **__: object) -> str:
            raise Conflict("facts: another operation holds the folder", code="FACTS_LOCKED")

        patched.setattr(erase, "execute", locked)
        swept = rights.sweep(units(world, "admin"))
    assert (swept.erasures_finished, swept.requests_left) == (0, 1)
    assert rights.sweep(units(world, "admin")).erasures_finished == 1


def test_a_withdrawal_of_everything_cut_off_in_the_middle_is_finished(shop, monkeypatch) -> None:
    world, members = shop
    request = assessed(world, members, 19, RequestType.WITHDRAWAL)
    with monkeypatch.context() as patched:
        real, calls = execution.withdraw.withdraw, []

        def once(*args: object, **more: object) -> object:
            if calls:
                raise Cut
            calls.append(1)
            return real(*args, **more)  # type: ignore[arg-type]

        patched.setattr(execution.withdraw, "withdraw", once)
        with pytest.raises(Cut):
            rights.execute(units(world), request_id=request)
    rights.sweep(units(world, "admin"))
    with world.unit() as uow:
        assert execution.withdraw.given_purposes(uow, world.id_of("H00019")) == frozenset()
    assert world.run("support", rights.show, request_id=request).receipt is not None


def test_a_package_tells_of_every_event(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _ = shop
    member = world.id_of("H00020")
    for _ in range(3):
        world.run("support", rights.restrict, member_id=member, kind=RestrictionKind.OBJECTION)
        world.run("support", rights.lift, member_id=member, kind=RestrictionKind.OBJECTION)
    from pdms.rights import packages

    monkeypatch.setattr(packages, "EVENTS_AT_ONCE", 2)
    with world.unit() as uow:
        document = packages.collect(uow, member)
    assert len([e for e in document["events"] if e["kind"].startswith("restriction.")]) == 6


def test_a_package_that_has_served_is_swept(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    world, members = shop
    done = rights.execute(units(world), request_id=assessed(world, members, 21, RequestType.ACCESS))
    assert done.link is not None
    from pathlib import Path

    with monkeypatch.context() as patched:  # killed between noting the opening and removing the file
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        world.run("support", rights.open_package, secret=done.link.secret)
    left = {path.stem for path in world.app.home.packages.iterdir()}
    assert done.link.package_id in left
    assert rights.sweep(units(world, "admin")).packages_dropped >= 1
    assert done.link.package_id not in {path.stem for path in world.app.home.packages.iterdir()}


def test_a_list_asked_for_with_a_negative_limit_is_refused(shop) -> None:
    world, _ = shop
    with pytest.raises(InvalidInput):
        world.run("support", rights.list_requests, limit=-1)


def test_an_expired_months_key_and_records_are_in_no_file_and_no_log(shop) -> None:
    world, members = shop
    rights.execute(units(world), request_id=assessed(world, members, 22, RequestType.DELETION))
    month, sealed = world.rows(world.app.held, "SELECT month, sealed FROM held_record ORDER BY month LIMIT 1")[0]
    ((wrapped,),) = world.rows(world.app.keys.engine, "SELECT wrapped FROM held_month_key WHERE month = ?", month)
    stored = world.bytes_of(world.app.held, "held.db*") + world.bytes_of(world.app.keys.engine, "keys.db*")
    assert sealed[:64] in stored, "the search itself must find what is there"
    assert wrapped in stored
    before = world.clock.instant
    world.clock.instant = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC) + timedelta(days=40)
    try:
        assert rights.sweep(world.app.units(Actor.system())).held_expired >= 1
    finally:
        world.clock.instant = before
    raw = world.bytes_of(world.app.held, "held.db*") + world.bytes_of(world.app.keys.engine, "keys.db*")
    assert sealed[:64] not in raw
    assert wrapped not in raw
