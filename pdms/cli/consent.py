"""`pdms consent`: record, withdraw, show, history, receipts."""

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
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
_FORMS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
AsOf = Annotated[datetime | None, typer.Option(formats=_FORMS, help="As it stood at this instant (Shanghai).")]
KnownAt = Annotated[
    datetime | None, typer.Option(formats=_FORMS, help="Judged by what was known at this instant (Shanghai).")
]
PUBLIC_KEY_BYTES = 32


class ExportFormat(StrEnum):
    """Form of an export."""

    JSONL = "jsonl"
    CSV = "csv"


COLUMNS = ("purpose", "state", "type", "occurred_at", "channel", "language", "notice_version", "evidence", "current")


@app.command("record")
def record(
    context: typer.Context,
    member: MemberText,
    purpose: Purpose,
    state: Annotated[
        ConsentState, typer.Option(help="given, refused, or requested: the member was asked.")
    ] = ConsentState.GIVEN,
    type_: Annotated[ConsentType, typer.Option("--type", help="Strength of the consent.")] = ConsentType.CONSENT,
    channel: Annotated[str, typer.Option(help="Where it was given: web, app, store, phone.")] = "store",
    language: Annotated[Language, typer.Option(help="Language of the text shown.")] = Language.ZH,
    recipient: Recipient = None,
    evidence: Annotated[str, typer.Option(help="Id of the evidence, no text.")] = "",
    ui_hash: Annotated[str, typer.Option(help="SHA-256 of the page that was shown, 64 hex digits.")] = "",
) -> None:
    """Record one live consent or refusal; prints the signed receipt (ISO/IEC TS 27560 fields).

    Example: `pdms consent record shop:H00042 --purpose market_email --evidence EV-1`
    """
    from pdms.cli.members import parse_member
    from pdms.rights import service

    face: Face = context.obj
    receipt = face.run(
        service.express,
        face.run(parse_member, member),
        purpose=purpose,
        state=state,
        type=type_,
        channel=channel,
        language=language,
        recipient=recipient or "",
        evidence=evidence,
        ui_hash=ui_hash,
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
        "in flight": "a message may still arrive: tell the member" if done.in_flight else "no",
    }
    show(told, as_json=False, title="withdrawn")


@app.command("invalidate")
def invalidate(
    context: typer.Context,
    purpose: Purpose,
    ticket: Annotated[str, typer.Option(help="The case that found it out, e.g. LEGAL-12.")],
    notice_version: Annotated[str, typer.Option(help="Given under this text (SHA-256, hex).")] = "",
    channel: Annotated[str, typer.Option(help="Given over this channel.")] = "",
    ui_hash: Annotated[str, typer.Option(help="Given on this page (SHA-256, hex).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,
) -> None:
    """Invalidate consents that turn out to be none, such as all that a misleading page collected.

    Who gave one may be asked again; releases that used them become stale. Killed, ask again: it goes on.

    Example: `pdms consent invalidate --purpose market_email --channel store --ticket LEGAL-12 --dry-run`
    """
    from pdms.consent.service import Defect
    from pdms.rights import service

    face: Face = context.obj
    defect = Defect(purpose, notice_version=notice_version, channel=channel, ui_hash=ui_hash)
    done = service.invalidate(face.units, defect, ticket=ticket, dry_run=dry_run)
    show(done, as_json=face.json, title="invalidated")


@app.command("show")
def show_(context: typer.Context, member: MemberText, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Show where each consent of a member stood at an instant, judged by what was known at another.

    The first clock is when it happened, the second when we knew of it: an import of today changes what stood in June,
    and not what was known in June.

    Example: `pdms consent show shop:H00042 --as-of 2026-06-30 --known-at 2026-07-01T09:00:00`
    """
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.states, face.run(parse_member, member), as_of=instant(as_of), known=instant(known_at))
    told = [
        {
            "purpose": purpose,
            "recipient": recipient,
            "state": held.state,
            "type": held.type,
            "occurred_at": held.occurred_at,
            "notice_version": held.notice_version if face.json else held.notice_version[:8],
            "categories": held.categories,
            "record_id": held.record_id,
        }
        for (purpose, recipient), held in found.items()
    ]
    show(told, as_json=face.json, title="consents")


@app.command("verify")
def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A receipt (JSON).")],
    key: Annotated[str, typer.Option(help="The controller's public key, 64 hex digits: `pdms consent keys`.")],
    notice: Annotated[Path | None, typer.Option(help="What `pdms notice show VERSION --source` printed.")] = None,
) -> None:
    """Check a receipt, offline, without a home or an API key; exit code 7 where it is not what was signed.

    The same check runs without pdms: `python verify_receipt.py RECEIPT.json --key HEX`; the file is in `pdms/crypto/`.

    Example: `pdms consent verify receipt.json --key 3b6a…`
    """
    from pdms.cli.files import read_small
    from pdms.crypto import verify_receipt
    from pdms.errors import IntegrityBroken, InvalidInput

    face: Face = context.obj
    try:
        public_key = bytes.fromhex(key)
    except ValueError:
        public_key = b""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InvalidInput("key: 64 hex digits")
    try:
        receipt = verify_receipt.parse(read_small(file))
        shown = verify_receipt.parse(read_small(notice)) if notice is not None else None
        verify_receipt.check(receipt, public_key=public_key, notice=shown)
    except verify_receipt.ReceiptBroken as broken:
        raise IntegrityBroken("receipt: " + broken.text, code=broken.code) from None
    told = {"verdict": "whole", "record_id": receipt["record_id"], "notice": "as shown" if notice else None}
    show(told, as_json=face.json, title="receipt")


@app.command("askable")
def askable(context: typer.Context, member: MemberText) -> None:
    """Show what a member may be asked for now, and what not yet: who refused is not asked again soon (NDR-22(5)).

    Example: `pdms consent askable shop:H00042`
    """
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    show(face.run(service.askable, face.run(parse_member, member)), as_json=face.json, title="may be asked")


@app.command("evidence")
def evidence(
    context: typer.Context,
    record_id: Annotated[str, typer.Argument(help="Id of a consent record: cns-…, from its history.")],
    path: Annotated[Path | None, typer.Argument(help="Write the bundle to this new file (.json).")] = None,
) -> None:
    """Bundle what proves one consent: text shown, time, page, notice, signed receipt, proof of its place in the log.

    Example: `pdms consent evidence cns-0f3c9a7be1d24c58a6b07d1e2f3a4b5c proof.json`
    """
    from pdms.cli.files import new_file_if
    from pdms.consent import service

    face: Face = context.obj
    face.sequence()
    with new_file_if(path, home=face.app.home) as write:
        found = face.run(service.bundle, record_id=record_id)
        write(found.to_json().encode())
    if path is None:
        print(found.to_json())
        return
    show({"record_id": record_id, "written": path.name}, as_json=face.json, title="evidence")


@app.command("export")
def export(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="New file to write.")],
    format_: Annotated[ExportFormat, typer.Option("--format", help="jsonl or csv.")] = ExportFormat.JSONL,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> None:
    """Write every consent event to a file, once a second officer approved: ids, codes, digests, instants, no names.

    Ask with `pdms access approvals ask consent_export --as-of 2026-06-30`: same format, same instants.
    Example: `pdms consent export consents.jsonl --as-of 2026-06-30`
    """
    from pdms.cli.files import outside_home
    from pdms.gate import service

    face: Face = context.obj
    outside_home(path, face.app.home)
    done = service.export_consents(
        face.units,
        path=path,
        format=format_.value,
        as_of=instant(as_of),
        known=instant(known_at),
    )
    show(done, as_json=face.json, title="exported")


@app.command("keys")
def keys(context: typer.Context) -> None:
    """Print the public keys that receipts are checked with, newest first. Publish them where members look."""
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.receipt_keys)
    show(found, as_json=True) if face.json else print("\n".join(found))


@app.command("history")
def history(
    context: typer.Context,
    member: MemberText,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    texts: Annotated[bool, typer.Option("--texts", help="Show the text that was shown, too.")] = False,
) -> None:
    """Show who agreed to what, when, shown which text, by which channel, with which evidence.

    Example: `pdms consent history shop:H00042 --as-of 2026-06-30 --texts`
    """
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.history, face.run(parse_member, member), as_of=instant(as_of), known=instant(known_at))
    columns = (*COLUMNS, "title", "text") if texts else COLUMNS
    shown = found if face.json else [replace(item, notice_version=item.notice_version[:8]) for item in found]
    show(shown, as_json=face.json, title="consent history", columns=columns)


def instant(value: datetime | None) -> datetime | None:
    """Return an instant that was given in Shanghai's time."""
    return value.replace(tzinfo=SHANGHAI).astimezone(UTC) if value is not None else None
