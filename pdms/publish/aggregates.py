"""Aggregates for marketing: counts, histograms, sums, means and quantiles of a view's features, noised and charged.

Guarantees: only a consumer of the view asks, and only of members whom the gate calls eligible for its purpose now; the
exact columns stay inside, a number leaves after noise and after its charge; one member stands in one row, values are
clamped to the view's own edges, and a rule's thresholds are such edges. Sum and mean of a feature are one question, as
are all its quantiles and its histogram.
Wording: a noised aggregate with its certificate may be called anonymous in the law's sense (level 4 of GB/T 42460);
whether it is called so is the officer's judgement, not made here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pdms.budgets import service as budgets
from pdms.budgets.counts import NoisedCount, told
from pdms.budgets.questions import Kind, Question
from pdms.budgets.service import Answer, Cost
from pdms.errors import InvalidInput
from pdms.features import service as features
from pdms.gate import service as gate
from pdms.policy.definitions import Feature, View
from pdms.segments.compiled import CompiledRule, compile_rule
from pdms.segments.questions import about_members
from pdms.segments.rules import parse
from pdms.taxonomy import Operation, Scope
from pdms.unit_of_work import UnitFactory, UnitOfWork
from pdms.vault import service as vault
from pdms.views import service as views
from pdms.views.definitions import COUNTED, categories_of, measure_of, space_of, view_of

CONFIDENCE = 0.95
CENT = 0.01


class AggregateKind(StrEnum):
    """What may be asked."""

    COUNT = "count"
    HISTOGRAM = "histogram"
    SUM = "sum"
    MEAN = "mean"
    QUANTILE = "quantile"


_CHARGED: dict[AggregateKind, Kind] = {
    AggregateKind.COUNT: "count",
    AggregateKind.HISTOGRAM: "histogram",
    AggregateKind.SUM: "mean",
    AggregateKind.MEAN: "mean",
    AggregateKind.QUANTILE: "histogram",
}


@dataclass(frozen=True, slots=True)
class Bin:
    """One leaf of a feature and the members who lie in it."""

    label: str
    members: NoisedCount


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A noised answer: `value` between `low` and `high` with 95 % over the noise, or too few members to tell it."""

    view: str
    kind: AggregateKind
    feature: str | None
    unit: str | None
    value: float | None
    low: float | None
    """None: open to below."""
    high: float | None
    below: int | None
    """Set where the members counted, as noised, are fewer than the view's smallest cell."""
    bins: tuple[Bin, ...]
    confidence: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class _Asked:
    view: View
    kind: AggregateKind
    feature: Feature | None
    share: float
    where: CompiledRule | None
    categories: tuple[str, ...]
    clamp: Any
    """`anonymize.noise.Clamp` of a sum or mean, None otherwise: what cannot be answered is refused before it costs."""


def aggregate(
    units: UnitFactory,
    *,
    view: str,
    kind: AggregateKind,
    feature: str | None = None,
    where: Mapping[str, Any] | None = None,
    share: float = 0.5,
) -> Aggregate:
    """Answer one question about a view's members.

    :param feature: the column, for all kinds but a count. :param where: a rule over the view's columns.
    :param share: which quantile; 0.5 is the median.
    :raises NotFound: no such view. :raises InvalidInput: the question does not fit the view.
    :raises Denied: VIEW_NOT_ALLOWED, NO_BUDGET, BUDGET_SPENT.
    """
    with units() as uow:
        uow.require(Scope.MARKETING)
        asked = _asked(uow, view, kind, feature, where, share)
        about = {**about_members(uow, asked.view, asked.where), "categories": sorted(asked.categories)}
        if asked.feature is not None:
            about["feature"] = asked.feature.name
    answered = budgets.ask(units, Question(_CHARGED[kind], about), lambda rho: _draw(units, asked, rho))
    return _shown(asked, answered.answer, answered.cost)


def _asked(
    uow: UnitOfWork, view: str, kind: AggregateKind, feature: str | None, where: Mapping[str, Any] | None, share: float
) -> _Asked:
    definition = view_of(uow.policy, view)
    views.require_consumer(uow, definition)
    space = space_of(uow.policy, view)
    chosen = next((one for one in definition.features if one.name == feature), None)
    if (kind is AggregateKind.COUNT) != (feature is None) or (feature is not None and chosen is None):
        raise InvalidInput("feature: a column of the view is needed, for all kinds but a count")
    if kind in (AggregateKind.SUM, AggregateKind.MEAN, AggregateKind.QUANTILE) and not space[feature or ""].edges:
        raise InvalidInput("feature: a category has no sum, mean or quantile; ask for its histogram")
    if not 0 < share < 1:
        raise InvalidInput("share: must lie between 0 and 1")
    return _Asked(
        view=definition,
        kind=kind,
        feature=chosen,
        share=share,
        where=None if where is None else compile_rule(parse(where), space),
        categories=categories_of(uow.policy, definition),
        clamp=_clamp(definition, chosen) if chosen is not None and _CHARGED[kind] == "mean" else None,
    )


def _draw(units: UnitFactory, asked: _Asked, rho: float) -> Answer:
    """Compute the exact numbers inside, and noise them. Sensitivities: `anonymize.noise`; a member has one row."""
    import numpy as np

    from pdms.anonymize.noise import bounded, count, histogram, moments

    with units() as uow:
        found = gate.eligible(uow, purpose=asked.view.purpose, operation=Operation.PROFILE, categories=asked.categories)
        pseudonyms = list(vault.pseudonyms_of(uow, found.member_ids).values())
    with units() as uow:  # opens no session: nothing is locked while columns are computed
        exact = features.exact_columns(uow, view=asked.view, pseudonyms=pseudonyms)
        space = space_of(uow.policy, asked.view.name)
    rows = bounded([bytes(one) for one in exact.pseudonyms], at_most=1)
    if asked.where is not None:
        mask = np.broadcast_to(asked.where.mask(exact.columns), len(exact.pseudonyms))
        rows = rows[mask[rows]]
    if asked.feature is None:
        drawn = count(len(rows), rho=rho)
    else:
        values = np.asarray(exact.columns[asked.feature.name])[rows]
        hierarchy = space[asked.feature.name]
        if asked.clamp is not None:
            drawn = moments(values, asked.clamp, rho=rho).noised
        else:
            codes = hierarchy.encode_numbers(values) if hierarchy.edges else hierarchy.encode(values.tolist())
            drawn = histogram(codes, size=len(hierarchy.leaves), rho=rho)
    return {"values": list(drawn.values), "scale": drawn.scale, "labels": _labels(asked, space)}


def _labels(asked: _Asked, space: Mapping[str, Any]) -> list[str]:
    return [] if asked.feature is None else list(space[asked.feature.name].leaves)


def _shown(asked: _Asked, answer: Answer, cost: Cost) -> Aggregate:
    """Read the numbers that were asked for off the noised vector; nothing here costs or tells more."""
    from pdms.anonymize.noise import Cost as Loss
    from pdms.anonymize.noise import Moments, Noised, quantile

    drawn = Noised(tuple(answer["values"]), float(answer["scale"]), Loss(0.0))
    cell, feature = asked.view.min_cell, asked.feature
    value: float | None = None
    low: float | None = None
    high: float | None = None
    below: int | None = None
    bins: tuple[Bin, ...] = ()
    if feature is None:
        members = told(drawn, 0, min_cell=cell)
        value, low, high, below = members.value, members.low, members.high, members.below
    elif asked.kind is AggregateKind.HISTOGRAM:
        bins = tuple(Bin(label, told(drawn, i, min_cell=cell)) for i, label in enumerate(answer["labels"]))
    elif asked.kind is AggregateKind.QUANTILE:
        edges = feature.edges or ()
        counted = Noised(drawn.values[: len(edges) + 1], drawn.scale, Loss(0.0))  # absent values lie beyond
        if sum(counted.values) < cell:
            below = cell
        else:
            found = quantile(counted, edges, asked.share, confidence=CONFIDENCE)
            value, low, high = found.value, _finite(found.interval.low), _finite(found.interval.high)
    else:
        both = Moments(drawn, _clamp(asked.view, feature))
        if both.count().value < cell:
            below = cell
        else:
            estimate = both.total() if asked.kind is AggregateKind.SUM else both.mean()
            value, low, high = (
                round(number, 2) for number in (estimate.value, estimate.interval.low, estimate.interval.high)
            )
    return Aggregate(
        view=asked.view.name,
        kind=asked.kind,
        feature=None if feature is None else feature.name,
        unit="members" if feature is None else measure_of(asked.view.name, feature).unit,
        value=value,
        low=low,
        high=high,
        below=below,
        bins=bins,
        confidence=CONFIDENCE,
        cost=cost,
    )


def _clamp(view: View, feature: Feature) -> Any:
    """Return the bounds of a feature's values: from 0, or its lowest edge, to its highest edge."""
    from pdms.anonymize.noise import Clamp

    edges = feature.edges or ()
    whole = measure_of(view.name, feature).unit in COUNTED
    return Clamp(min(0.0, edges[0]), edges[-1], grain=1.0 if whole else CENT)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
