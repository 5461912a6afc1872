"""The state of a consent at an instant, as a pure fold over its records, with two clocks.

The record that counts is the greatest by (decided, when it happened, rank, order of writing) among those that had
happened by `as_of` and were known by `known`:

1. a mere request never outweighs a decision;
2. the later event wins, so that an import never supersedes a withdrawal or refusal unless it is dated later;
3. of two at the same instant, the one that stops wins: withdrawn, then refused, invalidated, expired, then given;
4. of two alike, the later written.

The greatest of a set does not depend on the order of arrival, so the materialised state equals the fold. No I/O, no
clock. Running out of time is not a record: it is read from the clock (`policy.decide.expired`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pdms.taxonomy import ConsentState, ConsentType

RANK = {
    ConsentState.REQUESTED: 0,
    ConsentState.GIVEN: 1,
    ConsentState.EXPIRED: 2,
    ConsentState.INVALIDATED: 3,
    ConsentState.REFUSED: 4,
    ConsentState.WITHDRAWN: 5,
}
"""Rank among records of one instant; 0 marks what is no decision."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One record as the fold sees it."""

    state: ConsentState
    type: ConsentType
    occurred_at: datetime
    known_at: datetime
    seq: int


def weight(state: ConsentState, occurred_at: datetime, seq: int) -> tuple[bool, datetime, int, int]:
    """Return the order in which records outweigh each other."""
    rank = RANK[state]
    return (rank > 0, occurred_at, rank, seq)


def winning(facts: Iterable[Fact], *, as_of: datetime, known: datetime) -> Fact | None:
    """Return the record that counts at `as_of`, judged by what was known at `known`; None: unasked."""
    heard = [fact for fact in facts if fact.occurred_at <= as_of and fact.known_at <= known]
    return max(heard, key=lambda fact: weight(fact.state, fact.occurred_at, fact.seq), default=None)
