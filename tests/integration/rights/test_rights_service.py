"""Subject requests on a real home: each kind from intake to receipt, and everyone who must not get through."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from common.world import World, populated
from pdms.bootstrap.app import ANONYMOUS
from pdms.consent import service as consent
from pdms.dispatch.channels import Handover, RecordingChannel
from pdms.errors import Conflict, Denied, IntegrityBroken, InvalidInput, NotFound
from pdms.facts import service as facts
from pdms.features import service as features
from pdms.policy.definitions import CalendarYear
from pdms.publish import service as publish
from pdms.rights import receipts
from pdms.rights import service as rights
from pdms.rights.tables import ErasureStepRow
from pdms.taxonomy import ConsentState, GuardedAct, MemberId, RequestState, RequestType, RestrictionKind
from pdms.vault import service as vault

MEMBERS = 120


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None
) -> Iterator[tuple[World, list[dict[str, str]]]]:
    made, members = populated(tmp_path_factory.mktemp("rights"), count=MEMBERS, database=lasting_database)
    yield made, members
    made.close()


def submit(world: World, member: MemberId, kind: RequestType, **more: str) -> rights.RequestView:
    return world.run("support", rights.submit, member_id=member, request_type=kind, **more)


def test_a_request_returns_its_number_and_due_date_and_waits_for_the_identity_check(shop) -> None:
    world, _ = shop
    found = submit(world, world.id_of("H00001"), RequestType.ACCESS)
    assert found.number.startswith("R-2026-")
    assert found.state is RequestState.IDENTITY_CHECK
    assert found.due_on.isoformat() == "2026-11-23"
    with pytest.raises(Conflict):
        submit(world, world.id_of("H00001"), RequestType.ACCESS)
    world.run("support", rights.cancel, request_id=found.request_id)


@pytest.mark.parametrize(
    ("worked", "due"),
    [((2, 9), date(2027, 1, 15)), ((), date(2027, 1, 18))],
    ids=["earlier-where-weekends-are-worked", "a-day-once-told-is-not-put-off"],
)
def test_T35273_8_7_due_dates_are_provisional_until_the_calendar_comes(tmp_path, worked, due) -> None:
    world, _ = populated(tmp_path, count=3)
    try:
        world.pass_time(days=56)  # 28 December 2026
        assert 2027 not in world.app.policy.calendars
        asked = submit(world, world.id_of("H00001"), RequestType.ACCESS)
        assert (asked.due_on, asked.due_provisional) == (date(2027, 1, 18), True)
        assert world.run("support", rights.show, request_id=asked.request_id).due_provisional
        world.run("support", rights.withdraw, member_id=world.id_of("H00002"), purpose="segment")
        assert rights.sweep(world.app.units(world.actor("admin"))).due_dates_provisional == 1
        days = frozenset(date(2027, 1, day) for day in worked)
        come = CalendarYear(2027, frozenset({date(2027, 1, 1)}), days, "made up")
        policy = replace(world.app.policy, calendars=dict(world.app.policy.calendars) | {2027: come})

        def units():
            uow = world.app.units(world.actor("admin"))()
            uow.policy = policy
            return uow

        assert rights.sweep(units).due_dates_provisional == 0
        seen = world.run("support", rights.show, request_id=asked.request_id)
        assert (seen.due_on, seen.due_provisional) == (due, False)
    finally:
        world.close()


def test_identity_is_checked_against_held_data_and_fails_loudly_in_the_log(shop) -> None:
    world, members = shop
    request = submit(world, world.id_of("H00002"), RequestType.ACCESS)
    for wrong in ("13900000000", "not a number at all"):
        with pytest.raises(Denied):
            world.run("support", rights.verify, request_id=request.request_id, field="phone", value=wrong)
    still = world.run("support", rights.show, request_id=request.request_id)
    assert still.state is RequestState.IDENTITY_CHECK
    good = world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[2]["手机号"])
    assert good.state is RequestState.ASSESSING
    world.run("support", rights.cancel, request_id=request.request_id)


def test_five_failed_checks_let_the_request_lapse_even_if_the_sixth_is_right(shop) -> None:
    world, members = shop
    request = submit(world, world.id_of("H00003"), RequestType.ACCESS)
    for _ in range(5):
        with pytest.raises(Denied):
            world.run("support", rights.verify, request_id=request.request_id, field="phone", value="13900000000")
    with pytest.raises(Conflict):
        world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[3]["手机号"])
    assert world.run("support", rights.show, request_id=request.request_id).state is RequestState.LAPSED


def test_execution_before_the_identity_check_is_a_conflict(shop) -> None:
    world, _ = shop
    request = submit(world, world.id_of("H00004"), RequestType.DELETION)
    with pytest.raises(Conflict):
        rights.execute(world.app.units(world.actor("support")), request_id=request.request_id)
    world.run("support", rights.cancel, request_id=request.request_id)


def code_sent(world: World, request_id: str) -> str:
    """Have a code sent and read it out of the message, as the member would."""
    channel = RecordingChannel()
    rights.send_code(
        world.app.units(world.actor("support")),
        request_id=request_id,
        channel=channel,
        public_url="http://shop.example",
    )
    (message,) = channel.messages
    found = re.search(r"[0-9]{8}", message.content.get_content())
    assert found is not None
    assert found[0] not in repr(message)
    return found[0]


def test_NDR_23_a_one_time_code_goes_to_the_contact_on_file_and_is_good_for_ten_minutes(shop, canary) -> None:
    world, _ = shop
    request = submit(world, world.id_of("H00005"), RequestType.ACCESS)
    late = code_sent(world, request.request_id)
    world.pass_time(minutes=11)
    with pytest.raises(Denied):
        world.run("support", rights.enter_code, request_id=request.request_id, code=late)
    code = code_sent(world, request.request_id)
    assert canary.search(world.app.home.root, [code]) == [], "only a digest of it is stored"
    done = world.run("support", rights.enter_code, request_id=request.request_id, code=code)
    assert (done.state, done.identity_method) == (RequestState.ASSESSING, "ONE_TIME_CODE")
    world.run("support", rights.cancel, request_id=request.request_id)


def test_a_code_is_sent_to_the_members_own_address_only(shop) -> None:
    world, members = shop
    request = submit(world, world.id_of("H00023"), RequestType.ACCESS)
    channel = RecordingChannel()
    units = world.app.units(world.actor("support"))
    rights.send_code(units, request_id=request.request_id, channel=channel, public_url="http://shop.example")
    assert channel.messages[0].recipient == members[23]["邮箱"]
    refusing = RecordingChannel(answer=Handover.REFUSED)
    with pytest.raises(Conflict):
        rights.send_code(units, request_id=request.request_id, channel=refusing, public_url="http://shop.example")
    world.run("support", rights.cancel, request_id=request.request_id)


def test_PIPL_45_the_access_package_holds_everything_and_opens_once_by_its_link(shop) -> None:
    world, members = shop
    member = world.id_of("H00006")
    mine = world.member(member)
    request = world.app.run(mine, rights.submit, member_id=member, request_type=RequestType.ACCESS)
    assert request.state is RequestState.ASSESSING, "the member's own session is the identity check"
    done = rights.execute(world.app.units(mine), request_id=request.request_id)
    assert done.link is not None
    sealed = next(world.app.home.packages.iterdir()).read_bytes()
    assert members[6]["手机号"].encode() not in sealed
    with pytest.raises(NotFound):
        world.app.run(ANONYMOUS, rights.open_package, secret="x" * 43)
    opened = world.app.run(ANONYMOUS, rights.open_package, secret=done.link.secret)
    with zipfile.ZipFile(io.BytesIO(opened.content)) as archive:
        data, page = json.loads(archive.read("data.json")), archive.read("index.html").decode()
    assert data["identity"]["phone"] == f"+86{members[6]['手机号']}"
    assert {"orders", "order_lines", "subject_attributes"} <= {t for t, rows in data["facts"].items() if rows}
    assert {c["purpose"] for c in data["consents"]} == {"segment", "market_email"}
    assert all(p["retention"] for p in data["purposes"])
    assert members[6]["姓名"] in page
    with pytest.raises(NotFound):
        world.app.run(ANONYMOUS, rights.open_package, secret=done.link.secret)
    assert list(world.app.home.packages.iterdir()) == []


def test_the_link_expires(shop) -> None:
    world, _ = shop
    member = world.id_of("H00007")
    mine = world.member(member)
    request = world.app.run(mine, rights.submit, member_id=member, request_type=RequestType.ACCESS)
    done = rights.execute(world.app.units(mine), request_id=request.request_id)
    assert done.link is not None
    before = world.clock.instant
    world.pass_time(days=8)
    with pytest.raises(NotFound):
        world.app.run(ANONYMOUS, rights.open_package, secret=done.link.secret)
    rights.sweep(world.app.units(world.actor("admin")))
    assert list(world.app.home.packages.iterdir()) == []
    world.clock.instant = before


def test_PIPL_46_a_correction_is_sealed_looked_up_and_brought_to_the_facts(shop) -> None:
    world, members = shop
    member = world.id_of("H00008")
    request = submit(world, member, RequestType.CORRECTION, field="address", value="广东省深圳市示例路9号")
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[8]["手机号"])
    done = rights.execute(world.app.units(world.actor("support")), request_id=request.request_id)
    assert done.request.state is RequestState.FULFILLED
    with world.unit("support") as uow:
        assert vault.matches(uow, member, field="address", value="广东省深圳市示例路9号")
        pseudonym = vault.pseudonym_of(uow, member)
    rows = {t.value: r for t, r in facts.of_subject(world.app.home, pseudonym).items()}
    assert [(row["prefecture"], row["city_tier"]) for row in rows["subject_attributes"]] == [("深圳市", "tier-1")]
    document = json.loads(done.receipt or "")["document"]
    assert "深圳" not in (done.receipt or "")
    assert document["field"] == "address"


def test_PIPL_8_after_a_correction_the_old_value_is_in_no_look_up_and_no_rebuilt_view(shop) -> None:
    world, members = shop
    number, row = "H00100", members[100]
    member, view = world.id_of(number), world.app.policy.views["member_value"]

    def tier() -> str:
        with world.unit("compliance") as uow:
            exact = features.exact_columns(uow, view=view, pseudonyms=[vault.pseudonym_of(uow, member)])
        return str(exact.columns["city_tier"][0])

    before = tier()
    moved = "甘肃省天水市示例路3号" if before == "tier-1" else "上海市示例路3号"
    for field, value in (("address", moved), ("email", "moved.stork@member.example")):
        request = submit(world, member, RequestType.CORRECTION, field=field, value=value)
        world.run("support", rights.verify, request_id=request.request_id, field="phone", value=row["手机号"])
        rights.execute(world.app.units(world.actor("support")), request_id=request.request_id)
    assert tier() != before
    assert world.run("support", rights.find_members, field="email", value=row["邮箱"]) == ()
    assert world.run("support", rights.find_members, field="email", value="moved.stork@member.example") == (member,)
    with world.unit("support") as uow:
        assert not vault.matches(uow, member, field="address", value=row["收货地址"])


def test_a_correction_to_an_impossible_value_is_refused_at_intake(shop) -> None:
    world, _ = shop
    with pytest.raises(InvalidInput) as caught:
        submit(world, world.id_of("H00009"), RequestType.CORRECTION, field="phone", value="12")
    assert "12" not in caught.value.message.replace("128", "")


def test_PIPL_15_1_a_member_withdraws_without_staff_and_releases_become_stale(shop) -> None:
    world, _ = shop
    publish.publish(world.app.units(world.actor("compliance")), view="member_lifecycle")
    member = world.id_of("H00010")
    done = world.app.run(world.member(member), rights.withdraw, member_id=member, purpose="segment")
    assert done.stale_releases >= 1
    assert done.in_flight is False
    assert json.loads(done.receipts[0])
    with world.unit("compliance") as uow:
        assert consent.state_of(uow, member, purpose="segment").state is ConsentState.WITHDRAWN


def test_withdrawing_what_does_not_rest_on_consent_is_explained(shop) -> None:
    world, _ = shop
    member = world.id_of("H00011")
    with pytest.raises(InvalidInput, match="PIPL-13-1"):
        world.app.run(world.member(member), rights.withdraw, member_id=member, purpose="order")


def test_PIPL_47_1_what_lost_its_last_basis_is_queued_and_swept(shop) -> None:
    world, _ = shop
    member = world.id_of("H00012")
    for purpose in ("market_email", "segment"):
        last = world.app.run(world.member(member), rights.withdraw, member_id=member, purpose=purpose)
    assert last.queued == ("campaign_contacts",)
    assert rights.sweep(world.app.units(world.actor("admin"))).purged_tables >= 1


def test_a_member_reaches_nobody_else(shop) -> None:
    world, members = shop
    mine, other = world.member(world.id_of("H00013")), world.id_of("H00014")
    request = submit(world, other, RequestType.ACCESS)
    for service, more in (
        (rights.submit, {"member_id": other, "request_type": RequestType.DELETION}),
        (rights.withdraw, {"member_id": other, "purpose": "segment"}),
        (rights.restrict, {"member_id": other, "kind": RestrictionKind.OBJECTION}),
        (rights.show, {"request_id": request.request_id}),
        (rights.cancel, {"request_id": request.request_id}),
    ):
        with pytest.raises(NotFound):
            world.app.run(mine, service, **more)
    assert world.app.run(mine, rights.list_requests) == ()
    for service, more in ((rights.find_members, {"field": "phone", "value": members[14]["手机号"]}),):
        with pytest.raises(Denied):
            world.app.run(mine, service, **more)
    world.run("support", rights.cancel, request_id=request.request_id)


@pytest.mark.parametrize("role", ["marketing", "ingest"])
def test_marketing_and_ingest_reach_no_request(shop, role: str) -> None:
    world, _ = shop
    actor, member = world.actor(role), world.id_of("H00015")
    with pytest.raises(Denied):
        world.app.run(actor, rights.submit, member_id=member, request_type=RequestType.ACCESS)


def test_overdue_requests_are_listed_for_officers(shop) -> None:
    world, _ = shop
    request = submit(world, world.id_of("H00016"), RequestType.ACCESS)
    assert world.run("compliance", rights.list_requests, overdue=True) == ()
    before = world.clock.instant
    world.clock.instant = before + timedelta(days=22)
    overdue = world.run("compliance", rights.list_requests, overdue=True)
    assert [r.number for r in overdue if r.request_id == request.request_id]
    world.clock.instant = before
    world.run("support", rights.cancel, request_id=request.request_id)


def test_PIPL_50_a_refusal_carries_code_and_article(shop) -> None:
    world, members = shop
    request = submit(world, world.id_of("H00017"), RequestType.ACCESS)
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[17]["手机号"])
    refused = world.run(
        "compliance", rights.refuse, request_id=request.request_id, code=rights.refusal_code("EXCESSIVE")
    )
    assert (refused.state, refused.refusal_article) == (RequestState.REFUSED, "NDR-25")
    with pytest.raises(InvalidInput):
        rights.refusal_code("BECAUSE")


def test_reveal_needs_purpose_role_and_training(shop) -> None:
    world, members = shop
    member = world.id_of("H00018")
    opened = world.run(
        "support", rights.reveal, member_id=member, fields=("phone",), purpose="service", reason="CALL_BACK"
    )
    assert opened == {"phone": f"+86{members[18]['手机号']}"}
    with pytest.raises(Denied):
        world.run("support", rights.reveal, member_id=member, fields=("phone",), purpose="segment", reason="X")
    with pytest.raises(Denied):
        world.run("support", rights.reveal, member_id=member, fields=("id_number",), purpose="service", reason="X")
    with pytest.raises(Denied):
        world.run("marketing", rights.reveal, member_id=member, fields=("phone",), purpose="market_email", reason="X")


def test_erasure_ends_with_a_signed_receipt_that_names_what_stays(shop) -> None:
    world, members = shop
    member = world.id_of("H00019")
    units = world.app.units(world.actor("support"))
    done = rights.erase_member(units, member_id=member, field="phone", value=members[19]["手机号"])
    assert done.receipt is not None
    key = world.app.keys.signer("receipts").public_key
    document = receipts.check(done.receipt, public_key=key)
    assert document["stays"][0]["orders"] >= 1
    assert document["log"]["proof"]["checkpoint"].startswith(world.app.origin)
    for forged in (done.receipt.replace("PIPL", "PIPX"), done.receipt.replace('"request": "R', '"request": "S')):
        with pytest.raises(IntegrityBroken):
            receipts.check(forged, public_key=key)
    with pytest.raises(NotFound), world.unit("support") as uow:
        vault.state(uow, member)
    again = rights.execute(units, request_id=done.request.request_id)
    assert again.receipt == done.receipt, "asked again it changes nothing"


def test_the_held_record_opens_for_an_officer_with_a_ticket_and_leads_to_nobody(shop) -> None:
    world, members = shop
    member = world.id_of("H00020")
    with world.unit("support") as uow:
        pseudonym = vault.pseudonym_of(uow, member)
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=member, field="phone", value=members[20]["手机号"]
    )
    assert world.run("compliance", rights.held_overview)
    columns = "held_id, batch, month, article, wrapped_key, sealed"
    rows = world.rows(world.app.held, f"SELECT {columns} FROM held_record")
    raw = repr(rows).encode() + b"".join(part for row in rows for part in row if isinstance(part, bytes))
    for secret in (member, pseudonym, member.hex().encode(), b"H00020", members[20]["手机号"].encode()):
        assert secret not in raw
    world.approve("compliance", GuardedAct.HOLD_ACCESS, held_id=rows[-1][0], ticket="CASE-1")
    body = world.run("compliance", rights.open_held, held_id=rows[-1][0], ticket="CASE-1")
    (order,) = body["rows"]["orders"]
    found = world.run("compliance", rights.find_held, order=order["order_id"])
    assert rows[-1][0] in {record.held_id for record in found}
    assert world.run("compliance", rights.find_held, order="no such order") == ()
    with pytest.raises(Denied):
        world.run("support", rights.open_held, held_id=rows[-1][0], ticket="CASE-1")


def test_an_erased_members_old_file_and_late_order_are_refused(shop) -> None:
    world, members = shop
    member = world.id_of("H00021")
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=member, field="phone", value=members[21]["手机号"]
    )
    assert world.ingest("shop-members", [members[21]]).by_rule == {"SUPPRESSED": 1}
    late = {
        "会员编号": "H00021",
        "订单号": "LATE-1",
        "下单时间": "2026-10-30 10:00:00",
        "完成时间": "2026-10-30 10:00:00",
        "订单金额": 5,
        "状态": "已完成",
        "是否开票": "否",
    }
    assert world.ingest("shop-orders", [late]).by_rule == {"UNKNOWN_MEMBER": 1}


def test_an_interrupted_erasure_is_finished_by_the_sweep(shop) -> None:
    world, members = shop
    member = world.id_of("H00022")
    request = submit(world, member, RequestType.DELETION)
    world.run("support", rights.verify, request_id=request.request_id, field="phone", value=members[22]["手机号"])

    class Cut(Exception):
        pass

    def stop(step: str) -> None:
        if step == "key":
            raise Cut

    with pytest.raises(Cut):
        rights.execute(world.app.units(world.actor("support")), request_id=request.request_id, progress=stop)
    with world.unit() as uow:
        assert uow.session.get(ErasureStepRow, (request.request_id, "key")) is not None
        assert uow.session.get(ErasureStepRow, (request.request_id, "rows")) is None
    assert rights.sweep(world.app.units(world.actor("admin"))).erasures_finished == 1
    assert world.run("support", rights.show, request_id=request.request_id).receipt is not None
