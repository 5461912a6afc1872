"""What marketing may see, and the reference data that cut it, as plain frozen definitions.

`definitions` gives them to the packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pdms.taxonomy import Language

MOST_EXPIRY_DAYS = 366
"""No view lets a release live longer."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a feature view: a measure of `features`, cut by declared edges or a hierarchy."""

    name: str
    measure: str
    """Name of a measure of `features`: recency_days, orders, spend, top_category, tenure_days, age_band, gender, …"""
    edges: tuple[float, ...] | None
    """Fixed inner edges: bins are (-inf, e0), [e0, e1), …, [en, inf); None for categories."""
    coarser: tuple[tuple[float, ...], ...]
    """Coarser cuts, each a subset of the one before."""
    hierarchy: str | None
    """Name of a hierarchy in `policies/hierarchies/`, for categories."""
    unit: str
    weight: float
    missing: str = "unknown"
    """Leaf label of an absent value."""
    label: Mapping[Language, str] | None = None
    """What it is called; without it, what its measure is called."""


@dataclass(frozen=True, slots=True)
class SensitiveFeature:
    """What must not be inferred of a member from the other columns: one feature of the view, and how far it may be.

    It is published as its leaves, never coarsened, and is no quasi-identifier; k, l and t hold for the classes that the
    other columns make.
    """

    feature: str
    diversity: Literal["distinct", "entropy", "recursive"] | None
    """l-diversity of each class, or None."""
    l: float  # noqa: E741 - the field's own name
    c: float
    """Of recursive (c, l)-diversity."""
    t: float | None
    """t-closeness of each class, or None."""
    distance: Literal["equal", "ordered"]


@dataclass(frozen=True, slots=True)
class View:
    """A feature view: what marketing may see, and on what terms."""

    name: str
    label: Mapping[Language, str]
    purpose: str
    features: tuple[Feature, ...]
    window_days: int
    k: int
    risk_threshold: float
    min_cell: int
    suppression_limit: float
    consumers: tuple[str, ...]
    """Roles that may read releases."""
    expiry_days: int
    average_risk: float = 1.0
    """Greatest average risk of the released rows (classes/rows)."""
    algorithm: Literal["auto", "peel", "mondrian", "full_domain", "blind"] = "auto"
    sensitive: SensitiveFeature | None = None
    family: str = ""
    """Views of one family are held against each other's live releases; "": a family of its own."""
    headroom: float = 1.0
    """Least size of a new class in multiples of k: larger classes outlast more leavers."""
    held_back_limit: float = 0.25
    """Greatest share of the eligible that may be held back because of other releases."""
    linked_limit: float = 1.0
    """Greatest share of a release's members who may stand among fewer than k in what one reader of it can also hold of
    other families; 1: it is only stated."""
    numbers: Literal["tree", "tight"] = "tree"
    """What a number's cell may say: a node of its tree, or the run of declared bins from the lowest that occurs in the
    class to the highest."""

    @property
    def family_name(self) -> str:
        """Name of the family."""
        return self.family or self.name


@dataclass(frozen=True, slots=True)
class HierarchyTable:
    """Rows of `policies/hierarchies/<name>.csv`: leaf first, `*` last (the form that ARX reads)."""

    name: str
    rows: tuple[tuple[str, ...], ...]
    source: str
    """Where the tree comes from: the comment lines (`#`) that head the file."""


@dataclass(frozen=True, slots=True)
class Prefecture:
    """One prefecture-level unit of GB/T 2260, for deriving coarse places from addresses."""

    code: str
    name: str
    province: str
    region: str
    city_tier: str


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """Days of one year that are not as the weekday says (holidays, and working weekends 调休), with the source."""

    year: int
    holidays: frozenset[date]
    working_weekends: frozenset[date]
    source: str
