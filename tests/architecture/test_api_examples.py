"""Every body and every JSON answer has an example that is true to its own schema, and is nobody's."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from pdms.api import examples
from pdms.api.app import openapi_document
from pdms.policy.reasons import REASONS

BYTES = {"application/vnd.apache.parquet", "application/octet-stream"}
"""Kinds of bodies that JSON cannot show."""
NUMBER = re.compile(r"(?<![0-9a-f])(?:\+86)?1[3-9][0-9]{9}(?![0-9a-f])|[0-9]{17}[0-9X](?![0-9a-f])")
ADDRESS = re.compile(r"[\w.-]+@([\w.-]+)")


@cache
def document() -> dict[str, Any]:
    return openapi_document()


def operations() -> list[dict[str, Any]]:
    return [one for item in document()["paths"].values() for one in item.values()]


def media() -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over what has to have an example: where it stands, and the media object."""
    for one in operations():
        for kind, body in one.get("requestBody", {}).get("content", {}).items():
            if kind not in BYTES:
                yield f"{one['operationId']} takes {kind}", body
        for status, response in one["responses"].items():
            if status.startswith("2") and "application/json" in response.get("content", {}):
                yield f"{one['operationId']} answers {status}", response["content"]["application/json"]


def test_every_body_and_every_answer_has_an_example_true_to_its_schema():
    seen = 0
    for place, one in media():
        assert "example" in one, place
        schema = {**one["schema"], "components": document()["components"]}
        wrong = [
            str(error)
            for error in jsonschema_rs.Draft202012Validator(schema, validate_formats=True).iter_errors(one["example"])
        ]
        assert not wrong, (place, wrong)
        seen += 1
    assert seen > 150


def test_an_answer_shows_all_that_its_model_has():
    schemas = document()["components"]["schemas"]
    for place, one in media():
        name = one["schema"].get("$ref", "").rsplit("/", 1)[-1]
        if "answers" in place and name in schemas:
            assert set(one["example"]) == set(schemas[name]["properties"]), place


def test_a_value_without_an_example_is_an_error_and_no_gap():
    bare = {"components": {"schemas": {}}, "paths": {"/x": {"get": {"operationId": "x", "responses": {}}}}}
    unknown = {"type": "object", "title": "New", "properties": {"nobody_said": {"type": "integer"}}}
    bare["paths"]["/x"]["get"]["responses"] = {"200": {"content": {"application/json": {"schema": unknown}}}}
    with pytest.raises(LookupError, match=r"New\.nobody_said"):
        examples.add_examples(bare)


def test_nothing_is_said_of_what_is_not_there():
    said = examples.said()
    fields: dict[str, set[str]] = {}
    for schema in document()["components"]["schemas"].values():
        fields.setdefault(schema.get("title", ""), set()).update(schema.get("properties", ()))
    assert set(said.operations) <= {one["operationId"] for one in operations()}
    assert set(said.fields) <= set().union(*fields.values())
    for model, own in said.models.items():
        assert set(own) <= fields.get(model, set()), model


def test_examples_are_nobody_and_their_reasons_are_registered():
    text = repr([one["example"] for _, one in media()])
    assert {found[-11:] for found in NUMBER.findall(text)} == {"13800138000"}
    assert all(domain.endswith((".example", "example.com")) for domain in ADDRESS.findall(text)), ADDRESS.findall(text)
    codes = set(re.findall(r"'((?:CONSENT|NO|NOT)_[A-Z_]+)'", text))
    assert codes
    assert codes <= set(REASONS)
