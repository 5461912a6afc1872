"""The OpenAPI document is complete: nothing without words, no body without an example, no refusal undescribed."""

from typing import Any

import pytest

from pdms.api.app import openapi_document
from pdms.taxonomy import Scope

WRITES = {"post", "put", "patch", "delete"}


@pytest.fixture
def document(api) -> dict[str, Any]:
    answer = api.get(None, "/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, item in document["paths"].items() for method, one in item.items()]


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def test_every_operation_has_a_name_words_and_a_described_answer(document):
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names)) > 70
    for path, method, one in operations(document):
        place = f"{method} {path}"
        assert one["summary"], place
        assert len(one["description"]) > 30, place
        good = [status for status in one["responses"] if status.startswith("2")]
        assert good, place
        for status in good:
            content = one["responses"][status].get("content", {})
            assert status == "204" or content, place
            for media in content.values():
                assert media["schema"], place


def test_every_refusal_is_a_described_problem(document):
    for path, method, one in operations(document):
        public = one.get("security") == []
        wanted = {"413", "429", "503"} | (set() if public else {"401", "403", "404", "409", "422"})
        assert wanted <= set(one["responses"]), (method, path)
        for status, response in one["responses"].items():
            if status[0] in "45":
                reference = {"$ref": "#/components/schemas/Problem"}
                assert response["content"]["application/problem+json"]["schema"] == reference
                assert "application/json" not in response["content"], (method, path, status)
    schemas = document["components"]["schemas"]
    assert {"Problem", "ProblemReason"} <= set(schemas)
    assert "HTTPValidationError" not in schemas, "FastAPI's own form is not what we answer"


def test_every_body_is_closed_bounded_and_has_examples(document):
    seen = 0
    for path, method, one in operations(document):
        for media_type, media in one.get("requestBody", {}).get("content", {}).items():
            if media_type != "application/json":
                continue
            schema = resolved(document, media["schema"])
            for model in [resolved(document, option) for option in schema.get("anyOf", [schema])]:
                seen += 1
                assert model["additionalProperties"] is False, (method, path)
                for name in model.get("required", []):
                    field = model["properties"][name]
                    enumerated = "enum" in resolved(document, field)
                    assert "examples" in field or enumerated, (method, path, name)
    assert seen > 20


def test_writes_take_a_key_and_say_where_the_result_lies(document):
    for path, method, one in operations(document):
        keyed = any(p["name"] == "Idempotency-Key" for p in one.get("parameters", []))
        if method not in WRITES:
            assert not keyed, path
        elif keyed:
            assert one["security"] != []
            for status in ("200", "201"):
                if status in one["responses"]:
                    assert "Location" in one["responses"][status]["headers"]
    assert not any(key.startswith("x-pdms") for _, _, one in operations(document) for key in one)


def test_values_that_identify_stand_in_no_path_and_no_query(document):
    fields = {"phone", "email", "name", "id_number", "login", "address", "value", "number", "field"}
    for path, _, one in operations(document):
        for parameter in one.get("parameters", []):
            noun_of_names = path.startswith(("/v1/segments", "/v1/campaigns"))
            assert parameter["name"] not in fields or noun_of_names, (path, parameter["name"])


def test_the_description_needs_no_home(document):
    assert openapi_document() == document


def test_scopes_stand_in_the_description(document):
    for path, _, one in operations(document):
        if one["security"] != []:
            assert set(one["x-scopes"]) <= set(Scope), path
            assert all(f"`{scope}`" in one["description"] for scope in one["x-scopes"])
