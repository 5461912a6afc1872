"""Guardians of minors and kin of the deceased: their route from intake to receipt or letter, and who is kept out; and
staff who open a minor's fields."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from common.world import World, people
from pdms.access import approvals
from pdms.access import service as access
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap import approving
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.rights import service as rights
from pdms.rights.service import RefusalCode
from pdms.taxonomy import (
    ConsentState,
    ConsentType,
    GuardedAct,
    KinInterest,
    Language,
    MemberId,
    Requester,
    RequestState,
    RequestType,
    RestrictionKind,
)
from pdms.vault import service as vault

GUARDIAN, KIN = {"requester": Requester.GUARDIAN}, {"requester": Requester.KIN, "interest": KinInterest.ACCOUNT}
BORN = {"child": date(2013, 3, 7), "minor": date(2009, 3, 7), "grown": date(2008, 11, 9), "adult": date(1980, 3, 7)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None) -> Iterator[World]:
    made = World.make(tmp_path_factory.mktemp("representatives"), database=lasting_database)
    rows = people(10)
    for place, born in enumerate(BORN.values()):
        rows[place].update(people(place + 1, born=born)[place] | {"身份证号": ""})
    assert made.ingest("shop-members", rows).rejected == 0
    made.run(
        "support", gate.record_consent, made.id_of("H00000"), purpose="order", state=ConsentState.GIVEN,
        type=ConsentType.GUARDIAN, guardian="GP-2026-7", evidence="letter-7",
    )  # fmt: skip
    yield made
    made.close()


def opened(world: World, number: str, *, kind: RequestType = RequestType.ACCESS, **by: object) -> rights.RequestView:
    return world.run("support", rights.open_for, system="shop", number=number, request_type=kind, **by)


def prove(world: World, request: rights.RequestView, evidence: str = "GP-1", role: str = "compliance"):
    return world.run(role, rights.prove, request_id=request.request_id, evidence=evidence)


def carry_out(world: World, request: rights.RequestView, role: str = "support") -> rights.Executed:
    return rights.execute(world.app.units(world.actor(role)), request_id=request.request_id)


def cancel(world: World, request: rights.RequestView) -> None:
    world.run("support", rights.cancel, request_id=request.request_id)


def test_MIN_34_a_guardian_on_record_gets_the_childs_package(shop: World) -> None:
    request = opened(shop, "H00000", **GUARDIAN)
    assert (request.state, request.requester) == (RequestState.IDENTITY_CHECK, Requester.GUARDIAN)
    child = shop.id_of("H00000")
    shop.app.run(shop.member(child), rights.restrict, member_id=child, kind=RestrictionKind.NO_KIN)  # not of guardians
    proven = prove(shop, request, "GP-2026-7", "support")
    assert (proven.state, proven.identity_method) == (RequestState.ASSESSING, "PROOF_ON_RECORD")
    with pytest.raises(Denied) as alone:  # two agree on what leaves of a minor
        carry_out(shop, request, "support")
    assert [one.code for one in alone.value.reasons] == ["SELF_APPROVAL"]
    done = carry_out(shop, request, "compliance")
    assert (done.request.state, done.link is not None) == (RequestState.FULFILLED, True)
    with shop.unit() as uow:
        told = audit.list_events(uow.session, kinds=[EventKind.REQUEST_VERIFIED], limit=5).items[0].event
    assert (dict(told.refs), told.reasons) == (
        {"request": request.request_id, "evidence": "GP-2026-7"},
        ("PROOF_ON_RECORD",),
    )


def test_MIN_34_a_refusal_is_in_writing_and_the_letter_is_kept(shop: World) -> None:
    request = opened(shop, "H00001", kind=RequestType.RESTRICTION, **GUARDIAN)
    prove(shop, request)  # of a guardian who never consented to anything: an officer saw the proof
    with pytest.raises(InvalidInput):
        shop.run("compliance", rights.refuse, request_id=request.request_id, code=RefusalCode.OTHERWISE_ARRANGED)
    shop.run("compliance", rights.refuse, request_id=request.request_id, code=RefusalCode.NO_AUTHORITY)
    kept = shop.run("support", rights.show, request_id=request.request_id)
    assert (kept.state, kept.refusal_code, kept.refusal_article) == (RequestState.REFUSED, "NO_AUTHORITY", "MIN-34")
    assert kept.letter is not None
    for language, words in (
        (Language.ZH, ("理由：", "投诉", "人民法院")),
        (Language.EN, ("because", "complain", "sue")),
    ):
        assert all(word in kept.letter[language] for word in (*words, kept.number, "MIN-34", "privacy@shop.example"))


def test_PIPL_49_kin_looks_and_deletes_in_an_interest_of_their_own(shop: World) -> None:
    for wrong in ({"requester": Requester.KIN}, GUARDIAN | {"interest": KinInterest.CLAIM}):
        with pytest.raises(InvalidInput, match="interest"):
            opened(shop, "H00004", **wrong)
    for kind in (RequestType.WITHDRAWAL, RequestType.RESTRICTION):
        with pytest.raises(InvalidInput, match="PIPL-49"):
            opened(shop, "H00004", kind=kind, **KIN)
    request = opened(shop, "H00004", kind=RequestType.DELETION, **KIN)
    with pytest.raises(Denied):  # what proves death and kinship is the officer's to see
        prove(shop, request, role="support")
    assert prove(shop, request).interest is KinInterest.ACCOUNT
    member = shop.id_of("H00004")
    done = carry_out(shop, request)
    assert json.loads(done.receipt or "")["document"]["type"] == "erasure-receipt"
    with shop.unit() as uow, pytest.raises(NotFound):
        vault.masked(uow, member)
    stored = shop.rows(
        shop.app.main, "SELECT evidence, detail FROM subject_request WHERE request_id = ?", request.request_id
    )
    assert stored == [(None, None)]


def test_PIPL_49_what_the_deceased_arranged_prevails(shop: World) -> None:
    member = shop.id_of("H00005")
    wish = {"member_id": member, "kind": RestrictionKind.NO_KIN}
    shop.app.run(shop.member(member), rights.restrict, **wish)
    before = shop.run("compliance", gate.decide_one, member_id=member, purpose="rights", operation="use")
    assert before.permitted, "it stops no use"
    refused = prove(shop, opened(shop, "H00005", **KIN))
    assert (refused.state, refused.refusal_code, refused.refusal_article) == (
        RequestState.REFUSED,
        "OTHERWISE_ARRANGED",
        "PIPL-49",
    )
    assert refused.letter
    shop.app.run(shop.member(member), rights.lift, **wish)
    request = opened(shop, "H00005", **KIN)
    prove(shop, request)
    shop.app.run(shop.member(member), rights.restrict, **wish)  # they live, and say so
    with pytest.raises(Denied) as caught:
        carry_out(shop, request)
    assert [one.code for one in caught.value.reasons] == ["NO_AUTHORITY"]
    shop.app.run(shop.member(member), rights.cancel, request_id=request.request_id)


def told(world: World, number: str, **by: object) -> tuple[object, ...]:
    """All that an impostor brings back: what intake says, and what each proof is answered."""
    request = opened(world, number, **by)
    said: list[object] = [request.state, request.due_on, request.letter, request.requester, request.interest]
    for role, evidence in (("support", "GP-2026-7"), ("compliance", "GP-3"), *[("support", "GP-4")] * 3):
        try:
            said.append(prove(world, request, evidence, role).state)
        except Denied as error:
            said.append((error.message, tuple(error.reasons)))
    with pytest.raises(Conflict) as lapsed:
        prove(world, request)
    return *said, lapsed.value.message


def test_impostors_learn_neither_who_is_a_member_nor_who_is_a_minor(shop: World) -> None:
    adult, nobody = told(shop, "H00003", **GUARDIAN), told(shop, "NOBODY", **GUARDIAN)
    assert adult == nobody
    # nor by the telephone of the child, nor by a code sent to it, which the guardian may hold in their hands
    request = opened(shop, "H00001", **GUARDIAN)
    for way in (
        lambda: shop.run("support", rights.verify, request_id=request.request_id, field="phone", value="13800000000"),
        lambda: shop.run("support", rights.enter_code, request_id=request.request_id, code="00000000"),
    ):
        with pytest.raises(Conflict, match="evidence"):
            way()
    cancel(shop, request)


def test_kin_of_nobody_is_answered_like_kin_without_a_proof(shop: World) -> None:
    request = opened(shop, "NOBODY", **KIN)
    with pytest.raises(Denied) as nobody:
        prove(shop, request)
    other = opened(shop, "H00006", **KIN)
    with pytest.raises(Denied) as unseen:
        prove(shop, other, role="support")
    assert (nobody.value.message, nobody.value.reasons) == (unseen.value.message, unseen.value.reasons)
    for one in (request, other):
        cancel(shop, one)


def test_evidence_is_a_reference_and_never_what_it_says(shop: World) -> None:
    request = opened(shop, "H00000", **GUARDIAN)
    for text in ("13800138000", "330102198003071234", "王小明的监护证明", "", "GP-2026-118 王小明"):
        with pytest.raises(InvalidInput, match="evidence"):
            prove(shop, request, text)
    cancel(shop, request)


def test_a_guardian_acts_no_more_from_the_month_after_the_eighteenth_birthday_on(shop: World) -> None:
    request = opened(shop, "H00002", **GUARDIAN)
    assert prove(shop, request).state is RequestState.ASSESSING
    now = shop.clock.instant
    shop.clock.instant = now + timedelta(
        days=29
    )  # 1 December; the birthday was in November, and the vault knows the month
    try:
        with pytest.raises(Denied) as caught:
            carry_out(shop, request)
        assert [one.code for one in caught.value.reasons] == ["NO_AUTHORITY"]
    finally:
        shop.clock.instant = now
    cancel(shop, request)


def test_others_requests_neither_stand_in_the_members_way_nor_are_the_members_own(shop: World) -> None:
    member = shop.id_of("H00007")
    actor = shop.member(member)
    foreign = opened(shop, "H00007", kind=RequestType.DELETION, **KIN)  # nobody has proven anything
    own = shop.app.run(actor, rights.submit, member_id=member, request_type=RequestType.DELETION)
    with pytest.raises(Conflict):  # proven, it waits for what the member asked
        prove(shop, foreign)
    assert {one.request_id for one in shop.app.run(actor, rights.list_requests)} == {
        foreign.request_id,
        own.request_id,
    }
    shop.app.run(actor, rights.cancel, request_id=own.request_id)
    prove(shop, foreign)
    with pytest.raises(Denied):  # of the member's own session nobody carries out what kin asked
        rights.execute(shop.app.units(actor), request_id=foreign.request_id)
    shop.app.run(actor, rights.cancel, request_id=foreign.request_id)


def test_MIN_36_staff_opens_a_minors_fields_as_a_second_operator_approved_and_nobody_elses(shop: World) -> None:
    minor, adult = shop.id_of("H00001"), shop.id_of("H00008")
    use = {"purpose": "service", "reason": "CALL_BACK"}

    def opened_by_staff(member: MemberId = minor, fields: tuple[str, ...] = ("phone",)) -> str:
        try:
            return str(shop.run("support", rights.reveal, member_id=member, fields=fields, **use)["phone"])
        except Denied as error:
            return str(error.reasons[0].code)

    assert opened_by_staff(adult).startswith("+86")
    assert opened_by_staff() == "APPROVAL_MISSING"
    asked = {"member_id": minor, "fields": ("phone",), "purpose": "service"}
    question = approving.ask(shop.app, shop.actor("support"), act=GuardedAct.MINOR_REVEAL, **asked)
    for role in ("support", "admin"):  # nobody approves their own, and who sees no member approves no opening
        with pytest.raises(Denied):
            shop.run(role, approvals.approve, approval_id=question.approval_id)
    shop.run("compliance", approvals.approve, approval_id=question.approval_id)
    assert opened_by_staff(fields=("phone", "email")) == "APPROVAL_MISSING"  # exactly as it was asked
    assert opened_by_staff(shop.id_of("H00000")) == "APPROVAL_MISSING"
    assert opened_by_staff().startswith("+86")
    assert opened_by_staff() == "APPROVAL_MISSING"  # once
    with shop.unit() as uow:
        used = audit.list_events(uow.session, kinds=[EventKind.APPROVAL_USED], limit=5).items[0].event
    assert used.refs["act"] == "minor_reveal"


def test_whoever_may_not_look_at_members_opens_nothing(shop: World) -> None:
    for role in ("marketing", "ingest", "admin"):
        with pytest.raises(Denied):
            shop.run(role, rights.open_for, system="shop", number="H00000", request_type=RequestType.ACCESS, **GUARDIAN)
    issued = shop.app.run(shop.actor("admin"), access.create_operator, label="shop", role="member")
    with pytest.raises(Denied):  # the shop's own key neither: its website is where impostors are
        shop.app.run(
            shop.app.authenticate(issued.text), rights.open_for, system="shop", number="H00000",
            request_type=RequestType.ACCESS, **GUARDIAN,
        )  # fmt: skip
