"""Marketing asks numbers under differential privacy, over HTTP and by the command line; officers read what it cost."""

import json
import math

import pytest

from common.world import NOW
from pdms.cli.entry import run
from pdms.clock import FixedClock

ESTIMATES = "/v1/segments/estimates"
LATELY = {"feature": "recency_days", "below": 365}
NEVER_ASKED_ELSEWHERE = {"feature": "recency_days", "at_least": 30}
"""The shop and its budget are shared with other files: what a question costs is seen on one that only one test asks."""


def ask(shop, kind, feature=None, **more):
    return shop.post("marketing", ESTIMATES, {"view": "member_value", "kind": kind, "feature": feature, **more})


@pytest.fixture(scope="module")
def counted(shop):
    """The view's members, exactly, as only a test may know them."""
    answer = ask(shop, "count")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_count_comes_with_its_interval_its_cost_and_what_is_left(shop, counted):
    assert counted["low"] < counted["value"] < counted["high"]
    assert 200 < counted["value"] < 340
    before = shop.get("marketing", f"{ESTIMATES}/budget").json()
    asked = ask(shop, "count", where=NEVER_ASKED_ELSEWHERE).json()
    assert asked["low"] < asked["value"] < asked["high"]
    assert asked["cost"]["rho"] == 0.02
    assert math.isclose(before["left"] - asked["cost"]["left"], 0.02 / before["rho"])
    assert asked["cost"]["population"] == "marketing"


def test_the_same_question_however_it_is_put_is_answered_alike_and_costs_once(shop):
    first = ask(shop, "count", where=LATELY).json()
    assert first["cost"]["rho"] > 0
    paraphrases = [
        LATELY,
        {"not": {"not": LATELY}},
        {"any": [{"feature": "recency_days", "below": 90}, {"feature": "recency_days", "at_least": 90, "below": 365}]},
        {"not": {"feature": "recency_days", "at_least": 365}},
    ]
    for rule in paraphrases:
        again = ask(shop, "count", where=rule).json()
        assert (again["value"], again["cost"]["rho"]) == (first["value"], 0)


def test_sums_means_quantiles_and_histograms_agree_with_each_other(shop, counted):
    mean = ask(shop, "mean", "spend", where=NEVER_ASKED_ELSEWHERE).json()
    total = ask(shop, "sum", "spend", where=NEVER_ASKED_ELSEWHERE).json()
    assert (mean["cost"]["rho"] > 0, total["cost"]["rho"]) == (True, 0), "one question"
    assert mean["low"] <= mean["value"] <= mean["high"] <= 10_000
    assert total["low"] < total["value"] < total["high"]
    middle = ask(shop, "quantile", "spend", where=NEVER_ASKED_ELSEWHERE).json()
    bins = ask(shop, "histogram", "spend", where=NEVER_ASKED_ELSEWHERE).json()
    assert (middle["cost"]["rho"] > 0, bins["cost"]["rho"]) == (True, 0), "one question"
    assert middle["low"] is None or middle["low"] <= middle["value"]
    assert len(bins["bins"]) == 8
    shown = [b["members"]["value"] for b in bins["bins"]]
    assert all(number is None or number >= 50 for number in shown)
    category = ask(shop, "histogram", "top_category").json()
    assert sum(b["members"]["value"] or 0 for b in category["bins"]) < counted["high"] + 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "mean", "feature": "top_category"},
        {"kind": "mean"},
        {"kind": "count", "feature": "spend"},
        {"kind": "histogram", "feature": "phone"},
        {"kind": "count", "where": {"feature": "spend", "at_least": 101}},
        {"kind": "quantile", "feature": "spend", "share": 1},
        {"kind": "median", "feature": "spend"},
    ],
)
def test_what_does_not_fit_the_view_is_refused_before_it_costs(shop, wrong):
    before = shop.get("marketing", f"{ESTIMATES}/budget").json()["charged"]
    answer = shop.post("marketing", ESTIMATES, {"view": "member_value", **wrong})
    assert answer.status_code == 422, answer.text
    assert shop.get("marketing", f"{ESTIMATES}/budget").json()["charged"] == before


def test_an_unknown_view_is_not_found(shop):
    assert shop.post("marketing", ESTIMATES, {"view": "nothing", "kind": "count"}).status_code == 404


def test_officers_read_every_charge_and_marketing_its_budget(shop, counted):
    state = shop.get("marketing", f"{ESTIMATES}/budget").json()
    assert math.isclose(state["left"], 1 - state["spent_rho"] / state["rho"])
    assert 0 < state["spent_epsilon"] <= state["epsilon"]
    assert shop.get("compliance", f"{ESTIMATES}/budget").status_code == 403
    charges = shop.get("compliance", f"{ESTIMATES}/charges", params={"limit": 500}).json()["items"]
    assert math.isclose(sum(c["rho"] for c in charges), state["spent_rho"])
    assert all(c["answered_at"] for c in charges)
    (listed,) = shop.get("compliance", f"{ESTIMATES}/budgets").json()["items"]
    assert listed == state


def test_the_command_line_says_the_same(shop, counted, monkeypatch, capsys):
    world = shop.world
    monkeypatch.setenv("PDMS_TOKEN", world.tokens["marketing"])
    line = ["--home", str(world.app.home.root), "--policies", str(world.app.settings.policies)]
    assert run([*line, "--json", "segment", "estimate", "member_value", "count"], clock=FixedClock(NOW)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["value"], found["cost"]["rho"]) == (counted["value"], 0)
    assert run([*line, "segment", "estimate", "member_value", "mean", "spend"], clock=FixedClock(NOW)) == 0
    assert "left of the budget" in capsys.readouterr().out
    assert run([*line, "segment", "budget"], clock=FixedClock(NOW)) == 0
    assert run([*line, "segment", "charges"], clock=FixedClock(NOW)) == 4
    assert run([*line, "segment", "estimate", "member_value", "median", "spend"], clock=FixedClock(NOW)) == 2
    monkeypatch.setenv("PDMS_TOKEN", world.tokens["compliance"])
    capsys.readouterr()
    assert run([*line, "segment", "charges", "--limit", "1"], clock=FixedClock(NOW)) == 0
    assert "mean of spend on member_value" in capsys.readouterr().out
