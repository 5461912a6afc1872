"""Events that nobody asks for by name: a request past its day, a sign-up after an erasure, a policy that is refused."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.shell import command_line
from common.world import POLICIES, World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome
from pdms.errors import Denied
from pdms.gate import service as gate
from pdms.policy.yaml_reader import PolicyInvalid
from pdms.rights import service as rights
from pdms.rights.sweep import sweep
from pdms.taxonomy import RequestType


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    made = World.make(tmp_path, database=database)
    made.ingest("shop-members", people(3))
    yield made
    made.close()


def events(world: World, kind: EventKind) -> list[Event]:
    with world.unit() as uow:
        return [item.event for item in audit.list_events(uow.session, kinds=[kind]).items]


def test_a_request_past_its_day_is_told_of_once(shop: World) -> None:
    member = shop.id_of("H00000")
    late = shop.run("support", rights.submit, member_id=member, request_type=RequestType.ACCESS)
    correction = {"request_type": RequestType.CORRECTION, "field": "email", "value": "n@example.com"}
    again = shop.run("support", rights.submit, member_id=member, **correction)
    units = shop.app.units(shop.actor("compliance"))
    assert sweep(units).overdue_told == 0
    shop.pass_time(days=40)
    shop.run("support", rights.cancel, request_id=again.request_id)
    assert sweep(units).overdue_told == 1
    (told,) = events(shop, EventKind.REQUEST_OVERDUE)
    assert (told.refs["request"], told.member_id) == (late.request_id, member.hex())
    assert told.numbers["days"] > 0
    shop.pass_time(days=1)
    assert sweep(units).overdue_told == 0
    assert len(events(shop, EventKind.REQUEST_OVERDUE)) == 1


def test_a_sign_up_after_the_erasure_is_told_of_and_an_old_file_still_brings_nobody_back(shop: World) -> None:
    person, other = people(3)[1], people(3)[2]
    rights.erase_member(
        shop.app.units(shop.actor("support")), member_id=shop.id_of("H00001"), field="phone", value=person["手机号"]
    )
    assert shop.ingest("shop-members", [person]).by_rule == {"SUPPRESSED": 1}
    assert events(shop, EventKind.SUPPRESSION_LIFTED) == []
    shop.pass_time(days=9)
    later = person | {"会员编号": "N1", "注册时间": (shop.clock.instant - timedelta(days=1)).date().isoformat()}
    assert shop.ingest("shop-members", [later, other]).rejected == 0
    (told,) = events(shop, EventKind.SUPPRESSION_LIFTED)
    assert told.numbers == {"members": 1}
    assert told.digest is not None
    assert shop.ingest("shop-members", [person | {"会员编号": "N2"}]).by_rule == {"SUPPRESSED": 1}


def test_documents_that_break_a_rule_are_refused_on_record(shop: World, tmp_path: Path) -> None:
    broken = tmp_path / "policies"
    shutil.copytree(POLICIES, broken)
    document = broken / "policy.yaml"
    document.write_text(document.read_text("utf-8") + "\nunknown_key: 1\n", "utf-8")
    before = shop.app.policy.digest
    with pytest.raises(PolicyInvalid):
        shop.run("compliance", gate.activate_documents, folder=broken)
    with pytest.raises(Denied):
        shop.run("marketing", gate.activate_documents, folder=broken)
    (refused,) = events(shop, EventKind.POLICY_REFUSED)
    assert (refused.outcome, refused.reasons, refused.refs["policy"]) == (Outcome.DENIED, ("POLICY_INVALID",), before)
    with shop.unit() as uow:
        assert gate.active_digest(uow) == before
    shop.run("compliance", gate.activate_documents, folder=POLICIES)
    assert len(events(shop, EventKind.POLICY_REFUSED)) == 1


def test_the_command_refuses_broken_documents_on_record(tmp_path: Path) -> None:
    """Every other command refuses to start by them; this one goes by the policy in force, and says who tried."""
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    shop = World.make(tmp_path, policies=policies)
    document = policies / "policy.yaml"
    whole = document.read_text("utf-8")
    document.write_text(whole + "\nunknown_key: 1\n", "utf-8")
    home, token = shop.app.home.root, shop.tokens["compliance"]
    for words in (["policy", "activate"], ["audit", "head"]):
        answer = command_line(home, token, *words)
        assert (answer.code, "unknown_key" in answer.text) == (2, True), (words, answer.text)
    assert command_line(home, None, "policy", "activate").code == 3
    (refused,) = events(shop, EventKind.POLICY_REFUSED)
    assert refused.actor.startswith("op-")
    shop.close()
