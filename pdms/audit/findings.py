"""What a verification says: problems with their place, and how far the result can be trusted.

Pure; shared by the check in place and the offline verifier, so that both speak of the same things in the same words.
"""

from dataclasses import dataclass
from enum import StrEnum

MAX_PROBLEMS = 1000
"""More are counted but not listed: a log broken a million times is told apart from one broken once."""


class Assurance(StrEnum):
    """What stands behind a log in which no problem was found."""

    BROKEN = "broken"
    SELF_CONSISTENT = "self-consistent only"
    """It agrees with itself. Whoever holds the log's key could have written all of it anew."""
    EARLIER = "extends the earlier checkpoint"
    WITNESSED = "witnessed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written. `line` counts from 1 and exists in exports only; `leaf` from 0."""

    code: str
    detail: str
    leaf: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line is not None else []
        place += [f"leaf {self.leaf}"] if self.leaf is not None else []
        return f"{self.code}{' at ' + ', '.join(place) if place else ''}: {self.detail}"


class Problems:
    """Collects problems up to the limit."""

    __slots__ = ("_listed", "count")

    def __init__(self) -> None:
        self.count = 0
        self._listed: list[Problem] = []

    def add(self, code: str, detail: str, *, leaf: int | None = None, line: int | None = None) -> None:
        """Note one problem."""
        self.count += 1
        if len(self._listed) < MAX_PROBLEMS:
            self._listed.append(Problem(code, detail, leaf, line))

    def listed(self) -> tuple[Problem, ...]:
        """Return what was listed, in order."""
        return tuple(self._listed)
