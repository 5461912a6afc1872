"""What is left in the spill folder: gone at the next start once its process is dead, kept while that writes."""

import os
import subprocess
from pathlib import Path

import pytest

from pdms.facts.spill import file_under_way, wipe_orphans, wipe_spill
from pdms.settings import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "spill").mkdir()
    return Home(tmp_path)


def dead() -> int:
    """The number of a process that is no more."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_of_the_dead_and_of_nobody_nothing_stays_folder_or_file(home: Home) -> None:
    gone, mine = f"{dead()}-file-aa", f"{os.getpid()}-aa"
    for name in (gone, "nobody", mine):
        (home.spill / name).mkdir()
        (home.spill / name / "file").touch()
    for name in ("api-0123", ".api-77.aa.part"):
        (home.spill / name).touch()
    wipe_orphans(home)
    assert [path.name for path in home.spill.iterdir()] == [mine]


def test_a_file_under_way_outlives_a_start_and_an_erasure_beside_it(home: Home) -> None:
    reader = home.spill / f"{os.getpid()}-aa"
    reader.mkdir()
    with file_under_way(home) as path:
        draft = path.with_name(".draft.part")
        draft.write_text("half")
        wipe_orphans(home)
        wipe_spill(home)
        draft.rename(path)
        assert path.read_text() == "half"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert not reader.exists()
    assert list(home.spill.iterdir()) == []
