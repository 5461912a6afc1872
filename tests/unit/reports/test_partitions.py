"""Figures of a partition, against hand-made ones and brute force."""

from collections import Counter
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.reports.name_frequencies import FREQUENT_PARTS
from pdms.reports.partitions import partition


def test_by_hand():
    found = partition({1: 2, 2: 1, 4: 1})  # buckets of 1, 1, 2 and 4 entries
    assert (found.entries, found.buckets, found.smallest, found.median, found.largest) == (8, 4, 1, 1, 4)
    assert found.alone == 0.25
    assert found.entropy_bits == pytest.approx(2 * 3 / 8 + 2 / 8 * 2 + 4 / 8 * 1)
    assert found.possible_bits == 3.0
    assert found.expected_guesses == pytest.approx((1 + 1 + 2 * 1.5 + 4 * 2.5) / 8)


def test_one_bucket_tells_nothing_and_buckets_of_one_tell_all():
    same, apart = partition({100: 1}), partition({1: 128})
    assert (same.entropy_bits, same.alone, same.expected_guesses) == (pytest.approx(0.0), 0.0, 50.5)
    assert (apart.entropy_bits, apart.alone, apart.expected_guesses) == (7.0, 1.0, 1.0)
    assert partition({}).entries == 0


def test_a_size_that_stands_out_is_legible():
    assert partition({100: 1, 400: 1}).legible == 1.0
    assert partition({100: 1, 110: 1}).legible == 0.0  # within chance of each other
    assert partition({100: 2, 400: 1}).legible == pytest.approx(400 / 600)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_against_brute_force(buckets):
    found = partition(Counter(buckets))
    total = sum(buckets)
    assert found.entries == total
    assert found.entropy_bits == pytest.approx(-sum(n / total * log2(n / total) for n in buckets), abs=1e-9)
    assert found.expected_guesses == pytest.approx(sum(sum(range(1, n + 1)) for n in buckets) / total)
    assert found.alone == pytest.approx(buckets.count(1) / total)
    assert found.median == sorted(buckets)[(len(buckets) - 1) // 2]
    assert 0 <= found.legible <= 1


def test_public_parts_are_parts():
    assert len(set(FREQUENT_PARTS)) == len(FREQUENT_PARTS) >= 40
    assert all(len(part) == 2 for part in FREQUENT_PARTS)
