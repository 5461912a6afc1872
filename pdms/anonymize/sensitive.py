"""Compiled judgement of a class by its histogram, the same criteria as `criteria` judges in plain numpy.

A histogram here is int64 [values + 1]: how many members hold each sensitive value, then how many people of the wider
population are not in the table. Without a sensitive attribute there is one value, without a population nobody else.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pdms.anonymize.compiled import compiled
from pdms.anonymize.criteria import Criteria, Distance, DiversityKind
from pdms.anonymize.frequency import FrequencyTable

Rules = NDArray[np.float64]
Histograms = NDArray[np.int64]

_KINDS = {DiversityKind.DISTINCT: 1.0, DiversityKind.ENTROPY: 2.0, DiversityKind.RECURSIVE: 3.0}


def rules_of(criteria: Criteria) -> Rules:
    """Return criteria as float64 [10].

    Least size; diversity kind (0 = none), l or ln(l), c; distance kind (0 = none), t; least and greatest presence;
    fewest people of the wider population; whether the last value stands for absence (1) in ordered distances.
    """
    kind = bound = c = distance = t = absent = 0.0
    if criteria.diversity is not None:
        kind, c = _KINDS[criteria.diversity.kind], criteria.diversity.c
        bound = math.log(criteria.diversity.l) if kind == 2.0 else criteria.diversity.l
    if criteria.closeness is not None:
        distance, t = (1.0 if criteria.closeness.distance == Distance.EQUAL else 2.0), criteria.closeness.t
        absent = float(criteria.closeness.absent)
    low, high = (0.0, 1.0) if criteria.presence is None else (criteria.presence.low, criteria.presence.high)
    least, fewest = float(criteria.smallest_class), float(criteria.fewest_people)
    return np.array([least, kind, bound, c, distance, t, low, high, fewest, absent])


def histograms_of(table: FrequencyTable) -> Histograms:
    """Return int64 [tuples, values + 1], the histogram of each tuple."""
    members = table.counts[:, None] if table.sensitive is None else table.sensitive
    others = np.zeros_like(table.counts) if table.population is None else table.population - table.counts
    return np.concatenate([members, others[:, None]], axis=1)


def shares_of(histograms: Histograms) -> Rules:
    """Return float64 [values]: the sensitive distribution of the whole table."""
    total = histograms[:, :-1].sum(axis=0)
    return np.asarray(total / max(int(total.sum()), 1), dtype=np.float64)


def _with_absence_plain(gaps: NDArray[np.float64]) -> float:
    """Return the earth mover's distance over ordered bins and, last, absence, which lies 1 from each of them.

    What is absent more, or less, than in the whole moves at 1 each, and may come upon any bin: what of it was spent up
    to a bin only grows, from 0 to all of it. The cheapest such course is the isotonic regression, in absolute values,
    of what the bins lack; a new value below the greatest so far replaces it (two of it, in order, in `spent`).
    """
    bins = gaps.shape[0] - 1
    all_of_it, sign = abs(gaps[bins]), 1.0 if gaps[bins] > 0 else -1.0
    spent = np.empty(max(bins, 1))
    cost, running = 0.0, 0.0
    for v in range(bins - 1):
        running += gaps[v]
        lacking = min(max(-sign * running, 0.0), all_of_it)
        cost += abs(-sign * running - lacking)
        place = v
        while place > 0 and spent[place - 1] > lacking:
            spent[place] = spent[place - 1]
            place -= 1
        spent[place] = lacking
        if spent[v] > lacking:
            cost += spent[v] - lacking
            for later in range(v, place, -1):
                spent[later] = spent[later - 1]
            spent[place] = lacking
    return float(all_of_it + cost / max(bins - 1, 1))


_with_absence = compiled(_with_absence_plain)


def _holds_plain(histogram: NDArray[np.int64], whole: NDArray[np.float64], rules: Rules) -> bool:
    """Tell whether a class with this histogram holds; `whole` are the shares of the whole table."""
    values = histogram.shape[0] - 1
    size, distinct, most = 0, 0, 0
    for v in range(values):
        size += histogram[v]
        if histogram[v] > 0:
            distinct += 1
        if histogram[v] > most:
            most = histogram[v]
    if size < rules[0] or size == 0:
        return False
    people = size + histogram[values]
    if size < rules[6] * people or size > rules[7] * people or people < rules[8]:
        return False
    if rules[1] == 1.0 and distinct < rules[2]:
        return False
    if rules[1] == 2.0:
        entropy = 0.0
        for v in range(values):
            if histogram[v] > 0:
                share = histogram[v] / size
                entropy -= share * math.log(share)
        if entropy < rules[2] - 1e-12:
            return False
    if rules[1] == 3.0:
        if distinct < rules[2]:
            return False
        # the l-1 most frequent values, found by rank so that nothing need be sorted
        tail = 0
        for v in range(values):
            rank = 0
            for u in range(values):
                if histogram[u] > histogram[v] or (histogram[u] == histogram[v] and u < v):
                    rank += 1
            if rank >= rules[2] - 1:
                tail += histogram[v]
        if most >= rules[3] * tail:
            return False
    if rules[4] == 1.0:
        gap = 0.0
        for v in range(values):
            gap += abs(histogram[v] / size - whole[v])
        if gap / 2 > rules[5] + 1e-12:
            return False
    if rules[4] == 2.0:
        if rules[9] == 1.0:
            gap = _with_absence(histogram[:values] / size - whole)
        else:
            gap, running = 0.0, 0.0
            for v in range(values - 1):
                running += histogram[v] / size - whole[v]
                gap += abs(running)
            gap /= max(values - 1, 1)
        if gap > rules[5] + 1e-12:
            return False
    return True


holds = compiled(_holds_plain)
