"""`pdms view plan`: a dry run for officers, in figures that the publication then keeps, and without a release."""

import json

import pytest

from common.shell import Shell
from common.world import World, consents_of, orders_of, people


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    world = World.make(tmp_path_factory.mktemp("planned"))
    members = people(80)
    world.ingest("shop-members", members)
    world.ingest("shop-orders", orders_of(members)[0])
    world.ingest("shop-consents", consents_of(members))
    return Shell(world)


def test_a_plan_is_made_and_kept(shell):
    found = shell.json("compliance", "view", "plan", "member_lifecycle")
    sizes = found["sizes"]
    assert not list(shell.world.app.home.releases.rglob("data.parquet"))
    shell("compliance", "view", "build", "member_lifecycle")
    manifest = shell.json(
        "compliance", "release", "manifest", shell.json("marketing", "release", "list")[0]["release_id"]
    )
    assert sizes["rows"] == found["held"] == found["sampled"] == manifest["eligible"] > 0
    assert manifest["classes"] <= sizes["tuples"] <= sizes["tuples_most"]
    (data,) = shell.world.app.home.releases.rglob("data.parquet")
    assert data.stat().st_size <= sizes["release"]
    assert sizes["facts_rows"] > 0
    assert sizes["shuffle"] == 0
    assert [step["what_zh"] for step in found["steps"]]


def test_a_billion_members_on_spark_in_figures_and_in_words(shell):
    far = shell.json("compliance", "view", "plan", "member_value", "--rows", "1e9", "--engine", "spark")
    assert far["engine"] == "spark"
    assert far["sizes"]["rows"] == 10**9
    assert far["sizes"]["shuffle"] > 10**9
    assert len(far["notes"]) == len(far["notes_zh"]) >= 3
    words = shell("compliance", "view", "plan", "member_value", "--rows", "1e9", "--engine", "spark").text
    assert "1,000,000,000" in words
    assert "闸口" in words
    assert "pseudonym" not in json.dumps(far)


@pytest.mark.parametrize("rows", ["0", "-1", "1.5", "nan", "inf", "1e12"])
def test_numbers_that_are_none_are_refused(shell, rows):
    shell("compliance", "view", "plan", "member_value", "--rows", rows, expect=2)


def test_marketing_plans_nothing_and_an_unheard_view_is_not_found(shell):
    shell("marketing", "view", "plan", "member_value", expect=4)
    shell("compliance", "view", "plan", "unheard", expect=5)
