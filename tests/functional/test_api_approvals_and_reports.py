"""Two-person approval, reports and incidents as the API's callers meet them."""

import json

import pytest

from common.world import TRAINED
from pdms.access import service as access
from pdms.taxonomy import GuardedAct

REPORTS = ("consent", "refusals", "ropa", "lists", "pipia", "audit", "findings")


@pytest.fixture
def second(api):
    """A second officer's key."""
    if "second" not in api.world.tokens:
        issued = api.world.app.run(
            api.world.actor("admin"), access.create_operator, label="second", role="compliance", trained_until=TRAINED
        )
        api.world.tokens["second"] = issued.text
    return "second"


def test_a_question_is_asked_approved_by_another_and_listed(api, second):
    asked = api.post("compliance", "/v1/operators/approvals", {"act": "policy_activation", "policy": "a" * 64})
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting")
    path = f"/v1/operators/approvals/{asked.json()['approval_id']}"
    own = api.post("compliance", f"{path}/approval")
    assert (own.status_code, own.json()["reasons"][0]["code"]) == (403, "SELF_APPROVAL")
    waiting = api.get("admin", "/v1/operators/approvals", params={"waiting": True}).json()["items"]
    assert [one["parameters"] for one in waiting] == [{"policy": "a" * 64}]
    assert api.get("marketing", "/v1/operators/approvals").json()["items"] == []
    done = api.post(second, f"{path}/approval")
    assert (done.status_code, done.json()["state"]) == (200, "approved")
    assert api.post(second, f"{path}/refusal").status_code == 409
    assert api.post("support", "/v1/operators/approvals", {"act": "policy_activation"}).status_code == 403
    further = api.post("compliance", "/v1/operators/approvals", {"act": "policy_activation", "policy": "b" * 64})
    first = api.get("admin", "/v1/operators/approvals", params={"limit": 1}).json()
    last = api.get("admin", "/v1/operators/approvals", params={"limit": 1, "cursor": first["next"]}).json()
    both = {one["approval_id"] for one in first["items"] + last["items"]}
    assert both == {asked.json()["approval_id"], further.json()["approval_id"]}
    assert last["next"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"act": "bulk_export"},
        {"act": "bulk_export", "release_id": "rel-" + "0" * 32, "segment": "both"},
        {"act": "hold_access", "held_id": "held-" + "0" * 32},
        {"act": "hold_access", "held_id": "held-" + "0" * 32, "ticket": "because"},
        {"act": "policy_activation", "segment": "loyal"},
        {"act": "everything"},
    ],
)
def test_a_question_that_says_too_little_or_too_much_is_refused(api, body):
    assert api.post("compliance", "/v1/operators/approvals", body).status_code == 422


def test_a_key_is_rotated_and_an_operator_bound_only_where_there_is_a_sign_in_service(api):
    made = api.post("admin", "/v1/operators", {"label": "rotating", "role": "support"}).json()
    path = f"/v1/operators/{made['operator_id']}"
    rotated = api.post("admin", f"{path}/keys/{made['key_id']}/rotations", {"overlap_hours": 0})
    assert rotated.status_code == 201
    assert api.get({"Authorization": f"Bearer {made['text']}"}, "/v1/operators/me").status_code == 401
    assert api.get({"Authorization": f"Bearer {rotated.json()['text']}"}, "/v1/operators/me").status_code == 200
    keys = {key["key_id"]: key for key in api.get("admin", path).json()["keys"]}
    assert keys[made["key_id"]]["expired"]
    assert keys[rotated.json()["key_id"]]["last_used_on"]
    narrow = api.post("admin", f"{path}/keys", {"scopes": ["admin"]})
    assert narrow.status_code == 422
    assert api.post("admin", f"{path}/links", {"subject": "x"}).status_code == 422


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_comes_as_json_csv_and_page(api, name):
    path = f"/v1/reports/documents/{name}"
    told = api.get("compliance", path)
    assert (told.status_code, told.json()["report"]) == (200, name)
    table = api.get("compliance", path, params={"form": "csv", "language": "en"})
    assert table.headers["content-type"].startswith("text/csv")
    page = api.get("compliance", path, params={"form": "html", "language": "zh-CN"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-disposition"].startswith("attachment")
    assert '<html lang="zh-CN">' in page.text
    for role in ("admin", "marketing", "support", "ingest"):
        assert api.get(role, path).status_code == 403
    assert api.get("compliance", path, params={"since": "2026-02-01", "until": "2026-01-01"}).status_code == 422


def test_an_incident_from_its_detection_to_its_end(api):
    at = api.world.clock.instant.isoformat()
    body = {"detected_at": at, "cause": "attack", "larger": True, "categories": ["basic"], "people": 12}
    opened = api.post("compliance", "/v1/reports/incidents", body)
    assert opened.status_code == 201
    path = opened.headers["location"]
    draft = api.get("compliance", f"{path}/draft").json()
    assert {section["section"] for section in draft["sections"]} == {"notification", "clocks"}
    assert api.post("compliance", f"{path}/steps", {"step": "closed", "at": at}).status_code == 409
    assert api.post("compliance", f"{path}/steps", {"step": "authority", "at": at}).status_code == 201
    assert api.get("admin", path).json()["steps"].keys() == {"authority"}
    assert (
        api.post("compliance", "/v1/reports/incidents", body | {"cause": "a member called 13800138000"}).status_code
        == 422
    )
    assert json.dumps(draft).count("basic") == 0, "categories are told by their labels"


def test_a_duty_is_recorded_once_it_was_done(api):
    done = api.post("compliance", "/v1/reports/records", {"kind": "drill", "done_on": "2026-06-01", "ticket": "SEC-1"})
    assert done.status_code == 201
    assert done.json() in api.get("admin", "/v1/reports/records").json()
    for wrong in ({"done_on": "2030-01-01"}, {"kind": "milestone"}, {"kind": "pipia"}, {"subject": "x"}):
        body = {"kind": "drill", "done_on": "2026-06-01"} | wrong
        assert api.post("compliance", "/v1/reports/records", body).status_code == 422
    assert api.post("admin", "/v1/reports/records", {"kind": "drill", "done_on": "2026-06-01"}).status_code == 403


def test_the_acts_that_take_two_are_a_closed_list():
    assert set(GuardedAct) == {
        "bulk_export",
        "consent_export",
        "hold_access",
        "disclosure",
        "minor_reveal",
        "policy_activation",
    }
