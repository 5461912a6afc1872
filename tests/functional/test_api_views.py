"""`/v1/views` and `/v1/hierarchies` over HTTP: pictures, findings, trees, comparisons, verifications."""

from xml.etree import ElementTree

import pytest


@pytest.fixture(scope="module")
def release(shop):
    made = shop.post("compliance", "/v1/views/member_value/releases")
    assert made.status_code == 201, made.text
    return made.json()["release_id"]


def test_a_live_release_is_drawn_for_its_consumers(shop, release):
    found = shop.get("marketing", "/v1/views/member_value/picture")
    assert found.status_code == 200, found.text
    assert found.json()["info"]["release_id"] == release
    assert sum(one["rows"] for one in found.json()["class_sizes"]) == found.json()["info"]["rows"]
    drawn = shop.get("marketing", "/v1/views/member_value/picture.svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert ElementTree.fromstring(drawn.content).tag.endswith("svg")  # noqa: S314 - our own
    assert shop.get("support", "/v1/views/member_value/picture").status_code == 403


def test_a_release_of_this_home_verifies_and_its_key_is_public(shop, release):
    found = shop.post("compliance", f"/v1/releases/{release}/verifications")
    assert found.status_code == 200, found.text
    assert found.json()["verdict"] == "whole"
    (key,) = shop.get("marketing", "/v1/releases/keys").json()["public_keys"]
    shown = shop.get("marketing", f"/v1/releases/{release}").json()
    assert shown["manifest"]["certificate"]["public_key"] == key


def test_releases_that_are_compared_must_be_two_and_known(shop, release):
    same = shop.get("marketing", f"/v1/releases/{release}/comparisons/{release}")
    assert same.status_code == 422
    absent = shop.get("marketing", f"/v1/releases/{release}/comparisons/rel-{'0' * 32}")
    assert absent.status_code == 404
    after = shop.post("compliance", "/v1/views/member_value/releases").json()["release_id"]
    found = shop.get("marketing", f"/v1/releases/{release}/comparisons/{after}")
    assert found.status_code == 200, found.text
    assert {one["name"] for one in found.json()["numbers"]} >= {"rows", "classes", "ncp"}
    over = shop.post("compliance", f"/v1/releases/{release}/verifications")
    assert (over.status_code, over.json()["code"]) == (409, "RELEASE_OVER")


def test_findings_come_with_their_articles_and_on_data_to_officers_only(shop):
    assert shop.get("marketing", "/v1/views/member_value/findings").json()["ok"]
    document = {"label": {"en": "x"}, "purpose": "segment"}
    found = shop.post("marketing", "/v1/views/findings", {"name": "tried", "document": document}).json()
    assert not found["ok"]
    assert {"VIEW_FORM", "LABEL_MISSING"} == {one["code"] for one in found["findings"]}
    measured = shop.post("compliance", "/v1/views/member_value/findings")
    assert measured.status_code == 200, measured.text
    assert measured.json()["measured"]
    assert shop.post("marketing", "/v1/views/member_value/findings").status_code == 403


def test_hierarchies_are_shown_checked_and_given_out(shop):
    names = [one["name"] for one in shop.get("marketing", "/v1/hierarchies").json()["items"]]
    assert names == sorted(names)
    assert shop.get("marketing", "/v1/hierarchies/age_band").json()["tree"][0]["label"] == "*"
    file = shop.get("marketing", "/v1/hierarchies/region/file")
    assert file.headers["content-type"].startswith("text/csv")
    good = shop.post("marketing", "/v1/hierarchies/checks", {"text": file.text}).json()
    assert (good["ok"], good["findings"]) == (True, [])
    bad = shop.post("marketing", "/v1/hierarchies/checks", {"text": "13812349999;a;*\n13812349999;b;*\n"})
    assert [(one["rule"], one["line"]) for one in bad.json()["findings"]] == [("DUPLICATE_LEAF", 2), ("TWO_PARENTS", 2)]
    assert "13812349999" not in bad.text
