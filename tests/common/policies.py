"""The starter policy with privacy budgets so wide that noise is small against the few members of a test."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

FOLDER = "PDMS_TEST_FOLDER"
"""Where the copies lie, for a process whose own temporary folder is watched."""
SHIPPED = Path(__file__).resolve().parents[2] / "policies"
WIDER = (
    ("    epsilon: 4\n", "    epsilon: 20\n"),
    ("    delta: 0.000001\n", "    delta: 0.0001\n"),
    (
        "answers: {count: 0.002, histogram: 0.005, mean: 0.01, preview: 0.004, send: 0.006}",
        "answers: {count: 0.02, histogram: 0.05, mean: 0.1, preview: 0.3, send: 0.3}",
    ),
)
"""A preview's noise has a standard deviation of 1.8 so, a report's of 2.2."""


def generous() -> Path:
    """Return a copy of the shipped policies with wider budgets, made once for each text; processes share it."""
    text = (SHIPPED / "policy.yaml").read_text("utf-8")
    for shipped, wider in WIDER:
        assert shipped in text
        text = text.replace(shipped, wider)
    digest = hashlib.sha256(text.encode())
    for path in sorted(p for p in SHIPPED.rglob("*") if p.is_file()):
        digest.update(path.read_bytes())
    shared = Path(os.environ.get(FOLDER, tempfile.gettempdir()))
    made = shared / f"pdms-test-policies-{digest.hexdigest()[:20]}"
    if not made.exists():
        draft = Path(tempfile.mkdtemp(prefix="pdms-test-policies-", dir=shared))
        shutil.copytree(SHIPPED, draft / "made")
        (draft / "made" / "policy.yaml").write_text(text, "utf-8")
        try:
            (draft / "made").rename(made)
        except OSError:  # another process was first
            assert made.exists()
        shutil.rmtree(draft, ignore_errors=True)
    return made
