"""Top-level commands: init, ingest, scan, serve, sweep."""

from pathlib import Path
from typing import Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.progress import bar
from pdms.cli.render import show
from pdms.errors import EXIT_REJECTED_ROWS

SHOWN_REJECTIONS = 20


def init(context: typer.Context) -> None:
    """Make a home: databases, key store, root key, and the first administrator, whose API key is printed once.

    Asking twice changes nothing. The root key lies beside the home (`PDMS_ROOT_KEY` names another place, such as
    `file:/secure/epoch-1.json` or `env:NAME`); `PDMS_PASSPHRASE` protects it, else a passphrase file is made beside it.

    Example: `pdms --home /srv/pdms init`
    """
    from pdms.bootstrap.initialise import initialise

    face: Face = context.obj
    done = initialise(face.settings, clock=face.clock)
    told: dict[str, object] = {
        "home": done.home,
        "state": "made" if done.created else "was there already, nothing changed",
        "policies": done.policies,
        "root_key": done.root_uri,
        "passphrase_file": done.passphrase_file,
    }
    if done.first_key is not None:
        told["operator"] = "first-admin (role admin)"
        told["api_key"] = done.first_key.text
        told["note"] = (
            "This key is shown once. Keep the root key and its passphrase apart from the home and its backups."
        )
    show(told, as_json=face.json, title="pdms home")


def ingest(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A source of the policies, e.g. shop-members.")],
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8 or GB18030, .gz too), Parquet or JSON Lines.")],
    strict: Annotated[bool, typer.Option(help=f"Exit {EXIT_REJECTED_ROWS} when rows were rejected.")] = False,
    rejected_rows: Annotated[
        Path | None, typer.Option(help="Write the rejected rows whole, with values, to this file outside the home.")
    ] = None,
) -> None:
    """Take a file in: every good row is kept, every bad one reported by row number, field and rule.

    The same file twice adds nothing; a changed row updates; killed and run again it goes on where it was. A file with a
    column that the source does not classify is refused whole.

    Example: `pdms ingest shop-members members.csv --rejected-rows /secure/rejected.csv`
    """
    from pdms.ingest import service

    face: Face = context.obj
    with bar(f"ingest {source}", quiet=face.json) as progress:
        report = service.ingest(face.units, source=source, path=file, progress=progress, rejected_rows=rejected_rows)
    told: dict[str, object] = {"source": report.source, "read": report.read, "accepted": report.accepted}
    if report.kind == "members" or face.json:
        told |= {"created": report.created, "updated": report.updated, "unchanged": report.unchanged}
    told |= {"rejected": report.rejected, "rejected_by_rule": dict(report.by_rule), "load": report.load_id}
    if face.json:
        show({**told, "rejections": report.rejections}, as_json=True)
    else:
        show(told, as_json=False, title=f"ingested {file.name}" + (" (resumed)" if report.resumed else ""))
        if report.rejections:
            title = f"rejected rows, the first {min(SHOWN_REJECTIONS, len(report.rejections))}"
            show(report.rejections[:SHOWN_REJECTIONS], as_json=False, title=title)
    if strict and report.rejected:
        face.exit_code = EXIT_REJECTED_ROWS


def scan(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to look at.")],
    write_source: Annotated[str | None, typer.Option(help="Print a draft source mapping of this name.")] = None,
    kind: Annotated[str, typer.Option(help="Kind of the drafted source.")] = "members",
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows to look at.")] = 1000,
) -> None:
    """Propose what each column of a file holds, with evidence; nothing is stored, no value is printed.

    Example: `pdms scan members.csv --write-source crm-members > policies/sources/crm-members.yaml`
    """
    from pdms.discovery.draft import draft_source
    from pdms.ingest.scan import scan as scan_file

    face: Face = context.obj
    proposals = face.run(scan_file, path=file, rows=rows)
    if write_source is not None:
        print(draft_source(write_source, kind, proposals), end="")
        return
    show(proposals, as_json=face.json, title=f"columns of {file.name}")


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API; `/openapi.json` describes it. Put TLS in front of it.

    Example: `pdms --home /srv/pdms serve --port 8000`
    """
    from importlib import import_module

    face: Face = context.obj
    face.sequence()  # an operator starts the server, and its log is whole
    # By name: the two faces stay independent, and the server's libraries load only here.
    import_module("pdms.api.server").serve(face.app, host=host, port=port)


def sweep(context: typer.Context) -> None:
    """Finish what a crash left open, and do what time makes due: expiries, retention, orphaned keys, the log's tree.

    Run it daily, for instance from cron. Example: `pdms sweep`
    """
    from pdms.rights import service

    face: Face = context.obj
    show(service.sweep(face.units), as_json=face.json, title="swept")
