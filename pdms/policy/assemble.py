"""From parsed documents to frozen definitions: one function per kind of file. Cross-references are `lint`'s affair."""

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeVar

from pdms.policy import definitions as p
from pdms.policy import documents as d
from pdms.policy.canonical import digest_of
from pdms.policy.measures import MEASURES
from pdms.taxonomy import Language, Operation

K = TypeVar("K")
V = TypeVar("V")


def frozen(items: Mapping[K, V]) -> Mapping[K, V]:
    """Return an unchangeable copy."""
    return MappingProxyType(dict(items))


def controller(doc: d.ControllerDocument) -> p.Controller:
    """Make the controller."""
    return p.Controller(
        id=doc.id,
        name=frozen(doc.name.plain()),
        address=frozen(doc.address.plain()),
        contact=doc.contact,
        officer=doc.officer,
        role=doc.role,
        ciio=doc.ciio,
        region=doc.region,
        profile=doc.profile,
        sender_name=frozen(doc.sender_name.plain()),
    )


def key_plan(doc: d.KeysDocument | None) -> p.KeyPlan | None:
    """Make the plan of key epochs, where there is one."""
    return p.KeyPlan(doc.rotate_epochs_after_days, doc.destroy_epochs_after_days) if doc is not None else None


def member_field(name: str, doc: d.FieldDocument) -> p.FieldDefinition:
    """Make one member field."""
    return p.FieldDefinition(
        name=name,
        label=frozen(doc.label.plain()),
        code=doc.code,
        category=doc.category,
        normaliser=doc.normaliser,
        index=doc.index,
        mask=doc.mask,
        direct_identifier=doc.direct_identifier,
        max_length=doc.max_length,
    )


def category(name: str, doc: d.CategoryDocument, *, fields: Mapping[str, d.FieldDocument]) -> p.Category:
    """Make one data category; its fields are those that name it."""
    return p.Category(
        name=name,
        sensitivity=doc.sensitivity,
        fields=tuple(key for key, field in fields.items() if field.category == name),
        facts=tuple(doc.facts),
        label=frozen(doc.label.plain()),
        override=doc.override,
    )


def retention(doc: d.RetentionDocument) -> p.Retention:
    """Make one retention line."""
    return p.Retention(
        trigger=doc.after,
        days=doc.days,
        action=doc.then,
        article=doc.article,
        when=doc.when,
        facts=tuple(doc.facts),
        fields=tuple(doc.fields),
        approved_by=doc.approved_by,
    )


def purpose(name: str, doc: d.PurposeDocument) -> p.Purpose:
    """Make one purpose."""
    return p.Purpose(
        name=name,
        label=frozen(doc.label.plain()),
        basis=doc.basis,
        article=doc.article,
        consent=doc.consent,
        per_recipient=doc.per_recipient,
        channel=doc.channel,
        categories=tuple(doc.categories),
        deny_fields=tuple(doc.deny_fields),
        forbid_categories=tuple(doc.forbid_categories),
        operations=tuple(doc.operations),
        minors=doc.minors,
        unknown_age=doc.unknown_age,
        opt_out=doc.opt_out,
        pipia=doc.pipia,
        pipia_required=doc.pipia_required,
        retention=tuple(retention(line) for line in doc.retention),
        recipients=tuple(doc.recipients),
        notice=doc.notice,
        cool_down_days=doc.cool_down_days,
        consent_days=doc.consent_days,
        view_k=doc.view.k if doc.view else None,
        view_min_cell=doc.view.min_cell if doc.view else None,
        view_risk=doc.view.risk if doc.view else None,
        reveal=Operation.REVEAL in doc.operations,
        child_notice=doc.child_notice,
        notice_exemption=doc.notice_exemption,
        justification=doc.justification,
        human_review=doc.human_review,
        mechanisms=tuple(doc.mechanisms),
        inputs=tuple(doc.inputs),
        algorithm=None if doc.algorithm is None else _card(doc.algorithm),
    )


def _card(doc: d.AlgorithmDocument) -> p.AlgorithmCard:
    return p.AlgorithmCard(
        principle=frozen(doc.principle.plain()),
        intent=frozen(doc.intent.plain()),
        mechanism=frozen(doc.mechanism.plain()),
    )


def recipient(name: str, doc: d.RecipientDocument) -> p.Recipient:
    """Make one recipient."""
    return p.Recipient(id=name, **doc.model_dump())


def restricted(doc: d.RestrictedDocument) -> p.RestrictedRecipient:
    """Make one line of the list of those to whom nothing may be given."""
    return p.RestrictedRecipient(**doc.model_dump())


def role(name: str, doc: d.RoleDocument) -> p.Role:
    """Make one role."""
    return p.Role(name=name, scopes=tuple(doc.scopes), purposes=tuple(doc.purposes))


def pipia(name: str, doc: d.PipiaDocument) -> p.Pipia:
    """Make one impact assessment."""
    return p.Pipia(id=name, **doc.model_dump())


def reveal(doc: d.RevealDocument) -> p.RevealRules:
    """Make the terms of seeing plaintext."""
    return p.RevealRules(doc.permit_minutes, doc.per_hour, doc.ticket, tuple(doc.reasons))


def budget(name: str, doc: d.BudgetDocument) -> p.Budget:
    """Make one privacy budget."""
    return p.Budget(
        name=name,
        label=frozen(doc.label.plain()),
        roles=tuple(doc.roles),
        period=doc.period,
        epsilon=doc.epsilon,
        delta=doc.delta,
        answers=frozen(doc.answers.model_dump()),
    )


def search(name: str, doc: d.SearchDocument) -> p.SearchDefinition:
    """Make one search index."""
    return p.SearchDefinition(name, doc.code, doc.field, doc.form, doc.bits)


def notice(name: str, language: Language, doc: d.NoticeDocument) -> p.Notice:
    """Make one language version of a notice; its version is the digest of everything it says."""
    purposes = {
        key: p.NoticePurpose(
            purpose=key,
            text=item.text,
            method=item.method,
            operations=tuple(item.operations),
            categories=tuple(item.categories),
            necessity=item.necessity,
            impact=item.impact,
            retention=item.retention,
            expiry=item.expiry,
        )
        for key, item in doc.purposes.items()
    }
    content: dict[str, Any] = {
        "id": name,
        "language": language,
        "audience": doc.audience,
        "effective_on": doc.effective_on,
        "title": doc.title,
        "introduction": doc.introduction,
        "controller_name": doc.controller.name,
        "controller_address": doc.controller.address,
        "contact": doc.controller.contact,
        "officer": doc.controller.officer,
        "rights": frozen(doc.rights.model_dump(by_alias=True)),
        "automated_decisions": doc.automated_decisions,
        "recipients": tuple(
            p.NoticeRecipient(
                name=line.name,
                contact=line.contact,
                purpose=line.purpose,
                method=line.method,
                categories=tuple(line.categories),
                overseas=line.overseas,
                rights=line.rights,
            )
            for line in doc.recipients
        ),
        "purposes": frozen(purposes),
        "changes": doc.changes,
    }
    return p.Notice(**content, version=digest_of(content))


def source(name: str, doc: d.SourceDocument) -> p.Source:
    """Make one source."""
    return p.Source(
        name=name,
        kind=doc.kind,
        system=doc.system,
        columns=tuple(
            p.SourceColumn(
                column=header,
                target=column.target,
                format=column.format,
                values=None if column.values is None else frozen(column.values),
            )
            for header, column in doc.columns.items()
        ),
        timezone=doc.timezone,
        currency=doc.currency,
        evidence=doc.evidence,
        defaults=frozen(doc.defaults),
        make_orders=doc.make_orders,
        notice=doc.notice,
        notice_language=doc.notice_language,
    )


def view(name: str, doc: d.ViewDocument) -> p.View:
    """Make one feature view."""
    return p.View(
        name=name,
        label=frozen(doc.label.plain()),
        purpose=doc.purpose,
        features=tuple(
            p.Feature(
                name=key,
                measure=item.measure,
                edges=None if item.edges is None else tuple(item.edges),
                coarser=tuple(tuple(level) for level in item.coarser),
                hierarchy=item.hierarchy,
                unit=MEASURES[item.measure].unit if item.measure in MEASURES else "",
                weight=item.weight,
                missing=item.missing,
                label=None if item.label is None else frozen(item.label.plain()),
            )
            for key, item in doc.features.items()
        ),
        window_days=doc.window_days,
        k=doc.k,
        risk_threshold=doc.risk_threshold,
        min_cell=doc.min_cell,
        suppression_limit=doc.suppression_limit,
        consumers=tuple(doc.consumers),
        expiry_days=doc.expiry_days,
        average_risk=doc.average_risk,
        algorithm=doc.algorithm,
        sensitive=None if doc.sensitive is None else _sensitive(doc.sensitive),
        family=doc.family or "",
        headroom=doc.headroom,
        held_back_limit=doc.held_back_limit,
        linked_limit=doc.linked_limit,
        numbers=doc.numbers,
    )


def _sensitive(doc: d.SensitiveDocument) -> p.SensitiveFeature:
    diversity, closeness = doc.diversity, doc.closeness
    return p.SensitiveFeature(
        feature=doc.feature,
        diversity=None if diversity is None else diversity.kind,
        l=1.0 if diversity is None else diversity.l,
        c=3.0 if diversity is None else diversity.c,
        t=None if closeness is None else closeness.t,
        distance="equal" if closeness is None else closeness.distance,
    )


def calendar(doc: d.CalendarDocument) -> p.CalendarYear:
    """Make one calendar year."""
    days = chain.from_iterable(
        (item.first + timedelta(days=n) for n in range((item.last - item.first).days + 1)) for item in doc.holidays
    )
    source_line = f"{doc.source.document} ({doc.source.issued_by}, {doc.source.issued_on}), {doc.source.address}"
    return p.CalendarYear(
        year=doc.year,
        holidays=frozenset[date](days),
        working_weekends=frozenset(doc.working_weekends),
        source=source_line,
    )


def case(doc: d.CaseDocument) -> p.PolicyTest:
    """Make one policy test; `given` stays a parsed mapping that `tests_runner` interprets."""
    return p.PolicyTest(
        name=doc.name,
        articles=tuple(doc.articles),
        given=frozen(doc.given.model_dump()),
        expect=doc.expect,
        reasons=tuple(doc.reasons),
    )
