"""Compilation of the hot loops, kept where a read-only installation allows it."""

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
