"""`pdms member`: look up, see masked, reveal with a reason, correct, erase."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pdms.cli.asking import MemberText, ask
from pdms.cli.face import Face
from pdms.cli.progress import bar, stages
from pdms.cli.render import show, show_once
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.taxonomy import RequestType

app = typer.Typer(no_args_is_help=True, help="Members: sealed, masked by default (scope: support, compliance).")


@app.command("find")
def find(
    context: typer.Context,
    by: Annotated[
        list[str], typer.Argument(help="phone, email, id_number or login; or searches that the policy declares.")
    ],
    purpose: Annotated[str | None, typer.Option(help="For which purpose (searches by part only).")] = None,
    reason: Annotated[str | None, typer.Option(help="Reason code (searches by part only).")] = None,
    ticket: Annotated[str | None, typer.Option(help="Ticket number, e.g. CS-1024.")] = None,
) -> None:
    """Find members by an indexed field, or by parts of values; they are read from the terminal or a pipe, line by line.

    Searches by part are off unless the policy declares them; all must fit; permitted and logged as a reveal.

    Example: `echo 13800138000 | pdms member find phone`

    Example: `pdms member find phone_last4 name_part --purpose service --reason CALL_BACK`
    """
    from pdms.rights import service

    face: Face = context.obj
    if purpose is None and reason is None and len(by) == 1:
        found = face.run(service.find_members, field=by[0], value=ask(by[0]))
    elif purpose is None or reason is None or len(set(by)) != len(by):
        raise InvalidInput("find: several values, or parts of them, need --purpose and --reason, and each only once")
    else:
        terms = {name: ask(name) for name in by}
        found = face.run(service.search_members, terms=terms, purpose=purpose, reason=reason, ticket=ticket)
    show([m.hex() for m in found], as_json=face.json, title="member id")


@app.command("show")
def show_(context: typer.Context, member: MemberText) -> None:
    """Show a member's fields, masked. Example: `pdms member show shop:H00042`"""
    from pdms.cli.members import parse_member
    from pdms.vault import service

    face: Face = context.obj
    masked = face.run(service.masked, face.run(parse_member, member))
    show(masked, as_json=face.json, title="masked")


@app.command("reveal")
def reveal(
    context: typer.Context,
    member: MemberText,
    field: Annotated[list[str], typer.Option(help="A field to open; may be repeated.")],
    purpose: Annotated[str, typer.Option(help="For which purpose of the policy, e.g. service.")],
    reason: Annotated[str, typer.Option(help="Reason code that the policy lists under reveal, e.g. CALL_BACK.")],
    ticket: Annotated[str | None, typer.Option(help="Ticket number, e.g. CS-1024.")] = None,
) -> None:
    """Open fields of one member: permitted by the gate, logged before it is shown, limited per hour.

    A second operator approves it first where the member is below 18: `pdms access approvals ask minor_reveal`.

    Example: `pdms member reveal shop:H00042 --field phone --purpose service --reason CALL_BACK`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    member_id = face.run(parse_member, member)
    opened = face.run(
        service.reveal, member_id=member_id, fields=tuple(field), purpose=purpose, reason=reason, ticket=ticket
    )
    show(opened, as_json=face.json, title="revealed; the log names you")


@app.command("correct")
def correct(
    context: typer.Context,
    member: MemberText,
    field: Annotated[str, typer.Argument(help="The field to correct.")],
    check: Annotated[str, typer.Option(help="Field by which the requester's identity is checked.")] = "phone",
) -> None:
    """Correct a field at the member's request (PIPL-46): identity checked, changed, facts rewritten, signed receipt.

    Two values are asked for: what the requester says their CHECK field is, and the new value.

    Example: `pdms member correct shop:H00042 email`
    """
    from pdms.cli.members import parse_member
    from pdms.cli.request import brief
    from pdms.rights import service

    face: Face = context.obj
    member_id = face.run(parse_member, member)
    said, value = ask(f"their {check}"), ask(f"new {field}")
    request = face.run(
        service.submit, member_id=member_id, request_type=RequestType.CORRECTION, field=field, value=value
    )
    face.run(service.verify, request_id=request.request_id, field=check, value=said)
    done = service.execute(face.units, request_id=request.request_id)
    show(done.request if face.json else brief(done.request), as_json=face.json, title="corrected")


@app.command("erase")
def erase(
    context: typer.Context,
    member: MemberText,
    check: Annotated[str, typer.Option(help="Field by which the requester's identity is checked.")] = "phone",
    receipt: Annotated[Path | None, typer.Option(help="Write the signed receipt here.")] = None,
) -> None:
    """Erase a member at their request: submit, check identity, execute, in one go; ends with a signed receipt.

    Asks what the requester says their CHECK field is. Killed and run again, it goes on with the first step not done.

    Example: `echo 13800138000 | pdms member erase shop:H00042 --receipt receipt.json`
    """
    from pdms.cli.files import new_file_if
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    with new_file_if(receipt, home=face.app.home) as write:
        try:
            member_id = face.run(parse_member, member)
        except NotFound:  # unless this very member's erasure was cut off when the number was gone already
            system, _, number = member.partition(":")
            with stages("erase", quiet=face.json) as progress:
                done = service.resume_erasure(face.units, system=system, external_id=number, progress=progress)
        else:
            said = ask(f"their {check}")
            with stages("erase", quiet=face.json) as progress:
                done = service.erase_member(face.units, member_id=member_id, field=check, value=said, progress=progress)
        content = done.receipt or ""
        show_receipt(face, content)  # before it is written: the member is gone, whatever happens to the file
        try:
            write(content.encode())
        except (Conflict, InvalidInput) as error:
            again = f"pdms request receipt {done.request.number} FILE"
            raise Conflict(
                f"erased, but the receipt was not written ({error.message}); write it with: {again}"
            ) from None


@app.command("token")
def token(context: typer.Context, member: MemberText) -> None:
    """Exchange the shop's key for a token bound to one member, good for fifteen minutes (scope: support).

    Example: `pdms member token shop:H00042`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    issued = face.run(service.member_token, member_id=face.run(parse_member, member))
    told = {"member_token": issued.text, "expires_at": issued.expires_at}
    show_once(told, once="member_token", as_json=face.json)


@app.command("reindex")
def reindex(context: typer.Context) -> None:
    """Build the search indexes that the policy declares for members already held, and remove those it no longer does.

    Stopped or killed, it goes on when run again (scope: admin, compliance). Example: `pdms member reindex`
    """
    from pdms.vault import service

    face: Face = context.obj
    with bar("reindex", quiet=face.json) as progress:
        done = service.reindex(face.units, progress=progress)
    show(done, as_json=face.json, title="search indexes")


@app.command("honey")
def honey(
    context: typer.Context,
    member: Annotated[
        list[str] | None, typer.Argument(help="Members to mark: ids or SYSTEM:NUMBER; without any: list the decoys.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Make them ordinary members again.")] = False,
) -> None:
    """Mark members as honey members, or list them: whoever looks one up or opens it raises an alarm in the log.

    They count in no release, segment, send or report (scope: compliance, admin). Load their rows among the shop's
    others, then mark them. Example: `pdms member honey shop:H00042`
    """
    from pdms.rights import service

    face: Face = context.obj
    if member:
        changed = face.run(service.change_decoys, members=member, drop=drop)
        show({"changed": changed}, as_json=face.json)
    else:
        show([m.hex() for m in face.run(service.list_decoys)], as_json=face.json, title="honey members")


def show_receipt(face: Face, receipt: str) -> None:
    """Print an erasure receipt, or under --json the signed document itself."""
    outer = json.loads(receipt)
    if face.json:
        print(receipt)
        return
    document = outer["document"]
    told = {
        "request": document["request"],
        "gone": document["gone"],
        "stays": document["stays"] or "nothing",
        "log entry": f"leaf {document['log']['proof']['leaf_index']} of {document['log']['origin']}",
        "signature": outer["signature"][:20] + "…",
    }
    show(told, as_json=False, title="erasure receipt")
