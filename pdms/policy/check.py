"""`policy check`: everything that loading refuses, and advice that it does not.

Guarantee: `check` never raises for a bad policy; it lists the problems. Advice depends on the day that is given.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pdms.policy.definitions import Policy
from pdms.policy.loader import load
from pdms.policy.yaml_reader import PolicyInvalid

SOON = timedelta(days=60)
LONGEST_CLOCK = timedelta(days=30)
"""The longest legal clock of a subject request (GB/T 35273 8.7)."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Outcome of a check. `policy` is None exactly when there are problems."""

    policy: Policy | None
    problems: tuple[str, ...]
    advice: tuple[str, ...]


def check(folder: Path, *, today: date) -> CheckReport:
    """Check a folder of policy documents as of `today` (Asia/Shanghai)."""
    try:
        policy = load(folder)
    except PolicyInvalid as error:
        return CheckReport(policy=None, problems=error.problems, advice=())
    return CheckReport(policy=policy, problems=(), advice=tuple(advise(policy, today=today)))


def advise(policy: Policy, *, today: date) -> list[str]:
    """Return what will stop a use soon, or stops it already, though the documents load."""
    found = []
    for name, purpose in policy.purposes.items():
        if not purpose.pipia_required:
            continue
        assessment = policy.pipias.get(purpose.pipia) if purpose.pipia else None
        if assessment is None or assessment.approved_on > today:
            found.append(f"purposes.{name}: no approved impact assessment; every use is refused (PIPL-55)")
        elif assessment.review_by < today + SOON:
            found.append(f"pipias.{assessment.id}: to be reviewed by {assessment.review_by} (PIPL-55)")
    found += [
        f"recipients.{recipient.id}: its contract is absent or ends soon (PIPL-21)"
        for recipient in policy.recipients.values()
        if recipient.contract_until is None or recipient.contract_until < today + SOON
    ]
    found += [
        f"calendars: cn-{year}.yaml is missing (calendar unpublished); due dates that reach into it are provisional,"
        " every Monday to Friday counted (T35273-8.7)"
        for year in range(today.year, (today + LONGEST_CLOCK).year + 1)
        if year not in policy.calendars
    ]
    if not policy.tests:
        found.append("tests: none; write the examples that counsel agreed to")
    return found
