"""What a change of policy does: to consents already given (PIPL-14-2), and to every other rule. Pure.

The gate counts the members who must be asked again.
"""

from dataclasses import dataclass

from pdms.policy.definitions import Policy, Purpose
from pdms.policy.rule_changes import RuleChange, rule_changes
from pdms.taxonomy import Language


@dataclass(frozen=True, slots=True)
class PurposeChange:
    """What changed in one purpose, and whether consents given before still reach it."""

    purpose: str
    added_categories: tuple[str, ...]
    added_operations: tuple[str, ...]
    added_recipients: tuple[str, ...]
    changed: tuple[str, ...]
    """Names of all members of the definition that differ."""
    invalidates: bool
    """Members who consented before must be asked again."""


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """Difference between two policies."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[PurposeChange, ...]
    new_notices: tuple[str, ...]
    """`id/language` of the notices whose text changed (PIPL-17-2)."""
    rules: tuple[RuleChange, ...]
    """Every rule that differs, purposes and notices among them; weaker ones first."""

    @property
    def to_ask_again(self) -> tuple[str, ...]:
        """Purposes whose consents the change invalidates."""
        return tuple(change.purpose for change in self.changed if change.invalidates)


def diff(before: Policy, after: Policy) -> PolicyDiff:
    """Compare two policies."""
    both = [name for name in after.purposes if name in before.purposes]
    notices = [
        f"{name}/{Language(language).value}"
        for name, versions in after.notices.items()
        for language, notice in versions.items()
        if name not in before.notices
        or language not in before.notices[name]
        or before.notices[name][language].version != notice.version
    ]
    return PolicyDiff(
        before=before.digest,
        after=after.digest,
        added=tuple(name for name in after.purposes if name not in before.purposes),
        removed=tuple(name for name in before.purposes if name not in after.purposes),
        changed=tuple(
            _change(before.purposes[name], after.purposes[name])
            for name in both
            if before.purposes[name] != after.purposes[name]
        ),
        new_notices=tuple(notices),
        rules=rule_changes(before, after),
    )


def _change(old: Purpose, new: Purpose) -> PurposeChange:
    differing = tuple(name for name in Purpose.__dataclass_fields__ if getattr(old, name) != getattr(new, name))
    categories = tuple(name for name in new.categories if name not in old.categories)
    operations = tuple(item.value for item in new.operations if item not in old.operations)
    stronger = new.consent is not old.consent and new.rests_on_consent
    return PurposeChange(
        purpose=new.name,
        added_categories=categories,
        added_operations=operations,
        added_recipients=tuple(name for name in new.recipients if name not in old.recipients),
        changed=differing,
        invalidates=new.rests_on_consent and bool(categories or operations or stronger or not old.rests_on_consent),
    )
