"""The same bytes are read once; one changed byte, or one more file, is read again."""

import os
import shutil

import pytest

from common.policies import SHIPPED
from pdms.policy.loader import MOST_BYTES, MOST_KEPT, load
from pdms.policy.yaml_reader import PolicyInvalid


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "policies")


def test_the_same_bytes_give_the_same_policy(folder, tmp_path):
    first = load(folder)
    assert load(folder) is first
    assert load(shutil.copytree(folder, tmp_path / "elsewhere")) is first


def test_a_change_of_the_same_length_and_time_is_seen(folder):
    view = folder / "views" / "member_value.yaml"
    before, stamp = load(folder), view.stat()
    view.write_bytes(view.read_bytes().replace(b"min_cell: 50", b"min_cell: 60"))
    os.utime(view, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    after = load(folder)
    assert (before.views["member_value"].min_cell, after.views["member_value"].min_cell) == (50, 60)
    assert after.digest != before.digest


@pytest.mark.parametrize("stray", ["stray.yaml", "views/stray.txt", "notices/stray.yaml"])
def test_a_file_that_nothing_reads_is_still_an_error(folder, stray):
    load(folder)
    (folder / stray).write_text("x: 1\n")
    for _ in range(2):  # what does not load is not kept
        with pytest.raises(PolicyInvalid):
            load(folder)
    (folder / stray).unlink()
    load(folder)


def test_a_file_in_a_folders_place_is_not_taken_for_it(folder):
    before = load(folder)
    shutil.rmtree(folder / "segments")
    assert load(folder) is not before


def test_few_are_kept_and_none_that_is_large(folder):
    view = folder / "views" / "member_value.yaml"
    text = view.read_text("utf-8")
    first = load(folder)
    for at in range(MOST_KEPT):
        view.write_text(f"{text}# {at}\n", "utf-8")
        load(folder)
    view.write_text(text, "utf-8")
    assert load(folder) is not first
    with (folder / "large.md").open("wb") as large:
        large.truncate(MOST_BYTES + 1)
    assert load(folder) is not load(folder)
