"""Every route, walked: who may call it, who may not, and that the log knows of each refusal."""

import re
from typing import Any

import pytest
from fastapi.routing import APIRoute

from pdms.api.guarded import name_of, needs_of
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.db import begin
from pdms.taxonomy import Scope
from pdms.unit_of_work import ActorKind

PUBLIC = {
    ("GET", "/v1/health"),
    ("GET", "/v1/rules"),
    ("GET", "/v1/rules/page"),
    ("GET", "/v1/opt-outs/{link}"),
    ("POST", "/v1/opt-outs/{link}"),
    ("GET", "/v1/packages/{secret}"),
    ("POST", "/v1/packages/{secret}"),
}
FOR_MARKETING = {
    ("GET", "/v1/operators/me"),
    ("GET", "/v1/operators/approvals"),  # its own questions: ids of releases, names of segments
    ("POST", "/v1/operators/approvals"),
    ("POST", "/v1/operators/approvals/{approval_id}/refusal"),  # its own questions taken back
    ("GET", "/v1/notices"),
    ("GET", "/v1/notices/{version}"),
    ("GET", "/v1/notices/{version}/content"),
    ("GET", "/v1/notices/{version}/changes"),
    ("GET", "/v1/consents/keys"),
    ("GET", "/v1/policies/current"),
    ("GET", "/v1/policies/purposes"),
    ("GET", "/v1/policies/purposes/{purpose}/explanation"),
    ("GET", "/v1/views"),
    ("GET", "/v1/views/{view}"),
    ("GET", "/v1/views/{view}/findings"),  # of the policy's own words; counts are the officer's
    ("POST", "/v1/views/findings"),
    ("GET", "/v1/views/{view}/picture"),  # of the rows that it may read
    ("GET", "/v1/views/{view}/picture.svg"),
    ("GET", "/v1/views/{view}/rfm"),
    ("GET", "/v1/hierarchies"),  # reference data and the policy's own words
    ("GET", "/v1/hierarchies/{hierarchy}"),
    ("GET", "/v1/hierarchies/{hierarchy}/file"),
    ("POST", "/v1/hierarchies/checks"),  # of the text that is sent; nothing is kept
    ("GET", "/v1/releases"),
    ("GET", "/v1/releases/keys"),  # public keys
    ("GET", "/v1/releases/{release_id}"),
    ("GET", "/v1/releases/{release_id}/comparisons/{other}"),  # of two that it may read
    ("POST", "/v1/releases/{release_id}/exports"),
    ("GET", "/v1/releases/{release_id}/copies"),  # roles and days
    ("POST", "/v1/releases/{release_id}/deletions"),  # of its own copy
    ("GET", "/v1/segments"),
    ("POST", "/v1/segments"),
    ("GET", "/v1/segments/{name}"),
    ("POST", "/v1/segments/{name}/previews"),
    ("POST", "/v1/segments/{name}/exports"),
    ("POST", "/v1/segments/estimates"),  # noised, and charged to a budget
    ("GET", "/v1/segments/estimates/budget"),
    ("GET", "/v1/campaigns"),
    ("POST", "/v1/campaigns"),
    ("GET", "/v1/campaigns/{name}"),
    ("POST", "/v1/campaigns/{name}/previews"),
    ("POST", "/v1/campaigns/{name}/sends"),
    ("POST", "/v1/campaigns/{name}/cancellation"),
    ("GET", "/v1/campaigns/{name}/counts"),
}
"""Everything that a marketing key may call. Nothing here identifies anybody; whoever adds a line must say why."""


def routes_of(api: Any) -> list[tuple[str, APIRoute]]:
    found = []
    for route in api.http.app.routes:
        if isinstance(route, APIRoute):
            found += [(method, route) for method in sorted(route.methods)]
    return found


def filled(path: str) -> str:
    """A path with ids of the right form that belong to nobody."""
    kinds = {
        "request_id": "req-",
        "release_id": "rel-",
        "other": "rel-",
        "operator_id": "op-",
        "record_id": "cns-",
        "approval_id": "apr-",
        "incident_id": "inc-",
    }
    known = {"version": "0" * 64}
    return re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], kinds.get(m[1], "") + "a" * 32), path)


def test_every_route_declares_its_scopes_or_is_listed_as_public(api):
    without = {(method, route.path) for method, route in routes_of(api) if needs_of(route) is None}
    assert without == PUBLIC
    others = {route.path for route in api.http.app.routes if not isinstance(route, APIRoute)}
    assert others == {"/openapi.json"}, "no interactive documentation: it would come from a CDN"


def test_the_nouns_of_the_design_are_all_there(api):
    nouns = {route.path.split("/")[2] for _, route in routes_of(api)}
    wanted = "members notices consents policies views releases segments campaigns requests audit reports operators"
    assert set(wanted.split()) <= nouns


def test_nobody_gets_in_without_a_key(api):
    for method, route in routes_of(api):
        if (method, route.path) not in PUBLIC:
            answer = api.call(None, method, filled(route.path))
            assert answer.status_code == 401, (method, route.path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "UNAUTHENTICATED"


def test_a_marketing_key_is_refused_on_every_route_that_is_not_marketings(api):
    refused = []
    for method, route in routes_of(api):
        if (method, route.path) in PUBLIC | FOR_MARKETING:
            continue
        answer = api.call("marketing", method, filled(route.path), content=b'{"broken":')
        assert answer.status_code == 403, (method, route.path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        (reason,) = answer.json()["reasons"]
        assert (reason["code"], reason["article"]) == ("SCOPE_MISSING", "PIPL-51-4")
        refused.append(name_of(route))
    assert len(refused) > 40
    marketer = api.world.actor("marketing").id
    with begin(api.world.app.main, read_only=True) as session:
        logged = audit.list_events(session, kinds=[EventKind.DENIAL], actor=marketer, limit=1000).items
    assert {item.event.refs["route"] for item in logged} == set(refused)
    assert len(logged) == len(refused)
    assert all(tuple(item.event.reasons) == ("SCOPE_MISSING",) for item in logged)


def test_marketing_routes_admit_marketing(api):
    known = {(method, route.path) for method, route in routes_of(api)}
    assert known >= FOR_MARKETING
    for method, route in routes_of(api):
        if (method, route.path) in FOR_MARKETING:
            assert Scope.MARKETING in needs_of(route).scopes
            answer = api.call("marketing", method, filled(route.path))
            assert answer.status_code not in (401, 403, 500), (method, route.path, answer.text)


def test_no_route_of_a_member_takes_a_member_id(api):
    mine = [route for _, route in routes_of(api) if route.path.startswith("/v1/members/me")]
    assert len(mine) >= 14
    for route in mine:
        assert needs_of(route).kind is ActorKind.MEMBER
        assert "member_id" not in route.path
        for model in [field.field_info.annotation for field in route.dependant.body_params]:
            assert "member_id" not in getattr(model, "model_fields", {})


@pytest.mark.parametrize("role", ["compliance", "support", "ingest", "admin", "marketing", "shop"])
def test_no_operators_key_opens_a_members_own_routes(api, role):
    for method, route in routes_of(api):
        if route.path.startswith("/v1/members/me"):
            answer = api.call(role, method, filled(route.path))
            assert answer.status_code == 403, (role, route.path)
            assert answer.json()["reasons"][0]["code"] in ("SCOPE_MISSING", "NOT_SELF")


def test_a_query_beyond_what_is_declared_is_refused_and_not_repeated(api):
    for method, route in routes_of(api):
        if (method, route.path) in FOR_MARKETING:
            answer = api.call(
                "marketing", method, filled(route.path), params={"13800138000": "x", "limit": "13800138000"}
            )
            assert (answer.status_code, answer.json()["detail"]) == (422, "query: extra_forbidden"), (
                method,
                route.path,
            )
            assert "13800138000" not in answer.text
    assert api.get("compliance", "/v1/audit/events", params={"memberid": "a" * 32}).status_code == 422
    assert api.get("shop", "/v1/audit/events", params={"memberid": "a" * 32}).status_code == 403, "scopes come first"
    assert api.get(None, "/v1/rules", params={"utm_source": "mail"}).status_code == 200, "a link that people open"


def test_unknown_paths_and_methods_are_problems_too(api):
    for answer, status in (
        (api.get("compliance", "/v1/nothing/13800138000"), 404),
        (api.call("compliance", "PUT", "/v1/operators"), 405),
        (api.get(None, "/docs"), 404),
        (api.get(None, "/redoc"), 404),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "13800138000" not in answer.text
