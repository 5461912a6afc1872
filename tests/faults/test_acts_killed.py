"""A send, a withdrawal, a correction, an access request, killed before effects on disk and done again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("acts_driver.py")
MEMBERS, BATCH = 56, 20


def killed(folder: Path, act: str, step: int, first: int) -> tuple[dict[str, Any], dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(folder), act, str(step), str(first)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests")},
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {path.name: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("killed-*.json"))}
    assert len(found) >= 2
    undisturbed = json.loads((folder / "undisturbed.json").read_text("utf-8"))
    return undisturbed, {
        f"{name} (died before {what['died before'][:80]})": what["state"] for name, what in found.items()
    }


def steps(few: tuple[int, int]) -> Any:
    return pytest.mark.parametrize(
        ("step", "first"), [few, pytest.param(2, 1, marks=pytest.mark.slow)], ids=["some points", "every other"]
    )


@steps((25, 8))
def test_a_withdrawal_done_again_stands(tmp_path, step, first):
    undisturbed, states = killed(tmp_path, "withdraw", step, first)
    assert (undisturbed["segment"], undisturbed["releases"]) == ("withdrawn", ["stale"])
    for name, state in states.items():
        assert state == undisturbed, name


@steps((37, 15))
def test_a_correction_goes_on(tmp_path, step, first):
    undisturbed, states = killed(tmp_path, "correct", step, first)
    assert undisturbed["address"].startswith("四川省")
    for name, state in states.items():
        # cut off after it was done, but before it could say so, it is done once more to no effect
        assert {tuple(request) for request in state["requests"]} == {("correction", "fulfilled", 1)}, name
        assert {**state, "requests": undisturbed["requests"]} == undisturbed, name


@steps((61, 41))
def test_an_access_request_goes_on(tmp_path, step, first):
    undisturbed, states = killed(tmp_path, "access", step, first)
    assert undisturbed["packages"] == [1, 1]
    for name, state in states.items():
        rows, files = state["packages"]
        # a package whose link nobody saw stays sealed until it expires; none lies about without being known
        assert rows == files <= 2, name
        assert {**state, "packages": [1, 1]} == undisturbed, name


@steps((211, 150))
def test_a_send_goes_on_and_reaches_nobody_twice(tmp_path, step, first):
    undisturbed, states = killed(tmp_path, "send", step, first)
    assert (undisturbed["given"], undisturbed["counts"]["handed_over"]) == (MEMBERS, MEMBERS)
    for name, state in states.items():
        counts = state["counts"]
        assert (state["twice"], state["strangers"], state["log"]) == ([], [], [[], 0]), name
        assert state["campaign"] == ["finished"], name
        # of one batch nobody can know whether it left: it is never sent again
        assert counts["handed_over"] + counts.get("unknown", 0) == MEMBERS, name
        assert counts.get("unknown", 0) <= BATCH, name
        assert counts["handed_over"] <= state["given"] <= MEMBERS, name
