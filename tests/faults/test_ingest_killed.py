"""A load and a take-over of a table cut off before each effect: the same command given again ends as undisturbed."""

import pytest

from common.trials import Trials, driven

EVERY = [pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]


def whole(found: Trials) -> None:
    undisturbed = found.undisturbed
    assert undisturbed["counts"]["member"] == 19
    assert (undisturbed["facts of nobody"], undisturbed["temporary files"]) == (0, [])
    assert undisturbed["log"] == [[], 0]
    for told, what in found.each():
        assert what["state"] == undisturbed, told


@pytest.mark.parametrize("form", ["48", *EVERY])
@pytest.mark.parametrize("loads", ["files", "table"])
def test_a_load_cut_off_anywhere_is_finished_by_the_same_command(tmp_path, loads, form):
    found = driven("ingest_driver.py", tmp_path, loads, form)
    assert found.effects > 100
    whole(found)


@pytest.mark.parametrize("form", ["128", *EVERY])
@pytest.mark.parametrize("loads", [pytest.param("files", marks=pytest.mark.slow), "table"])
def test_a_load_on_postgres_cut_off_anywhere_is_finished_by_the_same_command(tmp_path, postgres_server, loads, form):
    with postgres_server.bare() as url:
        found = driven("ingest_driver.py", tmp_path, loads, form, postgres_server.folder, url.rpartition("dbname=")[2])
    assert found.effects > 40
    whole(found)
