"""The release ledger against a brute-force oracle: random histories of releases, leavers, joiners, erasures, drift."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdms.anonymize import Criteria, Diversity, Method, anonymize, flat, from_edges, tabulate
from pdms.anonymize.ledger import Cells, cells_of, compose, staying_out
from pdms.anonymize.ledger_check import measure_together
from pdms.anonymize.ledger_rows import Rows, leavers_of, with_release, with_releases_only, without_subject
from pdms.errors import Conflict, InvalidInput

SPACE, TIGHT = (
    [
        from_edges("orders", [1, 2, 3, 5, 8, 13, 21], coarser=[[2, 5, 13], [5]], open_low=True, runs=runs),
        flat("tier", ["a", "b", "c"]),
    ]
    for runs in (False, True)
)


def released(values: np.ndarray, row_of: np.ndarray, rows: Rows, may: np.ndarray, k: int, space=SPACE, **more):
    """Compose one release of those who may be in it; return the class of every subject and the composition."""
    who = np.flatnonzero(may)
    table, tuple_ = tabulate(values[who])
    cells, cell_of = cells_of(row_of[who], tuple_)
    found = compose(
        table, space, Criteria(k=k), cells=cells, leavers=leavers_of(rows, row_of, may), suppression_limit=1, **more
    )
    class_of = np.full(len(values), -1)
    out = found.out.copy()
    for subject, cell in zip(who.tolist(), cell_of.tolist(), strict=True):
        if out[cell]:
            out[cell] -= 1
        else:
            class_of[subject] = found.class_of[cell]
    return class_of, found


@st.composite
def histories(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    return {
        "rng": np.random.default_rng(seed),
        "people": draw(st.integers(0, 150)),
        "k": draw(st.integers(2, 6)),
        "months": draw(st.integers(1, 5)),
        "leave": draw(st.sampled_from([0.0, 0.02, 0.1, 0.5])),
        "drift": draw(st.sampled_from([0.0, 0.2])),
        "live": draw(st.integers(1, 4)),
        "headroom": draw(st.sampled_from([1.0, 2.0])),
        "erase": draw(st.booleans()),
        "space": draw(st.sampled_from([SPACE, TIGHT])),
    }


@settings(max_examples=120, deadline=None)
@given(histories())
def test_whoever_sees_all_live_releases_finds_nobody_among_fewer_than_k(history):
    rng, people, k = history["rng"], history["people"], history["k"]
    values = np.column_stack([rng.integers(0, 8, people), rng.integers(0, 3, people)]).astype(np.int32)
    may = rng.random(people) < 0.7
    here = np.ones(people, dtype=bool)  # not erased
    rows, row_of = Rows.none(), np.full(people, -1)
    seen: list[dict[int, int]] = []  # what an attacker holds: subject -> class, in every release that is live
    for _ in range(history["months"]):
        may &= rng.random(people) >= history["leave"]
        may |= here & (rng.random(people) < 0.1)
        drifting = rng.random(people) < history["drift"]
        values[drifting, 0] = rng.integers(0, 8, drifting.sum())
        if rows.releases > history["live"]:
            rows, row_of = with_releases_only(rows, row_of, range(1, rows.releases))
            del seen[0]
        if history["erase"] and people:
            for subject in rng.choice(people, size=min(3, people), replace=False).tolist():
                if here[subject] and row_of[subject] >= 0:
                    rows = without_subject(rows, int(row_of[subject]))
                row_of[subject], here[subject], may[subject] = -1, False, False
        class_of, found = released(values, row_of, rows, may, k, history["space"], headroom=history["headroom"])
        seen.append({s: int(c) for s, c in enumerate(class_of) if c >= 0})
        rows, row_of = with_release(rows, row_of, class_of)
        # the oracle: one dictionary look-up a person and release, the erased among them
        held = Counter(tuple(one.get(s, -1) for one in seen) for s in range(people))
        held.pop((-1,) * len(seen), None)
        assert min(held.values(), default=k) >= k
        assert _told(rows, row_of) == held
        # labels are true of everybody whom they are said of
        labels = found.anonymized().labels(history["space"])
        for subject, label in seen[-1].items():
            for column, tree in enumerate(history["space"]):
                first, last = tree.span_of(labels[tree.name][label])
                assert first <= values[subject, column] < last
        assert found.held_back.total + found.suppressed + found.sizes.sum() == may.sum()
        columns = [np.array([one.get(s, -1) for s in range(people)], dtype=np.int64) for one in seen]
        measured = measure_together(columns, asked=k)
        assert (measured.rows, measured.members, measured.below) == (len(held), sum(held.values()), 0)
        assert measured.k == min(held.values(), default=0)


def _told(rows: Rows, row_of: np.ndarray) -> Counter:
    told = Counter(tuple(rows.classes[r].tolist()) for r in row_of if r >= 0)
    told.update({tuple(c.tolist()): int(n) for c, n in zip(rows.classes, rows.erased, strict=True) if n})
    return told


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1), st.integers(1, 8))
def test_no_fewer_could_stay_out(sizes, least):
    stayers, leavers = (
        np.array(x) for x in zip(*[(s, n) for s, n in sizes if s + n >= least] or [(least, 0)], strict=True)
    )
    pads, remainder = staying_out(stayers, leavers, least=least)
    for s, gone, held in zip(stayers.tolist(), leavers.tolist(), (pads + remainder).tolist(), strict=True):
        possible = [h for h in range(s + 1) if (gone + h == 0 or gone + h >= least) and (s - h == 0 or s - h >= least)]
        assert held == min(possible)


def test_without_a_release_out_there_it_is_the_ordinary_partition():
    rng = np.random.default_rng(5)
    codes = np.column_stack([rng.integers(0, 8, 400), rng.integers(0, 3, 400)])
    table, tuple_ = tabulate(codes)
    cells, _ = cells_of(np.full(400, -1), tuple_)
    found = compose(table, SPACE, Criteria(k=5), cells=cells, leavers=np.zeros(0, np.int64), suppression_limit=0.05)
    plain = anonymize(table, SPACE, Criteria(k=5), suppression_limit=0.05)
    assert found.anonymized().labels(SPACE) == plain.labels(SPACE)
    assert found.sizes.tolist() == plain.sizes.tolist()
    assert found.loss == plain.loss


def test_who_is_in_no_release_is_grouped_by_the_method_asked_for():
    rng = np.random.default_rng(6)
    codes = np.column_stack([rng.geometric(0.3, 200).clip(1, 8) - 1, rng.integers(0, 3, 200)])
    table, tuple_ = tabulate(codes)
    row = np.repeat([0, -1], [20, 180])
    cells, _ = cells_of(row, tuple_)
    levels = {}
    for method in (Method.PEEL, Method.FULL_DOMAIN):
        made = compose(
            table, SPACE, Criteria(k=5), cells=cells, leavers=np.array([0]), suppression_limit=0.1, method=method
        )
        new = np.unique(made.class_of[(cells.row < 0) & (made.class_of >= 0)])
        levels[made.variant] = {tuple(one) for one in made.levels[new].tolist()}
    assert len(levels["full domain"]) == 1 < len(levels["peel"])


def test_the_same_seed_gives_the_same_and_who_stays_out_depends_on_it():
    codes = np.array([[n % 8, n % 3] for n in range(60)])
    table, tuple_ = tabulate(codes)
    cells, _ = cells_of(np.repeat([0, 1, 2], 20), tuple_)
    made = [
        compose(table, SPACE, Criteria(k=5), cells=cells, leavers=np.array([1, 0, 7]), suppression_limit=1, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert made[0].out.tolist() == made[1].out.tolist() != made[2].out.tolist()
    assert [one.held_back.padding for one in made] == [4, 4, 4]


def test_a_row_that_was_too_small_before_is_refused_and_so_is_what_does_not_fit():
    table, tuple_ = tabulate(np.array([[0, 0]] * 6))
    cells, _ = cells_of(np.array([0, 0, 0, 0, -1, -1]), tuple_)
    with pytest.raises(Conflict) as caught:
        compose(table, SPACE, Criteria(k=5), cells=cells, leavers=np.array([0]), suppression_limit=1)
    assert caught.value.code == "LEDGER_SMALL_ROW"
    for wrong in (
        {"cells": Cells(np.array([1]), np.array([0]), np.array([6]))},
        {"cells": Cells(np.array([0]), np.array([0]), np.array([5]))},
        {"leavers": np.array([-1])},
        {"headroom": 0.5},
        {"criteria": Criteria(k=2, diversity=Diversity(2))},
    ):
        given_ = {"criteria": Criteria(k=2), "cells": cells, "leavers": np.array([3]), "suppression_limit": 1} | wrong
        with pytest.raises(InvalidInput):
            compose(table, SPACE, given_.pop("criteria"), **given_)
