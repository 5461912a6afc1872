"""A restore cut off before each effect, into files and into PostgreSQL: the same command given again makes the home."""

import pytest

from common.trials import Trials, driven


def whole(found: Trials) -> None:
    undisturbed = found.undisturbed
    assert undisturbed["requests"] == [["deletion", "partial", True]]
    assert (undisturbed["erased is there"], undisturbed["key"], undisturbed["fence"]) == (False, 0, 1)
    assert (undisturbed["left"], undisturbed["log"], undisturbed["folders"]) == ([], [[], 0], ["again"])
    assert (undisturbed["withdrawn"], undisturbed["restricted"]) == ("withdrawn", ["restriction"])
    assert undisturbed["others"]
    assert {label: keys for label, keys in undisturbed["revoked"].items() if keys != [True]} == {"first-admin": [False]}
    for told, what in found.each():
        assert what["state"] == undisturbed, told


EVERY = [pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]


@pytest.mark.parametrize("form", ["64", *EVERY])
def test_a_restore_into_files_cut_off_anywhere_is_made_by_the_same_command(tmp_path, form):
    found = driven("restore_driver.py", tmp_path, form)
    assert found.effects > 300
    whole(found)


@pytest.mark.parametrize("form", ["360", *EVERY])
def test_a_restore_into_postgres_cut_off_anywhere_is_made_by_the_same_command(tmp_path, postgres_server, form):
    with postgres_server.bare() as one, postgres_server.bare() as other:
        names = [url.rpartition("dbname=")[2] for url in (one, other)]
        found = driven("restore_driver.py", tmp_path, form, postgres_server.folder, *names)
    assert found.effects > 200
    whole(found)
