"""The same decision for all members at once, as algebra over classes of members who share the same facts.

Guarantees: the rules are `policy.decide.subject_codes` and nothing else, asked once per class (standing, age stage,
consent shape, served) and not once per member; a property test holds it against `decide` member by member. Wishes are
few and are applied to the members who have them. Cost follows members once, in plain dictionary look-ups.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pdms.clock import SHANGHAI
from pdms.consent import sets as consents
from pdms.consent.restrictions import all_standing
from pdms.policy.decide import (
    SubjectFacts,
    Use,
    required_categories,
    restriction_code,
    subject_codes,
)
from pdms.policy.definitions import Purpose
from pdms.policy.reasons import ordered
from pdms.taxonomy import MemberId, MemberStatus
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault
from pdms.vault.age import age_stage


@dataclass(frozen=True, slots=True)
class SetDecision:
    """Who may be touched, and why the others may not."""

    eligible: list[MemberId]
    """In the order of their ids, which are random."""
    total: int
    """Members decided on; erased ones are nobody, honey members neither."""
    excluded: dict[str, int]
    """Reason code → members it applies to, in the order of rank; a member may have several."""


def decide_set(uow: UnitOfWork, *, purpose: Purpose, use: Use, among: Sequence[MemberId] | None = None) -> SetDecision:
    """Decide `use` on every living member as of `uow.now`. The use itself must have been judged before.

    :param among: decide on these members only.
    """
    required = required_categories(uow.policy, use)
    asks = purpose.rests_on_consent or purpose.minors == "guardian"
    tells = purpose.notice is not None and not purpose.rests_on_consent
    codes: dict[bytes, int] = {}
    shapes = {-1: consents.NO_CONSENT}
    if asks:
        columns = consents.current_columns(uow, purpose=purpose, recipient=use.recipient or "")
        codes = dict(zip(columns.member_ids, columns.codes, strict=True))
        shapes |= columns.facts
    served: frozenset[bytes] = frozenset()
    if tells:
        served = frozenset(consents.served_members(uow, purpose=purpose, required=required, operation=use.operation))
    wishes = _wishes(uow, purpose, use)
    decoys = vault.decoys(uow)
    today = uow.now.astimezone(SHANGHAI).date()
    verdicts: dict[tuple[str, str | None, str | None, int, bool], frozenset[str]] = {}
    eligible: list[MemberId] = []
    refused: Counter[frozenset[str]] = Counter()
    total = 0
    for member, status, _, turns_14, turns_18 in vault.state_rows(uow, among=among):
        # Named members are not counted but compared: a decoy that is left out would be told apart.
        if status == _ERASED or (among is None and member in decoys):
            continue
        total += 1
        key = (status, turns_14, turns_18, codes.get(member, -1), member in served)
        verdict = verdicts.get(key)
        if verdict is None:
            facts = SubjectFacts(
                status=MemberStatus(key[0]),
                age=age_stage(_day(key[1]), _day(key[2]), today),
                consent=shapes[key[3]],
                served=key[4],
            )
            verdict = verdicts[key] = frozenset(
                subject_codes(purpose, use=use, required=required, subject=facts, now=uow.now)
            )
        if member in wishes:
            verdict |= wishes[member]
        if verdict:
            refused[verdict] += 1
        else:
            eligible.append(MemberId(member))
    eligible.sort()
    return SetDecision(eligible=eligible, total=total, excluded=_by_code(refused))


_ERASED = MemberStatus.ERASED.value


def _wishes(uow: UnitOfWork, purpose: Purpose, use: Use) -> dict[bytes, frozenset[str]]:
    found: dict[bytes, frozenset[str]] = {}
    for fact, members in all_standing(uow).items():
        code = restriction_code(fact, purpose=purpose, operation=use.operation)
        if code is not None:
            for member in members:
                found[member] = found.get(member, frozenset()) | {code}
    return found


def _by_code(refused: Counter[frozenset[str]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for codes, members in refused.items():
        for code in codes:
            counts[code] += members
    return {code: counts[code] for code in ordered(set(counts))}


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
