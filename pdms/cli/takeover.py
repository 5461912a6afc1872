"""Verifying what was taken over from an old table, and the cut-over report."""

from pathlib import Path
from typing import TYPE_CHECKING

from pdms.cli.face import Face
from pdms.cli.files import outside_home, write_new
from pdms.cli.progress import bar
from pdms.cli.render import json_line, show
from pdms.disk import taken
from pdms.errors import Conflict, InvalidInput
from pdms.settings import Home
from pdms.taxonomy import Language

if TYPE_CHECKING:
    from pdms.ingest.service import CutOver


def verify_table(face: Face, *, source: str, address: str, table: str, report: Path | None) -> None:
    """Compare, sequence the log, report. Ends as a conflict where the table and the vault are not alike."""
    from pdms.ingest import service

    places = _places(report, face.app.home)
    word = face.settings.source_password
    with bar(f"verify {source}", quiet=face.json) as progress:
        found = service.verify_table(
            face.units,
            source=source,
            address=address,
            table=table,
            password=word.get_secret_value() if word else None,
            progress=progress,
        )
    face.sequence()  # so that the checkpoint in the report covers the comparison
    made = face.run(service.cut_over, found)
    _write(made, places, face.app.home)
    if face.json:
        show(made.document, as_json=True)
    else:
        print(made.text(Language.EN), end="")
    if not made.ready:
        raise Conflict("table: the vault does not hold it as it is; the report says what remains", code="NOT_READY")


def _places(report: Path | None, home: Home) -> dict[str, Path]:
    """Return where the report goes, in each form; looked at before the long work.

    :raises InvalidInput: a place is taken, or cannot be.
    """
    if report is None:
        return {}
    if report.suffix != ".json":
        raise InvalidInput("report: ends in .json")
    if not report.parent.is_dir():
        raise InvalidInput("report: its folder does not exist")
    outside_home(report, home)
    places = {"json": report} | {tongue: report.with_suffix(f".{tongue}.txt") for tongue in Language}
    if any(path.exists() for path in places.values()):
        raise taken()
    return places


def _write(made: "CutOver", places: dict[str, Path], home: Home) -> None:
    for form, path in places.items():
        text = json_line(made.document) + "\n" if form == "json" else made.text(Language(form))
        write_new(path, text.encode(), home=home)
