"""Runs a driver of tests/faults in a process of its own and reads what it wrote."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.crash_images import DAY, memory_folder

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of an act that was left alone, and of the same act cut off at one effect after another."""

    undisturbed: dict[str, Any]
    effects: int
    cut_off: dict[str, dict[str, Any]]
    before: dict[str, Any]
    """What the driver noted before anything was done, if it did."""

    @property
    def count(self) -> int:
        """How many times it was cut off."""
        return len(self.cut_off)

    def each(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give each trial with words that say which it is."""
        for name, what in self.cut_off.items():
            yield f"{name} (PDMS_TEST_DAY={DAY}), before {what['died before'][:120]!r}, then {what['again']}", what


def driven(driver: str, folder: Path, *arguments: object, timeout: int = 14_400) -> Trials:
    """Run `driver` in a folder in memory. :raises AssertionError: it failed, or tried nothing."""
    with memory_folder(folder) as place:
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "faults" / driver), str(place), *map(str, arguments)],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'scripts'}:{ROOT}",
                 "PDMS_TEST_DAY": str(DAY)},
            cwd=ROOT, check=False, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

        def read(path: Path) -> dict[str, Any]:
            return json.loads(path.read_text("utf-8"))  # type: ignore[no-any-return]

        tried = sorted([*place.glob("image-*.json"), *place.glob("killed-*.json")])
        assert len(tried) >= 2
        counted = read(place / "counted.json")
        before = read(place / "before.json") if (place / "before.json").exists() else {}
        words = " ".join(str(a) for a in arguments if "/" not in str(a))
        print(f"{driver} {words}: {len(tried)} trials; {counted['images']} states, {counted['effects']} effects")
        found = {path.name: read(path) for path in tried}
        return Trials(read(place / "undisturbed.json"), counted["effects"], found, before)
