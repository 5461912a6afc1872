"""`pdms audit`: the log, and the proof that it is whole."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdms.cli.face import Face
from pdms.cli.files import read_small, readable
from pdms.cli.render import show
from pdms.clock import SHANGHAI

if TYPE_CHECKING:
    from pdms.audit.verifier import ExportReport
    from pdms.audit.verify import VerifyReport

app = typer.Typer(no_args_is_help=True, help="The tamper-evident log (scope: compliance).")
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on (Shanghai).")]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Before this day (Shanghai).")]
SHOWN_PROBLEMS = 5
COLUMNS = ("seq", "at", "kind", "outcome", "purpose", "reasons", "actor", "member_id", "refs")


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[
        list[str] | None, typer.Option(help="Event kind such as consent.withdrawn; may be repeated.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Member id, or SYSTEM:NUMBER.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Of this purpose only.")] = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[int | None, typer.Option(help="Cursor: the seq after which the page begins.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
) -> None:
    """List events, newest first. Example: `pdms audit list --kind reveal --since 2026-11-01`"""
    from pdms.cli.members import parse_member
    from pdms.reports import evidence

    face: Face = context.obj
    member_id = face.run(parse_member, member) if member else None
    page = face.run(
        evidence.list_events,
        kinds=tuple(kind or ()),
        member_id=member_id,
        purpose=purpose,
        since=_day(since),
        until=_day(until),
        after=after,
        limit=limit,
    )
    show(page if face.json else page.items, as_json=face.json, title="events", columns=COLUMNS)


@app.command("decisions")
def decisions(
    context: typer.Context,
    purpose: Annotated[str | None, typer.Option(help="Of this purpose only.")] = None,
    denied: Annotated[bool | None, typer.Option("--denied/--permitted", help="Refusals only, or permits only.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
) -> None:
    """List what was allowed or refused, and why. Example: `pdms audit decisions --purpose market_email --denied`"""
    from pdms.reports import evidence

    face: Face = context.obj
    page = face.run(
        evidence.decisions, purpose=purpose, denied=denied, since=_day(since), until=_day(until), limit=limit
    )
    show(page if face.json else page.items, as_json=face.json, title="decisions", columns=COLUMNS)


@app.command("verify")
def verify(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="An export or a pack, verified offline; without it: this home's log.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The log's public key (vkey), kept from elsewhere.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="An earlier checkpoint, kept outside.")] = None,
    witness: Annotated[str | None, typer.Option(help="A witness's public key (vkey); for a file.")] = None,
) -> None:
    """Recompute the log: any change since it was written is found and located; exit code 7 where something is.

    Example: `pdms audit verify log.jsonl --checkpoint kept-in-march.note`
    """
    from pdms.errors import FAMILIES, IntegrityBroken

    face: Face = context.obj
    if file is not None:
        from pdms.audit.checkpoint import parse_signed_checkpoint
        from pdms.audit.note import NoteKey
        from pdms.audit.verifier import verify_file

        earlier = parse_signed_checkpoint(read_small(checkpoint)) if checkpoint else None
        with readable():
            report = verify_file(
                file,
                key=NoteKey.from_vkey(key) if key else None,
                witness=NoteKey.from_vkey(witness) if witness else None,
                earlier=earlier,
            )
        ok = report.ok
        _verdict(face, report, title=f"log in {file.name}")
    else:
        from pdms.reports import evidence

        face.sequence()
        found = face.run(evidence.verify, earlier=checkpoint)
        ok = found.ok
        _verdict(face, found, title="log of this home")
    if not ok:
        face.exit_code = FAMILIES[IntegrityBroken].exit_code


@app.command("head")
def head(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="Write the signed checkpoint here.")] = None,
) -> None:
    """Show the newest signed checkpoint; keep it somewhere else, it convicts whoever rewrites the log.

    Example: `pdms audit head /elsewhere/2026-11-02.note`
    """
    from pdms.cli.files import new_file_if
    from pdms.reports import evidence

    face: Face = context.obj
    face.sequence()
    with new_file_if(path, home=face.app.home) as write:
        found = face.run(evidence.head)
        write(found.note.encode())
    show(found, as_json=face.json, title="checkpoint")


@app.command("prove")
def prove(context: typer.Context, event_id: Annotated[str, typer.Argument(help="Event id, 32 hex digits.")]) -> None:
    """Print the proof that an event is in the log (JSON, checked offline).

    Example: `pdms audit prove 9b1d4c7a2e5f40c38a6db1e07f3c5a92`
    """
    from pdms.reports import evidence

    face: Face = context.obj
    face.sequence()
    print(json.dumps(face.run(evidence.prove, event_id=event_id)))


@app.command("export")
def export(context: typer.Context, path: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write the whole log to one file that verifies anywhere. Example: `pdms audit export log.jsonl`"""
    from pdms.cli.files import outside_home
    from pdms.reports import evidence

    face: Face = context.obj
    outside_home(path, face.app.home)
    face.sequence()
    show(face.run(evidence.export, path=path), as_json=face.json, title="exported")


@app.command("pack")
def pack(
    context: typer.Context,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="From this day on (Shanghai).")],
    until: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Before this day (Shanghai).")],
    out: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Write the pack for a regulator: events, policies, notices, consents, proofs, a summary and the verifier.

    Example: `pdms audit pack --from 2026-01-01 --to 2027-01-01 --out 2026.zip`
    """
    from pdms.cli.files import outside_home
    from pdms.reports import pack as packs

    face: Face = context.obj
    outside_home(out, face.app.home)
    face.sequence()
    found = face.run(packs.pack, since=_start(since), until=_start(until), path=out)
    show(found, as_json=face.json, title="packed")


@app.command("cosign")
def cosign(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A checkpoint of this log, cosigned by a witness.")],
    witness: Annotated[str, typer.Option(help="The witness's public key (vkey).")],
) -> None:
    """Take in a witness's cosignature; exports and packs carry it. Example: `pdms audit cosign a.note --witness VKEY`

    The witness signs what `pdms audit head FILE` wrote, after checking that it extends what they signed before.
    """
    from pdms.reports import evidence

    face: Face = context.obj
    show(face.run(evidence.cosign, path=path, witness=witness), as_json=face.json, title="checkpoint")


@app.command("purge")
def purge(
    context: typer.Context,
    retention: Annotated[str, typer.Argument(metavar="CLASS", help="network_log, record or proof.")],
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Older than this day (Shanghai).")],
) -> None:
    """Shred openings whose time is over; what the law keeps longer is refused (exit code 6). The leaves stay.

    Example: `pdms audit purge network_log --before 2026-01-01`
    """
    from pdms.reports import evidence

    face: Face = context.obj
    done = face.run(evidence.purge, retention=retention, before=_start(before))
    show({"openings shredded": done}, as_json=face.json, title="purged")


@app.command("replay")
def replay(
    context: typer.Context,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="From this day on (Shanghai).")],
    until: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Before this day (Shanghai).")],
) -> None:
    """Decide again what was decided, by the policy and consents of then; exit code 7 where a decision differs.

    Example: `pdms audit replay --from 2026-11-01 --to 2026-12-01`
    """
    from pdms.cli.progress import bar
    from pdms.errors import FAMILIES, IntegrityBroken
    from pdms.reports import replay as replays

    face: Face = context.obj
    with bar("replay", quiet=face.json) as progress:
        found = replays.replay(face.units, since=_start(since), until=_start(until), progress=progress)
    told = {
        "decisions": found.decisions,
        "the same": found.same,
        "differing": found.differing,
        "not to be told": found.unknown,
        "of them sets": found.sets,
    }
    show(found if face.json else told, as_json=face.json, title="replay")
    if not found.ok:
        if not face.json:
            columns = (
                "at",
                "why",
                "purpose",
                "was",
                "would_be",
                "reasons_then",
                "reasons_now",
                "leaf_index",
                "event_id",
            )
            show(found.differences[:SHOWN_PROBLEMS], as_json=False, title="differences", columns=columns)
        face.exit_code = FAMILIES[IntegrityBroken].exit_code


def _verdict(face: Face, report: "ExportReport | VerifyReport", *, title: str) -> None:
    if face.json:
        show(report, as_json=True)
        return
    told: dict[str, object] = {
        "verdict": "whole" if report.ok else "BROKEN",
        "assurance": report.assurance,
        "leaves": report.size,
        "root": report.root,
        "checkpoints": report.checkpoints,
        "openings shredded": report.shredded,
        "not sequenced": report.unsequenced,
    }
    if not report.ok:
        told["problems"] = f"{report.problem_count}, the first {min(SHOWN_PROBLEMS, report.problem_count)} below"
    for number, note in enumerate(getattr(report, "notes", ()), start=1):
        told[f"note {number}"] = note
    show(told, as_json=False, title=title)
    if not report.ok:
        show(
            report.problems[:SHOWN_PROBLEMS],
            as_json=False,
            title="problems",
            columns=("code", "file", "line", "leaf", "detail"),
        )


def _day(value: datetime | None) -> datetime | None:
    return _start(value) if value is not None else None


def _start(day: datetime) -> datetime:
    return day.replace(tzinfo=SHANGHAI).astimezone(UTC)
