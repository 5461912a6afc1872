"""What the event of a decision says about it: enough to decide it again, and nothing that a member or caller typed.

Guarantee: every name that goes into the log stands in the policy that decided; a name that does not is replaced by a
mark, since it may be anything, and any unknown name is refused alike. Facts about the asker (kind, role, scopes, end of
training) and the member (standing, stage of life) are codes. What changes with records (consent, notice, wishes) is not
told, only how far the decision saw (`seen`): a replay reads the records up to there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pdms.audit.events import Event
from pdms.gate.seen import Seen
from pdms.policy.crossborder import NOBODY, Exported
from pdms.policy.decide import RIGHTS, SUBJECT_REQUEST, ActorFacts, SubjectFacts, Use
from pdms.policy.definitions import Policy
from pdms.taxonomy import AgeStage, Channel, MemberStatus, Operation, Scope

UNLISTED = "unlisted"
"""Stands for a name that the policy does not know."""
_UNLISTED_REASON = "UNLISTED"
_NOBODY = "nobody"
_GIVEN = "given"


class About(StrEnum):
    """Whom a decision was about."""

    MEMBER = "member"
    USE = "use"
    """The use itself, whoever it concerns: a view to be published, a search, a set refused as a whole."""
    SET = "set"


@dataclass(frozen=True, slots=True)
class Told:
    """A decision as its event tells it."""

    about: About
    use: Use
    actor: ActorFacts
    status: MemberStatus | None
    """None: there was no such member."""
    age: AgeStage
    policy: str
    """Digest."""
    exported: Exported
    """People whose data went abroad that year, those of this decision included; nobody, where it was no export."""
    seen: Seen | None
    """None: its event does not say, or it read no records."""


def told(
    policy: Policy,
    *,
    about: About,
    use: Use,
    actor: ActorFacts,
    subject: SubjectFacts | None = None,
    exported: Exported = NOBODY,
) -> tuple[dict[str, str], dict[str, int]]:
    """Return (refs, numbers) of a decision's event."""
    refs = {"policy": policy.digest, "operation": use.operation.value, "about": about.value, "asker": actor.kind}
    numbers = {f"scope_{scope.value}": 1 for scope in actor.scopes}
    if actor.role is not None:
        refs["role"] = actor.role if actor.role in policy.roles else UNLISTED
    if actor.trained_until is not None:
        numbers["trained_until"] = int(f"{actor.trained_until:%Y%m%d}")
    if actor.own:
        numbers["own"] = 1
    if use.recipient:
        refs["recipient"] = use.recipient if use.recipient in policy.recipients else UNLISTED
    if use.channel is not None:
        refs["channel"] = use.channel.value
    for name in use.fields:
        numbers[f"field_{name if name in policy.fields else UNLISTED}"] = 1
    for name in use.categories:
        numbers[f"category_{name if name in policy.categories else UNLISTED}"] = 1
    if use.reason:
        listed = use.reason in policy.reveal.reasons or (use.purpose, use.reason) == (RIGHTS, SUBJECT_REQUEST)
        numbers[f"asked_{use.reason if listed else _UNLISTED_REASON}"] = 1
    if use.ticket:
        numbers["ticketed"] = 1
    if exported.people:
        numbers |= {"abroad": exported.people, "abroad_sensitive": exported.sensitive}
    if subject is not None:
        refs |= {"status": subject.status.value if subject.status else _NOBODY, "age": subject.age.value}
    return refs, numbers


def read(event: Event) -> Told | None:
    """Return the decision that an event tells of, None where it tells too little (written by an older version)."""
    refs = event.refs
    if "about" not in refs or "policy" not in refs:
        return None
    until = event.numbers.get("trained_until")
    status = refs.get("status", _NOBODY)
    return Told(
        About(refs["about"]),
        Use(
            purpose=event.purpose or UNLISTED,
            operation=Operation(refs["operation"]),
            fields=_names(event.numbers, "field_"),
            categories=_names(event.numbers, "category_"),
            channel=Channel(refs["channel"]) if "channel" in refs else None,
            recipient=refs.get("recipient"),
            reason=next(iter(_names(event.numbers, "asked_")), None),
            ticket=_GIVEN if "ticketed" in event.numbers else None,
        ),
        ActorFacts(
            kind=refs["asker"],  # type: ignore[arg-type] # one of the three that `told` wrote
            scopes=frozenset(Scope(name) for name in _names(event.numbers, "scope_")),
            role=refs.get("role"),
            trained_until=date(until // 10000, until // 100 % 100, until % 100) if until else None,
            own="own" in event.numbers,
        ),
        None if status == _NOBODY else MemberStatus(status),
        AgeStage(refs.get("age", AgeStage.UNKNOWN.value)),
        refs["policy"],
        Exported(event.numbers.get("abroad", 0), event.numbers.get("abroad_sensitive", 0)),
        Seen.told(event.numbers),
    )


def _names(numbers: Mapping[str, int], prefix: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(prefix) for name in numbers if name.startswith(prefix))
