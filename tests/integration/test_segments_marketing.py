"""Segments and campaigns on a real database and a real release file, without the identified side."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from pdms.access.approvals import Approved
from pdms.budgets.counts import NoisedCount
from pdms.clock import FixedClock
from pdms.db.bases import AnonTable
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.marketing import service as marketing
from pdms.marketing.service import CampaignState
from pdms.policy.definitions import Controller, Feature, HierarchyTable, Policy, Purpose, Role, View
from pdms.segments import service as segments
from pdms.settings import Home
from pdms.taxonomy import Channel, ConsentType, GuardedAct, Language, LawfulBasis, Operation, ReleaseState, Scope
from pdms.unit_of_work import Actor, ActorKind, AnonUnitOfWork
from pdms.views import service as views
from pdms.views import store
from pdms.views.service import ReleaseInfo

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
BOTH = {Language.ZH: "示例", Language.EN: "example"}

SEGMENT = """
name: recent_buyers
view: member_value
label: {zh-CN: 近期买家, en: Recent buyers}
rule:
  all:
    - {feature: recency_days, below: 90}
    - {feature: goods, in: [food]}
"""

CAMPAIGN = {
    "name": "spring",
    "segment": "recent_buyers",
    "purpose": "market_email",
    "channel": "email",
    "min_size": 50,
    "template": {"language": "zh-CN", "subject": "春季新品", "body": "{name}您好\n退订： {opt_out}\n"},
}


def purpose(name, **changes):
    base = Purpose(
        name=name,
        label=BOTH,
        basis=LawfulBasis.CONSENT,
        article="PIPL-13-1",
        consent=ConsentType.CONSENT,
        per_recipient=False,
        channel=None,
        categories=("behaviour",),
        deny_fields=(),
        forbid_categories=(),
        operations=(Operation.PROFILE,),
        minors="deny",
        unknown_age="deny",
        opt_out=False,
        pipia=None,
        pipia_required=False,
        retention=(),
        recipients=(),
        notice="n",
        cool_down_days=0,
        consent_days=None,
    )
    return replace(base, **changes)


def number(name, *edges):
    return Feature(name=name, measure=name, edges=edges, coarser=(), hierarchy=None, unit="days", weight=1.0)


def policy():
    goods = Feature(
        name="goods", measure="top_category", edges=None, coarser=(), hierarchy="goods", unit="", weight=1.0
    )
    view = View(
        name="member_value",
        label=BOTH,
        purpose="segment",
        features=(number("recency_days", 30, 90, 180), number("orders", 2, 5, 10), number("spend", 100, 500), goods),
        window_days=365,
        k=10,
        risk_threshold=0.1,
        min_cell=50,
        suppression_limit=0.1,
        consumers=("marketing",),
        expiry_days=30,
    )
    controller = Controller(
        id="c",
        name=BOTH,
        address=BOTH,
        contact="privacy@shop.example",
        officer="officer",
        role="merchant",
        ciio=False,
        region="cn",
        profile="standard",
        sender_name=BOTH,
    )
    rows = (("apple", "food", "*"), ("bread", "food", "*"), ("shirt", "wear", "*"))
    return Policy(
        digest="0" * 64,
        strict_separate=True,
        controller=controller,
        fields={},
        categories={},
        purposes={
            "segment": purpose("segment"),
            "market_email": purpose("market_email", operations=(Operation.SEND,), channel=Channel.EMAIL),
        },
        recipients={},
        roles={"marketing": Role("marketing", (Scope.MARKETING,), ("segment", "market_email"))},
        pipias={},
        notices={},
        sources={},
        views={"member_value": view},
        hierarchies={"goods": HierarchyTable("goods", rows, "made for tests")},
        prefectures=(),
        calendars={},
        segments={},
        tests=(),
    )


MARKETER = Actor(id="op-1", kind=ActorKind.OPERATOR, scopes=frozenset({Scope.MARKETING}), role="marketing")
NOBODY = Actor(id="op-2", kind=ActorKind.OPERATOR, scopes=frozenset({Scope.SUPPORT}), role="support")


class Desk:
    """An anonymised side of its own, and the events it appended."""

    def __init__(self, folder, database):
        self.home = Home(folder)
        self.engine = Databases(self.home, database).open(Part.ANON)
        AnonTable.metadata.create_all(self.engine)
        self.policy = policy()
        self.clock = FixedClock(NOW)
        self.events = []

    def unit(self, actor=MARKETER):
        return AnonUnitOfWork(
            actor=actor,
            clock=self.clock,
            policy=self.policy,
            home=self.home,
            append_events=lambda events: self.events.extend(events),
            anon_engine=self.engine,
        )

    def publish(self, classes):
        """Publish a release whose classes are (labels, size)."""
        names = ["recency_days", "orders", "spend", "goods"]
        labels = {name: [c[0][i] for c in classes] for i, name in enumerate(names)}
        data = store.encode(store.release_table(labels, np.array([c[1] for c in classes], dtype=np.int64)))
        release_id = "rel-" + "a" * 32
        store.write_release(self.home, view="member_value", release_id=release_id, data=data, manifest={})
        import hashlib

        with self.unit() as uow:
            views.put_live(
                uow,
                ReleaseInfo(
                    release_id=release_id,
                    view="member_value",
                    purpose="segment",
                    state=ReleaseState.LIVE,
                    rows=sum(c[1] for c in classes),
                    classes=len(classes),
                    k=10,
                    policy_digest="0" * 64,
                    data_sha256=hashlib.sha256(data).hexdigest(),
                    created_at=NOW,
                    expires_at=NOW + timedelta(days=30),
                    ended_at=None,
                    reason="",
                ),
            )
        return release_id


@pytest.fixture
def desk(tmp_path, database):
    made = Desk(tmp_path, database)
    yield made
    made.engine.dispose()


INSIDE = ("<30", "2-4", "<100", "food")
PARTLY = ("*", "2-4", "*", "apple")
OUTSIDE = (">=180", "<2", "<100", "shirt")


def test_a_preview_rounds_and_says_what_it_cannot_know(desk):
    release_id = desk.publish([(INSIDE, 83), (PARTLY, 61), (OUTSIDE, 40)])
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        found = segments.preview(uow, name="recent_buyers")
    assert found.release_id == release_id
    assert str(found.matched) == "80 to 140"
    assert str(found.total) == "180"
    assert (found.classes_inside, found.classes_partly) == (1, 1)


def test_a_tree_is_saved_as_a_rule_if_each_of_its_leaves_holds_k_rows_of_the_release(desk):
    desk.publish([(INSIDE, 83), (PARTLY, 61), ((">=180", "5-9", "<100", "shirt"), 40)])
    leaf = {"feature": "recency_days", "below": 30, "then": {"leaf": True}, "else": {"leaf": False}}
    tree = {"feature": "orders", "below": 5, "then": leaf, "else": {"leaf": False}}
    document = {"name": "tree", "view": "member_value", "label": {"en": "Tree", "zh-CN": "树"}}
    with desk.unit() as uow:
        # of those with fewer than five orders none lies wholly at thirty days or more
        with pytest.raises(InvalidInput, match="fewer rows of the live release than k"):
            segments.save(uow, document={**document, "model": {"kind": "tree", "tree": tree}})
        with pytest.raises(InvalidInput, match="not both"):
            segments.save(uow, document={**document, "rule": {}, "model": {}})
        held = {**tree, "then": {"leaf": True}}
        saved = segments.save(uow, document={**document, "model": {"kind": "tree", "tree": held}})
        assert "model" not in saved.rule
        assert str(segments.preview(uow, name="tree").matched) == "140"


def test_a_small_preview_is_only_said_to_be_small(desk):
    desk.publish([(INSIDE, 12), (OUTSIDE, 90)])
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        assert str(segments.preview(uow, name="recent_buyers").matched) == "<50"


def test_an_export_holds_whole_inside_classes_only(desk):
    desk.publish([(INSIDE, 83), (PARTLY, 61), (OUTSIDE, 40)])
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        parquet = segments.export(uow, name="recent_buyers", format="parquet", approved=proof(uow, "parquet"))
        text = segments.export(uow, name="recent_buyers", format="csv", approved=proof(uow, "csv"))
    table = pq.read_table(io.BytesIO(parquet.content))
    assert table.column_names == ["recency_days", "orders", "spend", "goods"]
    assert set(map(tuple, table.to_pandas().astype(str).to_numpy().tolist())) == {INSIDE}
    assert table.num_rows == parquet.rows == 83
    rows = list(csv.reader(io.StringIO(text.content.decode())))
    assert len(rows) == 84
    assert tuple(rows[1]) == INSIDE
    assert [e.kind for e in desk.events].count("release.exported") == 2


def proof(uow, form):
    """What the identified side hands over once a second operator has approved (tested in tests/integration/access)."""
    parameters = segments.to_export(uow, name="recent_buyers", format=form)
    return Approved("apr-" + "0" * 32, GuardedAct.BULK_EXPORT, parameters, uow.actor.id, uow.now)


def test_NDR_8_an_export_needs_the_proof_of_its_own_approval(desk):
    desk.publish([(INSIDE, 83), (OUTSIDE, 40)])
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        right = proof(uow, "csv")
    wrong = (
        None,
        replace(right, parameters={**right.parameters, "format": "parquet"}),
        replace(right, parameters={**right.parameters, "rule": "0" * 64}),
        replace(right, actor="op-" + "9" * 32),
        replace(right, act=GuardedAct.HOLD_ACCESS),
        replace(right, at=right.at - timedelta(minutes=2)),
        replace(right, at=right.at + timedelta(seconds=1)),
    )
    for one in wrong:
        with pytest.raises(Denied) as caught, desk.unit() as uow:
            segments.export(uow, name="recent_buyers", format="csv", approved=one)
        assert [(r.code, r.article) for r in caught.value.reasons] == [("APPROVAL_MISSING", "PIPL-10")]
    assert "release.exported" not in [e.kind for e in desk.events]
    with desk.unit() as uow:
        assert segments.export(uow, name="recent_buyers", format="csv", approved=right).rows == 83


def test_an_export_below_the_smallest_cell_is_refused_and_logged(desk):
    desk.publish([(INSIDE, 49), (PARTLY, 61)])
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
    with pytest.raises(Denied) as caught, desk.unit() as uow:
        segments.export(uow, name="recent_buyers", format="csv", approved=proof(uow, "csv"))
    assert [r.code for r in caught.value.reasons] == ["BELOW_MIN_CELL"]
    assert desk.events[-1].kind == "denial"
    assert "release.exported" not in [e.kind for e in desk.events]


@pytest.mark.parametrize(
    "change",
    [("name: recent_buyers", "name: pregnant_buyers"), ("Recent buyers", "Recent patients"), ("近期", "患者")],
)
def test_ALG_10_a_segment_is_not_named_by_a_denied_word(desk, change):
    desk.policy = replace(desk.policy, denied_tags=("患者", "pregnant", "patients"))
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        with pytest.raises(InvalidInput) as caught:
            segments.save(uow, text=SEGMENT.replace(*change))
    assert caught.value.code == "TAG_DENIED"


def test_saving_again_replaces_the_rule_and_changes_its_digest(desk):
    with desk.unit() as uow:
        first = segments.save(uow, text=SEGMENT)
        second = segments.save(uow, text=SEGMENT.replace("below: 90", "below: 30"))
        assert first.digest != second.digest
        assert [s.name for s in segments.list_segments(uow)] == ["recent_buyers"]
        assert segments.show(uow, name="recent_buyers").rule == second.rule


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("below: 90", "below: 91"), "not an edge"),
        (("member_value", "member_other"), "not a view"),
        (("recent_buyers", "Recent Buyers"), "segment.name"),
        (("recent_buyers", "r13800138000"), "segment.name"),
        (("feature: goods", "feature: phone"), "not a column"),
        (("rule:", "note: 1\nrule:"), "key is unknown"),
        (("rule:", "rule: 1\nrule:"), "line 6: a key stands twice"),
        (("en: Recent buyers", "fr: x"), "segment.label"),
        (("[food]", "[no]"), "labels are text"),
    ],
)
def test_a_segment_document_that_breaks_a_rule_is_refused(desk, change, message):
    with pytest.raises(InvalidInput, match=message), desk.unit() as uow:
        segments.save(uow, text=SEGMENT.replace(*change))


def test_an_actor_without_the_scope_is_refused_everywhere(desk):
    for call in (
        lambda u: segments.save(u, text=SEGMENT),
        lambda u: segments.preview(u, name="x"),
        lambda u: segments.export(u, name="x", approved=None),
        lambda u: segments.list_segments(u),
        lambda u: marketing.create(u, document=CAMPAIGN),
        lambda u: marketing.counts(u, name="x"),
        lambda u: marketing.list_campaigns(u),
        lambda u: marketing.cancel(u, name="x"),
        lambda u: marketing.rfm_table(u, view="member_value"),
    ):
        with pytest.raises(Denied), desk.unit(NOBODY) as uow:
            call(uow)


def test_a_campaign_is_drafted_listed_and_cancelled(desk):
    with desk.unit() as uow:
        segment = segments.save(uow, text=SEGMENT)
        made = marketing.create(uow, document=CAMPAIGN)
        assert made.state is CampaignState.DRAFT
        assert made.rule_digest == segment.digest
        assert marketing.show(uow, name="spring") == made
        assert marketing.list_campaigns(uow) == (made,)
        assert marketing.counts(uow, name="spring").counts == {}
        assert marketing.cancel(uow, name="spring").state is CampaignState.CANCELLED
        assert marketing.cancel(uow, name="spring").state is CampaignState.CANCELLED
        with pytest.raises(Conflict, match="cancelled"):
            marketing.mark(uow, name="spring", state=CampaignState.RUNNING)
        with pytest.raises(Conflict, match="exists"):
            marketing.create(uow, document=CAMPAIGN)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_size": 55}, "multiple of 10"),
        ({"min_size": 40}, "below min_cell"),
        ({"min_size": True}, "whole number"),
        ({"purpose": "segment"}, "allows sending"),
        ({"purpose": "market_sms"}, "allows sending"),
        ({"channel": "sms"}, "each channel needs its own consent"),
        ({"channel": "pigeon"}, "campaign.channel"),
        ({"frequency_cap": {"messages": 0, "days": 1}}, "messages"),
        ({"extra": 1}, "key is unknown"),
        ({"template": {**CAMPAIGN["template"], "body": "https://x.example/?n={name}\n{opt_out}"}}, "link"),
        ({"template": {**CAMPAIGN["template"], "body": "{phone}\n{opt_out}"}}, "merge field"),
        ({"template": {**CAMPAIGN["template"], "language": "fr"}}, "language"),
    ],
)
def test_a_campaign_that_breaks_a_rule_is_refused(desk, change, message):
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
    with pytest.raises(InvalidInput, match=message), desk.unit() as uow:
        marketing.create(uow, document={**CAMPAIGN, **change})


def test_a_campaign_needs_a_saved_segment(desk):
    with pytest.raises(NotFound), desk.unit() as uow:
        marketing.create(uow, document=CAMPAIGN)


def test_counts_are_replaced_and_read_back(desk):
    with desk.unit() as uow:
        segments.save(uow, text=SEGMENT)
        marketing.create(uow, document=CAMPAIGN)
        marketing.put_counts(uow, name="spring", counts={"audience": NoisedCount(None, 50), "old": NoisedCount(120)})
        new = {"audience": NoisedCount(118, None, 90, 146), "handed_over": NoisedCount(None, 50)}
        marketing.put_counts(uow, name="spring", counts=new)
        found = marketing.counts(uow, name="spring")
    assert found.counts == new
    assert {k: str(v) for k, v in found.counts.items()} == {"audience": "118 (90 to 146)", "handed_over": "<50"}
    assert found.measured_at == NOW


def test_an_rfm_table_covers_the_release_and_its_rules_can_be_saved(desk):
    desk.publish([(INSIDE, 83), (("<30", ">=10", ">=500", "food"), 100), (PARTLY, 61), (OUTSIDE, 140)])
    with desk.unit() as uow:
        found = marketing.rfm_table(uow, view="member_value")
        by_name = {s.name: s for s in found.segments}
        assert str(by_name["champions"].members) == "100 to 100" or str(by_name["champions"].members) == "100"
        assert str(by_name["promising"].members) == "80 to 140"
        assert str(by_name["hibernating"].members) == "140 to 200"
        assert str(found.undetermined) == "60"
        assert str(found.total) == "380"
        for one in found.segments:
            document = {
                "name": f"rfm_{one.name}",
                "view": "member_value",
                "label": {"zh-CN": "分群", "en": one.name},
                "rule": json.loads(json.dumps(one.rule)),
            }
            saved = segments.save(uow, document=document)
            assert segments.preview(uow, name=saved.name).matched == one.members


def test_an_rfm_table_needs_recency_and_frequency(desk):
    from pdms.marketing.rfm import RfmFeatures

    desk.publish([(INSIDE, 83)])
    with desk.unit() as uow:
        with pytest.raises(InvalidInput, match="goods has no declared edges"):
            marketing.rfm_table(uow, view="member_value", features=RfmFeatures(recency="goods"))
        with pytest.raises(InvalidInput, match="not a column"):
            marketing.rfm_table(uow, view="member_value", features=RfmFeatures(frequency="visits"))
