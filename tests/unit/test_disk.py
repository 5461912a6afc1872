"""A finished draft gets its name, and never another's."""

import errno
import os
from pathlib import Path

import pytest

from pdms.disk import bear_name


@pytest.fixture(params=["links", "no links"])
def draft(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / ".draft"
    path.write_bytes(b"finished")
    path.chmod(0o640)
    return path


def test_draft_is_there_under_its_name_only(draft: Path) -> None:
    path = draft.with_name("done")
    bear_name(draft, path)
    assert path.read_bytes() == b"finished"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in draft.parent.iterdir()] == ["done"]


def test_file_that_bears_the_name_keeps_it(draft: Path) -> None:
    path = draft.with_name("done")
    path.write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        bear_name(draft, path)
    assert path.read_bytes() == b"somebody's"
    assert draft.read_bytes() == b"finished"


def test_dangling_link_is_not_followed(draft: Path) -> None:
    path = draft.with_name("done")
    path.symlink_to(draft.with_name("elsewhere"))
    with pytest.raises(FileExistsError):
        bear_name(draft, path)
    assert not draft.with_name("elsewhere").exists()
