"""A send, a withdrawal, a correction, an access request, a publication, cut off before effects and done again."""

from typing import Any

import pytest

from common.trials import Trials, driven

MEMBERS, BATCH = 56, 20


def forms(share: str) -> Any:
    """Each `share`-th of the states that a kill could leave, others each day; or all; or a kill at every effect."""
    slow = [pytest.param(one, marks=pytest.mark.slow) for one in ("1", "kills") if one != share]
    return pytest.mark.parametrize("form", [share, *slow])


def tried(folder: Any, act: str, form: str, *, at_least: int) -> Trials:
    found = driven("acts_driver.py", folder, act, form)
    assert found.effects > at_least
    assert found.count > 3
    for told, what in found.each():
        assert "failed" not in what.values(), told
    return found


@forms("5")
def test_a_withdrawal_done_again_stands(tmp_path, form):
    found = tried(tmp_path, "withdraw", form, at_least=60)
    undisturbed = found.undisturbed
    assert (undisturbed["segment"], undisturbed["releases"]) == ("withdrawn", ["stale"])
    for told, what in found.each():
        assert what["state"] == undisturbed, told


@forms("8")
def test_a_correction_goes_on(tmp_path, form):
    found = tried(tmp_path, "correct", form, at_least=80)
    undisturbed = found.undisturbed
    assert undisturbed["address"].startswith("四川省")
    for told, what in found.each():
        state = what["state"]
        # cut off after it was done, but before it could say so, it is done once more to no effect
        assert {tuple(request) for request in state["requests"]} == {("correction", "fulfilled", 1)}, told
        assert {**state, "requests": undisturbed["requests"]} == undisturbed, told


@forms("8")
def test_an_access_request_goes_on(tmp_path, form):
    found = tried(tmp_path, "access", form, at_least=80)
    undisturbed = found.undisturbed
    assert undisturbed["packages"] == [1, 1]
    for told, what in found.each():
        rows, files = what["state"]["packages"]
        # a package whose link nobody saw stays sealed until it expires; none lies about without being known
        assert rows == files <= 2, told
        assert {**what["state"], "packages": [1, 1]} == undisturbed, told


@forms("40")
def test_a_send_goes_on_and_reaches_nobody_twice(tmp_path, form):
    found = tried(tmp_path, "send", form, at_least=300)
    undisturbed = found.undisturbed
    assert (undisturbed["given"], undisturbed["counts"]["handed_over"]) == (MEMBERS, MEMBERS)
    for told, what in found.each():
        state = what["state"]
        counts = state["counts"]
        assert (state["twice"], state["strangers"], state["log"]) == ([], [], [[], 0]), told
        assert state["campaign"] == ["finished"], told
        # of one batch nobody can know whether it left: it is never sent again
        assert counts["handed_over"] + counts.get("unknown", 0) == MEMBERS, told
        assert counts.get("unknown", 0) <= BATCH, told
        assert counts["handed_over"] <= state["given"] <= MEMBERS, told


@forms("8")
def test_a_publication_done_again_leaves_one_release_with_rows(tmp_path, form):
    found = tried(tmp_path, "publish", form, at_least=40)
    undisturbed = found.undisturbed
    assert (undisturbed["with rows"], sorted(undisturbed["releases"])) == (1, ["live", "withdrawn"])
    for told, what in found.each():
        state = what["state"]
        assert (state["with rows"], state["releases"].count("live"), state["log"]) == (1, 1, [[], 0]), told
        assert set(state["releases"]) <= {"live", "withdrawn"}, told
        assert state["release folders"] == len(state["releases"]), told
        assert {**state, "releases": [], "release folders": 0} == {
            **undisturbed, "releases": [], "release folders": 0
        }, told  # fmt: skip
