"""`pdms access approvals`: what none may do alone."""

from enum import StrEnum
from typing import Annotated

import typer

from pdms.cli.consent import AsOf, KnownAt, instant
from pdms.cli.disclosure import ApprovalText, RegionText, SinceDay, UntilDay, scope_of
from pdms.cli.face import Face
from pdms.cli.render import show
from pdms.taxonomy import HOME_REGION, Authority, GuardedAct

app = typer.Typer(
    no_args_is_help=True,
    help="Acts that a second operator approves first: exports, held records, policies, fields of minors.",
)
ApprovalId = Annotated[str, typer.Argument(help="Id of a question, apr-…")]
COLUMNS = ("approval_id", "act", "parameters", "state", "asked_by", "expires_at", "decided_by")


class FileFormat(StrEnum):
    """Forms of an exported file."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    JSONL = "jsonl"


@app.command("list")
def list_(
    context: typer.Context, waiting: Annotated[bool, typer.Option("--waiting", help="Only undecided ones.")] = False
) -> None:
    """List questions, newest first: officers and administrators see all, others their own.

    Example: `pdms access approvals list --waiting`
    """
    from pdms.access import approvals

    face: Face = context.obj
    show(face.run(approvals.list_approvals, waiting=waiting), as_json=face.json, title="approvals", columns=COLUMNS)


@app.command("ask")
def ask(
    context: typer.Context,
    act: Annotated[
        GuardedAct,
        typer.Argument(help="bulk_export, consent_export, hold_access, disclosure, minor_reveal, policy_activation."),
    ],
    release: Annotated[str | None, typer.Option(help="bulk_export: a release …")] = None,
    segment: Annotated[str | None, typer.Option(help="… or whole classes of a segment.")] = None,
    file_format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format", help="bulk_export: csv (default), parquet or arrow; consent_export: jsonl (default) or csv."
        ),
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    held: Annotated[str | None, typer.Option(help="hold_access: id of the held record.")] = None,
    ticket: Annotated[str | None, typer.Option(help="hold_access, disclosure: the case, e.g. CASE-1234.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="policy_activation: digest of the policy; default: of the documents as they are.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="minor_reveal, disclosure: member id, or SYSTEM:NUMBER.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="minor_reveal: a field to open; may be repeated.")] = None,
    purpose: Annotated[str | None, typer.Option(help="minor_reveal: for which purpose, e.g. service.")] = None,
    authority: Annotated[Authority | None, typer.Option(help="disclosure: who asks.")] = None,
    category: Annotated[list[str] | None, typer.Option(help="disclosure: a data category; may be repeated.")] = None,
    since: SinceDay = None,
    until: UntilDay = None,
    region: RegionText = HOME_REGION,
    approval: ApprovalText = None,
) -> None:
    """Ask another operator to approve an act exactly as it would be done now; the approval is used once, within a day.

    Examples: `pdms access approvals ask bulk_export --segment loyal --format csv`,
    `pdms access approvals ask consent_export --format csv`,
    `pdms access approvals ask hold_access --held held-… --ticket CASE-1234`,
    `pdms access approvals ask disclosure --member shop:H00042 --authority tax --category transaction --from 2026-01-01
    --to 2026-06-30 --ticket CASE-1234`,
    `pdms access approvals ask minor_reveal --member shop:H00042 --field phone --purpose service`,
    `pdms access approvals ask policy_activation`
    """
    from pdms.bootstrap import approving
    from pdms.cli.members import parse_member

    face: Face = context.obj
    asked = approving.ask(
        face.app,
        face.actor,
        act=act,
        release_id=release,
        segment=segment,
        format=file_format.value if file_format is not None else None,
        as_of=instant(as_of),
        known=instant(known_at),
        held_id=held,
        ticket=None if authority else ticket,
        policy=policy,
        member_id=face.run(parse_member, member) if member else None,
        fields=field or (),
        purpose=purpose,
        scope=scope_of(authority, category or [], ticket or "", since, until, region, approval) if authority else None,
    )
    show(asked, as_json=face.json, title="asked")


@app.command("approve")
def approve(context: typer.Context, approval_id: ApprovalId) -> None:
    """Approve what another operator asked, exactly as it was asked. Example: `pdms access approvals approve apr-…`"""
    from pdms.access import approvals

    face: Face = context.obj
    show(face.run(approvals.approve, approval_id=approval_id), as_json=face.json, title="approved")


@app.command("refuse")
def refuse(context: typer.Context, approval_id: ApprovalId) -> None:
    """Refuse what another operator asked, or take your own question back.

    Example: `pdms access approvals refuse apr-…`
    """
    from pdms.access import approvals

    face: Face = context.obj
    show(face.run(approvals.refuse, approval_id=approval_id), as_json=face.json, title="refused")
