"""Aggregates under differential privacy: integer noise by OpenDP, bounded inputs, intervals, composition of costs.

Guarantee: two populations that differ by one member, all of that member's rows included, give answers whose
distributions are within the stated zero-concentrated privacy loss rho (Bun and Steinke 2016, arXiv:1605.02658), and rho
is what OpenDP's own privacy map says of the mechanism that ran; `noised_purely` states epsilon instead. The size of the
population is not taken as known. Bounding, clamping and rounding to whole grains happen here, before OpenDP sees a
number.
Deliberately not here: which questions may be asked, and who pays (`budgets`). OpenDP loads when noise is drawn.

    members = bounded(rows["member"], at_most=1)                       # one row of a member counts
    counted = histogram(cells[members], size=9, rho=0.005)             # one draw for the whole vector
    counted.interval(3)                                                # 95 % by default
    spend = moments(values, Clamp(0, 10_000, grain=0.01), rho=0.01)    # spend.count(), spend.total(), spend.mean()
    quantile(counted, edges, 0.5)                                      # no further cost: it reads the noised histogram
"""

from pdms.anonymize.noise.accounting import Cost, composed, epsilon_of, fits, rho_within
from pdms.anonymize.noise.bounds import Clamp, bounded
from pdms.anonymize.noise.estimates import Estimate, Interval, Moments, QuantileEstimate, moments, quantile
from pdms.anonymize.noise.mechanisms import Noised, count, histogram, noised
from pdms.anonymize.noise.pure import PurelyNoised, noised_purely
from pdms.anonymize.noise.unknown_keys import KeyCounts, unknown_keys

__all__ = [
    "Clamp",
    "Cost",
    "Estimate",
    "Interval",
    "KeyCounts",
    "Moments",
    "Noised",
    "PurelyNoised",
    "QuantileEstimate",
    "bounded",
    "composed",
    "count",
    "epsilon_of",
    "fits",
    "histogram",
    "moments",
    "noised",
    "noised_purely",
    "quantile",
    "rho_within",
    "unknown_keys",
]
