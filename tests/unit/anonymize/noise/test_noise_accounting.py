"""Composition and the filter, held against dp-accounting, which shares no code with OpenDP."""

import math

import dp_accounting
import pytest
from dp_accounting import pld, rdp

from pdms.anonymize.noise import Cost, composed, epsilon_of, fits, rho_within
from pdms.errors import InvalidInput

DELTA = 1e-6


def _events(rho: float, times: int) -> dp_accounting.DpEvent:
    one = dp_accounting.GaussianDpEvent(noise_multiplier=1 / math.sqrt(2 * rho))
    return dp_accounting.SelfComposedDpEvent(one, times)


@pytest.mark.parametrize(("rho", "times"), [(0.005, 1), (0.005, 20), (0.001, 200), (0.05, 6)])
def test_epsilon_agrees_with_two_other_accountants(rho: float, times: int) -> None:
    ours = epsilon_of(composed([Cost(rho)] * times).rho, delta=DELTA)
    by_renyi, by_loss = rdp.RdpAccountant(), pld.PLDAccountant()
    by_renyi.compose(_events(rho, times))
    by_loss.compose(_events(rho, times))
    assert ours >= by_loss.get_epsilon(DELTA) - 1e-3  # the exact figure: ours is a bound above it
    assert ours == pytest.approx(by_renyi.get_epsilon(DELTA), rel=0.05)


def test_a_budget_of_epsilon_is_never_exceeded_in_terms_of_another_accountant() -> None:
    rho = rho_within(4.0, delta=DELTA)
    accountant = pld.PLDAccountant()
    accountant.compose(_events(0.005, int(rho / 0.005)))
    assert 3 < accountant.get_epsilon(DELTA) <= 4


def test_rho_of_a_budget_is_the_greatest() -> None:
    rho = rho_within(1.0, delta=DELTA)
    assert epsilon_of(rho, delta=DELTA) <= 1.0 < epsilon_of(rho + 2e-9, delta=DELTA)


def test_the_filter_admits_up_to_the_budget_and_nothing_beyond() -> None:
    budget = Cost(0.012, 1e-6)
    assert fits(budget, [], Cost(0.012, 1e-6))
    assert fits(budget, [Cost(0.005)], Cost(0.005, 5e-7))
    assert not fits(budget, [Cost(0.005)] * 2, Cost(0.005))  # rho exceeded, delta not
    assert not fits(budget, [Cost(0.001, 8e-7)], Cost(0.001, 3e-7))  # delta exceeded, rho not
    assert not fits(budget, [Cost(0.02)], Cost(0.0))  # lowered below what was spent
    assert not fits(budget, [], Cost(1.0, 0.5))


def test_composition_adds_up_and_never_less() -> None:
    costs = [Cost(0.001 * i, 1e-9 * i) for i in range(1, 9)]
    together = composed(costs)
    assert sum(c.rho for c in costs) <= together.rho < 0.0361
    assert together.delta == pytest.approx(36e-9)
    assert composed([Cost(0.0)]).rho == 0


@pytest.mark.parametrize(("epsilon", "delta"), [(0, DELTA), (-1, DELTA), (math.inf, DELTA), (1, 0), (1, 0.5)])
def test_what_is_no_budget_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(InvalidInput):
        rho_within(epsilon, delta=delta)
    with pytest.raises(InvalidInput):
        Cost(-1.0)
