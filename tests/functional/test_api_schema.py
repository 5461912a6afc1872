"""The API against its own description: generated requests, as every kind of caller, find no server error and no answer
that the OpenAPI document does not describe."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from common.world import populated

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
REVEALS = "POST /v1/members/{member_id}/reveals"
"""Answers with plaintext what the gate permits, as it does its own example."""
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def shop(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shop of this file alone: generated requests change what others would see, and names are given once."""
    world, members = populated(tmp_path_factory.mktemp("described"), count=100)
    with serve(world, members) as made:
        yield made
    world.close()


@pytest.fixture(scope="module")
def known(shop: Any) -> dict[str, str]:
    """Ids that are really there, so that generated bodies reach the services: half of the requests use them."""
    member = shop.id_of("H00060")
    request = shop.post("support", "/v1/requests", {"member_id": member, "type": "access"}).json()
    operator = shop.post("admin", "/v1/operators", {"label": "nobody-in-particular", "role": "support"}).json()
    consent = {"member_id": member, "purpose": "recommend", "evidence": "UI-60"}
    rule = {"feature": "recency_days", "below": 365}
    segment = {"name": "everybody", "view": "member_value", "label": {"en": "Everybody"}, "rule": rule}
    assert shop.post("marketing", "/v1/segments", {"document": segment}).status_code == 201
    return {
        "member_id": member,
        "request_id": request["request_id"],
        "operator_id": operator["operator_id"],
        "key_id": operator["key_id"],
        "record_id": shop.post("shop", "/v1/consents", consent).json()["record_id"],
        "version": shop.get("shop", "/v1/notices").json()["items"][0]["version"],
        "event_id": shop.get("compliance", "/v1/audit/events").json()["items"][0]["event_id"],
        "name": "everybody",
        "notice": "member-notice",
        "purpose": "market_email",
    }


def send(api: Any, case: Any, headers: dict[str, str]) -> Any:
    kwargs = case.as_transport_kwargs(base_url="http://testserver", headers=headers)
    sent = {
        name: kwargs[name] for name in ("method", "url", "headers", "params", "json", "cookies") if kwargs.get(name)
    }
    if kwargs.get("data") is not None:
        sent["content" if isinstance(kwargs["data"], (bytes, str)) else "data"] = kwargs["data"]
    sent["headers"] = {
        name: value for name, value in dict(sent["headers"]).items() if name.lower() != "idempotency-key"
    }
    return api.http.request(**sent)


def fuzz(api: Any, known: dict[str, str], headers: dict[str, str], *, secret: tuple[str, ...]) -> Counter[int]:
    """Send generated requests to every operation, with ids that are there and with made-up ones; count the answers."""
    schema = schemathesis.openapi.from_dict(api.http.app.openapi())
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        status = api.call(headers, operation.method.upper(), re.sub(r"{\w+}", "x", operation.path)).status_code
        examples = 1 if status in (401, 403) else EXAMPLES
        one_operation(api, operation, known, headers, secret=secret, statuses=statuses, examples=examples)
    return statuses


def one_operation(
    api: Any,
    operation: Any,
    known: dict[str, str],
    headers: dict[str, str],
    *,
    secret: tuple[str, ...],
    statuses: Counter[int],
    examples: int,
) -> None:
    @settings(BOUNDED, max_examples=examples)
    @given(case=operation.as_strategy(), real=booleans())
    def run(case: Any, real: bool) -> None:
        if real:
            case.path_parameters = {n: known.get(n, v) for n, v in (case.path_parameters or {}).items()}
            if isinstance(case.body, dict) and "member_id" in case.body:
                case.body["member_id"] = known["member_id"]
        answer = send(api, case, headers)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)
        for value in () if operation.label == REVEALS and answer.status_code == 200 else secret:
            assert value not in answer.text, operation.label

    run()


def secrets_of(shop: Any, number: int) -> tuple[str, ...]:
    person = shop.members[number]
    return tuple(person[name] for name in ("手机号", "身份证号", "邮箱", "登录名", "收货地址"))


@pytest.mark.parametrize("role", ["marketing", "compliance", "admin", "support", "ingest", "shop"])
def test_generated_requests_of_staff_meet_the_description(shop, known, role):
    statuses = fuzz(shop, known, shop.key(role), secret=secrets_of(shop, 60))
    print(role, sorted(statuses.items()))
    assert statuses[200] + statuses[201] > 20
    assert statuses[403] > 5


def test_generated_requests_of_a_member_meet_the_description(shop, known):
    statuses = fuzz(shop, known, shop.session_of("H00061"), secret=secrets_of(shop, 60) + secrets_of(shop, 61))
    print(sorted(statuses.items()))
    assert statuses[200] + statuses[201] > 20


def test_generated_requests_of_nobody_meet_the_description(shop, known):
    statuses = fuzz(shop, known, {}, secret=secrets_of(shop, 60))
    print(sorted(statuses.items()))
    assert set(statuses) <= {200, 401, 404, 422}
