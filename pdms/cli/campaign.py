"""`pdms campaign`: define, preview, send, and read counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pdms.cli.face import Face
from pdms.cli.progress import stages
from pdms.cli.render import cell, show

app = typer.Typer(no_args_is_help=True, help="Campaigns: a segment's rule, sent from inside (scope: marketing).")
Name = Annotated[str, typer.Argument(help="Name of a campaign.")]
ELIGIBLE: Final = {"eligible": "the segment's purpose may use their data now"}
AUDIENCE: Final = {
    "audience": "of the eligible: whom the segment's rule matches",
    "already_attempted": "of the audience: settled by an earlier run",
    "held_back": "of the audience: not written to, for these reasons",
}
HANDED: Final = {
    "handed_over": "of the audience: the message was taken",
    "refused": "of the audience: the message was refused for good",
    "deferred": "of the audience: not taken, the next run tries again",
    "unknown": "of the audience: perhaps taken, never tried again",
}
"""What the numbers of a campaign count; codes of reasons, with or without `excluded_`, are explained by the reasons."""


@app.command("create")
def create(context: typer.Context, file: Annotated[Path, typer.Argument(help="YAML file with the campaign.")]) -> None:
    """Create a campaign from YAML; its template is checked before anything can be sent.

    Example: `pdms campaign create spring.yaml`
    """
    from pdms.cli.files import read_text
    from pdms.marketing import service

    face: Face = context.obj
    show(face.run_anon(service.create, text=read_text(file)), as_json=face.json, title="created")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List campaigns."""
    from pdms.marketing import service

    face: Face = context.obj
    rows = [
        {"name": c.name, "segment": c.definition.segment, "purpose": c.definition.purpose, "state": c.state}
        for c in face.run_anon(service.list_campaigns)
    ]
    show(rows, as_json=face.json, title="campaigns")


@app.command("show")
def show_(context: typer.Context, name: Name) -> None:
    """Show a campaign. Example: `pdms campaign show spring`"""
    from pdms.marketing import service

    face: Face = context.obj
    show(face.run_anon(service.show, name=name), as_json=face.json)


@app.command("preview")
def preview(context: typer.Context, name: Name) -> None:
    """Estimate how many members a campaign would reach, noised; nothing is sent. Asked again: the same answer.

    Example: `pdms campaign preview spring`
    """
    from pdms.dispatch import service

    face: Face = context.obj
    found = service.preview(face.units, campaign=name)
    told = {
        "campaign": name,
        "audience of the segment's rule": str(found.audience),
        "of these reachable on the channel": str(found.reachable),
        "least size": found.min_size,
        "enough": found.enough,
    }
    show(found if face.json else told, as_json=face.json)


@app.command("send")
def send(
    context: typer.Context,
    name: Name,
    record: Annotated[
        bool, typer.Option("--record", help="Send nothing: count what would have been handed to the mail server.")
    ] = False,
) -> None:
    """Send a campaign through SMTP (`PDMS_SMTP_URL`). Every member is checked again at that moment.

    Killed and run again, it goes on; nobody gets the same campaign twice.

    Example: `PDMS_SMTP_URL=smtp://mail.example:25 pdms campaign send spring`
    """
    from pdms.dispatch import service
    from pdms.dispatch.channels import open_channel
    from pdms.taxonomy import Channel

    face: Face = context.obj
    settings = face.settings
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    channel = open_channel(Channel.EMAIL, smtp_url=url, recording=record)
    with stages(f"send {name}", quiet=face.json):
        report = service.send(face.units, campaign=name, channel=channel, public_url=settings.public_url)
    _counts(face, report, title=f"sent {name}")


@app.command("counts")
def counts(context: typer.Context, name: Name) -> None:
    """Read a campaign's counts, noised (marketing's view). Example: `pdms campaign counts spring`"""
    from pdms.marketing import service

    face: Face = context.obj
    _counts(face, face.run_anon(service.counts, name=name), title=f"counts of {name}, noised")


@app.command("officer-counts")
def officer_counts(context: typer.Context, name: Name) -> None:
    """Read a campaign's exact counts by reason (scope: compliance). Example: `pdms campaign officer-counts spring`"""
    from pdms.dispatch import service

    face: Face = context.obj
    found = face.run(service.officer_counts, campaign=name)
    shown = found if face.json else _funnel(found.members)
    show(shown, as_json=face.json, title=f"exact counts of {name}, {found.state}")


@app.command("cancel")
def cancel(context: typer.Context, name: Name) -> None:
    """Cancel a campaign; what is not sent yet will not be. Example: `pdms campaign cancel spring`"""
    from pdms.marketing import service

    face: Face = context.obj
    show(face.run_anon(service.cancel, name=name), as_json=face.json)


def _counts(face: Face, found: Any, *, title: str) -> None:
    if face.json:
        show(found, as_json=True)
        return
    show(_funnel(found.counts), as_json=False, title=title)


def _funnel(counts: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return counts from those who might have been written to down to those who were, each explained."""
    from pdms.policy.reasons import REASONS

    left_out = {f"excluded_{code}": f"for the segment's purpose: {reason.en}" for code, reason in REASONS.items()}
    held = {code: f"for this campaign: {reason.en}" for code, reason in REASONS.items()}
    meanings = {**ELIGIBLE, **left_out, **AUDIENCE, **held, **HANDED}
    order = [*(name for name in meanings if name in counts), *(name for name in counts if name not in meanings)]
    return [
        {
            "what": name,
            "members": cell(counts[name]) if isinstance(counts[name], int) else str(counts[name]),
            "meaning": meanings.get(name, ""),
        }
        for name in order
    ]
