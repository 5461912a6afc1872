"""`pdms consent`: record, withdraw, history."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from pdms.cli.asking import MemberText
from pdms.cli.face import Face
from pdms.cli.render import json_line, show
from pdms.clock import SHANGHAI
from pdms.taxonomy import ConsentState, ConsentType, Language

app = typer.Typer(no_args_is_help=True, help="Consent records: append-only, with the text that was shown.")
Purpose = Annotated[str, typer.Option(help="A purpose of the policy, e.g. market_email.")]
Recipient = Annotated[str | None, typer.Option(help="A recipient, where the purpose asks for each apart.")]
COLUMNS = ("purpose", "state", "type", "occurred_at", "channel", "language", "notice_version", "evidence", "current")


@app.command("record")
def record(
    context: typer.Context,
    member: MemberText,
    purpose: Purpose,
    state: Annotated[ConsentState, typer.Option(help="given or refused.")] = ConsentState.GIVEN,
    type_: Annotated[ConsentType, typer.Option("--type", help="Strength of the consent.")] = ConsentType.CONSENT,
    channel: Annotated[str, typer.Option(help="Where it was given: web, app, store, phone.")] = "store",
    language: Annotated[Language, typer.Option(help="Language of the text shown.")] = Language.ZH,
    recipient: Recipient = None,
    evidence: Annotated[str, typer.Option(help="Id of the evidence, no text.")] = "",
) -> None:
    """Record one live consent or refusal; prints the signed receipt (ISO/IEC TS 27560 fields).

    Example: `pdms consent record shop:H00042 --purpose market_email --evidence EV-1`
    """
    from pdms.cli.members import parse_member
    from pdms.gate import service

    face: Face = context.obj
    receipt = face.run(
        service.record_consent,
        face.run(parse_member, member),
        purpose=purpose,
        state=state,
        type=type_,
        channel=channel,
        language=language,
        recipient=recipient or "",
        evidence=evidence,
    )
    print(receipt.to_json())


@app.command("withdraw")
def withdraw(context: typer.Context, member: MemberText, purpose: Purpose, recipient: Recipient = None) -> None:
    """Withdraw a consent for a member who asks; it binds from the next decision on, and prints the signed receipts.

    Example: `pdms consent withdraw shop:H00042 --purpose market_email`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    done = face.run(
        service.withdraw,
        member_id=face.run(parse_member, member),
        purpose=purpose,
        recipient=recipient,
        channel="phone",
    )
    if face.json:
        print(json_line(done))
        return
    told = {
        "purpose": done.purpose,
        "receipts": len(done.receipts),
        "stale releases": done.stale_releases,
        "queued for removal": done.queued,
    }
    show(told, as_json=False, title="withdrawn")


@app.command("history")
def history(
    context: typer.Context,
    member: MemberText,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="State at this instant (Shanghai)."),
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="Show the text that was shown, too.")] = False,
) -> None:
    """Show who agreed to what, when, shown which text, by which channel, with which evidence.

    Example: `pdms consent history shop:H00042 --as-of 2026-06-30 --texts`
    """
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    instant = as_of.replace(tzinfo=SHANGHAI).astimezone(UTC) if as_of else None
    found = face.run(service.history, face.run(parse_member, member), as_of=instant)
    columns = (*COLUMNS, "title", "text") if texts else COLUMNS
    shown = found if face.json else [replace(item, notice_version=item.notice_version[:8]) for item in found]
    show(shown, as_json=face.json, title="consent history", columns=columns)
