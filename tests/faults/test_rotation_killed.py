"""Each rotation killed before effects on disk: everybody is found and opened at once, and the same command finishes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("rotation_driver.py")
SOME = {
    "epoch": (17, 5),
    "deks": (23, 7),
    "suite": (29, 11),
    "index": (23, 6),
    "suppression": (17, 9),
    "destroy": (9, 4),
}


def driven(folder: Path, act: str, step: int, first: int) -> None:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), act, str(step), str(first)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}"},
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some points", "every"])
@pytest.mark.parametrize("act", SOME)
def test_a_killed_rotation_loses_nobody_and_goes_on(tmp_path, act, every):
    step, first = (1, 1) if every else SOME[act]
    driven(tmp_path, act, step, first)
    before = json.loads((tmp_path / "before.json").read_text("utf-8"))
    undisturbed = json.loads((tmp_path / "undisturbed.json").read_text("utf-8"))
    assert {name: undisturbed[name] for name in before} == before
    assert (undisturbed["left"], undisturbed["log"], undisturbed["fenced with a key"]) == (0, [[], 0], 0)
    assert undisturbed["keys"] == 13
    assert "suppressed" in undisturbed["imported"]
    assert "created" not in undisturbed["imported"]
    assert before["stopped"]
    assert sum(bool(opened) for opened, _ in before["people"].values()) == 13
    killed = sorted(tmp_path.glob("killed-*.json"))
    assert len(killed) >= 2
    for path in killed:
        what = json.loads(path.read_text("utf-8"))
        told = f"{act}, {path.name}, died before {what['died before'][:100]!r}"
        assert what["at once"] == before, told
        assert what["state"] == undisturbed, told
