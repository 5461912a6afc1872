"""The packed state of all members is a copy that nobody is misled by: not before it is made, not while it is old."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.world import World, consents_of, people
from pdms.consent import service as consent
from pdms.consent import store
from pdms.gate import service as gate
from pdms.gate.sets import decide_set
from pdms.policy.decide import Use
from pdms.rights import service as rights
from pdms.taxonomy import MemberId, Operation, RestrictionKind
from pdms.unit_of_work import Actor
from pdms.vault import service as vault

SEGMENT: dict[str, Any] = {"purpose": "segment", "operation": Operation.PROFILE}
USE = Use("segment", Operation.PROFILE)
COUNT = 12


def shop_on(folder: Path, database: str | None) -> World:
    made = World.make(folder, database=database)
    rows = people(COUNT)
    made.ingest("shop-members", made.file("members.csv", rows))
    made.ingest("shop-consents", consents_of(rows))
    return made


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    """Twelve adults who consented to segmentation; nothing is packed yet."""
    made = shop_on(tmp_path, database)
    yield made
    made.close()


def bodies(shop: World) -> bytes:
    return b"".join(row[0] for row in shop.rows(shop.app.main, "SELECT body FROM set_page ORDER BY page_no"))


def permitted(shop: World) -> set[MemberId]:
    """Whom a set decision permits, held against single decisions."""
    found = shop.run("marketing", gate.eligible, **SEGMENT)
    with shop.unit("marketing") as uow:
        for row in vault.state_rows(uow):
            one = gate.decide_one(uow, member_id=MemberId(row[0]), **SEGMENT)
            assert one.permitted == (row[0] in found.member_ids)
    return set(found.member_ids)


def test_before_anything_is_packed_a_reader_decides_from_the_tables(shop: World) -> None:
    shop.run("support", consent.restrict, shop.id_of("H00001"), kind=RestrictionKind.RESTRICTION)
    with shop.app.unit(Actor.system(), read_only=True) as uow:
        found = decide_set(uow, purpose=uow.policy.purposes["segment"], use=USE)
    assert (found.total, len(found.eligible), found.excluded) == (COUNT, COUNT - 1, {"RESTRICTED": 1})
    assert bodies(shop) == b""
    assert len(permitted(shop)) == COUNT - 1
    assert bodies(shop) != b""


def test_what_happens_after_packing_counts_at_once(shop: World) -> None:
    everybody = permitted(shop)
    packed = bodies(shop)
    shop.run("support", consent.withdraw, shop.id_of("H00000"), purpose="segment")
    shop.run("support", consent.restrict, shop.id_of("H00001"), kind=RestrictionKind.ADM_OPT_OUT)
    shop.run("support", vault.disable, shop.id_of("H00002"))
    more = people(2, seed=5)
    for place, row in enumerate(more):
        row |= {"会员编号": f"N{place}", "手机号": f"1390000010{place}", "登录名": f"new_{place}", "身份证号": ""}
        row |= {"邮箱": f"n{place}@example.com"}
    shop.ingest("shop-members", shop.file("more.csv", more))
    shop.ingest("shop-consents", consents_of(more))
    gone = {shop.id_of(f"H0000{n}") for n in range(3)}
    wanted = everybody - gone | {shop.id_of("N0"), shop.id_of("N1")}
    assert permitted(shop) == wanted
    assert bodies(shop) == packed  # few changes are read beside the pages
    assert shop.run("compliance", gate.settle_sets) == COUNT + 2
    assert bodies(shop) != packed
    assert permitted(shop) == wanted
    assert shop.rows(shop.app.main, "SELECT * FROM member_change UNION ALL SELECT * FROM consent_change") == []


def test_a_change_of_everybody_packs_anew(shop: World) -> None:
    everybody = permitted(shop)
    with shop.unit() as uow:
        uow.session.connection().exec_driver_sql("UPDATE set_page SET body = ?", (b"",))
        store.rebuild_current(uow.session)
    assert permitted(shop) == everybody


def test_PIPL_47_1_an_erased_member_is_in_no_page(shop: World) -> None:
    permitted(shop)
    member = shop.id_of("H00003")
    assert member in bodies(shop)
    rights.erase_member(
        shop.app.units(shop.actor("support")), member_id=member, field="phone", value=people(COUNT)[3]["手机号"]
    )
    assert member not in bodies(shop)
    assert member not in permitted(shop)


def test_PIPL_15_1_a_withdrawal_that_commits_during_packing_is_not_lost(tmp_path: Path, postgres: str) -> None:
    shop = shop_on(tmp_path, postgres)
    try:
        member = shop.id_of("H00000")
        with shop.unit("support") as withdrawing:
            consent.withdraw(withdrawing, member, purpose="segment")
            with shop.app.unit(Actor.system()) as packing:
                assert gate.settle_sets(packing) == COUNT
        assert member not in permitted(shop)
        shop.run("compliance", gate.settle_sets)
        assert member not in permitted(shop)
    finally:
        shop.close()


def test_while_one_packs_another_decides_from_the_tables(tmp_path: Path, postgres: str) -> None:
    shop = shop_on(tmp_path, postgres)
    try:
        with shop.app.unit(Actor.system()) as packing:
            gate.settle_sets(packing)
            found = shop.run("marketing", gate.eligible, **SEGMENT)
            assert len(found.member_ids) == COUNT
        assert len(permitted(shop)) == COUNT
    finally:
        shop.close()
