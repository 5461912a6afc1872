"""The form of each policy document, as strict pydantic models: unknown keys, gaps and loose types are errors.

Deliberately not here: anything that needs a second document (`assemble`, `lint`).
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pdms.taxonomy import (
    AgeStage,
    Channel,
    ConsentState,
    ConsentType,
    Language,
    LawfulBasis,
    MemberStatus,
    Operation,
    RestrictionKind,
    Scope,
    Sensitivity,
)

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Article = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*-?[0-9A-Za-z()\-. ,]*$", max_length=80)]
Days = Annotated[int, Field(ge=0, le=36_600)]
Texts = dict[Language, Line]

ARTICLES = {
    "basis": "PIPL-13-1",
    "retention": "PIPL-19",
    "expiry": "NDR-21",
    "necessity": "PIPL-30",
    "impact": "PIPL-30",
    "justification": "PIPL-28-2",
    "controller": "PIPL-17-1",
    "name": "PIPL-17-1",
    "contact": "PIPL-17-1",
    "address": "PIPL-17-1",
    "officer": "PIPL-52",
    "method": "PIPL-17-1",
    "operations": "PIPL-17-1",
    "categories": "PIPL-17-1",
    "text": "PIPL-17-1",
    "rights": "PIPL-17-1",
    "recipients": "PIPL-23",
    "automated_decisions": "PIPL-24",
    "withdraw": "PIPL-15-1",
    "sensitivity": "PIPL-51",
    "category": "PIPL-51",
    "column": "PIPL-51",
    "k": "T37964",
    "source": "T35273-8.7",
}
"""Key → the article that asks for it; named when the key is missing."""


class Document(BaseModel):
    """Base of all: nothing unknown, nothing coerced, nothing echoed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Both(Document):
    """A text in both languages of the product."""

    zh: Line = Field(alias="zh-CN")
    en: Line

    def plain(self) -> dict[Language, str]:
        """Return the texts by language."""
        return {Language.ZH: self.zh, Language.EN: self.en}


class ControllerDocument(Document):
    """`controller` of policy.yaml."""

    id: Slug
    name: Both
    address: Both
    contact: Line
    officer: Line
    role: Literal["merchant", "platform"]
    ciio: bool
    region: Literal["cn", "foreign"]
    prc_representative: Line | None = None
    profile: Literal["small", "standard", "large"]
    sender_name: Both

    @model_validator(mode="after")
    def _represented(self) -> "ControllerDocument":
        if self.region == "foreign" and self.prc_representative is None:
            raise ValueError("prc_representative: missing; a handler abroad needs one (PIPL-53)")
        return self


class FieldDocument(Document):
    """`fields.<name>` of policy.yaml."""

    label: Both
    code: Annotated[int, Field(ge=1, le=255)]
    category: Slug
    normaliser: Slug
    index: Literal["phone", "email", "id_number", "login"] | None = None
    mask: Slug
    direct_identifier: bool
    max_length: Annotated[int, Field(ge=1, le=4096)]


class CategoryDocument(Document):
    """`categories.<name>` of policy.yaml."""

    label: Both
    sensitivity: Sensitivity
    override: Line | None = None
    facts: list[Slug] = []


class DefaultsDocument(Document):
    """`defaults` of policy.yaml: written out for the reader; all but `strict_separate` may have one value only."""

    effect: Literal["deny"]
    notice: Literal["required"]
    child: Literal["guardian"]
    minors_marketing: Literal["deny"]
    strict_separate: bool


class RetentionDocument(Document):
    """One line of a purpose's `retention`."""

    after: Literal[
        "order_close",
        "ticket_close",
        "event",
        "withdrawal",
        "release",
        "contract_end",
        "purpose_end",
        "trade",
        "request",
    ]
    days: Days
    then: Literal["erase", "suppress", "rebuild", "restrict", "return_or_erase"]
    article: Article
    when: Literal["platform", "voucher"] | None = None
    facts: list[Slug] = []
    fields: list[Slug] = []
    approved_by: Line | None = None


class PurposeViewDocument(Document):
    """`purposes.<name>.view`: the least strictness of a view published for this purpose."""

    k: Annotated[int, Field(ge=2, le=10_000)]
    min_cell: Annotated[int, Field(ge=2, le=1_000_000)]
    risk: Annotated[float, Field(gt=0, le=0.5)]


class PurposeDocument(Document):
    """`purposes.<name>` of policy.yaml."""

    label: Both
    basis: LawfulBasis
    article: Article
    consent: ConsentType
    per_recipient: bool = False
    channel: Channel | None = None
    categories: list[Slug]
    deny_fields: list[Slug] = []
    forbid_categories: list[Slug] = []
    operations: Annotated[list[Operation], Field(min_length=1)]
    minors: Literal["deny", "guardian", "allow"]
    unknown_age: Literal["deny", "allow"]
    opt_out: bool = False
    pipia: Slug | None = None
    pipia_required: bool = False
    retention: Annotated[list[RetentionDocument], Field(min_length=1)]
    recipients: list[Slug] = []
    notice: Slug | None = None
    child_notice: Slug | None = None
    notice_exemption: Line | None = None
    cool_down_days: Days = 0
    consent_days: Annotated[int, Field(ge=1, le=36_600)] | None = None
    view: PurposeViewDocument | None = None
    justification: Text | None = None
    human_review: bool = False
    mechanisms: list[Literal["exempt", "scc", "cert", "assessment"]] = []
    inputs: list[Slug] = []


class RecipientDocument(Document):
    """`recipients.<id>` of policy.yaml."""

    name: Line
    kind: Literal["processor", "controller"]
    contact: Line
    contract_until: date | None
    region: Line
    mechanism: Literal["exempt", "scc", "cert", "assessment"] | None = None
    mechanism_until: date | None = None


class RoleDocument(Document):
    """`roles.<name>` of policy.yaml."""

    scopes: Annotated[list[Scope], Field(min_length=1)]
    purposes: list[Slug]


class PipiaDocument(Document):
    """`pipias.<id>` of policy.yaml."""

    purpose: Slug
    approved_on: date
    approver: Line
    review_by: date


class PolicyDocument(Document):
    """policy.yaml."""

    version: Literal[1]
    controller: ControllerDocument
    defaults: DefaultsDocument
    fields: dict[Slug, FieldDocument]
    categories: dict[Slug, CategoryDocument]
    purposes: dict[Slug, dict[str, object]]
    """Parsed one by one after `like` is resolved, as `PurposeDocument`."""
    recipients: dict[Slug, RecipientDocument] = {}
    roles: dict[Slug, RoleDocument]
    pipias: dict[Slug, PipiaDocument] = {}


class NoticePurposeDocument(Document):
    """`purposes.<name>` of a notice."""

    text: Text
    method: Text
    operations: Annotated[list[Operation], Field(min_length=1)]
    categories: list[Slug]
    necessity: Text | None = None
    impact: Text | None = None
    retention: Text
    expiry: Text


class NoticeRecipientDocument(Document):
    """One line of a notice's recipient list."""

    name: Line
    contact: Line
    purpose: Line
    method: Line
    categories: Annotated[list[Slug], Field(min_length=1)]
    overseas: bool = False


class NoticeControllerDocument(Document):
    """`controller` of a notice."""

    name: Line
    address: Line
    contact: Line
    officer: Line


class NoticeRightsDocument(Document):
    """`rights` of a notice: the route of each (PIPL-17-1 (3), 44-50, NDR-21)."""

    access: Text
    copy_: Text = Field(alias="copy")
    transfer: Text
    correct: Text
    delete: Text
    restrict: Text
    cancel: Text
    withdraw: Text
    complain: Text


class NoticeDocument(Document):
    """notices/<id>/<lang>.yaml."""

    audience: Literal["adult", "child"]
    effective_on: date
    title: Line
    introduction: Text
    controller: NoticeControllerDocument
    purposes: Annotated[dict[Slug, NoticePurposeDocument], Field(min_length=1)]
    rights: NoticeRightsDocument
    automated_decisions: Text
    recipients: list[NoticeRecipientDocument]
    changes: Text | None = None


class SourceColumnDocument(Document):
    """`columns.<header>` of a source."""

    target: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]*(\.[a-z][a-z0-9_]*)?$", max_length=80)]
    format: Line | None = None
    values: dict[str, str] | None = None


SourceKind = Literal["members", "orders", "order_lines", "events", "interactions", "consents"]


class SourceDocument(Document):
    """sources/<name>.yaml."""

    kind: SourceKind
    system: Slug
    timezone: Line
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None
    columns: Annotated[dict[Line, SourceColumnDocument], Field(min_length=1)]
    defaults: dict[str, str] = {}
    evidence: Line | None = None
    make_orders: bool = False
    notice: Slug | None = None
    notice_language: Language = Language.ZH


class FeatureDocument(Document):
    """`features.<name>` of a view."""

    measure: Slug
    edges: Annotated[list[float], Field(min_length=1)] | None = None
    coarser: list[list[float]] = []
    hierarchy: Slug | None = None
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    missing: Line = "unknown"


class ViewDocument(Document):
    """views/<name>.yaml."""

    label: Both
    purpose: Slug
    identifiability: Literal["de-identified"]
    """Rows are de-identified at best (GB/T 42460 level 3); only an aggregate with a certificate may say more."""
    window_days: Annotated[int, Field(ge=1, le=36_600)]
    k: Annotated[int, Field(ge=2, le=10_000)]
    risk_threshold: Annotated[float, Field(gt=0, le=0.5)]
    min_cell: Annotated[int, Field(ge=2, le=1_000_000)]
    suppression_limit: Annotated[float, Field(ge=0, le=0.2)]
    consumers: Annotated[list[Slug], Field(min_length=1)]
    expiry_days: Annotated[int, Field(ge=1, le=366)]
    features: Annotated[dict[Slug, FeatureDocument], Field(min_length=1)]


class HolidayDocument(Document):
    """One holiday of a calendar year."""

    name: Line
    first: date = Field(alias="from")
    last: date = Field(alias="to")

    @model_validator(mode="after")
    def _ordered(self) -> "HolidayDocument":
        if self.last < self.first:
            raise ValueError("to lies before from")
        return self


class CalendarSourceDocument(Document):
    """Where the arrangement was published."""

    document: Line
    issued_by: Line
    issued_on: date
    address: Line


class CalendarDocument(Document):
    """calendars/cn-YYYY.yaml."""

    year: Annotated[int, Field(ge=2000, le=2100)]
    source: CalendarSourceDocument
    holidays: Annotated[list[HolidayDocument], Field(min_length=1)]
    working_weekends: list[date]


class CaseRestrictionDocument(Document):
    """A restriction in a policy test."""

    kind: RestrictionKind
    purpose: str = ""
    channel: str = ""


class CaseGivenDocument(Document):
    """What a policy test asks and what is known of the member; what is not said is favourable, consent apart."""

    purpose: str
    operation: Operation
    fields: list[str] = []
    categories: list[str] = []
    channel: Channel | None = None
    recipient: str | None = None
    reason: str | None = None
    age: AgeStage = AgeStage.ADULT
    status: MemberStatus = MemberStatus.ACTIVE
    consent: ConsentState = ConsentState.UNASKED
    consent_type: ConsentType = ConsentType.CONSENT
    consent_age_days: Annotated[int, Field(ge=0)] = 1
    consent_categories: list[str] | None = None
    consent_operations: list[Operation] | None = None
    consent_audience: Literal["adult", "child"] = "adult"
    served: bool = True
    restrictions: list[CaseRestrictionDocument] = []
    role: str | None = None
    trained: bool = True


class CaseDocument(Document):
    """One case of tests/*.yaml."""

    name: Line
    articles: list[Article] = []
    given: CaseGivenDocument
    expect: Literal["permit", "deny"]
    reasons: list[str] = []


class CasesDocument(Document):
    """tests/<name>.yaml."""

    cases: Annotated[list[CaseDocument], Field(min_length=1)]
