"""Top-level commands: init, ingest, scan, serve, sweep."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from pdms.bootstrap.plain import plain
from pdms.cli.face import Face
from pdms.cli.progress import bar
from pdms.cli.render import show, show_once
from pdms.cli.takeover import verify_table
from pdms.errors import EXIT_REJECTED_ROWS, InvalidInput

if TYPE_CHECKING:  # the stores load with the command, not with the help
    from pdms.ingest.service import IngestReport

if TYPE_CHECKING:
    from pdms.bootstrap.initialise import Initialised

SHOWN_REJECTIONS = 20


def init(
    context: typer.Context,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring the databases of an older home to the schema of this version.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(help="PostgreSQL for the databases, e.g. postgresql://pdms@host/pdms; no password in it."),
    ] = None,
) -> None:
    """Make a home: databases, key store, root key, and the first administrator, whose API key is printed once.

    Asking twice changes nothing. The root key lies beside the home (`PDMS_ROOT_KEY` names another place, such as
    `file:/secure/epoch-1.json` or `env:NAME`); `PDMS_PASSPHRASE` protects it, else a passphrase file is made beside it.

    The databases are files of the home unless `--database` (or `PDMS_DATABASE_URL`) names a PostgreSQL server; its
    password comes from PGPASSWORD, .pgpass or a service file, and is kept nowhere.

    With `--upgrade`, the databases of a home made by an earlier version, which every command refuses, are moved on.
    First make a backup with the earlier version, and stop its processes. Killed, ask again.

    Examples: `pdms --home /srv/pdms init`, `pdms --home /srv/pdms init --upgrade`
    """
    from pdms.bootstrap.initialise import initialise

    face: Face = context.obj
    settings = face.settings
    if database is not None:
        from pdms.db.parts import checked_url

        settings = settings.model_copy(update={"database_url": SecretStr(checked_url(database))})
    initialise(settings, clock=face.clock, upgrade=upgrade, show=lambda done: _show_home(done, face))


def _show_home(done: "Initialised", face: Face) -> None:
    told: dict[str, object] = {
        "home": done.home,
        "state": _state(done),
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
    if done.upgraded is not None:
        told["schema"] = {step.part.value: {"before": step.before, "after": step.after} for step in done.upgraded.steps}
    show_once(told, once="api_key", as_json=face.json, title="pdms home")
    sys.stdout.flush()


def _state(done: "Initialised") -> str:
    if done.created:
        return "made"
    changed = done.upgraded is not None and done.upgraded.changed
    return "was there already, upgraded" if changed else "was there already, nothing changed"


def ingest(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A source of the policies, e.g. shop-members.")],
    file: Annotated[
        Path | None, typer.Argument(help="CSV (UTF-8 or GB18030, .gz too), Parquet or JSON Lines.", show_default=False)
    ] = None,
    from_url: Annotated[
        str | None,
        typer.Option(help="Take a table over: sqlite:///PATH or postgresql://ACCOUNT@HOST/NAME, read only."),
    ] = None,
    table: Annotated[str | None, typer.Option(help="With --from-url: the table, NAME or SCHEMA.NAME.")] = None,
    verify: Annotated[
        bool, typer.Option(help="With --from-url: take nothing in, compare the table with the vault; exit 6 if unlike.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="With --verify: write the signed cut-over report to this file (.json).")
    ] = None,
    strict: Annotated[bool, typer.Option(help=f"Exit {EXIT_REJECTED_ROWS} when rows were rejected.")] = False,
    rejected_rows: Annotated[
        Path | None, typer.Option(help="Write the rejected rows whole, with values, to this file outside the home.")
    ] = None,
    batch_rows: Annotated[
        int | None,
        typer.Option(min=1_000, max=200_000, help="Rows committed together (40,000); other writers wait meanwhile."),
    ] = None,
) -> None:
    """Take a file or a table in: every good row is kept, every bad one reported by row number, field and rule.

    The same file twice adds nothing; a changed row updates; killed and run again it goes on where it was. A file with a
    column that the source does not classify is refused whole. A table is read in the order of its key, in short
    read-only transactions, while others use it; run again, it takes only what changed. The database's password stands
    in `PDMS_SOURCE_PASSWORD`: on a command line every process of the machine could read it.

    Example: `pdms ingest shop-members members.csv --rejected-rows /secure/rejected.csv`

    The first million of members goes in a quarter faster in large batches, with twice the memory (about 1 GB).

    Example: `pdms ingest shop-members first-load.csv --batch-rows 160000`

    `--verify` reads the table again and compares each row with what the vault opens, by keyed digests; counts come out.
    `--report PATH` writes the cut-over report: signed JSON, and beside it the same for people in Chinese and English.

    Example: `pdms ingest shop-members --from-url postgresql://reader@old-shop/shop --table members`

    Example: `pdms ingest shop-members --from-url sqlite:///old.db --table members --verify --report cut-over.json`
    """
    face: Face = context.obj
    if from_url is None:
        if file is None or table is not None or verify or report is not None:
            raise InvalidInput("ingest: name a file, or a database by --from-url and its --table")
        _tell(
            face,
            _from_file(face, source, file, rejected_rows, _options(batch_rows)),
            f"ingested {file.name}",
            strict=strict,
        )
    elif file is not None or table is None or rejected_rows is not None or (report is not None and not verify):
        raise InvalidInput(
            "ingest: --from-url goes with --table, --report with --verify; neither with a file's options"
        )
    elif verify:
        verify_table(face, source=source, address=from_url, table=table, report=report)
    else:
        _tell(
            face, _from_table(face, source, from_url, table, _options(batch_rows)), "ingested the table", strict=strict
        )


def _options(batch_rows: int | None) -> dict[str, int]:
    return {} if batch_rows is None else {"batch_rows": batch_rows}


def _tell(face: Face, report: "IngestReport", title: str, *, strict: bool) -> None:
    told: dict[str, object] = {"source": report.source, "read": report.read, "accepted": report.accepted}
    if report.kind == "members" or face.json:
        told |= {"created": report.created, "updated": report.updated, "unchanged": report.unchanged}
    told |= {"rejected": report.rejected, "rejected_by_rule": dict(report.by_rule), "load": report.load_id}
    if face.json:
        show({**told, "rejections": report.rejections}, as_json=True)
    else:
        show(told, as_json=False, title=title + (" (resumed)" if report.resumed else ""))
        if report.rejections:
            title = f"rejected rows, the first {min(SHOWN_REJECTIONS, len(report.rejections))}"
            show(report.rejections[:SHOWN_REJECTIONS], as_json=False, title=title)
    if strict and report.rejected:
        face.exit_code = EXIT_REJECTED_ROWS


def _from_file(
    face: Face, source: str, file: Path, rejected_rows: Path | None, options: dict[str, int]
) -> "IngestReport":
    from pdms.rights import service

    with bar(f"ingest {source}", quiet=face.json) as progress:
        return service.ingest(
            face.units,
            source=source,
            path=file,
            progress=progress,
            rejected_rows=rejected_rows,
            **options,
        )


def _from_table(face: Face, source: str, address: str, table: str, options: dict[str, int]) -> "IngestReport":
    from pdms.rights import service

    word = face.settings.source_password
    with bar(f"ingest {source}", quiet=face.json) as progress:
        return service.ingest_table(
            face.units,
            source=source,
            address=address,
            table=table,
            password=word.get_secret_value() if word else None,
            progress=progress,
            **options,
        )


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
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any free one.")] = 8000,
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

    Duties of the law whose time is over come out as alarms, and go into the log; `pdms report findings` tells of them.
    Run it daily, for instance from cron. Example: `pdms sweep`
    """
    from pdms.reports import findings
    from pdms.rights import service

    face: Face = context.obj
    swept = service.sweep(face.units)
    show({**plain(swept), "alarms": face.run(findings.alarms)}, as_json=face.json, title="swept")
