"""`pdms init` killed without warning before each effect on disk: asked again, it makes the same home, and one key."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("init_driver.py")


@pytest.mark.parametrize(
    ("step", "first"), [("41", "9"), pytest.param("2", "1", marks=pytest.mark.slow)], ids=["some points", "every other"]
)
def test_a_killed_init_asked_again_makes_the_same_home(tmp_path, step, first):
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), step, first],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests")},
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    undisturbed = json.loads((tmp_path / "undisturbed.json").read_text("utf-8"))
    assert [role for _, role, _ in undisturbed["operators"]] == ["admin"]
    assert undisturbed["log"] == []
    assert undisturbed["root modes"] == ["0o600"]
    assert undisturbed["modes"] == "0o700"
    killed = sorted(tmp_path.glob("killed-*.json"))
    assert len(killed) >= 6
    for path in killed:
        what = json.loads(path.read_text("utf-8"))
        if not what["printed"]:  # otherwise the first run had shown its key already
            assert what["state"] == undisturbed, f"{path.name}, died before {what['died before']!r}"
