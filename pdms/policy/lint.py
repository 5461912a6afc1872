"""What must hold between the documents: names that refer to something, and the rules that the law or pdms itself sets.

Guarantees: every finding names file, place, rule and, where one stands behind it, the article. Pure.
Deliberately not here: advice (`check.advise`) such as a contract that ends soon; what is here stops the loading.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pdms.policy.definitions import HOME_REGION, Category, Notice, Policy, Purpose, Source
from pdms.policy.lint_pricing import PERSONALISED, pricing_problems
from pdms.policy.lint_views import view_problems, words_of
from pdms.policy.measures import FACT_TABLES
from pdms.policy.reasons import REASONS
from pdms.policy.tags import denied
from pdms.taxonomy import ConsentType, Language, LawfulBasis, Operation, Sensitivity

SEPARATE = (ConsentType.SEPARATE, ConsentType.WRITTEN)
HANDING_OVER = (Operation.PROVIDE, Operation.EXPORT, Operation.ENTRUST)

TARGETS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # kind → targets it must have, targets it may have besides (`field.*` for members, `ignore` for all)
    "members": (frozenset({"key.member"}), frozenset({"registered_at"})),
    "orders": (
        frozenset({"key.member", "key.order", "placed_at", "amount"}),
        frozenset({"status", "invoiced", "completed_at"}),
    ),
    "order_lines": (
        frozenset({"key.member", "key.order", "placed_at", "product", "quantity"}),
        frozenset({"key.line", "product_name", "category", "unit_price", "amount"}),
    ),
    "events": (frozenset({"key.member", "at", "kind"}), frozenset({"key.event", "item", "category"})),
    "interactions": (
        frozenset({"key.member", "at", "kind"}),
        frozenset({"key.interaction", "channel", "text"}),
    ),
    "consents": (
        frozenset({"key.member", "purpose", "state", "at", "evidence"}),
        frozenset({"type", "channel", "recipient", "notice", "notice_version", "language", "ui_hash"}),
    ),
}


def problems(policy: Policy) -> list[str]:
    """Return every rule that `policy` breaks, as `file: place: rule (article)`."""
    return [
        *_fields(policy),
        *_searches(policy),
        *_categories(policy),
        *(line for purpose in policy.purposes.values() for line in _purpose(policy, purpose)),
        *pricing_problems(policy),
        *_parties(policy),
        *(line for versions in policy.notices.values() for line in _notice(policy, list(versions.values()))),
        *(line for source in policy.sources.values() for line in _source(policy, source)),
        *view_problems(policy),
        *_tags(policy),
        *_tests(policy),
        *_budgets(policy),
    ]


def _fields(policy: Policy) -> Iterator[str]:
    codes: dict[int, str] = {}
    for name, field in policy.fields.items():
        place = f"policy.yaml: fields.{name}"
        if field.category not in policy.categories:
            yield f"{place}.category: no such category (PIPL-51)"
        if codes.setdefault(field.code, name) != name:
            yield f"{place}.code: used by another field"
        if field.index and not field.direct_identifier:
            yield f"{place}.index: only a direct identifier is looked up"


SEARCHED = {"last_four": ("phone_cn", "resident_id"), "bigrams": ("name",)}
"""Form of a search → normalisers of the fields that it makes sense for."""


def _searches(policy: Policy) -> Iterator[str]:
    codes: dict[int, str] = {}
    for name, search in policy.searches.items():
        place = f"policy.yaml: searches.{name}"
        held = policy.fields.get(search.field)
        if held is None:
            yield f"{place}.field: no such field"
        elif not held.direct_identifier or held.normaliser not in SEARCHED.get(search.form, (held.normaliser,)):
            yield f"{place}.form: not for this field (PIPL-6-2)"
        if codes.setdefault(search.code, name) != name:
            yield f"{place}.code: used by another search"


def _categories(policy: Policy) -> Iterator[str]:
    owner: dict[str, str] = {}
    for name, category in policy.categories.items():
        place = f"policy.yaml: categories.{name}"
        for fact in category.facts:
            if fact not in FACT_TABLES:
                yield f"{place}.facts: {fact} is not a fact table"
            elif owner.setdefault(fact, name) != name:
                yield f"{place}.facts: {fact} belongs to another category"
        if category.sensitivity is Sensitivity.SENSITIVE and category.facts:
            yield f"{place}.facts: sensitive data stay in the vault, never in facts (PIPL-28-2)"
    for fact in sorted(FACT_TABLES - set(owner)):
        yield f"policy.yaml: categories: no category classifies the fact table {fact} (PIPL-51)"


def _sensitive(policy: Policy, names: tuple[str, ...]) -> list[Category]:
    found = [policy.categories[name] for name in names if name in policy.categories]
    return [category for category in found if category.sensitivity is Sensitivity.SENSITIVE]


def _purpose(policy: Policy, purpose: Purpose) -> Iterator[str]:
    place = f"policy.yaml: purposes.{purpose.name}"
    for name in (*purpose.categories, *purpose.forbid_categories):
        if name not in policy.categories:
            yield f"{place}.categories: {name} is not a category"
    for name in purpose.deny_fields:
        if name not in policy.fields:
            yield f"{place}.deny_fields: {name} is not a field"
    for name in purpose.recipients:
        if name not in policy.recipients:
            yield f"{place}.recipients: {name} is not a recipient"
    yield from _purpose_basis(policy, purpose, place)
    yield from _purpose_regulated(policy, purpose, place)
    yield from _purpose_told(policy, purpose, place)


def _purpose_basis(policy: Policy, purpose: Purpose, place: str) -> Iterator[str]:
    if purpose.basis is LawfulBasis.CONSENT and not purpose.rests_on_consent:
        yield f"{place}.consent: the basis is consent, so a type of consent must be named (PIPL-13-1)"
    if purpose.rests_on_consent and purpose.basis not in (LawfulBasis.CONSENT, LawfulBasis.CONTRACT):
        yield f"{place}.consent: asking for consent beside another basis misleads (PIPL-13-2)"
    if (
        purpose.basis is LawfulBasis.CONTRACT
        and purpose.rests_on_consent
        and not _sensitive(policy, purpose.categories)
    ):
        yield f"{place}.consent: what a contract needs does not depend on consent (PIPL-16, 13-2)"
    if purpose.consent is ConsentType.GUARDIAN:
        yield f"{place}.consent: guardians' consent is asked for by `minors: guardian` (PIPL-31-1)"
    if purpose.basis is LawfulBasis.NOT_PERSONAL and purpose.categories:
        yield f"{place}.categories: data that are not personal have no data category (PIPL-4)"
    if purpose.cool_down_days and not purpose.rests_on_consent:
        yield f"{place}.cool_down_days: nothing is asked for this purpose"


def _purpose_regulated(policy: Policy, purpose: Purpose, place: str) -> Iterator[str]:
    operations = set(purpose.operations)
    sensitive = _sensitive(policy, purpose.categories)
    asks = purpose.basis is LawfulBasis.CONSENT or (
        policy.strict_separate and purpose.basis is not LawfulBasis.LEGAL_DUTY
    )
    if sensitive and not purpose.justification:
        yield f"{place}.justification: missing; sensitive data need a specific purpose and necessity (PIPL-28-2)"
    if sensitive and asks and purpose.consent not in SEPARATE:
        yield f"{place}.consent: sensitive data need a separate or written consent (PIPL-29)"
    if operations & {Operation.PROVIDE, Operation.EXPORT} and asks and purpose.consent not in SEPARATE:
        yield f"{place}.consent: providing to others or abroad needs a separate consent (PIPL-23, 39)"
    if operations & {Operation.PROVIDE, Operation.EXPORT} and not purpose.per_recipient:
        yield f"{place}.per_recipient: a consent to provide is for one recipient (PIPL-23)"
    if Operation.EXPORT in operations and not purpose.mechanisms:
        yield f"{place}.mechanisms: missing; export needs a mechanism (PIPL-38-1)"
    must_assess = bool(sensitive) or bool(operations & {*PERSONALISED, *HANDING_OVER})
    if must_assess and not purpose.pipia_required and purpose.basis is not LawfulBasis.LEGAL_DUTY:
        yield f"{place}.pipia_required: this use needs an impact assessment first (PIPL-55)"
    if purpose.pipia and purpose.pipia not in policy.pipias:
        yield f"{place}.pipia: {purpose.pipia} is not an assessment"
    elif purpose.pipia and policy.pipias[purpose.pipia].purpose != purpose.name:
        yield f"{place}.pipia: {purpose.pipia} assesses another purpose (PIPL-55)"
    personalised = operations & {*PERSONALISED, Operation.SEND} and purpose.basis is LawfulBasis.CONSENT
    if personalised and (purpose.minors != "deny" or purpose.unknown_age != "deny"):
        yield f"{place}.minors: no automated marketing to minors, nor where the age is unknown (MIN-24-3)"
    if operations & set(PERSONALISED) and purpose.basis is LawfulBasis.CONSENT and not purpose.opt_out:
        yield f"{place}.opt_out: automated decisions need an easy way out (PIPL-24-2)"
    if operations & set(PERSONALISED) and purpose.algorithm is None:
        yield f"{place}.algorithm: missing; its principle, intent and mechanism are told to everybody (ALG-16)"
    if Operation.SEND in operations and purpose.basis is LawfulBasis.CONSENT and purpose.channel is None:
        yield f"{place}.channel: missing; each channel is asked for by itself (ADL-43)"
    if Operation.ADM in operations and purpose.basis is not LawfulBasis.CONSENT and not purpose.human_review:
        yield f"{place}.human_review: an automated decision without consent needs a human who reviews it (PIPL-24-3)"
    yield from _abroad(policy, purpose, place)
    for line in purpose.retention:
        if line.action == "restrict" and not line.article.startswith(("ECL-31", "TAX-29")) and not line.approved_by:
            yield f"{place}.retention: only laws and administrative regulations support a hold (PIPL-47-2)"
        if line.article.startswith("ECL-31") and line.when != "platform":
            yield f"{place}.retention: three years bind platforms only: say `when: platform` (ECL-31)"
        if line.when == "voucher" and line.fields:
            yield f"{place}.retention: a voucher hold keeps no member field (TAX-29)"
        for fact in line.facts:
            if fact not in FACT_TABLES:
                yield f"{place}.retention: {fact} is not a fact table"
        for field in line.fields:
            if field not in policy.fields:
                yield f"{place}.retention: {field} is not a field"


def _abroad(policy: Policy, purpose: Purpose, place: str) -> Iterator[str]:
    for name in purpose.recipients:
        recipient = policy.recipients.get(name)
        if recipient is None:
            continue
        if recipient.region != HOME_REGION and Operation.EXPORT not in purpose.operations:
            yield f"{place}.recipients: {name} is abroad; only the operation export reaches it (PIPL-38-1)"
        if Operation.EXPORT in purpose.operations and recipient.region == HOME_REGION:
            yield f"{place}.recipients: {name} is not abroad; export is for those who are (PIPL-38-1)"


def _purpose_told(policy: Policy, purpose: Purpose, place: str) -> Iterator[str]:
    if purpose.basis is LawfulBasis.NOT_PERSONAL:
        return
    if (purpose.notice is None) == (purpose.notice_exemption is None):
        yield f"{place}.notice: name a notice, or the exemption from it, one of the two (PIPL-17-1, 18)"
    if purpose.minors == "guardian" and purpose.child_notice is None:
        yield f"{place}.child_notice: missing; children need a notice of their own (PIPL-31-2)"
    for key, name, audience in (("notice", purpose.notice, "adult"), ("child_notice", purpose.child_notice, "child")):
        if name is None:
            continue
        if name not in policy.notices:
            yield f"{place}.{key}: {name} is not a notice (PIPL-17-1)"
            continue
        for notice in policy.notices[name].values():
            if notice.audience != audience:
                yield f"{place}.{key}: {name} is not written for this audience (PIPL-31-2)"
            yield from _told(policy, purpose, notice)


def _told(policy: Policy, purpose: Purpose, notice: Notice) -> Iterator[str]:
    file = _notice_file(notice)
    told = notice.purposes.get(purpose.name)
    if told is None:
        yield f"{file}: purposes.{purpose.name}: missing; the policy says this notice tells of it (PIPL-17-1)"
        return
    for category in sorted(set(purpose.categories) - set(told.categories)):
        yield f"{file}: purposes.{purpose.name}.categories: {category} is used and not told (PIPL-17-1)"
    for operation in sorted(set(purpose.operations) - set(told.operations)):
        yield f"{file}: purposes.{purpose.name}.operations: {operation} is done and not told (PIPL-17-1)"
    if notice.audience == "child" or _sensitive(policy, told.categories):
        for key, value in (("necessity", told.necessity), ("impact", told.impact)):
            if not value:
                yield f"{file}: purposes.{purpose.name}.{key}: missing; sensitive data and children (PIPL-30)"


def _notice_file(notice: Notice) -> str:
    return f"notices/{notice.id}/{notice.language}.yaml"


def _notice(policy: Policy, versions: list[Notice]) -> Iterator[str]:
    if {notice.language for notice in versions} != set(Language):
        name = versions[0].id if versions else "?"
        yield f"notices/{name}: one file for each of {', '.join(Language)} is needed"
    for notice in versions:
        file = _notice_file(notice)
        for name, told in notice.purposes.items():
            if name not in policy.purposes:
                yield f"{file}: purposes.{name}: no such purpose (PIPL-6-1)"
            for category in told.categories:
                if category not in policy.categories:
                    yield f"{file}: purposes.{name}.categories: {category} is not a category"
        yield from _notice_recipients(policy, notice, file)
    for one, other in pairwise(versions):
        terms = [
            {name: (told.categories, told.operations) for name, told in notice.purposes.items()}
            for notice in (one, other)
        ]
        if terms[0] != terms[1] or one.audience != other.audience or one.effective_on != other.effective_on:
            yield f"notices/{one.id}: the languages differ in purposes, categories, operations, audience or date"


def _notice_recipients(policy: Policy, notice: Notice, file: str) -> Iterator[str]:
    named = {line.name: line for line in notice.recipients}
    used = [name for purpose in notice.purposes if purpose in policy.purposes
            for name in policy.purposes[purpose].recipients if name in policy.recipients]  # fmt: skip
    for recipient in dict.fromkeys(used):
        line = named.get(policy.recipients[recipient].name)
        if line is None:
            yield f"{file}: recipients: {recipient} gets data and is not listed (PIPL-23, NDR-21)"
        elif policy.recipients[recipient].region != HOME_REGION:
            if not line.overseas:
                yield f"{file}: recipients: {recipient} is abroad, which is not told: say `overseas: true` (PIPL-39)"
            if not line.rights:
                yield f"{file}: recipients: {recipient} is abroad; tell how rights reach it under `rights` (PIPL-39)"


def _parties(policy: Policy) -> Iterator[str]:
    logged: dict[str, str] = {}
    for name in policy.recipients:
        other = logged.setdefault(name.replace("_", "-"), name)
        if other != name:  # an event's references hold no underscore
            yield f"policy.yaml: recipients.{name}: the log writes it as it writes {other}"
    for name, role in policy.roles.items():
        for purpose in role.purposes:
            if purpose not in policy.purposes:
                yield f"policy.yaml: roles.{name}.purposes: {purpose} is not a purpose"
    for name, pipia in policy.pipias.items():
        if pipia.purpose not in policy.purposes:
            yield f"policy.yaml: pipias.{name}.purpose: no such purpose"
        if pipia.review_by <= pipia.approved_on:
            yield f"policy.yaml: pipias.{name}.review_by: not later than its approval (PIPL-55)"


def _budgets(policy: Policy) -> Iterator[str]:
    told: dict[str, str] = {}
    for name, budget in policy.budgets.items():
        for role in budget.roles:
            if role not in policy.roles:
                yield f"policy.yaml: budgets.{name}.roles: {role} is not a role"
            other = told.setdefault(role, name)
            if other != name:  # one head would spend two budgets on the same members
                yield f"policy.yaml: budgets.{name}.roles: {role} stands in {other} already"
        # the least that the conversion to zCDP can give (Bun and Steinke 2016, proposition 1.3)
        root = math.sqrt(math.log(1 / budget.delta))
        least = (math.sqrt(root**2 + budget.epsilon) - root) ** 2
        for kind, rho in budget.answers.items():
            if rho > least:
                yield f"policy.yaml: budgets.{name}.answers.{kind}: one answer would cost more than the whole budget"


def _source(policy: Policy, source: Source) -> Iterator[str]:
    file = f"sources/{source.name}.yaml"
    must, may = TARGETS[source.kind]
    targets = [column.target for column in source.columns]
    for target in sorted({t for t in targets if t != "ignore" and targets.count(t) > 1}):
        yield f"{file}: columns: {target} is the target of two columns"
    for target in sorted(must - set(targets) - set(source.defaults)):
        yield f"{file}: columns: none has the target {target}"
    for target in (*targets, *source.defaults):
        if target.startswith("field.") and source.kind == "members":
            yield from _collected(policy, target.removeprefix("field."), file)
        elif target not in must | may | {"ignore"}:
            yield f"{file}: columns: {target} is not a target of kind {source.kind}"
    try:
        ZoneInfo(source.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"{file}: timezone: unknown"
    if source.make_orders and source.kind != "order_lines":
        yield f"{file}: make_orders: only for kind order_lines"
    if source.kind == "consents" and not source.evidence:
        yield f"{file}: evidence: missing; an imported consent must be provable (PIPL-14-1, 69)"
    if source.notice is not None and (
        source.kind != "members"
        or source.notice not in policy.notices
        or any(notice.audience != "adult" for notice in policy.notices[source.notice].values())
    ):
        yield f"{file}: notice: only for kind members, and a notice for adults"


def _collected(policy: Policy, name: str, file: str) -> Iterator[str]:
    field = policy.fields.get(name)
    if field is None:
        yield f"{file}: columns: field.{name} is not a field"
    elif not any(
        field.category in purpose.categories
        and name not in purpose.deny_fields
        and Operation.COLLECT in purpose.operations
        for purpose in policy.purposes.values()
    ):
        yield f"{file}: columns: no purpose collects field.{name} (PIPL-6-2)"


def _tags(policy: Policy) -> Iterator[str]:
    """Names and labels that would be tags of members (ALG-10); saved segments are checked where they are saved."""
    for view in policy.views.values():
        if denied(policy.denied_tags, words_of(view)):
            yield f"views/{view.name}.yaml: its name, a label or a feature is a tag that the policy denies (ALG-10)"
    for name, said in policy.segments.items():
        label = said.get("label")
        texts = [str(one) for one in label.values()] if isinstance(label, Mapping) else [str(label or "")]
        if denied(policy.denied_tags, (name, str(said.get("name", "")), *texts)):
            yield f"segments/{name}.yaml: its name or label is a tag that the policy denies (ALG-10)"


def _tests(policy: Policy) -> Iterator[str]:
    for case in policy.tests:
        for code in case.reasons:
            if code not in REASONS:
                yield f"tests: {case.name}: {code} is not a registered reason"
        if bool(case.reasons) != (case.expect == "deny"):
            yield f"tests: {case.name}: a denial names its reasons, a permit has none"
