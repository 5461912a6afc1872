"""Access packages (PIPL-45, NDR-25): what is held of a member and why, as JSON and as a readable page in one archive.

Guarantees: the archive lies sealed under a key that is only in its one-time link; the link is stored as a keyed digest;
opening it once removes it; nobody but the link's holder can open it, pdms included. Third parties' data are not in it.
"""

import io
import json
import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, delete, or_, select

from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event
from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.crypto import BlindIndex, open_blob, seal_blob, sealing_suite
from pdms.db import Lock, await_holders, beside
from pdms.errors import NotFound
from pdms.facts import service as facts
from pdms.gate import service as gate
from pdms.rights import disclosure
from pdms.rights.package_page import page
from pdms.rights.tables import AccessPackageRow, SubjectRequestRow
from pdms.taxonomy import Language, MemberId, Operation, new_id
from pdms.unit_of_work import UnitOfWork
from pdms.vault import service as vault

LINK_LABEL = "package-links"
LINK_DAYS = 7
EVENTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PackageLink:
    """The one-time link's secret part; whoever holds it opens the package, once."""

    package_id: str
    secret: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"PackageLink({self.package_id}, …)"


@dataclass(frozen=True, slots=True)
class OpenedPackage:
    """A package as its member receives it."""

    filename: str
    content: bytes

    def __repr__(self) -> str:
        return f"OpenedPackage({self.filename}, …)"


def build(uow: UnitOfWork, row: SubjectRequestRow) -> PackageLink:
    """Collect, seal and store the package of an access request; return its link."""
    member = MemberId(row.member_id)
    document = collect(uow, member)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data.json", json.dumps(document, ensure_ascii=False, indent=1, default=_text))
        file.writestr("index.html", page(document))
    package_id, secret = new_id("pkg"), secrets.token_urlsafe(32)
    path = _path(uow, package_id)
    suite = sealing_suite(uow.keys.system_key(LINK_LABEL))  # the word of the link knows of no suite
    beside(uow.session.connection(), Lock.PACKAGES)  # until this is committed, no sweep takes the file for left over
    draft = path.with_suffix(".tmp")
    draft.write_bytes(seal_blob(secret.encode(), archive.getvalue(), context=package_id.encode(), suite=suite))
    draft.chmod(0o600)
    draft.replace(path)
    expires = uow.now + timedelta(days=LINK_DAYS)
    uow.session.add(
        AccessPackageRow(
            package_id=package_id,
            request_id=row.request_id,
            member_id=member,
            link_digest=_digest(uow, secret),
            created_at=uow.now,
            expires_at=expires,
        )
    )
    uow.record(EventKind.PACKAGE_CREATED, member=member, refs={"request": row.request_id, "package": package_id})
    return PackageLink(package_id, secret, expires)


def open_package(uow: UnitOfWork, *, secret: str) -> OpenedPackage:
    """Open a package by its link, once. :raises NotFound: unknown, opened already, or expired; all look the same."""
    query = select(AccessPackageRow).where(col(AccessPackageRow.link_digest) == _digest(uow, secret))
    row = uow.session.exec(query.with_for_update()).first()  # of two at once, the second sees that it was opened
    path = _path(uow, row.package_id) if row is not None else None
    if row is None or path is None or row.opened_at is not None or row.expires_at <= uow.now or not path.exists():
        raise NotFound("link: it opens nothing (any more)")
    content = open_blob(secret.encode(), path.read_bytes(), context=row.package_id.encode())
    row.opened_at = uow.now
    uow.session.add(row)
    uow.record(
        EventKind.PACKAGE_OPENED,
        member=MemberId(row.member_id),
        refs={"request": row.request_id, "package": row.package_id},
    )
    # Noted as opened before it leaves; the sealed file goes now, the link has served.
    uow.commit_intent()
    path.unlink(missing_ok=True)
    return OpenedPackage("my-data.zip", content)


def drop_all(uow: UnitOfWork, member_id: MemberId) -> int:
    """Remove every package of a member (erasure). Returns how many."""
    rows = uow.session.exec(select(AccessPackageRow).where(col(AccessPackageRow.member_id) == member_id)).all()
    for row in rows:
        _path(uow, row.package_id).unlink(missing_ok=True)
    uow.session.exec(delete(AccessPackageRow).where(col(AccessPackageRow.member_id) == member_id))
    return len(rows)


def drop_expired(uow: UnitOfWork) -> int:
    """Remove packages whose link has expired or served (sweep). Returns how many."""
    there = list(uow.home.packages.iterdir())
    await_holders(uow.session.connection(), Lock.PACKAGES)
    over = or_(col(AccessPackageRow.expires_at) <= uow.now, col(AccessPackageRow.opened_at).is_not(None))
    rows = uow.session.exec(select(AccessPackageRow).where(over)).all()
    known = set(uow.session.exec(select(AccessPackageRow.package_id)))
    for row in rows:
        _path(uow, row.package_id).unlink(missing_ok=True)
        uow.session.delete(row)
    for path in there:  # a crash between writing the file and committing its row
        if path.stem not in known:
            path.unlink(missing_ok=True)
    return len(rows)


def collect(uow: UnitOfWork, member_id: MemberId) -> dict[str, Any]:
    """Return everything held of a member, with purposes, bases, recipients and retention (PIPL-45)."""
    policy = uow.policy
    permit = gate.permit(
        uow, member_id=member_id, purpose="rights", operation=Operation.REVEAL, fields=tuple(policy.fields)
    )
    fields = vault.reveal(uow, permit, member_id=member_id, fields=tuple(policy.fields))
    found = facts.of_subject(uow.home, vault.pseudonym_of(uow, member_id))
    return {
        "made_at": uow.now.astimezone(SHANGHAI).isoformat(timespec="seconds"),
        "controller": {
            "name": policy.controller.name,
            "address": policy.controller.address,
            "contact": policy.controller.contact,
            "officer": policy.controller.officer,
        },
        "identity": fields,
        "facts": {table.value: rows for table, rows in found.items()},
        "consents": [_record(entry) for entry in consent.history(uow, member_id=member_id)],
        "purposes": [
            {
                "purpose": purpose.name,
                "label": purpose.label,
                "basis": purpose.basis.value,
                "article": purpose.article,
                "categories": purpose.categories,
                "recipients": purpose.recipients,
                "retention": [f"{r.trigger}+{r.days}d: {r.action} ({r.article})" for r in purpose.retention],
            }
            for purpose in policy.purposes.values()
        ],
        "events": [
            {"at": e.at.isoformat(), "kind": e.kind.value, "purpose": e.purpose}
            for e in _events(uow, member_id)
            if e.purpose != disclosure.PURPOSE  # secrecy may have been asked for (PIPL-18, 45-1)
        ],
        "rights": {
            Language.ZH.value: "您可以更正、删除、撤回同意、限制处理，并可向履行个人信息保护职责的部门投诉"
            "或向人民法院起诉（个人信息保护法第44至50、65条）。",
            Language.EN.value: "You may correct, delete, withdraw consent, restrict processing, complain to the "
            "authority or sue (PIPL art. 44 to 50 and 65).",
        },
    }


def _events(uow: UnitOfWork, member_id: MemberId) -> Iterator[Event]:
    after: int | None = None
    while True:
        found = audit.list_events(uow.session, member_id=member_id.hex(), after=after, limit=EVENTS_AT_ONCE)
        yield from (item.event for item in found.items)
        if (after := found.next) is None:
            return


def _record(entry: object) -> dict[str, Any]:
    from dataclasses import asdict

    return {k: v for k, v in asdict(entry).items() if k not in ("member_id", "seq")}  # type: ignore[call-overload]  # one of several dataclasses


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).isoformat(timespec="seconds")
    return str(value)


def _digest(uow: UnitOfWork, secret: str) -> bytes:
    return BlindIndex(uow.keys.system_key(LINK_LABEL)).digest(secret.encode()[:128])


def _path(uow: UnitOfWork, package_id: str) -> Path:
    return uow.home.packages / f"{package_id}.sealed"
