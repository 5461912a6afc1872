"""The texts of the policies that were in force in a period, as they were stored at activation."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlmodel import Session

from pdms.gate.tables import PolicyVersion


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One activation. `content` is the canonical JSON whose SHA-256 is `digest`."""

    number: int
    digest: str
    content: str
    activated_at: datetime


def policies_between(session: Session, *, since: datetime, until: datetime) -> tuple[PolicyText, ...]:
    """Return the activations in force at some time of `[since, until)`, oldest first."""
    found = list(_before(session, until))
    first = max((n for n, one in enumerate(found) if one.activated_at <= since), default=0)
    return tuple(found[first:])


def _before(session: Session, until: datetime) -> Iterator[PolicyText]:
    query = select(PolicyVersion).where(PolicyVersion.activated_at < until).order_by(PolicyVersion.number)  # type: ignore[arg-type] # a column, typed as its value
    for row in session.execute(query).scalars():
        yield PolicyText(row.number or 0, row.digest, row.content, row.activated_at)
