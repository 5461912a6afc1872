"""Writes that are sent more than once, and requests that are too many, too large or malformed."""

import threading

import pytest
from sqlmodel import select

from pdms.access.tables import IdempotencyRow
from pdms.api.middleware import RateLimit
from pdms.db import begin

OPERATOR = {"label": "second-admin", "role": "admin"}


def keyed(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": key}}


def test_the_same_key_carries_a_write_out_once(api):
    first = api.post("admin", "/v1/operators", OPERATOR, **keyed("a-1"))
    second = api.post("admin", "/v1/operators", OPERATOR, **keyed("a-1"))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert second.content == b"", "the answer's body, a secret here, is kept nowhere"
    labels = [o["label"] for o in api.get("admin", "/v1/operators").json()["items"]]
    assert labels.count("second-admin") == 1


def test_a_key_with_another_request_is_refused(api):
    api.post("admin", "/v1/operators", OPERATOR, **keyed("a-1"))
    other = api.post("admin", "/v1/operators", OPERATOR | {"label": "third-admin"}, **keyed("a-1"))
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    elsewhere = api.post(
        "admin", f"{api.get('admin', '/v1/operators').json()['items'][0]['operator_id']}", **keyed("a")
    )
    assert elsewhere.status_code == 404
    labels = [o["label"] for o in api.get("admin", "/v1/operators").json()["items"]]
    assert "third-admin" not in labels


def test_a_key_belongs_to_the_one_who_uses_it(api):
    second = api.post("admin", "/v1/operators", OPERATOR).json()["text"]
    first = api.post("admin", "/v1/operators", {"label": "one", "role": "support"}, **keyed("same"))
    other = api.post(
        {"Authorization": f"Bearer {second}"}, "/v1/operators", {"label": "two", "role": "support"}, **keyed("same")
    )
    assert (first.status_code, other.status_code) == (201, 201)
    assert "idempotency-replayed" not in other.headers


def test_a_failed_write_leaves_its_key_free(api):
    refused = api.post("admin", "/v1/operators", OPERATOR | {"role": "nobody"}, **keyed("b"))
    assert refused.status_code == 422
    assert api.post("admin", "/v1/operators", OPERATOR, **keyed("b")).status_code == 201


def test_a_key_is_forgotten_after_a_day(api):
    api.post("admin", "/v1/operators", OPERATOR, **keyed("c"))
    api.world.pass_time(hours=25)
    assert api.post("admin", "/v1/operators", OPERATOR, **keyed("c")).status_code == 409, (
        "done anew: the label is taken"
    )


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_a_key_has_a_form(api, key):
    answer = api.post("admin", "/v1/operators", OPERATOR, **keyed(key))
    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY")


def test_of_writes_at_the_same_time_one_is_carried_out(api):
    answers = []

    def send() -> None:
        answers.append(api.post("admin", "/v1/operators", OPERATOR, **keyed("at-once")))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
    assert len(done) == 1
    for answer in answers:
        if answer not in done:
            replayed = answer.headers.get("idempotency-replayed") == "true"
            assert replayed or (answer.status_code, answer.json()["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")


def test_the_store_keeps_no_key_no_body_and_no_secret(api):
    issued = api.post("admin", "/v1/operators", OPERATOR, **keyed("my-own-key")).json()
    with begin(api.world.app.main, read_only=True) as session:
        (row,) = session.exec(select(IdempotencyRow)).all()
    told = repr(row.model_dump())
    assert row.route == "POST /v1/operators"
    for value in ("my-own-key", "second-admin", issued["text"], issued["text"].split("_", 3)[3]):
        assert value not in told


def test_too_many_requests_of_one_caller_are_put_off(api_with):
    with api_with(limit=RateLimit(0.0, 3)) as api:
        statuses = [api.get("admin", "/v1/operators/me").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = api.get("admin", "/v1/operators/me")
        assert refused.json()["code"] == "TOO_MANY_REQUESTS"
        assert refused.headers["retry-after"] == "1"
        assert api.get("support", "/v1/operators/me").status_code == 200, "others are not concerned"


def test_no_caller_gets_more_by_writing_the_credential_otherwise(api_with):
    with api_with(limit=RateLimit(0.0, 3)) as api:
        key = api.key("admin")["Authorization"].removeprefix("Bearer ")
        written = [f"Bearer {key}", f"bearer {key}", f"Bearer   {key}", f"BEARER  {key}"]
        statuses = [api.get({"Authorization": one}, "/v1/operators/me").status_code for one in written]
        assert statuses == [200, 200, 200, 429]


def test_a_made_up_credential_opens_no_more_of_what_is_public(api_with):
    with api_with(limit=RateLimit(0.0, 3)) as api:
        made_up = [{"Authorization": f"Bearer {n}"} for n in range(5)]
        assert [api.post(one, "/v1/opt-outs/none").status_code for one in made_up] == [200, 200, 200, 429, 429]


def test_failed_logins_of_one_address_do_not_flood_the_log(api_with):
    with api_with(failures=RateLimit(0.0, 4)) as api:
        made_up = [{"Authorization": f"Bearer pdms_key_{n:032x}_{'x' * 43}"} for n in range(9)]
        statuses = [api.get(header, "/v1/operators/me").status_code for header in made_up]
        assert statuses == [401] * 4 + [429] * 5
        assert api.get("admin", "/v1/operators/me").status_code == 200, "a valid key works meanwhile"
        log = api.get("compliance", "/v1/audit/events", params={"kind": "login.failed"}).json()["items"]
        assert len(log) == 4


def test_bodies_are_bounded_declared_or_not(api_with):
    with api_with(max_body=10_000) as api:
        large = b'{"label": "' + b"x" * 20_000 + b'"}'
        json_type = {"content-type": "application/json"}
        declared = api.post("admin", "/v1/operators", content=large, headers=json_type)
        chunked = api.post("admin", "/v1/operators", content=iter([large[:9_000], large[9_000:]]), headers=json_type)
        for answer in (declared, chunked):
            assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
        with_key = api.post(
            "admin", "/v1/operators", content=iter([large]), headers=json_type | {"Idempotency-Key": "d"}
        )
        assert with_key.status_code == 413
        assert api.post("admin", "/v1/operators", OPERATOR, **keyed("d")).status_code == 201


@pytest.mark.parametrize(
    "content",
    [
        b'{"label": "canary-13800138000", "role":',
        b'{"label": "canary-13800138000", "role": "admin", "canary-13800138000": 1}',
        b'{"label": ["canary-13800138000"], "role": "admin"}',
        b'{"label": "\\ud800canary-13800138000", "role": "admin"}',
        b'"canary-13800138000"',
        b"\xff\xfe\x00canary-13800138000",
        b"[" * 5_000,
    ],
)
def test_malformed_bodies_are_refused_without_being_repeated(api, content):
    answer = api.post("admin", "/v1/operators", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "13800138000" not in answer.text


def test_errors_name_field_and_rule(api):
    answer = api.post("admin", "/v1/operators", {"label": "x", "days": 0})
    assert answer.json()["detail"] == (
        "body.days: greater_than_equal; body.label: string_too_short; body.role: missing"
    )


def test_answers_are_kept_out_of_caches_and_frames(api):
    for answer in (api.get("admin", "/v1/operators"), api.get(None, "/v1/health"), api.get(None, "/v1/packages/x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_documents_of_any_shape_are_refused_politely(api):
    rule = '{"all": [' * 900 + '{"feature": "orders", "at_least": 3}' + "]}" * 900
    shapes = [
        rule,
        '{"all": [' * 50_000,
        '{"feature": "orders", "at_least": 1e999}',
        '{"feature": "orders", "at_least": NaN}',
        '{"feature": "orders", "at_least": ' + "9" * 5_000 + "}",
        '{"feature": "city_tier", "in": ["\\ud800"]}',
        "null",
    ]
    for shape in shapes:
        content = f'{{"document": {{"name": "a", "view": "member_value", "rule": {shape}}}}}'.encode()
        for path in ("/v1/segments", "/v1/campaigns"):
            answer = api.post("marketing", path, content=content, headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422), (shape[:60], answer.text)
