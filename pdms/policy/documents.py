"""The form of each policy document, as strict pydantic models: unknown keys, gaps and loose types are errors.

Deliberately not here: anything that needs a second document (`assemble`, `lint`).
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pdms.policy.documents_base import Article, Both, Code, Days, Document, Line, Slug, Text
from pdms.policy.documents_views import (
    CalendarDocument,
    CaseDocument,
    CasesDocument,
    FeatureDocument,
    SensitiveDocument,
    ViewDocument,
)
from pdms.taxonomy import (
    Channel,
    ConsentType,
    Language,
    LawfulBasis,
    Operation,
    Scope,
    Sensitivity,
)

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
    "principle": "ALG-16",
    "intent": "ALG-16",
    "mechanism": "ALG-16",
    "k": "T37964",
    "source": "T35273-8.7",
}
"""Key → the article that asks for it; named when the key is missing."""

__all__ = ["CalendarDocument", "CaseDocument", "CasesDocument", "FeatureDocument", "SensitiveDocument", "ViewDocument"]


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
    facts: list[Slug] = Field(default_factory=list)


class DefaultsDocument(Document):
    """`defaults` of policy.yaml: written out for the reader; all but `strict_separate` may have one value only."""

    effect: Literal["deny"]
    notice: Literal["required"]
    child: Literal["guardian"]
    minors_marketing: Literal["deny"]
    strict_separate: bool


class KeysDocument(Document):
    """`keys` of policy.yaml: when key epochs are to end, so that erasures reach backups too."""

    rotate_epochs_after_days: Days
    destroy_epochs_after_days: Days


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
    facts: list[Slug] = Field(default_factory=list)
    fields: list[Slug] = Field(default_factory=list)
    approved_by: Line | None = None


class PurposeViewDocument(Document):
    """`purposes.<name>.view`: the least strictness of a view published for this purpose."""

    k: Annotated[int, Field(ge=2, le=10_000)]
    min_cell: Annotated[int, Field(ge=2, le=1_000_000)]
    risk: Annotated[float, Field(gt=0, le=0.5)]


class AlgorithmDocument(Document):
    """`purposes.<name>.algorithm`: what is told of the algorithm behind it (ALG-16)."""

    principle: Both
    intent: Both
    mechanism: Both


class PurposeDocument(Document):
    """`purposes.<name>` of policy.yaml."""

    label: Both
    basis: LawfulBasis
    article: Article
    consent: ConsentType
    per_recipient: bool = False
    channel: Channel | None = None
    categories: list[Slug]
    deny_fields: list[Slug] = Field(default_factory=list)
    forbid_categories: list[Slug] = Field(default_factory=list)
    operations: Annotated[list[Operation], Field(min_length=1)]
    minors: Literal["deny", "guardian", "allow"]
    unknown_age: Literal["deny", "allow"]
    opt_out: bool = False
    pipia: Slug | None = None
    pipia_required: bool = False
    retention: Annotated[list[RetentionDocument], Field(min_length=1)]
    recipients: list[Slug] = Field(default_factory=list)
    notice: Slug | None = None
    child_notice: Slug | None = None
    notice_exemption: Line | None = None
    cool_down_days: Days = 0
    consent_days: Annotated[int, Field(ge=1, le=36_600)] | None = None
    view: PurposeViewDocument | None = None
    justification: Text | None = None
    human_review: bool = False
    mechanisms: list[Literal["exempt", "scc", "cert", "assessment"]] = Field(default_factory=list)
    inputs: list[Slug] = Field(default_factory=list)
    algorithm: AlgorithmDocument | None = None


class RecipientDocument(Document):
    """`recipients.<id>` of policy.yaml."""

    name: Line
    kind: Literal["processor", "controller"]
    contact: Line
    contract_until: date | None
    region: Line
    mechanism: Literal["exempt", "scc", "cert", "assessment"] | None = None
    mechanism_until: date | None = None


class RestrictedDocument(Document):
    """One line of `restricted_recipients` of policy.yaml (PIPL-42)."""

    name: Line
    since: date
    source: Line


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


class RevealDocument(Document):
    """`reveal` of policy.yaml."""

    permit_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 60
    ticket: bool = False
    reasons: list[Code] = Field(default_factory=list)


class SearchDocument(Document):
    """`searches.<name>` of policy.yaml."""

    code: Annotated[int, Field(ge=1, le=255)]
    field: Slug
    form: Literal["whole", "last_four", "bigrams"]
    bits: Annotated[int, Field(ge=8, le=24)]


class TagsDocument(Document):
    """`tags` of policy.yaml."""

    deny: Annotated[list[Line], Field(min_length=1)]


Rho = Annotated[float, Field(gt=0, le=1)]


class AnswersDocument(Document):
    """`budgets.<name>.answers`: rho that one answer of a kind spends."""

    count: Rho
    histogram: Rho
    mean: Rho
    preview: Rho
    send: Rho


class BudgetDocument(Document):
    """`budgets.<name>` of policy.yaml."""

    label: Both
    roles: Annotated[list[Slug], Field(min_length=1)]
    period: Literal["month", "quarter", "year"]
    epsilon: Annotated[float, Field(gt=0, le=20)]
    delta: Annotated[float, Field(gt=0, le=1e-4)]
    answers: AnswersDocument


class PolicyDocument(Document):
    """policy.yaml."""

    version: Literal[1]
    controller: ControllerDocument
    defaults: DefaultsDocument
    fields: dict[Slug, FieldDocument]
    categories: dict[Slug, CategoryDocument]
    purposes: dict[Slug, dict[str, object]]
    """Parsed one by one after `like` is resolved, as `PurposeDocument`."""
    recipients: dict[Slug, RecipientDocument] = Field(default_factory=dict)
    restricted_recipients: list[RestrictedDocument] = Field(default_factory=list)
    roles: dict[Slug, RoleDocument]
    pipias: dict[Slug, PipiaDocument] = Field(default_factory=dict)
    reveal: RevealDocument = Field(default_factory=RevealDocument)
    keys: KeysDocument | None = None
    searches: dict[Slug, SearchDocument] = Field(default_factory=dict)
    tags: TagsDocument | None = None
    budgets: dict[Slug, BudgetDocument] = Field(default_factory=dict)


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
    rights: Text | None = None


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
    defaults: dict[str, str] = Field(default_factory=dict)
    evidence: Line | None = None
    make_orders: bool = False
    notice: Slug | None = None
    notice_language: Language = Language.ZH
