"""Differencing attacks on numbers: each succeeds on a naive construction and fails on the budgeted one, with figures.

The secret is always whether one member x is in the data: 1,000 or 1,001 members match. An attack's accuracy is how
often it tells; guessing gives 0.5. What an attacker gets of ours is asked of the ledger, until it refuses; how much
that tells is counted over ten thousand draws of as many answers. Tolerances are six standard errors wide: a sound
construction fails a test here with probability below 1e-8.
"""

import contextlib
import math
import threading
from statistics import NormalDist

import numpy as np
import pytest

from common.budget_desk import COSTS, FITTING, Desk, asked, operator
from pdms.anonymize.hierarchies import from_edges
from pdms.anonymize.noise import noised, rho_within
from pdms.budgets.questions import Question
from pdms.errors import Denied, InvalidInput
from pdms.segments.canonical import canonical
from pdms.segments.compiled import compile_rule
from pdms.segments.counts import rounded
from pdms.segments.rules import parse

TRIALS = 10_000
TOLERANCE = 6 * math.sqrt(0.25 / TRIALS)
RHO = COSTS["count"]
BUDGET_RHO = rho_within(4.0, delta=1e-6)
BOUND = NormalDist().cdf(math.sqrt(2 * BUDGET_RHO) / 2)
"""0.65: how often the best test tells two neighbours apart that a whole period's Gaussian noise lies between."""


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path, None)
    yield made
    made.engine.dispose()


def means(exact, answers, *, rho=RHO, trials=TRIALS):
    """Return float [trials]: means of so many answers to `exact`, each with noise of its own."""
    draws = [noised([exact] * 1000, sensitivity=1, rho=rho).values for _ in range(-(-trials * answers // 1000))]
    return np.concatenate(draws)[: trials * answers].reshape(trials, answers).mean(axis=1)


def accuracy(told, *, trials=TRIALS):
    """How often one tells rightly whether x is there by `told(exact)`, float [trials], half of the time."""
    half = trials // 2
    return ((told(1000)[:half] <= 1000.5).sum() + (told(1001)[:half] > 1000.5).sum()) / (2 * half)


def answered(desk, questions):
    """Ask until the budget is spent; return how many were answered."""
    given = 0
    with contextlib.suppress(Denied):
        for question in questions:
            desk.ask(question)
            given += 1
    return given


def test_averaging_repeated_answers_tells_on_fresh_noise_and_not_on_ours(desk):
    assert accuracy(lambda exact: means(exact, 400, trials=200), trials=200) > 0.9
    told = [desk.ask(asked("loyal"), exact=1000 + i).answer["values"][0] for i in range(400)]
    fresh = len(set(told))  # asked 400 times, the answer is the one that was drawn first
    assert (fresh, len(desk.charges())) == (1, 1)
    assert accuracy(lambda exact: means(exact, fresh)) < NormalDist().cdf(math.sqrt(2 * RHO) / 2) + TOLERANCE


def by_sybils(count):
    """Find an exact count from a rounded one: sybil members join until the rounding steps on."""
    start = count(0)
    for sybils in range(1, 11):
        if count(sybils) != start:
            return start + 5 - sybils
    raise AssertionError("the rounding never stepped")


def test_a_rule_and_the_rule_without_x_tell_on_rounded_counts_and_not_on_ours(desk):
    for exact in (1000, 1001):  # every time, at twenty sybils
        with_x = by_sybils(lambda n, exact=exact: rounded(exact + n, min_cell=50).value)
        without = by_sybils(lambda n: rounded(1000 + n, min_cell=50).value)
        assert with_x - without == exact - 1000

    # the whole period, a new release for each pair of questions
    pairs = (asked(f"{rule}, release {number}") for number in range(100) for rule in ("R", "R but not x"))
    each = answered(desk, pairs) // 2
    assert each == FITTING // 2
    assert accuracy(lambda exact: means(exact, each) - means(1000, each) + 1000) < BOUND + TOLERANCE
    assert BOUND < 0.66


def paraphrases(rule, number):
    """Write one rule in many ways."""
    found = [rule]
    while len(found) < number:
        last = found[-1]
        found.append(
            {"not": {"not": last}} if len(found) % 3 else {"any": [rule, {"all": [rule]}] * (len(found) % 7 + 1)}
        )
        if len(found) % 3 == 2:
            found.append({"all": [rule] * (len(found) % 90 + 2)})
    return found[:number]


def test_paraphrases_tell_where_texts_are_questions_and_are_one_question_here(desk):
    space = {"days": from_edges("days", [30, 90, 180], open_low=True, open_high=True, style="integer")}
    rule = {"feature": "days", "below": 90}
    written = []
    for one in paraphrases(rule, 60):
        try:
            written.append((str(one), canonical(compile_rule(parse(one), space))))
        except InvalidInput:  # nested too deep: not a rule
            continue
    texts, meanings = {text for text, _ in written}, {meaning for _, meaning in written}
    assert len(texts) >= 20
    assert len(meanings) == 1
    for meaning in [meaning for _, meaning in written][:10]:
        desk.ask(Question("count", {"view": "v", "where": meaning}))
    assert len(desk.charges()) == 1
    for text in list(texts)[:5]:  # a ledger of texts charges each of them, and averages become possible
        desk.ask(Question("count", {"view": "v", "where": text}))
    assert len(desk.charges()) == 6


def test_colluding_keys_tell_where_each_has_a_budget_and_share_one_here(desk):
    keys = 60
    assert accuracy(lambda exact: means(exact, keys * FITTING, trials=200), trials=200) > 0.9  # a budget for each key
    given = 0
    for key in range(keys):
        try:
            desk.ask(asked(f"loyal, in the words of {key}"), actor=operator(key, ("marketing", "agency")[key % 2]))
            given += 1
        except Denied:
            pass
    assert given == FITTING  # what one key would have got
    assert accuracy(lambda exact: means(exact, given)) < BOUND + TOLERANCE


def test_two_at_once_overspend_where_nothing_is_held_and_not_here(desk):
    spent, start = [], threading.Barrier(8)

    def naive():
        so_far = sum(spent)
        start.wait(30)  # all have read before anyone writes
        if so_far + 0.05 <= BUDGET_RHO:
            spent.append(0.05)

    threads = [threading.Thread(target=naive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(spent) > BUDGET_RHO

    def ours(number):
        with contextlib.suppress(Denied):
            desk.ask(asked(f"rule {number}"))

    threads = [threading.Thread(target=ours, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(row.nano_rho for row in desk.charges()) / 1e9 <= BUDGET_RHO
