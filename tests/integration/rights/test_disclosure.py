"""Authorities get what they asked for of one member, as two officers approved it; who asks for more gets nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from common.world import World, populated
from pdms.access import approvals
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap import approving
from pdms.clock import SHANGHAI
from pdms.errors import Denied, InvalidInput
from pdms.rights import packages
from pdms.rights import service as rights
from pdms.rights.service import DisclosureScope
from pdms.taxonomy import Authority, GuardedAct
from pdms.vault import service as vault

TRADE = DisclosureScope(Authority.TAX, ("transaction",), "CASE-7", since=date(2026, 1, 1), until=date(2026, 6, 30))
NUMBER = "H00001"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, lasting_database: str | None) -> Iterator[World]:
    made, _ = populated(tmp_path_factory.mktemp("disclosure"), count=5, database=lasting_database)
    made.approve("compliance", GuardedAct.CONSENT_EXPORT)  # there is a second officer
    yield made
    made.close()


def disclose(world: World, scope: DisclosureScope, *, role: str = "compliance", number: str = NUMBER) -> Any:
    return world.run(role, rights.disclose, member_id=world.id_of(number), scope=scope)


def codes(world: World, scope: DisclosureScope, **who: str) -> list[str]:
    with pytest.raises(Denied) as caught:
        disclose(world, scope, **who)
    return [one.code for one in caught.value.reasons]


def approve(world: World, scope: DisclosureScope) -> None:
    world.approve("compliance", GuardedAct.DISCLOSURE, member_id=world.id_of(NUMBER), scope=scope)


@pytest.mark.parametrize("wide", [
    replace(TRADE, categories=("basic", "behaviour", "transaction", "interaction")),
    replace(TRADE, categories=("sensitive",)),
    replace(TRADE, categories=()),
    replace(TRADE, since=None),
    replace(TRADE, since=None, until=None),
    replace(TRADE, since=date(2025, 6, 29)),
    replace(TRADE, since=date(2026, 7, 1)),
    replace(TRADE, ticket=""),
])  # fmt: skip
def test_PIPL_63_a_wide_scope_is_refused_before_anybody_can_approve_it(shop: World, wide: DisclosureScope) -> None:
    member = shop.id_of(NUMBER)
    with pytest.raises(InvalidInput):
        approving.ask(shop.app, shop.actor("compliance"), act=GuardedAct.DISCLOSURE, member_id=member, scope=wide)
    with pytest.raises(InvalidInput):
        disclose(shop, wide)


def test_ECL_25_an_authority_is_given_exactly_what_two_officers_approved_once(shop: World) -> None:
    assert codes(shop, TRADE) == ["APPROVAL_MISSING"]
    approve(shop, TRADE)
    for other in (replace(TRADE, authority=Authority.POLICE), replace(TRADE, until=date(2026, 7, 1)),
                  replace(TRADE, categories=("transaction", "interaction"))):  # fmt: skip
        assert codes(shop, other) == ["APPROVAL_MISSING"]
    assert codes(shop, TRADE, number="H00002") == ["APPROVAL_MISSING"]
    for role in ("support", "marketing", "admin"):
        assert codes(shop, TRADE, role=role) == ["SCOPE_MISSING"]
    given = disclose(shop, TRADE)
    assert given["identity"] == {}
    assert set(given["facts"]) == {"orders", "order_lines"}
    days = [row["placed_at"].astimezone(SHANGHAI).date() for rows in given["facts"].values() for row in rows]
    assert days, "the period was chosen so that something happened in it"
    assert all(TRADE.since <= day <= TRADE.until for day in days)
    assert codes(shop, TRADE) == ["APPROVAL_MISSING"]
    with shop.unit() as uow:
        made = audit.list_events(uow.session, kinds=[EventKind.DISCLOSURE_MADE], limit=5).items[0].event
    assert (made.ticket, made.refs["authority"], made.numbers["rows"]) == ("CASE-7", "tax", len(days))
    assert made.member_id == shop.id_of(NUMBER).hex()


def test_a_disclosure_of_identity_opens_the_fields_of_that_category_and_no_others(shop: World) -> None:
    who = DisclosureScope(Authority.COURT, ("basic",), "CASE-8")
    approve(shop, who)
    given = disclose(shop, who)
    assert set(given["identity"]) == {"name", "phone", "email", "address", "login"}
    assert given["facts"] == {}
    shop.run("support", vault.masked, shop.id_of(NUMBER))
    with shop.unit("support") as uow:  # secrecy may have been asked for
        told = packages.collect(uow, shop.id_of(NUMBER))
    assert told["events"]
    assert not [one for one in told["events"] if one["purpose"] == "disclosure" or "disclosure" in one["kind"]]


def test_PIPL_41_nothing_is_given_to_an_authority_abroad_without_the_approval_here(shop: World) -> None:
    abroad = replace(TRADE, authority=Authority.COURT, region="us")
    approve(shop, abroad)  # two officers cannot put themselves in the place of the authority in charge
    assert codes(shop, abroad) == ["FOREIGN_AUTHORITY"]
    allowed = replace(abroad, approval="MOJ-2026-7")
    assert codes(shop, allowed) == ["APPROVAL_MISSING"]
    approve(shop, allowed)
    assert disclose(shop, allowed)["facts"]["orders"]


def test_an_approval_asked_for_past_the_face_opens_no_wider_scope(shop: World) -> None:
    wide = {"member": shop.id_of(NUMBER).hex(), "categories": "basic:behaviour:interaction:transaction",
            "authority": "tax", "region": "cn", "ticket": "CASE-9"}  # fmt: skip
    question = shop.run("compliance", approvals.ask, act=GuardedAct.DISCLOSURE, parameters=wide)
    shop.run("second", approvals.approve, approval_id=question.approval_id)
    scope = DisclosureScope(Authority.TAX, ("basic", "behaviour", "interaction", "transaction"), "CASE-9")
    with pytest.raises(InvalidInput):
        disclose(shop, scope)
