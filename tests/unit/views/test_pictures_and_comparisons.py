"""A release drawn, and two side by side: from released rows alone, to those who may read them."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from pdms.audit.catalogue import EventKind
from pdms.errors import Denied, InvalidInput
from pdms.taxonomy import ReleaseState, Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.views import comparing, pictures, service, store

OFFICER = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.COMPLIANCE}), role="compliance")
OTHER = Actor("op-" + "3" * 32, ActorKind.OPERATOR, frozenset({Scope.MARKETING}), role="other")
LABELS = {"recency_days": ["<30", "*", "30-89"], "gender": ["male", "female", "*"]}


def manifest(sizes, ncp=0.2, **more):
    return {
        "rows": int(sum(sizes)), "classes": len(sizes), "k": int(min(sizes)), "k_required": 3,
        "features": [{"name": "recency_days"}, {"name": "gender"}],
        "loss": {"ncp": ncp, "ncp_by_feature": {"recency_days": ncp, "gender": 0.5}, "average_class_size": 4.0},
        "risks": {"prosecutor_max": 1 / 3, "prosecutor_average": 0.25, "threshold": 0.34},
        "suppressed": {"below": 5}, **more,
    }  # fmt: skip


def released(side, number, *, labels=LABELS, sizes=(3, 4, 5), view="value", **changes):
    table = store.release_table(labels, np.array(sizes))
    data = store.encode(table)
    info = service.ReleaseInfo(
        release_id=f"rel-{number:032x}", view=view, purpose="segment", state=ReleaseState.LIVE, rows=table.num_rows,
        classes=len(sizes), k=min(sizes), policy_digest="0" * 64, data_sha256=hashlib.sha256(data).hexdigest(),
        created_at=side.clock.now(), expires_at=side.clock.now() + timedelta(days=30), ended_at=None, reason="",
    )  # fmt: skip
    said = manifest(sizes, **changes)
    store.write_release(side.home, view=view, release_id=info.release_id, data=data, manifest=said)
    with side.unit(OFFICER) as uow:
        service.put_live(uow, info)
    side.events.clear()
    return comparing.Taken(info, said, table)


def test_a_picture_counts_classes_by_size_and_cells_by_level(side):
    released(side, 1)
    with side.unit() as uow:
        found = pictures.picture(uow, view="value")
    assert [(one.at_least, one.below, one.classes, one.rows) for one in found.class_sizes] == [
        (3, 4, 1, 3),
        (4, 6, 2, 9),
    ]
    recency, gender = found.features
    assert [(one.level, round(one.share, 3), one.labels) for one in recency.levels] == [(0, 0.667, 2), (2, 0.333, 1)]
    assert (round(recency.said_nothing, 3), round(gender.said_nothing, 3)) == (0.333, 0.417)
    assert (recency.label_zh, gender.label_zh, gender.label) == ("最近一次下单距今天数", "性别", "gender")
    assert [event.kind for event in side.events] == [EventKind.RELEASE_READ]


def test_a_label_that_the_policy_no_longer_knows_is_told_as_such(side):
    released(side, 1, labels={"recency_days": ["<7", "*", "30-89"], "gender": ["male", "female", "*"]})
    with side.unit() as uow:
        recency = pictures.picture(uow, view="value").features[0]
    assert recency.levels[0].level == -1
    side.policy = replace(side.policy, views={})
    with side.unit(OFFICER) as uow:
        assert pictures.picture(uow, view="value").features[0].levels[0].level == -1


def test_a_sensitive_feature_makes_no_classes_of_its_own(side):
    cells = {"recency_days": ["<30", "<30", ">=90"], "gender": ["male", "female", "male"]}
    released(side, 1, labels=cells, sensitive={"required": {"feature": "gender"}})
    with side.unit() as uow:
        found = pictures.picture(uow, view="value")
    assert sum(one.classes for one in found.class_sizes) == 2


def test_the_drawing_is_whole_xml_without_scripts_or_links(side):
    released(side, 1)
    with side.unit() as uow:
        drawn = pictures.svg_of(pictures.picture(uow, view="value"))
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    tags = {element.tag.split("}")[1] for element in tree.iter()}
    assert tags == {"svg", "title", "text", "rect"}
    widths = [float(element.get("width")) for element in tree.iter() if element.tag.endswith("rect")]
    assert all(0 <= width <= pictures.WIDTH for width in widths)


def test_whoever_may_not_read_the_rows_sees_no_picture_and_no_comparison(side):
    first = released(side, 1)
    second = released(side, 2)
    for ask in (
        lambda uow: pictures.picture(uow, view="value"),
        lambda uow: comparing.compare(uow, before=first.info.release_id, after=second.info.release_id),
    ):
        with pytest.raises(Denied) as error, side.unit(OTHER) as uow:
            ask(uow)
        assert [one.code for one in error.value.reasons] == ["VIEW_NOT_ALLOWED"]


def test_of_a_release_that_is_gone_the_manifests_are_compared_and_it_is_said(side):
    first = released(side, 1, ncp=0.2)
    second = released(side, 2, sizes=(4, 4, 6), ncp=0.1)
    with side.unit() as uow:
        found = comparing.compare(uow, before=first.info.release_id, after=second.info.release_id)
    numbers = {one.name: one for one in found.numbers}
    assert (numbers["rows"].before, numbers["rows"].after, numbers["rows"].change) == (12, 14, 2)
    assert round(numbers["ncp"].change, 6) == -0.1
    assert found.features == ()
    assert first.info.release_id in found.note


def test_rows_of_a_file_are_compared_with_those_of_a_live_release(side):
    first = released(side, 1)
    second = released(side, 2, labels={"recency_days": ["<30", "<30", ">=90"], "gender": ["male", "female", "*"]})
    with side.unit() as uow:
        found = comparing.compare(uow, before=first, after=second.info.release_id)
    assert found.note == ""
    by_name = {one.feature: one for one in found.features}
    # before: 3 of 12 below 30, 5 of 12 in 30-89, 4 of 12 anywhere (a third each); after: 7 and 5 of 12
    before, after = np.array([3 + 4 / 3, 5 + 4 / 3, 4 / 3]) / 12, np.array([7, 0, 5]) / 12
    recency = by_name["recency_days"]
    assert recency.distance == pytest.approx(np.abs(after - before).sum() / 2)
    assert recency.ordered == pytest.approx(np.abs(np.cumsum(after - before))[:2].sum() / 2)
    assert by_name["gender"].distance == 0
    assert by_name["gender"].ordered is None
    assert recency.moved[0].leaf == "30-89"


def test_a_release_is_not_compared_with_itself(side):
    first = released(side, 1)
    with pytest.raises(InvalidInput), side.unit() as uow:
        comparing.compare(uow, before=first.info.release_id, after=first)


def test_features_that_only_one_has_are_named(side):
    first = released(side, 1)
    second = released(side, 2)
    lone = replace(second, manifest={**second.manifest, "features": [{"name": "gender"}]})
    with side.unit() as uow:
        found = comparing.compare(uow, before=first, after=lone)
    assert (found.only_before, found.only_after) == (("recency_days",), ())
    assert [one.feature for one in found.features] == ["gender"]
