"""Each rotation cut off at its effects: everybody is found and opened at once, and the same command finishes."""

import pytest

from common.trials import Trials, driven

ACTS = ("epoch", "deks", "suite", "index", "suppression", "destroy")
EVERY = [pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]
FEW = [act if act in ("suite", "destroy") else pytest.param(act, marks=pytest.mark.slow) for act in ACTS]
"""A change of suite makes the other walks too."""


def whole(found: Trials, act: str) -> None:
    before, undisturbed = found.before, found.undisturbed
    assert {name: undisturbed[name] for name in before} == before
    assert (undisturbed["left"], undisturbed["log"], undisturbed["fenced with a key"]) == (0, [[], 0], 0)
    assert (undisturbed["keys"], undisturbed["going on"]) == (13, 0)
    assert "suppressed" in undisturbed["imported"]
    assert "created" not in undisturbed["imported"]
    assert before["stopped"]
    assert sum(bool(opened) for opened, _ in before["people"].values()) == 13
    for told, what in found.each():
        assert what["at once"] == before, f"{act}, {told}"
        assert what["state"] == undisturbed, f"{act}, {told}"


@pytest.mark.parametrize("form", ["80", *EVERY])
@pytest.mark.parametrize("act", ACTS)
def test_a_rotation_cut_off_at_any_effect_loses_nobody_and_goes_on(tmp_path, act, form):
    found = driven("rotation_driver.py", tmp_path, act, form)
    assert found.effects > 40
    whole(found, act)


@pytest.mark.parametrize("form", ["200", *EVERY])
@pytest.mark.parametrize("act", FEW)
def test_on_postgres_as_well(tmp_path, postgres_server, act, form):
    with postgres_server.bare() as url:
        found = driven("rotation_driver.py", tmp_path, act, form, postgres_server.folder, url.rpartition("dbname=")[2])
    whole(found, act)
