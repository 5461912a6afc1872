"""Every rule in which two policies differ, one by one, and whether it protects less than before. Pure.

Guarantee: two policies between which nothing is found have the same digest, example segments and tests aside (which
decide nothing, and are compared too). Whether a change is weaker is judged for the rules listed here; any other is
said to be "to be read", never harmless. What is too long to read (trees, calendars) is told by its size and digest.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from pdms.policy.canonical import digest_of, plain, text_of
from pdms.policy.definitions import Policy
from pdms.taxonomy import Language

LONGEST: Final = 120
"""Characters of a value that is shown whole."""


class Effect(StrEnum):
    """What a change does to members' protection."""

    WEAKER = "weaker"
    STRONGER = "stronger"
    READ = "read"
    """Not judged here: whoever approves reads it."""


WORDS: Final[Mapping[Effect, Mapping[Language, str]]] = {
    Effect.WEAKER: {Language.ZH: "放宽", Language.EN: "weaker"},
    Effect.STRONGER: {Language.ZH: "收紧", Language.EN: "stronger"},
    Effect.READ: {Language.ZH: "须人工核对", Language.EN: "to be read"},
}
NOTHING: Final[Mapping[Language, str]] = {Language.ZH: "（无）", Language.EN: "(none)"}


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule. `path`: `views.member_value.k`; `before`, `after`: its value as JSON, None where it is not there."""

    path: str
    before: str | None
    after: str | None
    effect: Effect


def rule_changes(before: Policy, after: Policy) -> tuple[RuleChange, ...]:
    """Return every rule that differs, weaker ones first, then by path."""
    found: list[RuleChange] = []
    for one in fields(Policy):
        if one.name != "digest":
            old, new = plain(getattr(before, one.name)), plain(getattr(after, one.name))
            found += _changes((one.name,), old, new)
    order = list(Effect)
    return tuple(sorted(found, key=lambda change: (order.index(change.effect), change.path)))


def in_words(change: RuleChange, *, language: Language) -> dict[str, str]:
    """Return a change as a row for people: rule, before, after, effect."""
    absent = NOTHING[language]
    return {
        "rule": change.path,
        "before": absent if change.before is None else change.before,
        "after": absent if change.after is None else change.after,
        "effect": WORDS[change.effect][language],
    }


def _changes(path: tuple[str, ...], old: Any, new: Any) -> Iterator[RuleChange]:
    if old == new:
        return
    left, right = _named(old), _named(new)
    if left is not None and right is not None:
        for name in sorted(left | right):
            if name not in left:
                yield _change((*path, name), None, right[name], absent=True)
            elif name not in right:
                yield _change((*path, name), left[name], None, absent=True)
            else:
                yield from _changes((*path, name), left[name], right[name])
        if left == right:  # the same items in another order
            yield _change(path, old, new)
    else:
        yield _change(path, old, new)


def _named(value: Any) -> dict[str, Any] | None:
    """Return what a mapping, or a list of things with names of their own, holds by name."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for key in ("name", "column", "code", "trigger", "purpose"):
            names = [str(one[key]) for one in value if key in one]
            if len(set(names)) == len(value):
                return dict(zip(names, value, strict=True))
    return None


def _change(path: tuple[str, ...], old: Any, new: Any, *, absent: bool = False) -> RuleChange:
    return RuleChange(
        ".".join(path),
        None if absent and old is None else _told(old),
        None if absent and new is None else _told(new),
        _effect(".".join(path), old, new),
    )


def _told(value: Any) -> str:
    text = text_of(value)
    if len(text) <= LONGEST:
        return text
    size = f"{len(value)} entries" if isinstance(value, list | dict) else f"{len(text)} characters"
    return f"{size}, sha256 {digest_of(value)[:16]}"


_LESS: Final = r"views\.\w+\.(k|min_cell|headroom|sensitive\.l)|purposes\.\w+\.(view_k|view_min_cell|cool_down_days)"
"""The smaller number protects less."""
_MORE: Final = (
    r"views\.\w+\.(risk_threshold|average_risk|expiry_days|linked_limit|sensitive\.[ct])|budgets\.\w+\.(epsilon|delta|answers\.\w+)"
    r"|reveal\.(permit_minutes|per_hour)|purposes\.\w+\.(view_risk|consent_days|retention\.\w+\.days)"
    r"|searches\.\w+\.bits|keys\.\w+"
)
"""The greater number, or none at all, protects less."""
_GRANTS: Final = (
    r"(purposes|roles|recipients|searches|views|budgets)\.\w+|roles\.\w+\.(scopes|purposes)|views\.\w+\.consumers"
    r"|views\.\w+\.features\.\w+|budgets\.\w+\.roles|budgets\.\w+\.answers\.\w+|reveal\.reasons"
    r"|purposes\.\w+\.(categories|operations|recipients|mechanisms|inputs)"
)
"""What is added here may be done from now on."""
_BARS: Final = r"denied_tags|restricted(\..+)?|purposes\.\w+\.(deny_fields|forbid_categories)|views\.\w+\.sensitive"
"""What is added here may be done no more."""
_SAFE_IF_TRUE: Final = (
    r"strict_separate|reveal\.ticket|purposes\.\w+\.(opt_out|pipia_required|human_review|per_recipient)"
    r"|fields\.\w+\.direct_identifier"
)
_SAFE_IF_FALSE: Final = r"purposes\.\w+\.reveal"
_ORDERS: Final[Mapping[str, Sequence[str]]] = {
    r"purposes\.\w+\.minors": ("deny", "guardian", "allow"),
    r"purposes\.\w+\.unknown_age": ("deny", "allow"),
    r"purposes\.\w+\.consent": ("written", "separate", "consent", "none"),
    r"categories\.\w+\.sensitivity": ("sensitive", "general"),
    r"budgets\.\w+\.period": ("year", "quarter", "month"),
}
"""From what protects most to what protects least."""


def _effect(path: str, old: Any, new: Any) -> Effect:
    def said(pattern: str) -> bool:
        return re.fullmatch(pattern, path) is not None

    def weaker(so: bool) -> Effect:
        return Effect.WEAKER if so else Effect.STRONGER

    if said(_LESS) and _numbers(old, new):
        return weaker(new < old)
    if said(_MORE) and _numbers(old, new):
        return weaker(new > old)
    if said(_MORE) and (old is None or new is None) and not said(_GRANTS):
        return weaker(new is None)
    if said(_SAFE_IF_TRUE) and {old, new} == {True, False}:
        return weaker(old is True)
    if said(_SAFE_IF_FALSE) and {old, new} == {True, False}:
        return weaker(new is True)
    for pattern, order in _ORDERS.items():
        if said(pattern) and old in order and new in order:
            return weaker(order.index(new) > order.index(old))
    if said(r"reveal\.reasons") and (not old or not new):  # none named: any reason counts
        return weaker(not new)
    grants = said(_GRANTS)
    if grants or said(_BARS):
        added, removed = _more(old, new)
        if added != removed:
            return weaker(added if grants else removed)
        return weaker(True) if added else Effect.READ
    return Effect.READ


def _numbers(old: Any, new: Any) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in (old, new))


def _more(old: Any, new: Any) -> tuple[bool, bool]:
    """Return whether something was added, and whether something was removed."""
    if isinstance(old, list) and isinstance(new, list):
        left, right = {text_of(one) for one in old}, {text_of(one) for one in new}
        return bool(right - left), bool(left - right)
    return old is None and new is not None, new is None and old is not None
