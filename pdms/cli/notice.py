"""`pdms notice`: the texts that members are shown."""

from typing import Annotated

import typer

from pdms.cli.asking import MemberText
from pdms.cli.face import Face
from pdms.cli.render import show

app = typer.Typer(no_args_is_help=True, help="Notices: content-addressed versions, zh-CN and en.")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List every version that was ever published."""
    from pdms.consent import service

    face: Face = context.obj
    columns = ("notice_id", "language", "audience", "title", "version")
    show(face.run(service.versions), as_json=face.json, title="notices", columns=columns)


@app.command("show")
def show_(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Version (SHA-256, hex).")],
    source: Annotated[
        bool, typer.Option("--source", help="The canonical JSON instead, whose SHA-256 is the version.")
    ] = False,
) -> None:
    """Show a version's text as members saw it. Example: `pdms notice show fcb7beb5… --source`"""
    from pdms.consent import service

    face: Face = context.obj
    if source:
        print(face.run(service.notice_content, version=version))
        return
    found = face.run(service.notice_text, version=version)
    show(found if face.json else found.text, as_json=face.json)


@app.command("diff")
def diff(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="The earlier version (SHA-256, hex).")],
    after: Annotated[str, typer.Argument(help="The later version (SHA-256, hex).")],
) -> None:
    """Show what changed between two versions of a notice, as members are told it (PIPL-17-2).

    Example: `pdms notice diff fcb7beb5… 3a90c1d2…`
    """
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.notice_diff, before=before, after=after)
    show(found if face.json else found.text, as_json=face.json)


@app.command("deliveries")
def deliveries(context: typer.Context, member: MemberText) -> None:
    """Show which versions a member was shown, when, over which channel.

    Example: `pdms notice deliveries shop:H00042`
    """
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.deliveries, face.run(parse_member, member))
    show(found, as_json=face.json, title="notices shown")


@app.command("changes")
def changes(context: typer.Context, member: MemberText) -> None:
    """Show what changed since a member was last shown each notice. Example: `pdms notice changes shop:H00042`"""
    from pdms.cli.members import parse_member
    from pdms.consent import service

    face: Face = context.obj
    found = face.run(service.changes_for, face.run(parse_member, member))
    show(found if face.json else "\n".join(item.text for item in found), as_json=face.json)


@app.command("duties")
def duties(context: typer.Context) -> None:
    """List notices that are owed after an exemption ended, and how many members are still to be told (PIPL-18)."""
    from pdms.gate import service

    face: Face = context.obj
    show(face.run(service.notice_duties), as_json=face.json, title="notices owed")


@app.command("end-exemption")
def end_exemption(
    context: typer.Context,
    purpose: Annotated[str, typer.Argument(help="A purpose that the policy exempts from its notice.")],
    notice: Annotated[str, typer.Option(help="The notice that tells of it now.")],
    ticket: Annotated[str, typer.Option(help="The case, e.g. LEGAL-12.")],
) -> None:
    """Record that the reason for not telling has ended (PIPL-18): members are owed the notice from now on.

    Example: `pdms notice end-exemption rescue --notice member-notice --ticket LEGAL-12`
    """
    from pdms.gate import service

    face: Face = context.obj
    done = face.run(service.end_exemption, purpose=purpose, notice=notice, ticket=ticket)
    show(done, as_json=face.json, title="notice owed")
