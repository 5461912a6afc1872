"""What the policy documents say, as plain frozen definitions. The loader makes them; the packages only interpret them.

Nothing here decides and nothing here reads files. Every collection is ordered and immutable; a name that refers to
another definition is checked by the loader, so that no package needs to ask "does it exist?" again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from pdms.policy.definitions_notices import Notice, NoticePurpose, NoticeRecipient
from pdms.policy.definitions_sources import Source, SourceColumn
from pdms.policy.definitions_views import CalendarYear, Feature, HierarchyTable, Prefecture, SensitiveFeature, View
from pdms.taxonomy import HOME_REGION, Channel, ConsentType, Language, LawfulBasis, Operation, Scope, Sensitivity

__all__ = [
    "HOME_REGION",
    "AlgorithmCard",
    "Budget",
    "CalendarYear",
    "Category",
    "Controller",
    "Feature",
    "FieldDefinition",
    "HierarchyTable",
    "KeyPlan",
    "Notice",
    "NoticePurpose",
    "NoticeRecipient",
    "Pipia",
    "Policy",
    "PolicyTest",
    "Prefecture",
    "Purpose",
    "Recipient",
    "RestrictedRecipient",
    "Retention",
    "RevealRules",
    "Role",
    "SearchDefinition",
    "SensitiveFeature",
    "Source",
    "SourceColumn",
    "View",
]


@dataclass(frozen=True, slots=True)
class Controller:
    """The handler who answers for it all (PIPL-17-1 (1), 52, 53)."""

    id: str
    name: Mapping[Language, str]
    address: Mapping[Language, str]
    contact: str
    officer: str
    role: Literal["merchant", "platform"]
    """`platform` enables the three-year duty of ECL-31."""
    ciio: bool
    region: str
    profile: Literal["small", "standard", "large"]
    sender_name: Mapping[Language, str]
    """How messages name their sender (ADL-43)."""


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """One member field held in the vault."""

    name: str
    """`phone`, `email`, …"""
    label: Mapping[Language, str]
    code: int
    """Small stable number from 1 on, never reused; 0 is the external id."""
    category: str
    normaliser: str
    """Name of a normaliser of `ingest` (`phone_cn`, `email`, `resident_id`, `date`, `name`, `text`, `gender`, …)."""
    index: str | None
    """Name of the blind index (`phone`, `email`, `id_number`, `login`), or None where the field cannot be looked up."""
    mask: str
    """Name of a mask (`phone`, `email`, `name`, `id_number`, `all`, …)."""
    direct_identifier: bool
    max_length: int


@dataclass(frozen=True, slots=True)
class Category:
    """A data category of requirements §4; `facts` lists the fact tables that belong to it."""

    name: str
    sensitivity: Sensitivity
    fields: tuple[str, ...]
    facts: tuple[str, ...]
    label: Mapping[Language, str]
    override: str | None = None
    """Why it is treated as sensitive although no list says so (GB/T 45574 override)."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long data of a purpose are kept, and what happens then (PIPL-19)."""

    trigger: str
    """`order_close`, `ticket_close`, `event`, `withdrawal`, `release`, `contract_end`, `purpose_end`, `trade`, …"""
    days: int
    action: Literal["erase", "suppress", "rebuild", "restrict", "return_or_erase"]
    article: str
    when: str | None = None
    """`platform` or `voucher`: the row applies only then."""
    facts: tuple[str, ...] = ()
    """Fact tables that a statutory hold keeps."""
    fields: tuple[str, ...] = ()
    """Member fields that a statutory hold keeps, encrypted, in the held store."""
    approved_by: str | None = None
    """Counsel's approval, where the hold rests on less than a law or administrative regulation (PIPL-47-2)."""


@dataclass(frozen=True, slots=True)
class AlgorithmCard:
    """What everybody may read of the algorithm behind a purpose (ALG-16)."""

    principle: Mapping[Language, str]
    intent: Mapping[Language, str]
    mechanism: Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose with everything that the gate compares (NDR-22(4))."""

    name: str
    label: Mapping[Language, str]
    basis: LawfulBasis
    article: str
    consent: ConsentType
    """The least type of consent accepted; `none` where the basis is not consent."""
    per_recipient: bool
    channel: Channel | None
    categories: tuple[str, ...]
    deny_fields: tuple[str, ...]
    forbid_categories: tuple[str, ...]
    operations: tuple[Operation, ...]
    minors: Literal["deny", "guardian", "allow"]
    """What happens below 18 (MIN-24-3); below 14 guardian consent is needed besides (PIPL-31-1)."""
    unknown_age: Literal["deny", "allow"]
    opt_out: bool
    """An ADM opt-out (PIPL-24-2, ALG-17) stops it."""
    pipia: str | None
    """Id of the approved impact assessment, where PIPL-55 asks for one."""
    pipia_required: bool
    retention: tuple[Retention, ...]
    recipients: tuple[str, ...]
    notice: str | None
    """Id of the notice that tells members of it (PIPL-17-1); None only with `notice_exemption`."""
    cool_down_days: int
    consent_days: int | None
    """Days for which a consent lasts; None: until withdrawn."""
    view_k: int | None = None
    view_min_cell: int | None = None
    view_risk: float | None = None
    reveal: bool = False
    """Plaintext may be revealed to an operator for it."""
    child_notice: str | None = None
    """Id of the notice for guardians of children below 14 (PIPL-31-2), where they are not simply denied."""
    notice_exemption: str | None = None
    """Why no notice precedes this purpose (PIPL-18)."""
    justification: str | None = None
    """Specific purpose and necessity of using sensitive data (PIPL-28-2)."""
    human_review: bool = False
    mechanisms: tuple[str, ...] = ()
    """Export mechanisms that a recipient may rely on (PIPL-38-1)."""
    inputs: tuple[str, ...] = ()
    """What a price may depend on (PIPL-24-1)."""
    algorithm: AlgorithmCard | None = None
    """Needed where the purpose profiles or decides automatically (ALG-16)."""

    @property
    def rests_on_consent(self) -> bool:
        """Whether a consent of the member is asked for (guardians' consent for children aside)."""
        return self.consent is not ConsentType.NONE


@dataclass(frozen=True, slots=True)
class Recipient:
    """Someone else who gets data: a processor (PIPL-21) or another controller (PIPL-23)."""

    id: str
    name: str
    kind: Literal["processor", "controller"]
    contract_until: date | None
    """Last day of the contract (PIPL-21, 23); None: no contract on file, so nothing may be handed over."""
    region: str
    contact: str = ""
    mechanism: Literal["exempt", "scc", "cert", "assessment"] | None = None
    """Export mechanism (PIPL-38-1), where the recipient is abroad."""
    mechanism_until: date | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A set of scopes and the purposes that an operator in this role may act for."""

    name: str
    scopes: tuple[Scope, ...]
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestrictedRecipient:
    """An organisation abroad on the list of those to whom nothing may be given (PIPL-42)."""

    name: str
    since: date
    source: str


@dataclass(frozen=True, slots=True)
class Pipia:
    """An approved impact assessment (PIPL-55, 56)."""

    id: str
    purpose: str
    approved_on: date
    approver: str
    review_by: date


@dataclass(frozen=True, slots=True)
class SearchDefinition:
    """A search index: members found by part of a field's value, confirmed after opening."""

    name: str
    code: int
    """Small stable number; entries are kept under it."""
    field: str
    form: Literal["whole", "last_four", "bigrams"]
    bits: int
    """Bits kept of the keyed digest: the fewer, the more members share a bucket, the less it tells a thief."""


@dataclass(frozen=True, slots=True)
class RevealRules:
    """On which terms an operator sees plaintext (PIPL-51-4)."""

    permit_minutes: int = 10
    """How long a Permit to reveal opens anything."""
    per_hour: int = 60
    """Reveals and searches of one operator within one hour; who needs more is browsing."""
    ticket: bool = False
    """A ticket number is required beside the reason."""
    reasons: tuple[str, ...] = ()
    """Reason codes that count; empty: any code."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one population of consumers may learn of any one member in a period, and what each kind of answer costs."""

    name: str
    label: Mapping[Language, str]
    roles: tuple[str, ...]
    """Operators in these roles are taken to tell each other everything: one budget for all their keys."""
    period: Literal["month", "quarter", "year"]
    """Of the calendar, in Asia/Shanghai."""
    epsilon: float
    delta: float
    answers: Mapping[str, float]
    """Kind of answer → rho of zero-concentrated differential privacy that one answer spends."""


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One case of `policies/tests/*.yaml`: what is asked, what is known, what must come out."""

    name: str
    articles: tuple[str, ...]
    given: Mapping[str, object]
    expect: Literal["permit", "deny"]
    reasons: tuple[str, ...]
    """Exactly these reason codes; empty for a permit."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Days after which an epoch's keys are wrapped anew, and days after that until its root is destroyed."""

    rotate_epochs_after_days: int
    destroy_epochs_after_days: int


@dataclass(frozen=True, slots=True)
class Policy:
    """All of `policies/`, loaded, checked, frozen.

    `digest` is the SHA-256 of the canonical form, 64 hex digits; example segments and tests are not part of it.
    """

    digest: str
    strict_separate: bool
    controller: Controller
    fields: Mapping[str, FieldDefinition]
    categories: Mapping[str, Category]
    purposes: Mapping[str, Purpose]
    recipients: Mapping[str, Recipient]
    roles: Mapping[str, Role]
    pipias: Mapping[str, Pipia]
    notices: Mapping[str, Mapping[Language, Notice]]
    sources: Mapping[str, Source]
    views: Mapping[str, View]
    hierarchies: Mapping[str, HierarchyTable]
    prefectures: tuple[Prefecture, ...]
    calendars: Mapping[int, CalendarYear]
    segments: Mapping[str, Mapping[str, object]]
    """Example segment rules, parsed YAML; `segments` reads their form."""
    tests: tuple[PolicyTest, ...]
    reveal: RevealRules = RevealRules()
    keys: KeyPlan | None = None
    """When key epochs are to end; None: nothing is planned, and erasure receipts say so."""
    searches: Mapping[str, SearchDefinition] = field(default_factory=dict)
    denied_tags: tuple[str, ...] = ()
    """Words that no segment, view or feature may be named by (ALG-10)."""
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    """Populations of consumers that noised numbers may go to; who is in none of them gets none."""
    restricted: tuple[RestrictedRecipient, ...] = ()
    """To whom nothing may be given, whatever a contract or a consent says."""

    def category_of_field(self, name: str) -> str:
        """Return the data category of a member field. :raises KeyError: no such field."""
        return self.fields[name].category
