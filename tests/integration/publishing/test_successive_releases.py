"""Successive releases of one family on a real home: who holds them all finds nobody among fewer than k, and the ledger
follows withdrawals, erasures, expiry and what consumers say of their copies."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np
import pytest
from sqlmodel import select

from common import publishing_world as world_of
from common.world import populated
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap import approving
from pdms.clock import FixedClock
from pdms.errors import Denied, NotFound
from pdms.publish import ledger
from pdms.publish import service as publish
from pdms.publish.manifest import public_manifest
from pdms.publish.tables import LedgerFamily, LedgerPage, Publication
from pdms.rights import service as rights
from pdms.segments import service as segments
from pdms.settings import Home
from pdms.taxonomy import GuardedAct
from pdms.vault import service as vault
from pdms.views import comparing, copies, pictures
from pdms.views import service as views

MEMBERS, VIEW, K = 400, "member_lifecycle", 10
SEGMENT = """
name: everybody
view: member_lifecycle
label: {zh-CN: 所有人, en: Everybody}
rule: {any: [{feature: orders, below: 1}, {feature: orders, at_least: 1}]}
"""


@pytest.fixture
def shop(tmp_path, database):
    world, members = populated(tmp_path / "home", count=MEMBERS, database=database)
    yield world, members
    world.close()


def published(world, view=VIEW, **more):
    return publish.publish(world.app.units(world.actor("compliance")), view=view, **more)


def held(world, family=VIEW) -> dict[bytes, tuple[int, ...]]:
    """Return who holds which classes, as the ledger's own tables say."""
    with world.unit() as uow:
        row = uow.session.exec(select(LedgerFamily).where(LedgerFamily.family == family)).one()
        releases = row.releases.count("rel-")
        classes = np.frombuffer(row.classes, dtype="<i4").reshape(len(row.erased) // 8, releases)
        pages = uow.session.exec(select(LedgerPage).where(LedgerPage.family == family)).all()
    found = {}
    for page in pages:
        numbers = np.frombuffer(page.rows, dtype="<i4")
        for place, number in enumerate(numbers.tolist()):
            found[page.subjects[16 * place : 16 * place + 16]] = tuple(classes[number].tolist())
    return found


def erased(world, family=VIEW) -> int:
    with world.unit() as uow:
        row = uow.session.exec(select(LedgerFamily).where(LedgerFamily.family == family)).one()
    return int(np.frombuffer(row.erased, dtype="<i8").sum())


def pseudonym(world, number: str) -> bytes:
    with world.unit() as uow:
        return vault.pseudonym_of(uow, world.id_of(number))


def withdraw(world, number: str) -> None:
    world.run("support", rights.withdraw, member_id=world.id_of(number), purpose="segment", channel="call_centre")


def test_three_releases_with_withdrawals_joiners_and_an_erasure_hide_everybody_among_k(shop):
    world, members = shop
    late = [f"H{number:05d}" for number in range(40)]
    for number in late:  # they join with the second release
        withdraw(world, number)
    first = published(world)
    assert first.together.releases == ()
    assert len(held(world)) == first.rows
    world.run_anon("marketing", views.read, view=VIEW)
    seen = [held(world)]

    for number in late[:30]:
        consent_again(world, number)
    leavers = [f"H{number:05d}" for number in (50, 60, 70)]
    gone = pseudonym(world, "H00080")
    for number in leavers:
        withdraw(world, number)
    units = world.app.units(world.actor("support"))
    rights.erase_member(units, member_id=world.id_of("H00080"), field="phone", value=members[80]["手机号"])
    assert gone not in held(world)
    assert erased(world) == 1
    second = published(world)
    assert second.together.releases == (first.release_id,)
    assert second.rows + second.suppressed + sum(second.together.held_back.values()) == second.eligible
    assert second.together.held_back["padding"] + second.together.held_back["remainder"] > 0
    world.run_anon("marketing", views.read, view=VIEW)
    seen.append(last_classes(held(world)))

    withdraw(world, "H00090")
    third = published(world)
    assert third.together.releases == (first.release_id, second.release_id)
    seen.append(last_classes(held(world)))

    # the attacker holds all three, the erased member in the first
    everybody = set().union(*seen)
    rows = Counter(tuple(one.get(who, (-1,))[-1] for one in seen) for who in everybody)
    rows.pop((-1, -1, -1), None)
    assert min(rows.values()) == third.together.k >= K
    assert gone in seen[0]
    assert gone not in seen[1]
    for number in leavers:
        row = tuple(one.get(pseudonym(world, number), (-1,))[-1] for one in seen)
        assert row[1:] == (-1, -1)
        assert rows[row] >= K
    shown = world.run_anon("marketing", views.show, release_id=third.release_id).manifest
    assert set(shown["together"]["held_back"]) == {"padding", "remainder", "joiners", "silent"}
    assert "rows" not in shown["together"]
    assert public_manifest(third)["together"] == shown["together"]


def last_classes(now: dict[bytes, tuple[int, ...]]) -> dict[bytes, tuple[int, ...]]:
    return {who: row[-1:] for who, row in now.items() if row[-1] >= 0}


def consent_again(world, number: str) -> None:
    from pdms.consent import service as consent

    with world.unit("support") as uow:
        notice = uow.policy.purposes["segment"].notice
        at = uow.now + timedelta(seconds=1)
    world.pass_time(minutes=1)
    row = consent.ImportRow(
        1, world.id_of(number), "segment", "given", at, evidence=f"again-{number}", channel="web", notice=notice
    )
    with world.unit("support") as uow:
        assert consent.import_records(uow, [row], evidence_store="archive").rejected == ()


def test_a_release_binds_the_next_until_its_copies_are_gone(shop):
    world, _ = shop
    first = published(world)
    assert world.run_anon("marketing", copies.list_copies, release_id=first.release_id) == ()
    second = published(world)
    assert second.together.releases == (), "nobody read the first, and nobody can any more"
    over(world, first)
    for role in ("marketing", "compliance"):
        world.run_anon(role, views.read, view=VIEW)
    withdraw(world, "H00010")
    for consumer, error in (("compliance", Denied), ("nobody", Denied)):
        with pytest.raises(error):
            acknowledge(world, "marketing", second.release_id, consumer=consumer)
    with pytest.raises(NotFound):
        acknowledge(world, "marketing", first.release_id)
    said = acknowledge(world, "marketing", second.release_id)
    assert said.deleted_at is not None
    third = published(world)
    assert third.together.releases == (second.release_id,), "one of two consumers still holds it"
    assert acknowledge(world, "compliance", second.release_id, consumer="marketing") == said, "twice is once"
    acknowledge(world, "compliance", second.release_id)
    with world.unit() as uow:
        uow.lock_anon_first()
        assert ledger.prune(uow) == 1
        uow.session.flush()
    assert {len(row) for row in held(world).values()} == {1}
    kinds = [EventKind.RELEASE_COPY_DELETED]
    with world.unit() as uow:
        events = audit.list_events(uow.session, kinds=kinds, limit=10).items
    assert [item.event.refs["consumer"] for item in reversed(events)] == ["marketing", "compliance"]

    world.run_anon("marketing", views.read, view=VIEW)
    withdraw(world, "H00011")
    (copy,) = world.run_anon("compliance", copies.list_copies, release_id=third.release_id)
    assert (copy.delete_by, copy.overdue) == (third.expires_at, False)
    world.pass_time(days=31)
    (copy,) = world.run_anon("compliance", copies.list_copies, release_id=third.release_id)
    assert copy.overdue
    publish.close_open_intents(world.app.units(world.actor("compliance")))
    assert held(world) == {}, "over: who was in it is forgotten"
    assert published(world).together.releases == ()
    over(world, third)  # of which a copy was never acknowledged
    with world.unit() as uow:
        uow.lock_anon_first()
        assert ledger.standing(uow, family=VIEW, view=VIEW).releases == ()


def over(world, manifest) -> None:
    """Let nobody read the manifest of a release that cannot be out any more."""
    with world.unit() as uow:
        row = uow.session.exec(select(Publication).where(Publication.release_id == manifest.release_id)).one()
        row.manifest = "not to be read"
        uow.session.add(row)


def acknowledge(world, role, release_id, **more):
    return world.run_anon(role, copies.acknowledge_deleted, release_id=release_id, **more)


def test_nobody_hides_behind_a_honey_member(shop):
    world, _ = shop
    published(world)
    world.run_anon("marketing", views.read, view=VIEW)
    rows = Counter(held(world).values())
    row, size = min(rows.items(), key=lambda item: item[1])
    some = [who for who, held_row in held(world).items() if held_row == row][: size - K + 1]
    with world.unit() as uow:
        members = [member.hex() for member in vault.members_of(uow, some).values()]
    assert size >= K, "counted naively the row is shared by enough"
    world.run("compliance", rights.change_decoys, members=members)
    for _ in range(2):  # an erasure makes no real member of one
        with pytest.raises(Denied) as refused:
            published(world)
        assert [reason.code for reason in refused.value.reasons] == ["LEDGER_SMALL_ROW"]
        for one in some:
            world.run("compliance", publish.forget, pseudonym=one)
        assert erased(world) == 0
    assert not set(some) & set(held(world))


def test_a_release_that_the_ledger_does_not_know_and_one_that_holds_too_many_back_are_refused(shop):
    world, _ = shop
    first = published(world)
    world.run_anon("marketing", views.read, view=VIEW)
    for number in range(0, 60, 2):
        withdraw(world, f"H{number:05d}")
    with pytest.raises(Denied) as refused:
        published(world)
    assert [reason.code for reason in refused.value.reasons] == ["LEDGER_HELD_BACK"]
    with world.unit() as uow:
        for row in [*uow.session.exec(select(LedgerFamily)), *uow.session.exec(select(LedgerPage))]:
            uow.session.delete(row)
    with pytest.raises(Denied) as refused:
        published(world)
    assert [reason.code for reason in refused.value.reasons] == ["LEDGER_UNKNOWN_RELEASE"]
    acknowledge(world, "marketing", first.release_id)
    assert published(world).together.releases == ()


def test_two_views_of_one_family_published_at_once_are_composed_with_each_other(tmp_path):
    world = world_of.World(Home(tmp_path / "home"), FixedClock(world_of.NOW))
    world.populate(1500)
    one_family = {
        name: replace(view, family="members", held_back_limit=1.0, suppression_limit=0.2)
        for name, view in world.policy.views.items()
    }
    world.policy = replace(world.policy, views=MappingProxyType(one_family))
    other, stages = [], []

    def meanwhile(stage):
        stages.append(stage)
        if stage == "write" and not other:
            other.append(publish.publish(lambda: world.unit(world_of.OFFICER), view="member_value"))

    mine = publish.publish(lambda: world.unit(world_of.OFFICER), view=VIEW, progress=meanwhile)
    assert other[0].together.releases == ()
    assert stages.count("eligible") == 2, "taken anew: another release of the family went out"
    assert mine.together.releases == (other[0].release_id,)
    rows = Counter(held(world, "members").values())
    assert min(rows.values()) == mine.together.k >= K
    world.close()


def test_what_views_of_other_families_tell_together_is_counted_stated_and_refused_beyond_a_limit(tmp_path):
    world = world_of.World(Home(tmp_path / "home"), FixedClock(world_of.NOW))
    world.populate(900)
    given = dict(world.policy.views)

    def build(view, **changes):
        given[view] = replace(given[view], suppression_limit=0.2, **changes)
        world.policy = replace(world.policy, views=MappingProxyType(given))
        return publish.publish(lambda: world.unit(world_of.OFFICER), view=view)

    first = build("member_value")
    assert (first.linked.releases, first.linked.below) == ((), 0), "nothing else is out"
    second = build(VIEW)
    assert (second.linked.releases, second.linked.asked) == ((first.release_id,), K)
    one, other = held(world, "member_value"), held(world)
    rows = Counter((row, one.get(who)) for who, row in other.items())
    below = sum(count for count in rows.values() if count < K)
    assert (second.linked.below, second.linked.k) == (below, min(rows.values()))
    assert below > 0.8 * second.linked.members == 0.8 * second.rows, "so much for views that cut across each other"
    assert second.together.releases == ()
    assert "linked" not in public_manifest(second)
    with world.unit(world_of.OFFICER) as uow:
        assert publish.manifest(uow, release_id=second.release_id) == second
    with pytest.raises(Denied) as refused:
        build(VIEW, linked_limit=0.5)
    assert [reason.code for reason in refused.value.reasons] == ["LEDGER_LINKED"]
    alone = build(VIEW, consumers=("compliance",))
    assert alone.linked.releases == (), "no reader in common but officers"

    other_stages = []

    def meanwhile(stage):  # another view comes out between the count and the outcome
        other_stages.append(stage)
        if stage == "write" and len(other_stages) < 6:
            build("win_back")

    given[VIEW] = replace(given[VIEW], consumers=("marketing",))
    with world.anon_unit() as uow:
        views.read(uow, view="member_value")
    with world.unit(world_of.OFFICER) as uow:
        uow.lock_anon_first()
        views.withdraw(uow, release_id=first.release_id)
        copies.acknowledge_deleted(uow, release_id=first.release_id, consumer="marketing")
    with pytest.raises(Denied) as refused:
        publish.publish(lambda: world.unit(world_of.OFFICER), view=VIEW, progress=meanwhile)
    assert [reason.code for reason in refused.value.reasons] == ["LEDGER_LINKED"]
    assert other_stages.count("eligible") == 2
    world.close()


def test_rows_that_leave_as_a_file_are_a_copy_and_pictures_and_comparisons_too(shop):
    world, _ = shop
    first = published(world)
    actor = world.actor("marketing")
    world.approve("marketing", GuardedAct.BULK_EXPORT, release_id=first.release_id, format="csv")
    exported = approving.export_release(world.app, actor, release_id=first.release_id, format="csv")
    assert exported.rows == first.rows
    assert consumers(world, first) == ["marketing"]
    acknowledge(world, "marketing", first.release_id)
    world.run_anon("marketing", segments.save, text=SEGMENT)
    world.approve("marketing", GuardedAct.BULK_EXPORT, segment="everybody", format="csv")
    assert approving.export_segment(world.app, actor, name="everybody", format="csv").rows == first.rows
    assert consumers(world, first) == ["marketing"]
    acknowledge(world, "marketing", first.release_id)
    world.run_anon("marketing", pictures.picture, view=VIEW)
    assert consumers(world, first) == ["marketing"]
    second = published(world)
    world.run_anon("marketing", comparing.compare, before=first.release_id, after=second.release_id)
    assert consumers(world, second) == ["marketing"]


def consumers(world, manifest) -> list[str]:
    found = world.run_anon("compliance", copies.list_copies, release_id=manifest.release_id)
    return [copy.consumer for copy in found if copy.deleted_at is None]
