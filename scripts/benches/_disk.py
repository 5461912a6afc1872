"""The disk under a benchmark: its name, and what a commit costs at least that is durable."""

import os
import time
from pathlib import Path

_PAGES = 4096 * 4
"""Bytes: about what the log's journal takes for one event."""


def device(folder: Path) -> str:
    """Return what is mounted under a folder: where fsync goes."""
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    inside = [one for one in mounts if folder.resolve().is_relative_to(one[1])]
    name, _, kind = max(inside, key=lambda one: len(one[1]), default=["an unknown device", "", "?"])
    return f"{name} ({kind})"


def bare_syncs(folder: Path, count: int) -> float:
    """Return seconds by the clock of `count` writes at the end of a file, as a journal grows, each made durable."""
    path, written = folder / "sync.bin", bytes(_PAGES)
    with path.open("ab") as file:
        begun = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), written)
            os.fdatasync(file.fileno())
        return time.perf_counter() - begun
