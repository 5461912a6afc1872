"""What a partition of members into buckets tells, in numbers. Pure.

A thief who sees buckets and holds no key learns who shares one. How much that is follows from the sizes alone: `sizes`
maps a size to how many buckets have it, so that a million buckets are a few hundred numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2, sqrt

SIGMAS = 2.0
"""A bucket's place among all is taken as legible where its size differs from its neighbours' by more than chance."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Sizes of the buckets of one index, or of one joint pattern."""

    entries: int
    buckets: int
    smallest: int
    median: int
    """Of the buckets; half of them are not larger."""
    largest: int
    alone: float
    """Share of the entries that are alone in their bucket."""
    entropy_bits: float
    """Bits that the bucket tells about who an entry is, of `possible_bits`."""
    possible_bits: float
    expected_guesses: float
    """Guesses, on average, to name the member behind an entry whose bucket is known."""
    legible: float
    """Share of the entries in buckets whose rank by size stands out (2σ): what frequency analysis can begin with."""


def partition(sizes: Mapping[int, int]) -> Partition:
    """Return the figures of a partition. :param sizes: size → number of buckets; none may be zero."""
    entries = sum(size * count for size, count in sizes.items())
    buckets = sum(sizes.values())
    if not entries:
        return Partition(0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    possible = log2(entries)
    within = sum(size * count * log2(size) for size, count in sizes.items()) / entries
    guesses = sum(size * count * (size + 1) / 2 for size, count in sizes.items()) / entries
    return Partition(
        entries=entries,
        buckets=buckets,
        smallest=min(sizes),
        median=_median(sizes, buckets),
        largest=max(sizes),
        alone=sizes.get(1, 0) / entries,
        entropy_bits=max(possible - within, 0.0),
        possible_bits=possible,
        expected_guesses=guesses,
        legible=_legible(sizes) / entries,
    )


def _median(sizes: Mapping[int, int], buckets: int) -> int:
    passed = 0
    for size in sorted(sizes):
        passed += sizes[size]
        if 2 * passed >= buckets:
            return size
    return 0


def _legible(sizes: Mapping[int, int]) -> int:
    """Return how many entries lie in buckets of a size that only they have, clear of the next by two deviations."""
    ordered = sorted(sizes)
    found = 0
    for at, size in enumerate(ordered):
        near = [abs(size - ordered[other]) for other in (at - 1, at + 1) if 0 <= other < len(ordered)]
        if sizes[size] == 1 and all(gap > SIGMAS * sqrt(size) for gap in near):
            found += size
    return found
