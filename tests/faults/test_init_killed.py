"""`pdms init` cut off before each effect: asked again, it makes the same home, and a key that somebody saw."""

import pytest

from common.trials import driven


@pytest.mark.parametrize("form", ["6", pytest.param("1", marks=pytest.mark.slow),
                                  pytest.param("kills", marks=pytest.mark.slow)])  # fmt: skip
def test_an_init_cut_off_and_asked_again_makes_the_same_home(tmp_path, form):
    found = driven("init_driver.py", tmp_path, form)
    undisturbed = found.undisturbed
    assert [role for _, role, _ in undisturbed["operators"]] == ["admin"]
    assert undisturbed["log"] == []
    assert undisturbed["root modes"] == ["0o600"]
    assert undisturbed["modes"] == "0o700"
    assert found.effects > 200
    assert found.count > 5
    for told, what in found.each():
        assert what["state"] == undisturbed, told
