"""Which keys a file has shown already, in eight bytes a key.

Guarantee: a repeated key is always found. A fresh one is taken for a repeated one with a chance of about 10⁻⁸ in a file
of a million rows (64-bit SipHash, keyed afresh in each process); such a row is rejected and reported, never merged.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class KeysSeen:
    """Keys of one file, in sorted runs that double: adding costs a logarithm, not a set of Python objects."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.int64]] = []

    def add(self, keys: Sequence[object]) -> list[int]:
        """Remember hashable keys; return the places of those seen before, here or in an earlier call."""
        import numpy as np

        if not keys:
            return []
        marks = np.fromiter(map(hash, keys), dtype=np.int64, count=len(keys))
        fresh, first = np.unique(marks, return_index=True)
        repeated = np.ones(len(keys), dtype=bool)
        repeated[first] = False
        for run in self._runs:
            places = np.searchsorted(run, marks)
            places[places == len(run)] = 0
            repeated |= run[places] == marks
        self._runs.append(fresh)
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 >= len(self._runs[-2]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(np.unique(np.concatenate((before, last))))
        found: list[int] = np.flatnonzero(repeated).tolist()
        return found
