"""Acts that take a second operator and span both sides of the boundary: what is asked, and exports once approved.

Guarantee: an export uses its approval up before its rows are made, and gets rows of exactly what was approved; an
export that then fails has used it up all the same. The anonymised side never reads approvals: it is handed the proof.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pdms.access import approvals
from pdms.access.approvals import Approval
from pdms.bootstrap.app import App
from pdms.errors import InvalidInput
from pdms.gate import service as gate
from pdms.policy.loader import load
from pdms.rights import service as rights
from pdms.rights.service import DisclosureScope
from pdms.segments import service as segments
from pdms.segments.service import Export
from pdms.taxonomy import GuardedAct, MemberId
from pdms.unit_of_work import Actor
from pdms.views import service as views
from pdms.views.files import ReleaseFormat
from pdms.views.service import ReleaseExport

Format = Literal["parquet", "csv"]
"""Of a segment's rows."""
AnyFormat = Literal["csv", "parquet", "arrow", "jsonl"]
"""Of one export or another."""


def ask(
    app: App,
    actor: Actor,
    *,
    act: GuardedAct,
    release_id: str | None = None,
    segment: str | None = None,
    format: AnyFormat | None = None,  # noqa: A002
    as_of: datetime | None = None,
    known: datetime | None = None,
    held_id: str | None = None,
    ticket: str | None = None,
    policy: str | None = None,
    member_id: MemberId | None = None,
    fields: Sequence[str] = (),
    purpose: str | None = None,
    scope: DisclosureScope | None = None,
) -> Approval:
    """Ask for an approval of an act as it would be done now.

    :param release_id: or `segment`, of a bulk export, with `format` (default: csv).
    :param format: or of a consent export (default: jsonl), with its clocks `as_of` and `known`.
    :param held_id: with `ticket`, of a held record.
    :param policy: digest of the policy to activate; default: that of the documents as they are now.
    :param member_id: with `fields` and `purpose`, of a minor whose fields are opened; with `scope`, of a disclosure.
    :raises InvalidInput: what the act needs is not given, or is given beside what it does not need.
    """
    given = {
        n: v for n, v in (("release", release_id), ("segment", segment), ("held", held_id), ("ticket", ticket)) if v
    }
    if act is not GuardedAct.CONSENT_EXPORT and (as_of or known):
        raise InvalidInput("as_of, known: only consent_export takes them")
    if act is not GuardedAct.MINOR_REVEAL and (fields or purpose):
        raise InvalidInput("fields, purpose: only minor_reveal takes them")
    if act is not GuardedAct.DISCLOSURE and (scope or (member_id and act is not GuardedAct.MINOR_REVEAL)):
        raise InvalidInput("member: only minor_reveal and disclosure take one, and only the latter a scope")
    parameters: dict[str, str]
    if act is GuardedAct.BULK_EXPORT and len(given) == 1 and (release_id or segment):
        if format == "jsonl":
            raise InvalidInput("format: only consent records go as jsonl")
        form: ReleaseFormat = format or "csv"
        with app.anon_unit(actor, read_only=True) as uow:
            if release_id:
                parameters = views.to_export(uow, release_id=release_id, format=form)
            elif form == "arrow":
                raise InvalidInput("format: a segment's rows go as parquet or csv")
            else:
                parameters = segments.to_export(uow, name=segment or "", format=form)
    elif act is GuardedAct.CONSENT_EXPORT and not given:
        if format == "parquet" or format == "arrow":
            raise InvalidInput("format: consent records go as jsonl or csv")
        parameters = gate.to_export(format=format or "jsonl", as_of=as_of, known=known)
    elif act is GuardedAct.HOLD_ACCESS and held_id and ticket and len(given) == 2:
        parameters = {"hold": held_id, "ticket": ticket}
    elif act is GuardedAct.POLICY_ACTIVATION and not given:
        parameters = {"policy": policy or load(app.policies).digest}
    elif act is GuardedAct.MINOR_REVEAL and member_id and fields and purpose and not given:
        parameters = rights.to_reveal(member_id=member_id, fields=fields, purpose=purpose)
    elif act is GuardedAct.DISCLOSURE and member_id and scope and not given:
        parameters = rights.to_disclose(app.policy, member_id=member_id, scope=scope)
    else:
        raise InvalidInput(
            "approval: bulk_export needs a release or a segment, hold_access a held record and a ticket, "
            "minor_reveal a member, fields and a purpose, disclosure a member and its scope, "
            "consent_export and policy_activation none of them"
        )
    return app.run(actor, approvals.ask, act=act, parameters=parameters)


def export_release(app: App, actor: Actor, *, release_id: str, format: ReleaseFormat) -> ReleaseExport:  # noqa: A002
    """Return a release as a file, as another operator approved. Errors as `views.export`."""
    with app.anon_unit(actor, read_only=True) as uow:
        parameters = views.to_export(uow, release_id=release_id, format=format)
    approved = app.run(actor, approvals.use, act=GuardedAct.BULK_EXPORT, parameters=parameters)
    with app.anon_unit(actor) as uow:  # the copy is entered
        return views.export(uow, release_id=release_id, format=format, approved=approved)


def export_segment(app: App, actor: Actor, *, name: str, format: Format) -> Export:  # noqa: A002
    """Return a segment's whole classes as a file, as another operator approved. Errors as `segments.export`."""
    with app.anon_unit(actor, read_only=True) as uow:
        parameters = segments.to_export(uow, name=name, format=format)
    approved = app.run(actor, approvals.use, act=GuardedAct.BULK_EXPORT, parameters=parameters)
    with app.anon_unit(actor) as uow:  # the copy is entered
        return segments.export(uow, name=name, format=format, approved=approved)
