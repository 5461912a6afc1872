"""Notices: published versions and what each told.

Guarantees: a version is content-addressed and never changes; the text shown can be rendered again from it, word for
word. What a version must contain is checked when the policy loads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Table, select

from pdms.audit.catalogue import EventKind
from pdms.clock import SHANGHAI
from pdms.consent.notice_diff import NoticeDiff, compare
from pdms.consent.tables import NoticeDelivery, NoticeVersion
from pdms.db import Session
from pdms.errors import InvalidInput, NotFound
from pdms.policy.canonical import text_of
from pdms.policy.definitions import Notice, Policy
from pdms.taxonomy import Language, Operation
from pdms.unit_of_work import UnitOfWork

DELIVERED: Table = NoticeDelivery.__table__  # type: ignore[attr-defined] # SQLModel makes it


@dataclass(frozen=True, slots=True)
class Terms:
    """What one version told: the part that decisions compare with."""

    notice_no: int
    notice_id: str
    version: str
    language: Language
    audience: Literal["adult", "child"]
    effective_on: date
    title: str
    purposes: Mapping[str, tuple[tuple[str, ...], tuple[Operation, ...]]]
    """Purpose → categories, operations."""


@dataclass(frozen=True, slots=True)
class PublishedNotice:
    """A version that was published now."""

    notice_id: str
    version: str
    language: Language


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A version as members see it."""

    notice_id: str
    version: str
    language: Language
    audience: str
    effective_on: date
    title: str
    text: str


def publish_notices(uow: UnitOfWork) -> tuple[PublishedNotice, ...]:
    """Publish the versions of the policy in force that are new; return them. Twice changes nothing."""
    known = {row.version for row in all_terms(uow.session).values()}
    fresh = []
    for versions in uow.policy.notices.values():
        for notice in versions.values():
            if notice.version in known:
                continue
            uow.session.add(
                NoticeVersion(
                    notice_id=notice.id,
                    version=notice.version,
                    language=notice.language.value,
                    audience=notice.audience,
                    effective_on=notice.effective_on,
                    title=notice.title,
                    content=content_of(notice),
                    published_at=uow.now,
                )
            )
            uow.record(EventKind.NOTICE_PUBLISHED, refs={"notice": notice.id, "version": notice.version})
            fresh.append(PublishedNotice(notice.id, notice.version, notice.language))
    uow.session.flush()
    uow.session.info.pop(_TERMS, None)
    return tuple(fresh)


def content_of(notice: Notice) -> str:
    """Return the canonical JSON of a notice; its SHA-256 is the version."""
    return text_of({f.name: getattr(notice, f.name) for f in fields(notice) if f.name != "version"})


_TERMS = "pdms.consent.terms"
"""Key under which one session keeps what it read: versions are only ever added, by `publish_notices`."""


def all_terms(session: Session) -> dict[int, Terms]:
    """Return the terms of every published version, by number. Read once per session."""
    found: dict[int, Terms] | None = session.info.get(_TERMS)
    if found is None:
        rows = session.connection().exec_driver_sql("SELECT notice_no, version FROM notice").all()
        found = session.info[_TERMS] = {number: _terms(session, number, version) for number, version in rows}
    return found


_PARSED: dict[str, Terms] = {}
"""Content-addressed, hence never stale; a handful per home. The number is a home's own, so it is set anew."""


def _terms(session: Session, number: int, version: str) -> Terms:
    found = _PARSED.get(version)
    if found is None or found.notice_no != number:
        sql = "SELECT content FROM notice WHERE notice_no = ?"
        found = _PARSED[version] = _parse(
            number, version, session.connection().exec_driver_sql(sql, (number,)).scalar()
        )
    return found


def _parse(number: int, version: str, content: Any) -> Terms:
    said = json.loads(content)
    return Terms(
        notice_no=number,
        notice_id=said["id"],
        version=version,
        language=Language(said["language"]),
        audience=said["audience"],
        effective_on=date.fromisoformat(said["effective_on"]),
        title=said["title"],
        purposes={
            name: (tuple(item["categories"]), tuple(Operation(op) for op in item["operations"]))
            for name, item in said["purposes"].items()
        },
    )


def in_force(policy: Policy, session: Session, *, notice: str, language: Language) -> Terms:
    """Return the published terms of the version that the policy names.

    :raises InvalidInput: no such notice. :raises NotFound: it was not published (the policy is not active).
    """
    versions = policy.notices.get(notice)
    if versions is None or language not in versions:
        raise InvalidInput("notice: no such notice in this language", code="NOTICE_UNKNOWN")
    version = versions[language].version
    for terms in all_terms(session).values():
        if terms.version == version:
            return terms
    raise NotFound("the notice version in force is not published; activate the policy first")


def version_at(terms: Mapping[int, Terms], *, notice: str, language: Language, day: date) -> Terms | None:
    """Return the version of a notice that was in force on `day` (the latest effective by then), if any."""
    held = [
        item
        for item in terms.values()
        if item.notice_id == notice and item.language is language and item.effective_on <= day
    ]
    return max(held, key=lambda item: (item.effective_on, item.notice_no), default=None)


def notice_text(uow: UnitOfWork, *, version: str) -> NoticeText:
    """Return one version as it is shown. :raises NotFound: no such version."""
    row = uow.session.execute(select(NoticeVersion).where(NoticeVersion.version == version)).scalar_one_or_none()  # type: ignore[arg-type] # a column, typed as its value
    if row is None:
        raise NotFound("no such notice version")
    return NoticeText(
        notice_id=row.notice_id,
        version=row.version,
        language=Language(row.language),
        audience=row.audience,
        effective_on=row.effective_on,
        title=row.title,
        text=render(row.content),
    )


def notice_content(uow: UnitOfWork, *, version: str) -> str:
    """Return the canonical JSON of one version: its SHA-256 is the version. :raises NotFound: no such version."""
    query = select(NoticeVersion.content).where(NoticeVersion.version == version)  # type: ignore[call-overload] # a column, typed as its value
    found: str | None = uow.session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound("no such notice version")
    return found


def notice_diff(uow: UnitOfWork, *, before: str, after: str) -> NoticeDiff:
    """Return what changed between two published versions of one notice in one language (PIPL-17-2).

    :raises NotFound: no such version. :raises InvalidInput: they are of two notices or languages.
    """
    contents = [notice_content(uow, version=version) for version in (before, after)]
    terms = {item.version: item for item in all_terms(uow.session).values()}
    if (terms[before].notice_id, terms[before].language) != (terms[after].notice_id, terms[after].language):
        raise InvalidInput("before: of another notice or language", code="NOTICE_UNLIKE")
    return compare(*contents, versions=(before, after))


def versions(uow: UnitOfWork) -> tuple[NoticeText, ...]:
    """Return every published version, oldest first."""
    rows = uow.session.execute(select(NoticeVersion).order_by(NoticeVersion.notice_no)).scalars()  # type: ignore[arg-type] # a column, typed as its value
    return tuple(notice_text(uow, version=row.version) for row in list(rows))


_HEADINGS = {
    Language.ZH: {
        "handler": "处理者",
        "effective": "生效日期",
        "method": "处理方式",
        "categories": "个人信息种类",
        "necessity": "必要性",
        "impact": "对个人权益的影响",
        "retention": "保存期限",
        "expiry": "期满处理",
        "rights": "您的权利",
        "automated": "自动化决策",
        "recipients": "接收方",
        "changes": "变更内容",
    },
    Language.EN: {
        "handler": "Handler",
        "effective": "Effective from",
        "method": "How",
        "categories": "Categories",
        "necessity": "Why it is necessary",
        "impact": "What it means for you",
        "retention": "How long",
        "expiry": "Afterwards",
        "rights": "Your rights",
        "automated": "Automated decisions",
        "recipients": "Recipients",
        "changes": "What changed",
    },
}


@lru_cache(maxsize=64)
def render(content: str) -> str:
    """Return the text shown, from the canonical content; the same content gives the same text for ever."""
    said: dict[str, Any] = json.loads(content)
    head = _HEADINGS[Language(said["language"])]
    lines = [said["title"], "", said["introduction"], ""]
    lines.append(f"{head['handler']}: {said['controller_name']}, {said['controller_address']}, {said['contact']}")
    lines += [said["officer"], f"{head['effective']}: {said['effective_on']}", ""]
    for name in sorted(said["purposes"]):
        lines += [purpose_text(content, name), ""]
    lines.append(head["rights"])
    lines += [f"- {key}: {value}" for key, value in sorted(said["rights"].items())]
    lines += ["", f"{head['automated']}: {said['automated_decisions']}", "", head["recipients"]]
    for item in said["recipients"]:
        lines.append(f"- {item['name']} ({item['contact']}): {item['purpose']}; {item['method']}")
        if item.get("rights"):  # versions of older policies do not have the key
            lines.append(f"  {head['rights']}: {item['rights']}")
    if said["changes"]:
        lines += ["", f"{head['changes']}: {said['changes']}"]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=256)
def purpose_text(content: str, purpose: str) -> str:
    """Return what the content says of one purpose; "" where it says nothing."""
    said = json.loads(content)
    item = said["purposes"].get(purpose)
    if item is None:
        return ""
    head = _HEADINGS[Language(said["language"])]
    lines = [f"[{purpose}] {item['text']}", f"{head['method']}: {item['method']}"]
    lines.append(f"{head['categories']}: {', '.join(item['categories']) or '-'}")
    lines += [f"{head[key]}: {item[key]}" for key in ("necessity", "impact") if item[key]]
    lines += [f"{head['retention']}: {item['retention']}", f"{head['expiry']}: {item['expiry']}"]
    return "\n".join(lines)


def telling(
    policy: Policy, terms: Mapping[int, Terms], *, purpose: str, required: frozenset[str], operation: Operation
) -> frozenset[int]:
    """Return the numbers of the versions of the purpose's notice that tell of this operation on these categories."""
    definition = policy.purposes[purpose]
    names = {definition.notice, definition.child_notice} - {None}
    found = set()
    for number, item in terms.items():
        told = item.purposes.get(purpose)
        if item.notice_id in names and told and required.issubset(told[0]) and operation in told[1]:
            found.add(number)
    return frozenset(found)


def day_of(instant: datetime) -> date:
    """Return the legal day of an instant."""
    return instant.astimezone(SHANGHAI).date()
