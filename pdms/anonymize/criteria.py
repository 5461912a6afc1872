"""What a class of a release must satisfy, and what each criterion presupposes.

Guarantees: criteria are plain numbers, checked when made; `satisfied` judges one class from its histogram alone.
Deliberately not here: a criterion for what two releases say together; that is the release ledger's.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pdms.errors import InvalidInput


class Method(StrEnum):
    """How classes are found.

    auto: the best of what suits the criteria, within a budget of steps. peel, mondrian: local recoding, labels as exact
    as each class allows. full_domain: one level for each column over the whole table, the exact optimum of that kind.
    blind: the peel by quasi-identifiers alone, refused as a whole where l or t then fails. The others look at sensitive
    values to decide what is coarsened, from which an attacker who knows the algorithm can reason back (minimality: Wong
    et al. 2007, "Minimality attack in privacy preserving data publishing"); blind leaves nothing to reason from.
    """

    AUTO = "auto"
    PEEL = "peel"
    MONDRIAN = "mondrian"
    FULL_DOMAIN = "full_domain"
    BLIND = "blind"


class DiversityKind(StrEnum):
    """Which l-diversity (Machanavajjhala et al. 2007)."""

    DISTINCT = "distinct"
    ENTROPY = "entropy"
    RECURSIVE = "recursive"


class Distance(StrEnum):
    """Ground distance of the earth mover's distance in t-closeness (Li et al. 2007)."""

    EQUAL = "equal"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Diversity:
    """l-diversity of the sensitive attribute within each class (Machanavajjhala et al. 2007, doi
    10.1145/1217299.1217302, definitions 4.1 and 4.2).

    distinct: at least l different values. entropy: entropy of the class at least ln(l). recursive (c, l): the most
    frequent value occurs less than c times as often as all values together from the l-th most frequent on.
    Presupposes one sensitive attribute, one record a member, and values that are not alike in meaning; entropy also
    that the whole table's entropy reaches ln(l), since no class can do better than all of them together on average.
    Says nothing about an attacker who knows how values are distributed (skewness): t-closeness does. Distinct says
    least: one value may still hold nearly all of a class.
    """

    l: float  # noqa: E741 - the field's own name
    kind: DiversityKind = DiversityKind.DISTINCT
    c: float = 3.0

    def __post_init__(self) -> None:
        """Raise InvalidInput for numbers that make no criterion."""
        if not (math.isfinite(self.l) and self.l >= 1):
            raise InvalidInput("diversity: l must be at least 1")
        if self.kind != DiversityKind.ENTROPY and self.l != int(self.l):
            raise InvalidInput("diversity: l must be whole")
        if self.kind == DiversityKind.RECURSIVE and not (math.isfinite(self.c) and self.c > 0):
            raise InvalidInput("diversity: c must be positive")


@dataclass(frozen=True, slots=True)
class Closeness:
    """t-closeness: each class's distribution of the sensitive attribute lies within t of the whole table's (Li, Li,
    Venkatasubramanian 2007, doi 10.1109/ICDE.2007.367856, section 4).

    Distance is the earth mover's, over equal ground distances or over the order of the sensitive codes (neighbours
    1/(m-1) apart). The whole is the published table, as a reader sees it; rows left out are not in it. `absent`: the
    last sensitive code stands for an absent value, which has no place in an order: it lies 1 from each of the m others.
    Presupposes that the published distribution may be known to everybody, and one record a member.
    """

    t: float
    distance: Distance = Distance.EQUAL
    absent: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidInput unless 0 <= t <= 1."""
        if not (math.isfinite(self.t) and 0 <= self.t <= 1):
            raise InvalidInput("closeness: t must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Presence:
    """delta-presence: of the people of the wider population in a class, a share of at least `low` and at most `high`
    is in the release (Nergiz, Atzori, Clifton 2007, doi 10.1145/1247480.1247554, definition 4).

    Presupposes that the population counts are those of the attacker's public table, tuple by tuple, and that classes
    are compared with the people whose tuples were put in them; overlapping classes blur this towards the mean.
    """

    high: float
    low: float = 0.0

    def __post_init__(self) -> None:
        """Raise InvalidInput unless 0 <= low <= high <= 1."""
        if not (0 <= self.low <= self.high <= 1):
            raise InvalidInput("presence: bounds must satisfy 0 <= low <= high <= 1")


@dataclass(frozen=True, slots=True)
class Criteria:
    """All that every class must satisfy together.

    `k`: at least k members share every published row (Samarati, Sweeney 1998). Presupposes one record a member and that
    every published column but the sensitive one counts as a quasi-identifier.
    The three risks are those of El Emam and Dankar 2008 (doi 10.1197/jamia.M2716), and presuppose an attacker who knows
    every published column of the target exactly. `max_risk`: of a class to one who knows that the target is in the
    release (prosecutor, 1/size), folded into `smallest_class`. `max_journalist_risk`: to one who knows the wider
    population only (1/people of it in the class); needs population counts. `max_average_risk`: of all rows together
    (classes/rows), which bounds the marketer's share of right matches from above.
    """

    k: int
    max_risk: float = 1.0
    max_journalist_risk: float = 1.0
    max_average_risk: float = 1.0
    diversity: Diversity | None = None
    closeness: Closeness | None = None
    presence: Presence | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInput for numbers that make no criterion."""
        if self.k < 1:
            raise InvalidInput("criteria: k must be at least 1")
        for name in ("max_risk", "max_journalist_risk", "max_average_risk"):
            if not (0 < getattr(self, name) <= 1):
                raise InvalidInput(f"criteria: {name} must lie above 0 and at most 1")

    @property
    def smallest_class(self) -> int:
        """Least number of members of a class: k, or 1/max_risk rounded up, whichever is greater."""
        return max(self.k, _fewest(self.max_risk))

    @property
    def fewest_people(self) -> int:
        """Least number of people of the wider population in a class."""
        return _fewest(self.max_journalist_risk)

    @property
    def needs_sensitive(self) -> bool:
        """Whether a sensitive histogram is needed to judge a class."""
        return self.diversity is not None or self.closeness is not None

    @property
    def needs_histogram(self) -> bool:
        """Whether more than a class's size must be known to judge it."""
        return self.needs_sensitive or self.needs_population

    @property
    def needs_population(self) -> bool:
        """Whether the wider population must be known to judge a class."""
        return self.presence is not None or self.max_journalist_risk < 1


def _fewest(risk: float) -> int:
    return math.ceil(round(1 / risk, 9))


def diverse(histogram: NDArray[np.int64], criterion: Diversity) -> bool:
    """Tell whether a class with this sensitive histogram (int64 [values]) is l-diverse."""
    held = np.sort(histogram[histogram > 0])[::-1].astype(np.float64)
    if criterion.kind == DiversityKind.DISTINCT:
        return len(held) >= criterion.l
    if criterion.kind == DiversityKind.ENTROPY:
        share = held / held.sum()
        return bool(-(share * np.log(share)).sum() >= math.log(criterion.l) - 1e-12)
    return bool(len(held) >= criterion.l and held[0] < criterion.c * held[int(criterion.l) - 1 :].sum())


def distances(gaps: NDArray[np.float64], criterion: Closeness) -> NDArray[np.float64]:
    """Return the earth mover's distances (float64 [classes]) from gaps of shares (float64 [classes, values])."""
    if criterion.distance == Distance.EQUAL:
        return np.asarray(np.abs(gaps).sum(axis=1) / 2, dtype=np.float64)
    if not criterion.absent:
        return np.asarray(np.abs(np.cumsum(gaps[:, :-1], axis=1)).sum(axis=1) / max(gaps.shape[1] - 1, 1))
    # By its dual (Kantorovich): the greatest sum of gap * price, where a price is that of absence (0) to within 1 and
    # its neighbour's to within one step; the best prices are whole steps, so that they are found value by value.
    steps = max(gaps.shape[1] - 2, 1)
    prices = np.arange(-steps, steps + 1) / steps
    best = gaps[:, :1] * prices
    for value in range(1, gaps.shape[1] - 1):
        nearest = best.copy()
        np.maximum(nearest[:, 1:], best[:, :-1], out=nearest[:, 1:])
        np.maximum(nearest[:, :-1], best[:, 1:], out=nearest[:, :-1])
        best = nearest + gaps[:, value : value + 1] * prices
    return np.asarray(best.max(axis=1), dtype=np.float64)


def distance(histogram: NDArray[np.int64], whole: NDArray[np.int64], criterion: Closeness) -> float:
    """Return the earth mover's distance between a class's sensitive distribution and the whole table's."""
    return float(distances((histogram / histogram.sum() - whole / whole.sum())[None, :], criterion)[0])


def satisfied(
    criteria: Criteria,
    size: int,
    *,
    histogram: NDArray[np.int64] | None = None,
    whole: NDArray[np.int64] | None = None,
    population: int | None = None,
) -> bool:
    """Tell whether one class satisfies all criteria; what a criterion needs and is not given raises InvalidInput."""
    if size < criteria.smallest_class:
        return False
    if criteria.needs_sensitive and (histogram is None or whole is None):
        raise InvalidInput("criteria: diversity and closeness need a sensitive attribute")
    if criteria.diversity is not None and histogram is not None and not diverse(histogram, criteria.diversity):
        return False
    if (
        criteria.closeness is not None
        and histogram is not None
        and whole is not None
        and distance(histogram, whole, criteria.closeness) > criteria.closeness.t + 1e-12
    ):
        return False
    if criteria.needs_population and population is None:
        raise InvalidInput("criteria: presence and journalist risk need population counts")
    if population is not None and max(population, size) < criteria.fewest_people:
        return False
    if criteria.presence is not None and population is not None:
        return criteria.presence.low <= size / population <= criteria.presence.high
    return True
