"""The view linter: what speaks against a feature view, explained, before anything is published.

Guarantees: whatever the loading of a policy refuses is found here too, by the same rules (`policy.lint_views`), and
explained; beyond that it warns. Each finding has a code, an explanation, an article and a suggestion in two languages.
What it is told of data are counts of members by bin, made on the identified side (`features.linting`); a finding tells
numbers and the policy's own labels, to officers only. Pure but for the functions that take a unit.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from pdms.anonymize.hierarchy_files import DAY
from pdms.errors import InvalidInput
from pdms.policy import assemble
from pdms.policy.definitions import Feature, Policy, View
from pdms.policy.documents_views import ViewDocument
from pdms.policy.lint_views import breaches, words_of
from pdms.policy.measures import MEASURES
from pdms.policy.tags import denied
from pdms.policy.yaml_reader import problems_of
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import AnonUnitOfWork
from pdms.views.definitions import readers_of, view_of
from pdms.views.lint_words import WORDS

MOST_LEAVES = 100
"""Leaves of a category from which on a column counts as nearly unique, where no data says otherwise."""
FEW_LEAVES = 8
THIN_SHARE = 0.05
"""Share of members in bins below k from which on a column counts as nearly unique on the data."""
ADULT_LEAVES = frozenset({"<14", "14-17"})
_HAN = re.compile(r"[\u4e00-\u9fff]")
_PERSONAL = re.compile(r"^(?:1[3-9]\d{9}|[^@\s]+@[^@\s]+\.[^@\s]+|\d{17}[\dXx])$")

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against a view; an error stops its publication, a warning does not."""

    view: str
    feature: str
    code: str
    severity: Severity
    place: str
    rule: str
    article: str
    explanation: str
    suggestion: str
    explanation_zh: str
    suggestion_zh: str


@dataclass(frozen=True, slots=True)
class LintReport:
    """What the linter found; `ok` without errors. `measured`: whether data was looked at."""

    views: tuple[str, ...]
    ok: bool
    measured: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column on the data: how many eligible members each leaf holds, and how many hold what no leaf covers."""

    feature: str
    labels: tuple[str, ...]
    members: tuple[int, ...]
    uncovered: int


@dataclass(frozen=True, slots=True)
class Columns:
    """A view on the data, for the linter."""

    view: str
    members: int
    columns: tuple[Column, ...]


def lint(uow: AnonUnitOfWork, *, view: str | None = None) -> LintReport:
    """Lint a view of the policy, or all of them. :raises NotFound: no such view."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    chosen = [view_of(uow.policy, view)] if view is not None else [v for _, v in sorted(uow.policy.views.items())]
    return report([v.name for v in chosen], [found for v in chosen for found in findings(uow.policy, v)])


def lint_document(uow: AnonUnitOfWork, *, name: str, document: Mapping[str, Any]) -> LintReport:
    """Lint a view that is no part of the policy yet: the content of `views/<name>.yaml`."""
    uow.require(Scope.MARKETING, Scope.COMPLIANCE, Scope.ADMIN)
    return report([name], list(findings_of_document(uow.policy, name, document)))


def report(views: list[str], found: list[Finding], *, measured: bool = False) -> LintReport:
    """Return findings as a report, errors first."""
    ordered = sorted(found, key=lambda one: one.severity != "error")
    return LintReport(tuple(views), all(one.severity != "error" for one in found), measured, tuple(ordered))


def findings_of_document(policy: Policy, name: str, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the findings of a view's document; of one that has not the form of a view, what is wrong with that."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise InvalidInput("view: its file is named by small letters, digits and _")
    try:
        form = ViewDocument.model_validate(document)
    except ValidationError as error:
        for line in problems_of(error, file="view", articles={}):
            _, place, rule = line.split(": ", 2)
            feature = place.split(".")[1] if place.startswith("features.") else ""
            yield _finding(name, "LABEL_MISSING" if "label" in place.split(".") else "VIEW_FORM", place, rule, feature)
        return
    yield from findings(policy, assemble.view(name, form))


def findings(policy: Policy, view: View) -> Iterator[Finding]:
    """Yield everything that speaks against a view, without looking at data."""
    for breach in breaches(policy, view):
        yield _finding(view.name, breach.code, breach.place, breach.rule, breach.feature)
    yield from _of_view(policy, view)
    for feature in view.features:
        yield from _of_feature(policy, view, feature)


def findings_on_data(view: View, columns: Columns) -> Iterator[Finding]:
    """Yield what the members that are eligible now say against a view's edges and hierarchies."""
    if columns.members < view.min_cell:
        yield _finding(view.name, "TOO_FEW_MEMBERS", "min_cell", f"{columns.members} of {view.min_cell} members")
    for column in columns.columns:
        place = f"features.{column.feature}"
        held = dict(zip(column.labels, column.members, strict=True))
        thin = {label: count for label, count in held.items() if 0 < count < view.k}
        in_thin = sum(thin.values())
        if thin:
            bins = f"{len(thin)} bin{'s' if len(thin) > 1 else ''}"
            rule = f"{in_thin} members in {bins} below k={view.k}: {', '.join(list(thin)[:8])}"
            yield _finding(view.name, "CELL_BELOW_K", place, rule, column.feature, "warning")
        if columns.members and in_thin > THIN_SHARE * columns.members:
            rule = f"{in_thin / columns.members:.0%} of members stand in bins below k"
            yield _finding(view.name, "NEAR_UNIQUE", place, rule, column.feature)
        empty = sum(count == 0 for count in column.members)
        if empty * 2 > len(held) and columns.members:
            rule = f"{empty} of {len(held)} hold nobody"
            yield _finding(view.name, "EMPTY_BINS", place, rule, column.feature, "warning")
        if column.uncovered:
            rule = f"{column.uncovered} members hold a value that is no leaf"
            yield _finding(view.name, "NOT_COVERED", place, rule, column.feature, "warning")


def _of_view(policy: Policy, view: View) -> Iterator[Finding]:
    if not _HAN.search(view.label.get(Language.ZH, "")) or not view.label.get(Language.EN, "").strip():
        yield _finding(view.name, "LABEL_MISSING", "label", "zh-CN and en", severity="warning")
    if denied(policy.denied_tags, words_of(view)):
        yield _finding(view.name, "TAG_DENIED", "label", "a word of tags.deny")
    if view.numbers == "tight":
        yield _finding(view.name, "TIGHT_ENDS", "numbers", "tight", severity="warning")
    if view.algorithm in ("full_domain", "mondrian"):
        yield _finding(view.name, "ALGORITHM_ALONE", "algorithm", view.algorithm, severity="warning")
    purpose = policy.purposes.get(view.purpose)
    if purpose is None:
        return
    if not any(Scope.COMPLIANCE in role.scopes and view.purpose in role.purposes for role in policy.roles.values()):
        yield _finding(view.name, "NO_PUBLISHER", "purpose", "roles with the scope compliance", severity="warning")
    for consumer in view.consumers:
        role = policy.roles.get(consumer)
        if role is not None and view.purpose not in role.purposes:
            yield _finding(view.name, "CONSUMER_WITHOUT_PURPOSE", "consumers", consumer, severity="warning")
    kept = [line.days for line in purpose.retention if line.trigger == "release"]
    if kept and view.expiry_days > min(kept):
        rule = f"{view.expiry_days} days; the purpose keeps a release {min(kept)}"
        yield _finding(view.name, "EXPIRY_TOO_LONG", "expiry_days", rule, severity="warning")
    linked = sorted(
        other.name
        for other in policy.views.values()
        if other.family_name != view.family_name and readers_of(policy, view) & readers_of(policy, other)
    )
    if linked and view.linked_limit == 1:
        rule = f"in no family with {', '.join(linked)}"
        yield _finding(view.name, "LINKED_VIEWS", "family", rule, severity="warning")
    for _, other in sorted(policy.views.items()):
        if other.name != view.name and set(other.consumers) & set(view.consumers):
            yield from _against(view, other)


def _against(view: View, other: View) -> Iterator[Finding]:
    if other.window_days != view.window_days:
        return  # another window measures something else
    cuts = {feature.measure: feature for feature in other.features}
    for feature in view.features:
        beside = cuts.get(feature.measure)
        if beside is None or (feature.edges, feature.hierarchy) == (beside.edges, beside.hierarchy):
            continue
        rule = f"view {other.name} cuts {feature.measure} elsewhere"
        yield _finding(view.name, "CUT_DIFFERS", f"features.{feature.name}", rule, feature.name, "warning")


def _of_feature(policy: Policy, view: View, feature: Feature) -> Iterator[Finding]:
    place, measure = f"features.{feature.name}", MEASURES.get(feature.measure)
    if feature.label is None and feature.name != feature.measure:
        rule = "its name is not its measure's, so it needs a label of its own"
        yield _finding(view.name, "LABEL_MISSING", place, rule, feature.name, "warning")
    if feature.label is not None and not _HAN.search(feature.label.get(Language.ZH, "")):
        yield _finding(view.name, "LABEL_MISSING", f"{place}.label", "zh-CN", feature.name, "warning")
    if measure is not None and measure.kind == "number" and len(feature.edges or ()) > 3 and not feature.coarser:
        rule = "levels between the bins and * are not declared"
        yield _finding(view.name, "COARSER_MISSING", f"{place}.coarser", rule, feature.name, "warning")
    table = policy.hierarchies.get(feature.hierarchy or "")
    if table is None or not table.rows:
        return
    leaves = [row[0] for row in table.rows if row]
    place = f"{place}.hierarchy"
    if sum(bool(DAY.match(leaf)) for leaf in leaves) * 2 > len(leaves):
        yield _finding(view.name, "EXACT_DATE", place, "leaves are days", feature.name)
    if any(_PERSONAL.match(leaf) for leaf in leaves):
        yield _finding(view.name, "IDENTIFYING_LEAVES", place, "leaves look like numbers of people", feature.name)
    if len(leaves) > MOST_LEAVES:
        rule = f"{len(leaves)} leaves: to hold k each, they would need {len(leaves) * view.k} members spread evenly"
        yield _finding(view.name, "NEAR_UNIQUE", place, rule, feature.name, "warning")
    if len(table.rows[0]) < 3 and len(leaves) > FEW_LEAVES:
        yield _finding(view.name, "HIERARCHY_FLAT", place, f"{len(leaves)} leaves", feature.name, "warning")
    if feature.measure == "age_band" and not set(leaves) >= ADULT_LEAVES:
        yield _finding(view.name, "AGE_BORDERS", place, "leaves <14 and 14-17", feature.name)


def _finding(view: str, code: str, place: str, rule: str, feature: str = "", severity: Severity = "error") -> Finding:
    words = WORDS[code]
    return Finding(
        view=view,
        feature=feature,
        code=code,
        severity=severity,
        place=place,
        rule=rule,
        article=words.article,
        explanation=words.explanation,
        suggestion=words.suggestion,
        explanation_zh=words.explanation_zh,
        suggestion_zh=words.suggestion_zh,
    )
