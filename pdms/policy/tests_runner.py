"""Running `policies/tests/*.yaml`: the lawyer's examples, decided by the same `decide` as the gate's.

Guarantees: pure but for the given instant; a case fails unless exactly the stated reasons come out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pdms.policy.decide import ActorFacts, ConsentFacts, Decision, RestrictionFact, SubjectFacts, Use, decide
from pdms.policy.definitions import Policy, PolicyTest


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case with what came out."""

    case: PolicyTest
    decision: Decision
    passed: bool


def run(policy: Policy, *, now: datetime) -> tuple[CaseResult, ...]:
    """Decide every case of `policy.tests` as of `now` (aware)."""
    results = []
    for case in policy.tests:
        decision = decide_case(policy, case.given, now=now)
        wanted = case.expect == "permit"
        passed = decision.permitted is wanted and set(decision.codes) == set(case.reasons)
        results.append(CaseResult(case=case, decision=decision, passed=passed))
    return tuple(results)


def decide_case(policy: Policy, given: Mapping[str, Any], *, now: datetime) -> Decision:
    """Decide one case. `given` is a parsed `documents.CaseGivenDocument`; gaps in it are favourable, consent apart."""
    purpose = policy.purposes.get(given["purpose"])
    categories, operations = given["consent_categories"], given["consent_operations"]
    if purpose is not None:
        categories = purpose.categories if categories is None else categories
        operations = purpose.operations if operations is None else operations
    role = policy.roles.get(given["role"]) if given["role"] else None
    actor = (
        ActorFacts(kind="system")
        if given["role"] is None
        else ActorFacts(
            kind="operator",
            role=given["role"],
            scopes=frozenset(role.scopes) if role else frozenset(),
            trained_until=now.date() + timedelta(days=365) if given["trained"] else None,
        )
    )
    return decide(
        policy,
        use=Use(
            purpose=given["purpose"],
            operation=given["operation"],
            fields=tuple(given["fields"]),
            categories=tuple(given["categories"]),
            channel=given["channel"],
            recipient=given["recipient"],
            reason=given["reason"],
        ),
        subject=SubjectFacts(
            status=given["status"],
            age=given["age"],
            consent=ConsentFacts(
                state=given["consent"],
                type=given["consent_type"],
                occurred_at=now - timedelta(days=given["consent_age_days"]),
                categories=tuple(categories or ()),
                operations=tuple(operations or ()),
                audience=given["consent_audience"],
            ),
            served=given["served"],
            restrictions=tuple(
                RestrictionFact(kind=item["kind"], purpose=item["purpose"], channel=item["channel"])
                for item in given["restrictions"]
            ),
        ),
        actor=actor,
        now=now,
    )
