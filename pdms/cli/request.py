"""`pdms request`: subject requests, from intake to receipt."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.bootstrap.plain import plain
from pdms.cli.asking import MemberText, ask
from pdms.cli.disclosure import ApprovalText, RegionText, SinceDay, UntilDay, scope_of
from pdms.cli.face import Face
from pdms.cli.progress import stages
from pdms.cli.render import json_line, show, show_once
from pdms.taxonomy import HOME_REGION, Authority, KinInterest, Language, Requester, RequestType

if TYPE_CHECKING:
    from pdms.rights.service import RequestView

app = typer.Typer(no_args_is_help=True, help="Subject requests and their legal clock (scope: support, compliance).")
RequestId = Annotated[str, typer.Argument(help="Request id, req-…, or its number, R-…")]
COLUMNS = ("number", "type", "requester", "state", "received_at", "due_on", "due_provisional", "overdue", "request_id")


@app.command("submit")
def submit(
    context: typer.Context,
    member: MemberText,
    kind: Annotated[RequestType, typer.Option("--type", help="What is asked for.")],
    field: Annotated[str | None, typer.Option(help="Field to correct; its new value is asked for.")] = None,
) -> None:
    """Take a request in for a member; it returns its number and due date, and waits for an identity check.

    Example: `pdms request submit shop:H00042 --type access`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    member_id = face.run(parse_member, member)
    value = ask(f"new {field}") if field else None
    found = face.run(service.submit, member_id=member_id, request_type=kind, field=field, value=value)
    show(found, as_json=face.json, title="received")


@app.command("open")
def open_(
    context: typer.Context,
    member: Annotated[str, typer.Argument(help="SYSTEM:NUMBER as in shop:H00042.")],
    by: Annotated[Requester, typer.Option("--by", help="guardian or kin.")],
    kind: Annotated[RequestType, typer.Option("--type", help="What is asked for; kin: access, correction, deletion.")],
    interest: Annotated[
        KinInterest | None, typer.Option(help="For what kin asks, which is their own (PIPL-49).")
    ] = None,
    field: Annotated[str | None, typer.Option(help="Field to correct; its new value is asked for.")] = None,
) -> None:
    """Take a request in from the guardian of a minor (MIN-34) or from kin of a member who has died (PIPL-49).

    The answer is the same whether or not the number is anybody's.
    Next: `pdms request prove REQUEST_ID --evidence REFERENCE`.

    Example: `pdms request open shop:H00042 --by guardian --type access`

    Example: `pdms request open shop:H00042 --by kin --type deletion --interest account`
    """
    from pdms.errors import InvalidInput
    from pdms.rights import service

    face: Face = context.obj
    system, colon, number = member.partition(":")
    if not colon:
        raise InvalidInput("member: SYSTEM:NUMBER as in shop:H00042")
    value = ask(f"new {field}") if field else None
    found = face.run(
        service.open_for,
        requester=by,
        system=system,
        number=number,
        request_type=kind,
        interest=interest,
        field=field,
        value=value,
    )
    show(found, as_json=face.json, title="received")


@app.command("prove")
def prove(
    context: typer.Context,
    request_id: RequestId,
    evidence: Annotated[str, typer.Option(help="Reference of the proof that you saw, e.g. GP-2026-118.")],
) -> None:
    """Accept the proof of a guardian or of kin; its reference is kept, the proof is not. Another operator executes.

    A guardian's proof known from a consent of theirs may be accepted by support, any other one by compliance.

    Example: `pdms request prove R-2026-000003 --evidence GP-2026-118`
    """
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    _show(face, face.run(service.prove, request_id=request_id, evidence=evidence))


@app.command("list")
def list_(
    context: typer.Context,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only open ones whose day has passed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
) -> None:
    """List requests, the most urgent first. Example: `pdms request list --overdue`"""
    from pdms.rights import service

    face: Face = context.obj
    found = face.run(service.list_requests, overdue=overdue, limit=limit)
    show(found, as_json=face.json, title="requests", columns=COLUMNS)


@app.command("show")
def show_(context: typer.Context, request_id: RequestId) -> None:
    """Show a request. Example: `pdms request show R-2026-000003`"""
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    _show(face, face.run(service.show, request_id=request_id))


@app.command("receipt")
def receipt(
    context: typer.Context,
    request_id: RequestId,
    path: Annotated[Path | None, typer.Argument(help="Write it to this new file instead of printing it.")] = None,
) -> None:
    """Print the signed receipt of a request that was carried out: the same one as often as it is asked for.

    Example: `pdms request receipt R-2026-000003 receipt.json`
    """
    from pdms.cli.files import new_file_if
    from pdms.errors import NotFound
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    with new_file_if(path, home=face.app.home) as write:
        found = face.run(service.show, request_id=request_id)
        if found.receipt is None:
            raise NotFound("receipt: the request has none; it is signed when the request is carried out")
        write(found.receipt.encode())
    if path is None:
        print(found.receipt)
    else:
        show({"number": found.number, "file": path}, as_json=face.json, title="receipt")


@app.command("verify")
def verify(
    context: typer.Context,
    request_id: RequestId,
    field: Annotated[str, typer.Option(help="Held field to compare with; the value is asked for.")] = "phone",
) -> None:
    """Check the requester's identity against one held field; nothing beyond what is held is asked (NDR-23).

    Example: `pdms request verify R-2026-000003 --field phone`
    """
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    _show(face, face.run(service.verify, request_id=request_id, field=field, value=ask(f"their {field}")))


@app.command("code")
def code(
    context: typer.Context,
    request_id: RequestId,
    language: Annotated[Language, typer.Option(help="zh-CN or en.")] = Language.ZH,
) -> None:
    """Send a one-time code to the e-mail address on file, through `PDMS_SMTP_URL`; nobody else sees it.

    The requester reads it out: `pdms request enter-code REQUEST_ID`.

    Example: `pdms request code R-2026-000003 --language zh-CN`
    """
    from pdms.dispatch.channels import open_channel
    from pdms.rights import service
    from pdms.taxonomy import Channel

    face: Face = context.obj
    request_id = _id(face, request_id)
    face.run(service.show, request_id=request_id)  # who may not see the request learns nothing of the mail server
    settings = face.settings
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    expires = service.send_code(
        face.units,
        request_id=request_id,
        channel=open_channel(Channel.EMAIL, smtp_url=url),
        public_url=settings.public_url,
        language=language,
    )
    show({"sent": "to the address on file", "expires_at": expires}, as_json=face.json)


@app.command("enter-code")
def enter_code(context: typer.Context, request_id: RequestId) -> None:
    """Check the code that the requester reads out; it is asked for. Example: `pdms request enter-code R-2026-000003`"""
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    show(face.run(service.enter_code, request_id=request_id, code=ask("code")), as_json=face.json)


@app.command("plan")
def plan(context: typer.Context, request_id: RequestId) -> None:
    """Show what executing a deletion request will do, and what a statute keeps.

    Example: `pdms request plan R-2026-000003`
    """
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    show(face.run(service.plan, request_id=request_id), as_json=face.json, title="plan")


@app.command("execute")
def execute(context: typer.Context, request_id: RequestId) -> None:
    """Carry an assessed request out. An access request prints its one-time link, once.

    Example: `pdms request execute R-2026-000003`
    """
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    with stages("execute", quiet=face.json) as progress:
        done = service.execute(face.units, request_id=request_id, progress=progress)
    told: dict[str, object] = {"request": done.request} if face.json else dict(plain(brief(done.request)))
    if done.link is not None:
        told["link"] = f"{face.settings.public_url.rstrip('/')}/v1/packages/{done.link.secret}"
        told["link_expires_at"] = done.link.expires_at
    show_once(told, once="link", as_json=face.json, title="executed")


def _show(face: Face, request: "RequestView") -> None:
    show(request if face.json else brief(request), as_json=face.json)


def _id(face: Face, text: str) -> str:
    """Return the id of the request that `text` names by its id or by its number."""
    from pdms.rights import service

    return face.run(service.id_of, number=text) if text.startswith("R-") else text


def brief(request: "RequestView") -> "RequestView":
    """Return a request as a person reads it: its signed receipt named, not spelt out."""
    if request.receipt is None:
        return request
    return replace(request, receipt="signed, with its proof: pdms request receipt")


@app.command("refuse")
def refuse(
    context: typer.Context,
    request_id: RequestId,
    code: Annotated[str, typer.Option(help="Ground, e.g. STATUTORY_RETENTION, EXCESSIVE, UNPROVEN.")],
) -> None:
    """Refuse a request on a stated ground; the answer has its article, and the letter to send (scope: compliance).

    Example: `pdms request refuse R-2026-000003 --code EXCESSIVE`
    """
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    ground = service.refusal_code(code)
    show(face.run(service.refuse, request_id=request_id, code=ground), as_json=face.json)


@app.command("cancel")
def cancel(context: typer.Context, request_id: RequestId) -> None:
    """Take a request back, before it is executed. Example: `pdms request cancel R-2026-000003`"""
    from pdms.rights import service

    face: Face = context.obj
    request_id = _id(face, request_id)
    show(face.run(service.cancel, request_id=request_id), as_json=face.json)


@app.command("disclose")
def disclose(
    context: typer.Context,
    member: MemberText,
    authority: Annotated[Authority, typer.Option(help="Who asks.")],
    category: Annotated[list[str], typer.Option(help="A data category that they ask for; may be repeated.")],
    ticket: Annotated[str, typer.Option(help="The case, e.g. CASE-1234.")],
    since: SinceDay = None,
    until: UntilDay = None,
    region: RegionText = HOME_REGION,
    approval: ApprovalText = None,
) -> None:
    """Print what an authority asked for of one member, as JSON, once a second officer approved it (scope: compliance).

    Ask with `pdms access approvals ask disclosure` and the same options.

    Example: `pdms request disclose shop:H00042 --authority tax --category transaction --from 2026-01-01 --to 2026-06-30
    --ticket CASE-1234`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    scope = scope_of(authority, category, ticket, since, until, region, approval)
    print(json_line(face.run(service.disclose, member_id=face.run(parse_member, member), scope=scope)))


@app.command("held")
def held(context: typer.Context) -> None:
    """Show how much is kept by statute, by month of expiry and article (scope: compliance)."""
    from pdms.rights import service

    face: Face = context.obj
    show(face.run(service.held_overview), as_json=face.json, title="held by statute")


@app.command("find-held")
def find_held(context: typer.Context, order: Annotated[str, typer.Argument(help="Order number.")]) -> None:
    """Find what is held of one order, by its number (scope: compliance); opens nothing.

    Example: `pdms request find-held SO-20261101-0042`
    """
    from pdms.rights import service

    face: Face = context.obj
    show(face.run(service.find_held, order=order), as_json=face.json, title="held of this order")


@app.command("open-held")
def open_held(
    context: typer.Context,
    held_id: Annotated[str, typer.Argument(help="Id of a held record, held-…")],
    ticket: Annotated[str, typer.Option(help="The case for which it is opened, e.g. CASE-1234.")],
) -> None:
    """Open one held record for a regulator, a tax office or a court (scope: compliance); the log names the case.

    A second officer approves it first: `pdms access approvals ask hold_access --held held-… --ticket CASE-1234`.

    Example: `pdms request open-held held-… --ticket CASE-1234`
    """
    from pdms.rights import service

    face: Face = context.obj
    print(json_line(face.run(service.open_held, held_id=held_id, ticket=ticket)))
