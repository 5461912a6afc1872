"""Compilation of the hot loops, kept where a read-only installation allows it.

Numba renews what it kept when the file of a loop changes, not when a loop that it calls does: after editing
`sensitive.py` or `lattice.py` in a working tree, clear `__pycache__`. An installation replaces all files at once, and
`release` judges every result once more in plain numpy.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call; keep the result beside the module or in numba's own folder, and do without if neither."""
    try:
        kept: Callable[P, R] = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep it in: compile anew in each process
        kept = njit(nogil=True)(function)
    return kept
