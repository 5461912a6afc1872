"""`pdms init --upgrade` cut off before each effect, on files and on PostgreSQL: asked again, nothing was lost."""

import pytest

from common.trials import Trials, driven
from pdms.all_tables.schema import head
from pdms.db.parts import Part


def whole(found: Trials) -> None:
    undisturbed = found.undisturbed
    assert undisturbed["revision"] == {part.value: head(part) for part in Part}
    assert [one["external"] for one in undisturbed["members"]] == ["H00000", "H00001", "H00002"]
    assert undisturbed["rows"]["vault.consent_record"] == 7
    assert undisturbed["facts"]["orders"] == 16
    assert (undisturbed["told in the log"], undisturbed["log"], undisturbed["begun"]) == (True, [[], 0], False)
    for name, rows in found.before.items():
        assert undisturbed["rows"].get(name) == rows, name
    for told, what in found.each():
        assert what["state"] == undisturbed, told


EVERY = [pytest.param("1", marks=pytest.mark.slow), pytest.param("kills", marks=pytest.mark.slow)]


@pytest.mark.parametrize("form", ["20", *EVERY])
@pytest.mark.parametrize("since", ["first", "previous"])
def test_an_upgrade_in_files_cut_off_anywhere_is_finished_by_the_same_command(tmp_path, since, form):
    found = driven("upgrade_driver.py", tmp_path, since, form)
    assert found.effects > {"first": 500, "previous": 100}[since]
    whole(found)


@pytest.mark.parametrize("form", ["96", *EVERY])
@pytest.mark.parametrize("since", ["first", "previous"])
def test_an_upgrade_on_postgres_cut_off_anywhere_is_finished_by_the_same_command(
    tmp_path, postgres_server, since, form
):
    with postgres_server.bare() as url:
        found = driven("upgrade_driver.py", tmp_path, since, form, postgres_server.folder, url.rpartition("dbname=")[2])
    assert found.effects > {"first": 40, "previous": 15}[since]
    whole(found)
