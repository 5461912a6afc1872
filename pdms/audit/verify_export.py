"""Offline verification of an export: `python -m pdms.audit.verify_export FILE`.

Guarantee: needs neither the database nor the operator; imports nothing but the standard library and, for Ed25519,
`pdms.crypto`. Any changed, missing, added or moved byte is found and placed by line and leaf. Against somebody who
mends every checksum and signs again with the log's own key, only what is held outside helps: an earlier checkpoint
(every receipt carries one) or a witness's cosignature. Without either, the result is "self-consistent only".

What is checked, in this order for each line:
1. the line has exactly the form that the export writes, and its checksum holds;
2. a leaf stands where its number says; its opening leads to its digest and is an event as pdms writes it;
3. a checkpoint is signed by the log's key, and the leaves above it lead to its root;
4. at the end: counts, the digest of the file, and the evidence from outside.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import SignedCheckpoint, parse_signed_checkpoint
from pdms.audit.events import Event, leaf_of
from pdms.audit.export_form import FORMAT, checked_line, checkpoint_content, end_line
from pdms.audit.findings import Assurance, Problem, Problems
from pdms.audit.merkle import Frontier
from pdms.audit.note import NoteKey, verify_note
from pdms.errors import IntegrityBroken, InvalidInput

MAX_LINE_BYTES = 262_144
_HEADER = re.compile(
    rb'\{"format":"' + re.escape(FORMAT.encode()) + rb'","key":"([\x21\x23-\x5b\x5d-\x7e]{1,512})",'
    rb'"leaves":(0|[1-9][0-9]{0,18}),"checkpoints":(0|[1-9][0-9]{0,18}),"unsequenced":(0|[1-9][0-9]{0,18})'
)
_LEAF = re.compile(
    rb'\{"leaf":(0|[1-9][0-9]{0,18}),"digest":"([0-9a-f]{64})"(?:,"salt":"([0-9a-f]{32})","event":(\{.*\}))?'
)
_CHECKPOINT = re.compile(rb'\{"checkpoint":("[\x20-\x7e]*")')
_END = re.compile(rb'\{"end":(0|[1-9][0-9]{0,18}),"sha256":"([0-9a-f]{64})"\}\n')
_TAIL = len(checked_line(b""))


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was found. `proven` leaves are backed by evidence from outside; the rest is self-consistent only."""

    size: int
    root: str
    shredded: int
    checkpoints: int
    unsequenced: int
    proven: int
    problems: tuple[Problem, ...]
    problem_count: int
    assurance: Assurance

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return self.problem_count == 0


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class _Reading:
    """What is known while the lines go by."""

    found: Problems = field(default_factory=Problems)
    tree: Frontier = field(default_factory=Frontier)
    whole: "_Digest" = field(default_factory=sha256)
    key: NoteKey | None = None
    leaves: int | None = None
    checkpoints_told: int | None = None
    unsequenced: int = 0
    checkpoints: int = 0
    covered: int = 0
    """Size of the last checkpoint whose root was right."""
    shredded: int = 0
    accounted: int = 0
    ended: bool = False
    witnessed: int = 0
    cosignatures: int = 0
    earlier_seen: bool = False


def verify_file(
    path: Path, *, key: NoteKey | None = None, witness: NoteKey | None = None, earlier: SignedCheckpoint | None = None
) -> ExportReport:
    """Check an export.

    :param key: the log's public key from a source other than the file. :param witness: key of a witness (C2SP
        cosignature). :param earlier: a checkpoint kept outside.
    :raises OSError: the file cannot be read.
    """
    reading = _Reading()
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if reading.ended:
                reading.found.add("AFTER_END", "something follows the last line", line=number)
                break
            if len(line) > MAX_LINE_BYTES:
                reading.found.add("LINE_LONG", "longer than any line of an export", line=number)
                break
            _line(line, number, reading, key=key, witness=witness, earlier=earlier)
    _finish(reading, number, witness=witness, earlier=earlier)
    outside = max(reading.witnessed, earlier.size if earlier is not None and reading.earlier_seen else 0)
    assurance = Assurance.SELF_CONSISTENT
    if reading.found.count:
        assurance, outside = Assurance.BROKEN, 0
    elif reading.witnessed:
        assurance = Assurance.WITNESSED
    elif outside or (earlier is not None and reading.earlier_seen):
        assurance = Assurance.EARLIER
    return ExportReport(
        reading.tree.size,
        reading.tree.root().hex(),
        reading.shredded,
        reading.checkpoints,
        reading.unsequenced,
        outside,
        reading.found.listed(),
        reading.found.count,
        assurance,
    )


def _line(
    line: bytes,
    number: int,
    reading: _Reading,
    *,
    key: NoteKey | None,
    witness: NoteKey | None,
    earlier: SignedCheckpoint | None,
) -> None:
    found = reading.found
    end = _END.fullmatch(line)
    if end is not None:
        reading.ended = True
        if line != end_line(number - 1, reading.whole.hexdigest()):
            found.add("FILE_DIFFERS", "the lines before are not those that were exported", line=number)
        return
    reading.whole.update(line)
    content = line[:-_TAIL]
    if checked_line(content) != line:
        found.add("LINE_DIFFERS", "the line's checksum does not hold", line=number, leaf=_guess(line, reading))
    if number == 1:
        _header(content, reading, key=key)
        _note_earlier(reading, earlier)
    elif leaf := _LEAF.fullmatch(content):
        _leaf(leaf, number, reading)
        _note_earlier(reading, earlier)
    elif state := _CHECKPOINT.fullmatch(content):
        _checkpoint(state[1], number, reading, witness=witness)
    else:
        found.add("LINE_FORM", "not a line that an export has", line=number, leaf=_guess(line, reading))
        if line.startswith(b'{"leaf"'):  # keep the place of all that follow
            reading.tree.append(bytes(32))


def _guess(line: bytes, reading: _Reading) -> int | None:
    return reading.tree.size if line.startswith(b'{"leaf"') else None


def _header(content: bytes, reading: _Reading, *, key: NoteKey | None) -> None:
    head = _HEADER.fullmatch(content)
    reading.key = key
    if head is None:
        reading.found.add("HEADER_FORM", "the first line is not that of an export", line=1)
        return
    try:
        named = NoteKey.from_vkey(head[1].decode())
    except InvalidInput as error:
        reading.found.add(error.code, error.message, line=1)
    else:
        if key is not None and key != named:
            reading.found.add("KEY_DIFFERS", "the export names another key than the one given", line=1)
        reading.key = key or named
    reading.leaves, reading.checkpoints_told, reading.unsequenced = int(head[2]), int(head[3]), int(head[4])


def _leaf(leaf: re.Match[bytes], number: int, reading: _Reading) -> None:
    index, found = reading.tree.size, reading.found
    digest, salt, body = bytes.fromhex(leaf[2].decode()), leaf[3], leaf[4]
    if int(leaf[1]) != index:
        found.add("LEAF_ORDER", f"leaf {int(leaf[1])} stands where {index} belongs", line=number, leaf=index)
    reading.tree.append(digest)
    if body is None:
        reading.shredded += 1
        return
    if leaf_of(bytes.fromhex(salt.decode()), body) != digest:
        found.add("OPENING_DIFFERS", "the event does not lead to the leaf's digest", line=number, leaf=index)
    try:
        event = Event.from_canonical(body)
    except IntegrityBroken as error:
        found.add(error.code, error.message, line=number, leaf=index)
        return
    if event.kind is EventKind.AUDIT_OPENINGS_SHREDDED:
        reading.accounted += event.numbers.get("openings", 0)


def _checkpoint(text: bytes, number: int, reading: _Reading, *, witness: NoteKey | None) -> None:
    found, size = reading.found, reading.tree.size
    reading.checkpoints += 1
    try:
        signed = _read_checkpoint(text)
    except (ValueError, IntegrityBroken) as error:
        code = error.code if isinstance(error, IntegrityBroken) else "LINE_FORM"
        found.add(code, "the checkpoint cannot be read", line=number)
        return
    if reading.key is not None:
        _check_signature(signed, reading.key, number, reading)
    if signed.size != size:
        found.add("CHECKPOINT_PLACE", f"it speaks of {signed.size} leaves after {size} of them", line=number)
        return
    if signed.root != reading.tree.root():
        span = f"a leaf from {reading.covered} to {size - 1}"
        found.add("ROOT_DIFFERS", f"{span} is not the one that was signed", line=number, leaf=reading.covered)
        return
    reading.covered = size
    if witness is not None:
        _check_witness(signed, witness, number, reading)


def _read_checkpoint(text: bytes) -> SignedCheckpoint:
    note = json.loads(text)
    if checkpoint_content(note) != b'{"checkpoint":' + text:  # JSON has several spellings of one string
        raise IntegrityBroken("checkpoint: not written as an export writes it", code="LINE_FORM")
    return parse_signed_checkpoint(note.encode())


def _check_signature(signed: SignedCheckpoint, key: NoteKey, number: int, reading: _Reading) -> None:
    try:
        verify_note(signed.note, key)
    except IntegrityBroken as error:
        reading.found.add(error.code, f"checkpoint: {error.message}", line=number)
    if signed.checkpoint.origin != key.name:
        reading.found.add("CHECKPOINT_DIFFERS", "the checkpoint is of another log", line=number)


def _check_witness(signed: SignedCheckpoint, witness: NoteKey, number: int, reading: _Reading) -> None:
    if not any((s.name, s.key_id) == (witness.name, witness.key_id) for s in signed.note.signatures):
        return
    try:
        verify_note(signed.note, witness)
    except IntegrityBroken as error:
        reading.found.add(error.code, f"witness: {error.message}", line=number)
    else:
        reading.witnessed = signed.size
        reading.cosignatures += 1


def _note_earlier(reading: _Reading, earlier: SignedCheckpoint | None) -> None:
    if earlier is None or earlier.size != reading.tree.size:
        return
    reading.earlier_seen = True
    if earlier.root != reading.tree.root():
        reading.found.add(
            "HISTORY_DIFFERS", f"the first {earlier.size} leaves are not those of the earlier checkpoint", leaf=0
        )


def _finish(reading: _Reading, lines: int, *, witness: NoteKey | None, earlier: SignedCheckpoint | None) -> None:
    found, size = reading.found, reading.tree.size
    if not reading.ended:
        found.add("END_MISSING", "the last line is missing: the file was cut", line=lines)
    if reading.leaves is not None and reading.leaves != size:
        found.add("LEAF_COUNT", f"{size} leaves, but the first line tells of {reading.leaves}", leaf=size, line=1)
    if reading.checkpoints_told is not None and reading.checkpoints_told != reading.checkpoints:
        told = reading.checkpoints_told
        found.add("CHECKPOINT_COUNT", f"{reading.checkpoints} checkpoints, but the first line tells of {told}", line=1)
    if reading.covered != size:
        found.add("UNSIGNED_TAIL", "no good checkpoint speaks for the last leaves", leaf=reading.covered)
    if reading.shredded > reading.accounted:
        gone = reading.shredded - reading.accounted
        found.add("OPENINGS_MISSING", f"{gone} openings are gone, and no event accounts for it")
    if witness is not None and not reading.cosignatures:
        found.add("NOT_WITNESSED", "no checkpoint bears a good cosignature of this witness")
    if earlier is not None:
        if not reading.earlier_seen:
            found.add("LOG_SHORTER", f"{size} leaves, the earlier checkpoint speaks of {earlier.size}", leaf=size)
        if reading.key is not None:
            try:
                verify_note(earlier.note, reading.key)
            except IntegrityBroken as error:
                found.add(error.code, f"earlier checkpoint: {error.message}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verifier: 0 nothing found, 7 problems found, 2 the input cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m pdms.audit.verify_export", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the export")
    parser.add_argument("--key", metavar="VKEY", help="the log's public key, from elsewhere than the file")
    parser.add_argument("--witness", metavar="VKEY", help="public key of a witness")
    parser.add_argument("--checkpoint", type=Path, metavar="NOTE", help="file with an earlier checkpoint")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    try:
        report = verify_file(
            options.file,
            key=NoteKey.from_vkey(options.key) if options.key else None,
            witness=NoteKey.from_vkey(options.witness) if options.witness else None,
            earlier=parse_signed_checkpoint(options.checkpoint.read_bytes()) if options.checkpoint else None,
        )
    except (OSError, InvalidInput, IntegrityBroken) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(report), indent=2) if options.json else render(report))
    return 0 if report.ok else 7


def render(report: ExportReport) -> str:
    """Return the report as text for people."""
    lines = [str(problem) for problem in report.problems]
    if report.problem_count > len(lines):
        lines.append(f"… and {report.problem_count - len(lines)} more")
    lines.append(
        f"{report.size} leaves ({report.shredded} shredded), {report.checkpoints} checkpoints, root {report.root}"
    )
    if report.unsequenced:
        lines.append(f"{report.unsequenced} events were not yet in the tree and are not part of this export")
    verdict = report.assurance.value
    if report.ok and report.proven:
        verdict += f" up to leaf {report.proven - 1}" if report.proven < report.size else " in full"
        if report.proven < report.size:
            verdict += ", self-consistent only from there"
    lines.append(("OK: " if report.ok else f"{report.problem_count} problem(s): ") + verdict)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
