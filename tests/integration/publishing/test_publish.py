"""Publishing on a real home: gate, vault, facts, anonymisation, release files and log together."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from common import publishing_world as world_of
from pdms.anonymize import measure
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.clock import FixedClock
from pdms.errors import Conflict, Denied, NotFound
from pdms.ingest import service as ingest
from pdms.policy.definitions import SensitiveFeature
from pdms.publish import service as publish
from pdms.publish.manifest import public_manifest, verify_manifest
from pdms.publish.tables import Publication
from pdms.rights import service as rights
from pdms.segments.classes import classes_of
from pdms.segments.compiled import compile_rule
from pdms.segments.rules import parse
from pdms.settings import Home
from pdms.taxonomy import ConsentState, ReleaseState
from pdms.vault import service as vault
from pdms.views import service as views
from pdms.views import store
from pdms.views.comparing import compare
from pdms.views.definitions import space_of
from pdms.views.pictures import picture

MEMBERS, CONSENTING = 1000, 900
VIEWS = ("member_value", "member_lifecycle")
COLUMNS = "会员编号,目的,状态,时间,方式,采集渠道,证据编号"


@pytest.fixture(scope="module")
def populated(tmp_path_factory, lasting_database) -> tuple[Path, str | None]:
    root = tmp_path_factory.mktemp("populated") / "home"
    world = world_of.World(Home(root), FixedClock(world_of.NOW), lasting_database)
    world.populate(MEMBERS)
    world.close()
    return root, lasting_database


@pytest.fixture
def world(populated, tmp_path, request):
    root, database = populated
    shutil.copytree(root, tmp_path / "home")
    with contextlib.ExitStack() as held:
        if database is not None:
            database = held.enter_context(request.getfixturevalue("postgres_server").copied(database))
        found = world_of.World(Home(tmp_path / "home"), FixedClock(world_of.NOW), database)
        yield found
        found.close()


def officer(world):
    return lambda: world.unit(world_of.OFFICER)


def published(world, view="member_value", **more):
    return publish.publish(officer(world), view=view, **more)


def states(world) -> list[str]:
    with world.unit() as uow:
        return [row.state for row in uow.session.exec(select(Publication).order_by(Publication.number))]


def kinds(world) -> list[EventKind]:
    with world.unit() as uow:
        page = audit.list_events(uow.session, newest_first=False, limit=1000)
    return [stored.event.kind for stored in page.items if stored.event.kind.value.startswith("release.")]


def members(world) -> list[bytes]:
    with world.unit() as uow:
        return [row[0] for row in vault.state_rows(uow)]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_published_for_those_who_consented_and_reaches_what_it_promises(world, view):
    manifest = published(world, view)
    definition = world.policy.views[view]
    assert (manifest.members, manifest.eligible) == (MEMBERS, CONSENTING)
    assert manifest.excluded == {"NO_CONSENT": MEMBERS - CONSENTING}
    assert manifest.rows + manifest.suppressed == CONSENTING
    assert manifest.suppressed <= CONSENTING * definition.suppression_limit
    with world.anon_unit() as uow:
        rows = views.read(uow, view=view)
    _, sizes = rows.classes()
    assert sizes.sum() == rows.table.num_rows == manifest.rows
    assert sizes.min() == manifest.k >= definition.k
    assert 1 / sizes.min() == manifest.risks.prosecutor_max <= definition.risk_threshold
    assert rows.table.column_names == [feature.name for feature in definition.features]
    assert manifest.level == 3
    assert manifest.checkpoint.size > 0
    assert "not anonymous" in manifest.document()["wording"]["en"]


def test_recommendations_rest_on_a_consent_of_their_own(world):
    with pytest.raises(Denied):
        published(world, "recommend_interest")
    agreed = members(world)[:300]
    world.grant(agreed, purpose="recommend")
    manifest = published(world, "recommend_interest")
    assert (manifest.eligible, manifest.excluded) == (300, {"NO_CONSENT": MEMBERS - 300})
    assert manifest.k >= world.policy.views["recommend_interest"].k
    with world.anon_unit() as uow:
        assert views.read(uow, view="recommend_interest").table.num_rows == manifest.rows > 0


def test_a_view_with_a_sensitive_feature_hides_it_in_every_class_and_says_how_well(world):
    view = world.policy.views["member_value"]
    sensitive = SensitiveFeature("age_band", diversity="entropy", l=2.0, c=3.0, t=0.4, distance="equal")
    world.policy = replace(
        world.policy, views={**world.policy.views, "member_value": replace(view, sensitive=sensitive)}
    )
    manifest = published(world)
    with world.anon_unit() as uow:
        rows = views.read(uow, view="member_value").table
    measured = measure(rows, sensitive="age_band")
    assert measured.k == manifest.k >= view.k
    assert measured.entropy_l >= 2
    assert measured.t_equal <= 0.4
    shown = public_manifest(manifest)["sensitive"]
    assert shown["required"]["feature"] == "age_band"
    assert shown["reached"] == {"l": measured.entropy_l, "t": pytest.approx(measured.t_equal)}
    assert "age_band" not in manifest.loss.ncp_by_feature
    with world.unit(world_of.OFFICER) as uow:
        assert publish.manifest(uow, release_id=manifest.release_id) == manifest


def test_numbers_as_tight_ranges_are_published_read_and_asked_like_any_other(world):
    plain = published(world)
    view = replace(world.policy.views["member_value"], numbers="tight")
    world.policy = replace(world.policy, views={**world.policy.views, "member_value": view})
    manifest = published(world)
    assert (plain.numbers, manifest.numbers, public_manifest(manifest)["numbers"]) == ("tree", "tight", "tight")
    with world.anon_unit() as uow:
        rows = views.read(uow, view="member_value")
        shown = picture(uow, view="member_value")
        changes = compare(uow, before=plain.release_id, after=manifest.release_id)
    space = space_of(world.policy, "member_value")
    measured = measure(rows.table)
    assert measured.k == manifest.k >= view.k
    labels = set(rows.table["recency_days"].to_pylist())
    assert any(label not in {one for level in space["recency_days"].labels for one in level} for label in labels)
    assert all(space["recency_days"].bears(label) for label in labels)
    assert sum(level.share for feature in shown.features for level in feature.levels if level.level >= 0) == (
        pytest.approx(len(space))
    )
    assert not changes.features  # of the former release there are no rows any more
    boxes = classes_of(rows.table, space)
    assert int(boxes.sizes.min()) == measured.k
    verdicts = compile_rule(parse({"feature": "recency_days", "below": 60}), space).verdicts(boxes.boxes)
    assert set(verdicts.tolist()) <= {0, 1, 2}
    assert len(set(verdicts.tolist())) > 1


def test_the_officer_reads_it_exactly_and_marketing_rounded_and_both_verify(world):
    manifest = published(world)
    key = world.keys.signer("manifests").public_key
    with world.unit(world_of.OFFICER) as uow:
        assert publish.manifest(uow, release_id=manifest.release_id) == manifest
        verify_manifest(publish.signed_manifest(uow, release_id=manifest.release_id), key)
    with world.anon_unit() as uow:
        shown = views.show(uow, release_id=manifest.release_id).manifest
    verify_manifest(shown, key)
    assert {k: v for k, v in shown.items() if k != "certificate"} == public_manifest(manifest)
    assert shown["eligible"] == {"about": 900}
    for refused in (lambda uow: publish.manifest(uow, release_id=manifest.release_id),):
        with pytest.raises(Denied), world.unit(world_of.MARKETER) as uow:
            refused(uow)


def test_no_id_of_anybody_is_in_what_is_published(world):
    published(world)
    with world.unit() as uow:
        links = vault.pseudonyms_of(uow, members(world))
    released = b"".join(path.read_bytes() for path in world.home.releases.rglob("*") if path.is_file())
    decoded = " ".join(str(row) for row in views_rows(world))
    for member, pseudonym in links.items():
        for found in (member, pseudonym):
            assert found not in released
            assert found.hex().encode() not in released
            assert found.hex() not in decoded
    assert b"@example.com" not in released


def views_rows(world):
    with world.anon_unit() as uow:
        return views.read(uow, view="member_value").table.to_pylist()


def test_a_new_release_withdraws_the_one_before_and_follows_consent(world):
    first = published(world)
    leaver = next(m for m in members(world) if m in consenting(world))
    world.grant([leaver], state="withdrawn", at=world_of.NOW)
    with world.unit() as uow:
        assert publish.mark_stale_for(uow, purpose="segment") == (first.release_id,)
    with pytest.raises(Denied), world.anon_unit() as uow:
        views.read(uow, view="member_value")
    second = published(world)
    assert second.eligible == first.eligible - 1
    assert second.excluded == {"NO_CONSENT": MEMBERS - CONSENTING, "CONSENT_WITHDRAWN": 1}
    with world.anon_unit() as uow:
        found = {one.release_id: one.state for one in views.list_releases(uow)}
    assert found == {first.release_id: ReleaseState.WITHDRAWN, second.release_id: ReleaseState.LIVE}
    assert not (store.folder_of(world.home, "member_value", first.release_id) / store.DATA).exists()
    assert kinds(world) == [
        EventKind.RELEASE_INTENT,
        EventKind.RELEASE_PUBLISHED,
        EventKind.RELEASE_STALE,
        EventKind.RELEASE_INTENT,
        EventKind.RELEASE_PUBLISHED,
        EventKind.RELEASE_WITHDRAWN,
    ]


def consenting(world) -> set[bytes]:
    from pdms.gate import service as gate
    from pdms.taxonomy import Operation

    with world.unit() as uow:
        return set(gate.eligible(uow, purpose="segment", operation=Operation.PROFILE).member_ids)


def test_a_consent_withdrawn_while_the_view_is_computed_is_not_in_the_release(world):
    leaver = min(consenting(world))
    stages = []

    def withdraw_once(stage: str) -> None:
        stages.append(stage)
        if stages.count("anonymise") == 1 and stage == "anonymise":
            world.grant([leaver], state="withdrawn", at=world_of.NOW)
            with world.unit() as uow:
                assert publish.mark_stale_for(uow, purpose="segment") == ()

    manifest = published(world, progress=withdraw_once)
    assert manifest.eligible == CONSENTING - 1
    assert stages.count("eligible") == 2
    with world.anon_unit() as uow:
        assert views.read(uow, view="member_value").info.state is ReleaseState.LIVE
    folder = world.home.releases / "member_value"
    assert {path.name for path in folder.iterdir()} == {".lock", manifest.release_id}


def said_no_here(world, member: str) -> None:
    with world.unit() as uow:
        who = vault.find_external(uow, system="shop", external_id=member)
    with world.unit() as uow:
        rights.express(uow, who, purpose="segment", state=ConsentState.REFUSED)


def said_no_elsewhere(world, member: str) -> None:
    path = world.home.root.parent / f"no-{member}.csv"
    path.write_text(f"{COLUMNS}\n{member},分群分析,撤回,2026-03-02 11:00:00,同意,电话,E-{member}\n", "utf-8")
    assert rights.ingest(world.unit, source="shop-consents", path=path).accepted == 1


@pytest.mark.parametrize("say_no", [said_no_here, said_no_elsewhere])
def test_a_no_by_any_door_marks_what_is_out_and_overtakes_what_is_being_made(world, say_no):
    first = published(world)
    say_no(world, "M00001")
    with world.anon_unit() as uow:
        assert [info.state for info in views.list_releases(uow)] == [ReleaseState.STALE]
    stages = []

    def meanwhile(stage: str) -> None:
        stages.append(stage)
        if stage == "anonymise" and stages.count("anonymise") == 1:
            say_no(world, "M00002")

    second = published(world, progress=meanwhile)
    assert (first.eligible, second.eligible, stages.count("eligible")) == (CONSENTING, CONSENTING - 2, 2)


def test_a_file_of_consents_is_not_taken_in_where_nothing_would_follow_from_a_no(world):
    path = world.home.root.parent / "no.csv"
    path.write_text(f"{COLUMNS}\nM00001,分群分析,拒绝,2026-03-02 11:00:00,同意,电话,E-1\n", "utf-8")
    with pytest.raises(TypeError, match="declined"):
        ingest.ingest(world.unit, source="shop-consents", path=path)
    assert len(consenting(world)) == CONSENTING


def test_consents_that_never_rest_end_in_a_refusal_to_publish(world):
    def always(stage: str) -> None:
        if stage == "anonymise":
            with world.unit() as uow:
                publish.mark_stale_for(uow, purpose=None)

    with pytest.raises(Conflict) as error:
        published(world, progress=always)
    assert error.value.code == "PUBLISH_OVERTAKEN"
    assert states(world) == ["abandoned"]
    assert {path.name for path in (world.home.releases / "member_value").iterdir()} == {".lock"}


def test_too_few_members_are_refused_and_the_former_release_stays(world):
    first = published(world)
    world.grant(sorted(consenting(world))[:860], state="withdrawn", at=world_of.NOW)
    with pytest.raises(Denied) as error:
        published(world)
    assert [reason.code for reason in error.value.reasons] == ["BELOW_MIN_CELL"]
    assert states(world) == ["published", "refused"]
    assert kinds(world)[-2:] == [EventKind.RELEASE_INTENT, EventKind.RELEASE_REFUSED]
    assert {path.name for path in (world.home.releases / "member_value").iterdir()} == {".lock", first.release_id}


def test_a_failure_in_the_middle_is_closed_and_named(world, monkeypatch):
    def fail(*_args, **_more):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_release", fail)
        with pytest.raises(OSError, match="disk full"):
            published(world)
    assert states(world) == ["abandoned"]
    assert published(world).eligible == CONSENTING


@pytest.mark.parametrize("actor", ["MARKETER"])
def test_marketing_does_not_publish(world, actor):
    with pytest.raises(Denied):
        publish.publish(lambda: world.unit(getattr(world_of, actor)), view="member_value")
    assert states(world) == []


def test_an_unknown_view_is_not_found(world):
    with pytest.raises(NotFound):
        published(world, view="no_such_view")


def test_two_publications_of_one_view_do_not_run_at_once(world):
    with store.publishing(world.home, "member_value"), pytest.raises(Conflict) as error:
        published(world)
    assert error.value.code == "PUBLISH_RUNNING"
    assert publish.close_open_intents(world.unit) == publish.Closed((), ())


def test_a_running_publication_is_left_alone_by_the_sweep(world):
    seen = []

    def sweep(stage: str) -> None:
        if stage == "write":
            seen.append(publish.close_open_intents(world.unit))

    manifest = published(world, progress=sweep)
    assert seen == [publish.Closed((), ())]
    with world.anon_unit() as uow:
        assert views.read(uow, view="member_value").info.release_id == manifest.release_id


def test_a_mark_that_the_anonymised_side_missed_is_made_by_the_sweep(world):
    manifest = published(world)
    with world.unit() as uow:
        publish.mark_stale_for(uow, purpose="segment")
        uow.anon.rollback()
    with world.anon_unit() as uow:
        assert views.read(uow, view="member_value").info.state is ReleaseState.LIVE
    publish.close_open_intents(world.unit)
    with world.unit() as uow:
        found = views.known(uow, release_id=manifest.release_id)
    assert found.state is ReleaseState.STALE
