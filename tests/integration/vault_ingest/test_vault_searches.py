"""Searches, decoys, reveal counts and the leakage report on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from pdms.errors import Conflict
from pdms.policy.definitions import SearchDefinition
from pdms.policy.permit import Permit
from pdms.reports.leakage import leakage
from pdms.taxonomy import MemberId, Operation, Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault
from pdms.vault.looking import look_up
from pdms.vault.service import MemberRow

STAFF = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))
OFFICER = Actor("op-" + "3" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE, Scope.ADMIN}))
SEARCHES = {
    "phone_last4": SearchDefinition("phone_last4", 1, "phone", "last_four", 8),
    "name_part": SearchDefinition("name_part", 2, "name", "bigrams", 24),
}
COUNT = 60


@pytest.fixture
def home(small_home) -> Iterator[object]:
    rows = [
        MemberRow(f"M{n:03}", {"name": f"王{'小大'[n % 2]}{chr(0x4E00 + n)}", "phone": f"+86138{n:04}{n % 7:04}"})
        for n in range(COUNT)
    ]
    with small_home.unit() as uow:
        assert vault.upsert_members(uow, rows, system="shop").created == COUNT
    small_home.policy = replace(small_home.policy, searches=SEARCHES)
    return small_home


def search(home, **terms: str) -> set[MemberId]:
    with home.unit(STAFF) as uow:
        permit = Permit(
            id="permit-" + "0" * 32, event_id="0" * 32, purpose="service", operation=Operation.REVEAL, member_id=None,
            categories=(), fields=("name", "phone"), channel=None, recipient=None, view=None, issued_at=uow.now,
            expires_at=uow.now + timedelta(minutes=10), actor=STAFF.id, policy_digest="0" * 64, reason="CALL_BACK",
        )  # fmt: skip
        return set(vault.search(uow, permit, terms=terms))


def who(home, *numbers: int) -> set[MemberId]:
    with home.unit() as uow:
        return {keys.member_id for keys in vault.resolve(
            uow, system="shop", external_ids=[f"M{n:03}" for n in numbers]).values()}  # fmt: skip


def test_built_searched_changed_and_removed(home) -> None:
    with pytest.raises(Conflict):
        search(home, phone_last4="0003")
    assert vault.reindex(lambda: home.unit(OFFICER), batch=25).members == COUNT
    assert search(home, phone_last4="0003", name_part="王大") == who(home, *range(3, COUNT, 14))
    with home.unit() as uow:
        vault.upsert_members(
            uow,
            [MemberRow("M003", {"phone": "+8613900009999"}), MemberRow("N1", {"phone": "+8613900009999"})],
            system="shop",
        )
    assert search(home, phone_last4="9999") == who(home, 3) | {*_external(home, "N1")}
    assert who(home, 3) & search(home, phone_last4="0003", name_part="王大") == set()
    home.policy = replace(home.policy, searches={})
    assert vault.reindex(lambda: home.unit(OFFICER), batch=25).members == COUNT + 1
    for table in ("search_index", "member_search", "search_state"):
        assert home.sql(f"SELECT count(*) FROM {table}") == [(0,)]


def _external(home, number: str) -> set[MemberId]:
    with home.unit() as uow:
        found = vault.find_external(uow, system="shop", external_id=number)
    assert found is not None
    return {found}


def test_decoys_are_listed_and_left_again(home) -> None:
    (one,) = who(home, 5)
    with home.unit(OFFICER) as uow:
        assert vault.mark_decoys(uow, [one]) == 1
        assert vault.decoys(uow) == {one}
    with home.unit(OFFICER) as uow:
        assert vault.decoys(uow) == {one}
        assert vault.count(uow) == COUNT - 1
        assert vault.mark_decoys(uow, [one], drop=True) == 1
    with home.unit(OFFICER) as uow:
        assert vault.decoys(uow) == frozenset()


def test_a_look_up_opens_every_field(home) -> None:
    with home.unit(STAFF) as uow:
        (found,) = look_up(uow, index="phone", value="+8613800050005")
        assert found.fields == {"external": "M005", "name": f"王大{chr(0x4E05)}", "phone": "+8613800050005"}
        assert "王大" not in repr(found)
        assert look_up(uow, index="phone", value="+8613800050006") == []


def test_the_report_counts_what_is_held(home) -> None:
    vault.reindex(lambda: home.unit(OFFICER))
    with home.unit(OFFICER) as uow:
        found = leakage(uow)
    sizes = {one.name: one.sizes for one in found.indexes}
    assert found.members == sizes["external"].entries == sizes["phone"].entries == COUNT
    assert sizes["phone_last4"].entries == COUNT
    assert sizes["phone_last4"].buckets <= 7
    assert sizes["email"].entries == 0
    assert found.joint[0].sizes.alone == 1.0
