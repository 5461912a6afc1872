"""An erasure cut off before each effect: unreadable at once, finished by whoever comes next, nobody else hurt."""

from typing import Any

import pytest

from common.trials import Trials, driven


def whole(found: Trials) -> None:
    undisturbed: dict[str, Any] = found.undisturbed
    assert undisturbed["requests"] == [["deletion", "partial", True]]
    assert undisturbed["left"] == []
    assert undisturbed["others"]
    assert undisturbed["log"] == [[], 0]
    assert (undisturbed["rows"]["vault.member"], undisturbed["rows"]["keys.member_key"]) == (89, 89)
    for told, what in found.each():
        assert what["at once"] == [], told
        assert what["state"] == undisturbed, told
    assert {what["again"] for _, what in found.each()} == {"support again", "compliance sweep", "admin sweep"}


@pytest.mark.parametrize(
    "form", ["6", pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]
)
def test_an_erasure_cut_off_at_any_effect_is_finished_by_whoever_comes_next(tmp_path, form):
    found = driven("erase_driver.py", tmp_path, form)
    assert found.effects > 200
    assert found.count > 10
    whole(found)


@pytest.mark.parametrize(
    "form", ["36", pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]
)
def test_an_erasure_on_postgres_is_finished_by_whoever_comes_next(tmp_path, postgres_server, form):
    with postgres_server.bare() as url:
        found = driven("erase_driver.py", tmp_path, form, postgres_server.folder, url.rpartition("dbname=")[2])
    assert found.effects > 100
    assert found.count > 4
    whole(found)
