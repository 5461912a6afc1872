"""The form of views, calendars and policy tests, as strict pydantic models."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pdms.policy.definitions_views import MOST_EXPIRY_DAYS
from pdms.policy.documents_base import Article, Both, Document, Line, Slug
from pdms.taxonomy import AgeStage, Channel, ConsentState, ConsentType, MemberStatus, Operation, RestrictionKind


class FeatureDocument(Document):
    """`features.<name>` of a view."""

    measure: Slug
    edges: Annotated[list[float], Field(min_length=1)] | None = None
    coarser: list[list[float]] = Field(default_factory=list)
    hierarchy: Slug | None = None
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    missing: Line = "unknown"
    label: Both | None = None


class DiversityDocument(Document):
    """`sensitive.diversity` of a view."""

    kind: Literal["distinct", "entropy", "recursive"] = "distinct"
    l: Annotated[float, Field(ge=2, le=100)]  # noqa: E741 - the field's own name
    c: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Of recursive (c, l)-diversity."""

    @model_validator(mode="after")
    def _whole(self) -> "DiversityDocument":
        if self.kind != "entropy" and self.l != int(self.l):
            raise ValueError("l must be whole, entropy apart")
        if self.kind != "recursive" and "c" in self.model_fields_set:
            raise ValueError("c belongs to kind recursive")
        return self


class ClosenessDocument(Document):
    """`sensitive.closeness` of a view."""

    t: Annotated[float, Field(gt=0, lt=1)]
    distance: Literal["equal", "ordered"] = "equal"


class SensitiveDocument(Document):
    """`sensitive` of a view: the feature that must not be inferred from the others."""

    feature: Slug
    diversity: DiversityDocument | None = None
    closeness: ClosenessDocument | None = None

    @model_validator(mode="after")
    def _something(self) -> "SensitiveDocument":
        if self.diversity is None and self.closeness is None:
            raise ValueError("diversity or closeness is needed")
        return self


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
    expiry_days: Annotated[int, Field(ge=1, le=MOST_EXPIRY_DAYS)]
    average_risk: Annotated[float, Field(gt=0, le=1)] = 1.0
    algorithm: Literal["auto", "peel", "mondrian", "full_domain", "blind"] = "auto"
    sensitive: SensitiveDocument | None = None
    family: Slug | None = None
    headroom: Annotated[float, Field(ge=1, le=100)] = 1.0
    held_back_limit: Annotated[float, Field(ge=0, le=1)] = 0.25
    linked_limit: Annotated[float, Field(ge=0, le=1)] = 1.0
    numbers: Literal["tree", "tight"] = "tree"
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
    fields: list[str] = Field(default_factory=list)
    categories: list[str] = Field(default_factory=list)
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
    restrictions: list[CaseRestrictionDocument] = Field(default_factory=list)
    role: str | None = None
    trained: bool = True


class CaseDocument(Document):
    """One case of tests/*.yaml."""

    name: Line
    articles: list[Article] = Field(default_factory=list)
    given: CaseGivenDocument
    expect: Literal["permit", "deny"]
    reasons: list[str] = Field(default_factory=list)


class CasesDocument(Document):
    """tests/<name>.yaml."""

    cases: Annotated[list[CaseDocument], Field(min_length=1)]
