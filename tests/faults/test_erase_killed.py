"""An erasure killed without warning before each effect on disk: unreadable at once, finished by whoever comes next."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("erase_driver.py")


def driven(driver: Path, folder: Path, *arguments: str, timeout: int) -> None:
    done = subprocess.run(
        [sys.executable, str(driver), str(folder), *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'scripts'}:{ROOT}"},
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("step", "first"), [("23", "6"), pytest.param("2", "1", marks=pytest.mark.slow)], ids=["some points", "every other"]
)
def test_a_killed_erasure_is_finished_by_whoever_comes_next(tmp_path, step, first):
    driven(DRIVER, tmp_path, step, first, timeout=1800)
    undisturbed = json.loads((tmp_path / "undisturbed.json").read_text("utf-8"))
    assert undisturbed["requests"] == [["deletion", "partial", True]]
    assert undisturbed["left"] == []
    assert undisturbed["log"] == [[], 0]
    assert (undisturbed["rows"]["member"], undisturbed["rows"]["member_key"]) == (89, 89)
    killed = sorted(tmp_path.glob("killed-*.json"))
    assert len(killed) >= 8
    for path in killed:
        what = json.loads(path.read_text("utf-8"))
        told = f"{path.name}, died before {what['died before']!r}, finished by {what['finished by']}"
        assert what["unsafe"] == [], told
        assert what["state"] == undisturbed, told
