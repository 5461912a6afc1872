"""The decision: facts in, a Decision out, with every reason and its article.

Guarantees: pure (the instant comes in); refusing is the default, since an unknown purpose, operation, category, field,
role or recipient each yields a reason; all reasons are found and not the first only; the same rules serve one member
(`decide`) and a set (`gate.sets` compiles `subject_rules` to set algebra; a property test keeps the two equal).
Deliberately not here: reading facts and recording the outcome, which are the gate's.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from pdms.clock import SHANGHAI
from pdms.errors import Reason
from pdms.policy.crossborder import NOBODY, Exported, covering, listed
from pdms.policy.definitions import HOME_REGION, Policy, Purpose
from pdms.policy.gaps import LINED, line_of
from pdms.policy.reasons import REASONS, ordered, reason
from pdms.taxonomy import (
    AgeStage,
    Channel,
    ConsentState,
    ConsentType,
    LawfulBasis,
    MemberStatus,
    Operation,
    RestrictionKind,
    Scope,
    Sensitivity,
)

PLAINTEXT = frozenset({Operation.REVEAL, Operation.PROVIDE, Operation.EXPORT})
"""Operations by which plaintext leaves: they need a trained operator (PIPL-51-4)."""
KEEPING = frozenset({Operation.STORE, Operation.SECURE})
"""What remains allowed under a restriction (PIPL-47-2)."""
RIGHTS = "rights"
"""The purpose under which a member's own request is answered."""
SUBJECT_REQUEST = "SUBJECT_REQUEST"
"""Reason code of plaintext opened to answer the member's own request."""
HANDING_OVER = frozenset({Operation.ENTRUST, Operation.PROVIDE, Operation.EXPORT})
STRENGTH = {ConsentType.NONE: 0, ConsentType.CONSENT: 1, ConsentType.SEPARATE: 2, ConsentType.WRITTEN: 3}
"""Consent types by strength; a guardian's consent stands outside the order."""


@dataclass(frozen=True, slots=True)
class Use:
    """What someone wants to do."""

    purpose: str
    operation: Operation
    fields: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    """Data categories that are touched; where empty, those of `fields`, else all of the purpose."""
    channel: Channel | None = None
    recipient: str | None = None
    reason: str | None = None
    """Reason code that an operator gives for seeing plaintext."""
    ticket: str | None = None
    """Ticket number beside it, e.g. CS-1024."""


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """The consent of one member to one purpose (and recipient), as folded from the records."""

    state: ConsentState = ConsentState.UNASKED
    type: ConsentType = ConsentType.NONE
    occurred_at: datetime | None = None
    categories: tuple[str, ...] = ()
    """What the member agreed to."""
    operations: tuple[Operation, ...] = ()
    """The method that the notice told of."""
    audience: Literal["adult", "child"] = "adult"
    """Audience of the notice that was shown."""


@dataclass(frozen=True, slots=True)
class RestrictionFact:
    """A standing restriction, objection, opt-out or do-not-contact; "" means every purpose or channel."""

    kind: RestrictionKind
    purpose: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """What is known of the member at the instant of the decision."""

    status: MemberStatus | None
    """None: there is no such member."""
    age: AgeStage = AgeStage.UNKNOWN
    consent: ConsentFacts = field(default_factory=ConsentFacts)
    served: bool = False
    """A version of the purpose's notice that tells of it was delivered."""
    restrictions: tuple[RestrictionFact, ...] = ()


@dataclass(frozen=True, slots=True)
class ActorFacts:
    """Who asks."""

    kind: Literal["operator", "member", "system"]
    scopes: frozenset[Scope] = frozenset()
    role: str | None = None
    trained_until: date | None = None
    own: bool = False
    """A member, and the subject is that member."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes, or no with every reason."""

    permitted: bool
    reasons: tuple[Reason, ...]
    purpose: str
    operation: Operation
    policy_digest: str
    decided_at: datetime

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the reasons, in the order of rank."""
        return tuple(item.code for item in self.reasons)


def decide(
    policy: Policy,
    *,
    use: Use,
    subject: SubjectFacts,
    actor: ActorFacts,
    now: datetime,
    exported: Exported = NOBODY,
) -> Decision:
    """Decide on `use` for one member.

    :param now: aware instant; days are counted in Asia/Shanghai. :param exported: people whose data went abroad this
    year, this member included, where the use is an export.
    """
    purpose = policy.purposes.get(use.purpose)
    if purpose is None:
        codes = {"NO_PURPOSE"}
    else:
        codes = use_codes(policy, purpose, use=use, actor=actor, now=now, exported=exported)
        codes |= subject_codes(purpose, use=use, required=required_categories(policy, use), subject=subject, now=now)
    return Decision(
        permitted=not codes,
        reasons=reasons_of(policy, codes, use=use, actor=actor) if codes else (),
        purpose=use.purpose,
        operation=use.operation,
        policy_digest=policy.digest,
        decided_at=now,
    )


def reasons_of(policy: Policy, codes: set[str], *, use: Use, actor: ActorFacts) -> tuple[Reason, ...]:
    """Return the reasons behind codes, in the order of rank; a gap names the line of the policy that is missing."""
    found = []
    for code in ordered(codes):
        known = _KNOWN[code]
        line = line_of(policy, code, use=use, actor=actor) if code in LINED else ""
        found.append(Reason(code, known.article, f"{known.detail} {line}") if line else known)
    return tuple(found)


_KNOWN = {code: reason(code) for code in REASONS}


def required_categories(policy: Policy, use: Use) -> frozenset[str]:
    """Return the data categories that `use` touches: what the member must have agreed to."""
    if use.categories:
        return frozenset(use.categories)
    if use.fields:
        return frozenset(policy.fields[name].category for name in use.fields if name in policy.fields)
    purpose = policy.purposes.get(use.purpose)
    return frozenset(purpose.categories) if purpose else frozenset()


def is_sensitive(policy: Policy, use: Use, age: AgeStage) -> bool:
    """Return whether a use touches sensitive data: all of a child below 14 is, and where age is unknown (PIPL-28)."""
    touched = required_categories(policy, use)
    named = (policy.categories[name] for name in touched if name in policy.categories)
    return age in (AgeStage.CHILD, AgeStage.UNKNOWN) or any(one.sensitivity is Sensitivity.SENSITIVE for one in named)


def use_codes(
    policy: Policy, purpose: Purpose, *, use: Use, actor: ActorFacts, now: datetime, exported: Exported = NOBODY
) -> set[str]:
    """Return the reasons against `use` whoever it concerns: purpose, method, data, recipient, assessment, asker."""
    today = now.astimezone(SHANGHAI).date()
    codes: set[str] = set()
    if use.operation not in purpose.operations:
        codes.add("OPERATION_NOT_ALLOWED")
    if any(name not in purpose.categories for name in use.categories):
        codes.add("CATEGORY_NOT_ALLOWED")
    for name in use.fields:
        definition = policy.fields.get(name)
        if definition is None or name in purpose.deny_fields or definition.category not in purpose.categories:
            codes.add("FIELD_NOT_ALLOWED")
    if use.channel is not None and use.channel is not purpose.channel:
        codes.add("CHANNEL_NOT_ALLOWED")
    if purpose.pipia_required:
        assessment = policy.pipias.get(purpose.pipia) if purpose.pipia else None
        if assessment is None or assessment.approved_on > today:
            codes.add("PIPIA_MISSING")
        elif assessment.review_by < today:
            codes.add("PIPIA_OVERDUE")
    if use.recipient is not None or purpose.per_recipient or use.operation in HANDING_OVER:
        codes |= _recipient_codes(policy, purpose, use, today, exported)
    return codes | _actor_codes(policy, purpose, use, actor, today)


def _recipient_codes(policy: Policy, purpose: Purpose, use: Use, today: date, exported: Exported) -> set[str]:
    if use.recipient is None:
        return {"RECIPIENT_REQUIRED"}
    recipient = policy.recipients.get(use.recipient)
    if recipient is None or use.recipient not in purpose.recipients:
        return {"RECIPIENT_NOT_ALLOWED"}
    codes = set()
    if recipient.contract_until is None or recipient.contract_until < today:
        codes.add("CONTRACT_EXPIRED")
    if policy.restricted and listed(policy, recipient, today=today):
        codes.add("RECIPIENT_LISTED")
    if recipient.region != HOME_REGION and use.operation is not Operation.EXPORT:
        codes.add("REGION_NOT_ALLOWED")
    if use.operation is Operation.EXPORT:
        lapsed = recipient.mechanism_until is not None and recipient.mechanism_until < today
        if recipient.mechanism not in purpose.mechanisms or lapsed:
            codes.add("MECHANISM_MISSING")
        elif recipient.mechanism not in covering(exported, controller=policy.controller, purpose=purpose):
            codes.add("EXPORT_THRESHOLD")
    return codes


def _actor_codes(policy: Policy, purpose: Purpose, use: Use, actor: ActorFacts, today: date) -> set[str]:
    if actor.kind == "system":
        return set()
    codes = set()
    if actor.kind == "member":
        if not actor.own:
            codes.add("NOT_SELF")
        if not any(Scope.MEMBER in role.scopes and purpose.name in role.purposes for role in policy.roles.values()):
            codes.add("ROLE_NOT_ALLOWED")
        return codes
    if actor.role is not None:
        role = policy.roles.get(actor.role)
        allowed = role is not None and purpose.name in role.purposes and actor.scopes.issuperset(role.scopes)
    else:
        allowed = any(
            purpose.name in role.purposes and actor.scopes.issuperset(role.scopes) for role in policy.roles.values()
        )
    if not allowed:
        codes.add("ROLE_NOT_ALLOWED")
    if use.operation in PLAINTEXT and (actor.trained_until is None or actor.trained_until < today):
        codes.add("TRAINING_LAPSED")
    if use.operation is Operation.REVEAL:
        codes |= _reveal_codes(policy, use)
    return codes


def _reveal_codes(policy: Policy, use: Use) -> set[str]:
    if not use.reason:
        return {"REASON_MISSING"}
    if use.purpose == RIGHTS and use.reason == SUBJECT_REQUEST:  # the member's own request is number and reason enough
        return set()
    codes = set()
    if policy.reveal.reasons and use.reason not in policy.reveal.reasons:
        codes.add("REASON_UNKNOWN")
    if policy.reveal.ticket and not use.ticket:
        codes.add("TICKET_MISSING")
    return codes


def subject_codes(
    purpose: Purpose, *, use: Use, required: frozenset[str], subject: SubjectFacts, now: datetime
) -> set[str]:
    """Return the reasons that lie with the member: standing, wishes, age, notice, consent."""
    if purpose.basis is LawfulBasis.NOT_PERSONAL:
        return set()
    if subject.status is None:
        return {"MEMBER_UNKNOWN"}
    codes = set()
    if subject.status is MemberStatus.ERASED:
        codes.add("MEMBER_ERASED")
    elif subject.status is MemberStatus.DISABLED and disabled_blocks(purpose):
        codes.add("MEMBER_DISABLED")
    for item in subject.restrictions:
        code = restriction_code(item, purpose=purpose, operation=use.operation)
        if code:
            codes.add(code)
    age = subject.age
    if purpose.minors == "deny" and age in (AgeStage.CHILD, AgeStage.MINOR):
        codes.add("MINOR")
    if purpose.unknown_age == "deny" and age is AgeStage.UNKNOWN:
        codes.add("AGE_UNKNOWN")
    if purpose.minors == "guardian" and age is AgeStage.CHILD:
        codes |= _guardian_codes(subject.consent, required, use.operation, purpose, now)
    elif purpose.rests_on_consent:
        codes |= _consent_codes(subject.consent, required, use.operation, purpose, age, now)
    elif purpose.notice is not None and not subject.served:
        codes.add("NO_NOTICE")
    return codes


def disabled_blocks(purpose: Purpose) -> bool:
    """Return whether a disabled account stops `purpose`; a legal duty goes on."""
    return purpose.basis is not LawfulBasis.LEGAL_DUTY


def restriction_code(item: RestrictionFact, *, purpose: Purpose, operation: Operation) -> str | None:
    """Return the reason that a standing wish yields against an operation of `purpose`, or None."""
    if purpose.basis is LawfulBasis.NOT_PERSONAL or item.kind is RestrictionKind.NO_KIN:
        return None
    if item.kind is RestrictionKind.DO_NOT_CONTACT:
        bites = operation is Operation.SEND and item.channel in ("", purpose.channel or "")
        return "DO_NOT_CONTACT" if bites else None
    if item.purpose not in ("", purpose.name):
        return None
    if item.kind is RestrictionKind.ADM_OPT_OUT:
        return "ADM_OPT_OUT" if purpose.opt_out else None
    if purpose.basis is LawfulBasis.LEGAL_DUTY or operation in KEEPING:
        return None
    return "RESTRICTED" if item.kind is RestrictionKind.RESTRICTION else "OBJECTED"


def expired(occurred_at: datetime | None, *, purpose: Purpose, now: datetime) -> bool:
    """Return whether a consent given at `occurred_at` has run out (NDR-22(4))."""
    if purpose.consent_days is None or occurred_at is None:
        return False
    return occurred_at + timedelta(days=purpose.consent_days) <= now


STATE_CODES = {
    ConsentState.UNASKED: "NO_CONSENT",
    ConsentState.REQUESTED: "NO_CONSENT",
    ConsentState.REFUSED: "CONSENT_REFUSED",
    ConsentState.WITHDRAWN: "CONSENT_WITHDRAWN",
    ConsentState.EXPIRED: "CONSENT_EXPIRED",
    ConsentState.INVALIDATED: "CONSENT_INVALIDATED",
}


def covers(consent: ConsentFacts, *, required: frozenset[str], operation: Operation) -> bool:
    """Return whether the consent reaches the categories and the method of a use (PIPL-14-2)."""
    return required.issubset(consent.categories) and operation in consent.operations


def _guardian_codes(
    consent: ConsentFacts, required: frozenset[str], operation: Operation, purpose: Purpose, now: datetime
) -> set[str]:
    stands = consent.state is ConsentState.GIVEN and not expired(consent.occurred_at, purpose=purpose, now=now)
    if not stands or consent.type is not ConsentType.GUARDIAN:
        return {"GUARDIAN_CONSENT_MISSING"}
    codes = set()
    if consent.audience != "child":
        codes.add("CHILD_NOTICE")
    if not covers(consent, required=required, operation=operation):
        codes.add("RECONSENT")
    return codes


def _consent_codes(
    consent: ConsentFacts,
    required: frozenset[str],
    operation: Operation,
    purpose: Purpose,
    age: AgeStage,
    now: datetime,
) -> set[str]:
    if consent.state is not ConsentState.GIVEN:
        return {STATE_CODES[consent.state]}
    if expired(consent.occurred_at, purpose=purpose, now=now):
        return {"CONSENT_EXPIRED"}
    codes = set()
    if consent.type is ConsentType.GUARDIAN:
        if age in (AgeStage.MINOR, AgeStage.ADULT):
            codes.add("GUARDIAN_LAPSED")
    elif STRENGTH[consent.type] < STRENGTH[purpose.consent]:
        codes.add("CONSENT_TYPE")
    if not covers(consent, required=required, operation=operation):
        codes.add("RECONSENT")
    return codes
