"""A gate written apart from pdms, straight from the requirements map: one member, plain facts, one long list of noes.

It shares no rule with `pdms.policy.decide`: whatever pdms permits and this refuses is a defect of one of them. Ages are
counted by the birthday itself, where pdms stores the first of the next month: it may refuse for longer, never for less.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

CHINA = timezone(timedelta(hours=8))
STRENGTH = ["consent", "separate", "written"]
STOPS_FIRST = ["requested", "given", "expired", "invalidated", "refused", "withdrawn"]


@dataclass
class Said:
    """One consent event as the member would tell of it."""

    purpose: str
    recipient: str
    state: str
    kind: str
    at: datetime
    categories: frozenset[str]
    operations: frozenset[str]
    audience: str
    order: int


@dataclass
class Person:
    """One member, as life knows them."""

    born: date | None
    status: str = "active"
    said: list[Said] = field(default_factory=list)
    shown: list[dict[str, tuple[frozenset[str], frozenset[str]]]] = field(default_factory=list)
    """What each notice shown told: purpose to categories and operations."""
    wishes: set[tuple[str, str, str]] = field(default_factory=set)


def age(person: Person, today: date) -> int | None:
    """Full years, from the day after the birthday on."""
    if person.born is None:
        return None
    had = (today.month, today.day) > (person.born.month, person.born.day)
    return today.year - person.born.year - (0 if had else 1)


def refuses(policy: Any, person: Person, use: Any, now: datetime) -> str | None:
    """Return why the use of this person's data is refused, in words, or None."""
    today = now.astimezone(CHINA).date()
    purpose = policy.purposes.get(use.purpose)
    if purpose is None:
        return "PIPL-6-1: no such purpose"
    if use.operation not in purpose.operations:
        return "NDR-22(4): not a method of this purpose"
    touched = set(use.categories or purpose.categories)
    if not touched <= set(purpose.categories):
        return "PIPL-6-2: more data than the purpose needs"
    if use.operation in ("entrust", "provide", "export"):
        other = policy.recipients.get(use.recipient)
        if other is None or use.recipient not in purpose.recipients:
            return "PIPL-23: nobody it may be given to"
        if other.contract_until is None or today > other.contract_until:
            return "PIPL-21: no contract"
        if use.operation == "export" and (
            other.mechanism is None or (other.mechanism_until is not None and today > other.mechanism_until)
        ):
            return "PIPL-38-1: no mechanism"
    if purpose.pipia_required:
        assessment = policy.pipias.get(purpose.pipia)
        if assessment is None or not assessment.approved_on <= today <= assessment.review_by:
            return "PIPL-55: not assessed"
    if purpose.basis == "not_personal":
        return None
    return _person_refuses(purpose, person, use, touched, now, today)


def _person_refuses(
    purpose: Any, person: Person, use: Any, touched: set[str], now: datetime, today: date
) -> str | None:
    duty = purpose.basis == "legal_duty"
    if person.status == "erased" or (person.status == "disabled" and not duty):
        return "ECL-24: the account is closed"
    for kind, about, channel in person.wishes:
        if kind == "no_kin":
            continue
        if kind == "do_not_contact":
            if use.operation == "send" and channel in ("", purpose.channel):
                return "ADL-43: asked not to be contacted"
        elif about in ("", purpose.name):
            if kind == "adm_opt_out":
                if purpose.opt_out:
                    return "PIPL-24-2: switched off"
            elif not duty and use.operation not in ("store", "secure"):
                return "PIPL-44: restricted or objected to"
    years = age(person, today)
    if years is None and purpose.unknown_age == "deny":
        return "MIN-24-3: nobody knows their age"
    if years is not None and years < 18 and purpose.minors == "deny":
        return "MIN-24-3: a minor"
    consent = _latest(person, purpose, use.recipient)
    if years is not None and years < 14 and purpose.minors == "guardian":
        if consent is None or consent.state != "given" or consent.kind != "guardian":
            return "PIPL-31-1: no guardian agreed"
        if consent.audience != "child":
            return "PIPL-31-2: not by the children's rules"
        return _reach(purpose, consent, use, touched, now)
    if purpose.consent == "none":
        for told in person.shown:
            categories, operations = told.get(purpose.name, (frozenset(), frozenset()))
            if touched <= categories and use.operation in operations:
                return None
        return None if purpose.notice is None else "PIPL-17-1: never told"
    if consent is None or consent.state != "given":
        return "PIPL-13-1: no consent stands"
    if consent.kind == "guardian":
        if years is not None and years >= 14:
            return "PIPL-31-1: old enough to answer for themself"
    elif STRENGTH.index(consent.kind) < STRENGTH.index(purpose.consent):
        return "PIPL-29: not the consent it takes"
    return _reach(purpose, consent, use, touched, now)


def _reach(purpose: Any, consent: Said, use: Any, touched: set[str], now: datetime) -> str | None:
    if purpose.consent_days is not None and now >= consent.at + timedelta(days=purpose.consent_days):
        return "NDR-22(4): has run out"
    if not touched <= consent.categories or use.operation not in consent.operations:
        return "PIPL-14-2: agreed to something else"
    return None


def _latest(person: Person, purpose: Any, recipient: str | None) -> Said | None:
    about = {""} | ({recipient or ""} if purpose.per_recipient else set())
    heard = [one for one in person.said if one.purpose == purpose.name and one.recipient in about]
    decided = [one for one in heard if one.state != "requested"] or heard
    return max(decided, key=lambda one: (one.at, STOPS_FIRST.index(one.state), one.order), default=None)
