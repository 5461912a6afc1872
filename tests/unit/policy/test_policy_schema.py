"""The JSON Schema for editors accepts what the loader accepts, refuses what it refuses, and is the one in docs/."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from pdms.policy.schema import FILES, schema

ROOT = Path(__file__).resolve().parents[3]


def as_json(path):
    return json.loads(json.dumps(yaml.safe_load(path.read_text("utf-8")), default=str))


def checked(name, document):
    whole = schema()
    part = {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": whole["x-files"][name]}
    return [error.message for error in jsonschema_rs.Draft202012Validator(part).iter_errors(document)]


PATHS = {
    "policy.yaml": "policy.yaml",
    "notices/<id>/<language>.yaml": "notices/*/*.yaml",
    "sources/<name>.yaml": "sources/*.yaml",
    "views/<name>.yaml": "views/*.yaml",
    "calendars/cn-<year>.yaml": "calendars/*.yaml",
    "tests/<name>.yaml": "tests/*.yaml",
}


@pytest.mark.parametrize("name", FILES)
def test_every_starter_document_fits(name):
    paths = sorted((ROOT / "policies").glob(PATHS[name]))
    assert paths
    for path in paths:
        assert checked(name, as_json(path)) == []


def test_what_the_loader_refuses_the_schema_refuses():
    good = as_json(ROOT / "policies/policy.yaml")
    for change in (
        lambda said: said.update(novelty=1),
        lambda said: said.pop("controller"),
        lambda said: said["purposes"]["order"].pop("retention"),
        lambda said: said["purposes"]["order"].update(basis="because"),
        lambda said: said["purposes"]["market_sms"].update(channel="pigeon"),
        lambda said: said["recipients"]["logistics"].update(kind="friend"),
        lambda said: said["defaults"].update(effect="permit"),
    ):
        bad = json.loads(json.dumps(good))
        change(bad)
        assert checked("policy.yaml", bad)


def test_it_stands_in_the_docs_as_it_is():
    written = json.loads((ROOT / "docs/policy-schema.json").read_text("utf-8"))
    assert written == schema(), "run .venv/bin/python scripts/reference.py"
