"""Ingest killed without warning before and after each commit, file and key: run again, it ends as if undisturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdms.crypto import new_root_text

DRIVER = Path(__file__).with_name("ingest_driver.py")


@pytest.mark.parametrize("loads", ["files", "table"])
def test_a_killed_ingest_run_again_ends_in_the_same_state(tmp_path, loads):
    environment = os.environ | {"PDMS_TEST_ROOT": new_root_text(), "PDMS_ROOT_KEY": "env:PDMS_TEST_ROOT"}
    # every fifth of about fifty points (third of thirty); an even step would meet only befores or only afters
    step = {"files": "5", "table": "3"}[loads]
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), step, "1", loads],
        env=environment, check=False, capture_output=True, text=True, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    undisturbed = json.loads((tmp_path / "undisturbed.json").read_text("utf-8"))
    assert undisturbed["counts"]["member"] == 19
    assert undisturbed["facts of nobody"] == 0
    killed = sorted(tmp_path.glob("killed-*.json"))
    assert len(killed) >= 8
    for path in killed:
        assert json.loads(path.read_text("utf-8")) == undisturbed, path.name
