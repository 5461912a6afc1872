"""The export and its offline verifier: every byte is covered, every change is placed."""

import json
import subprocess
import sys

import pytest

from pdms.audit import service
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint, sign_checkpoint
from pdms.audit.events import leaf_of
from pdms.audit.merkle import Frontier
from pdms.audit.note import NoteKey, cosign, note_key
from pdms.audit.verifier import (
    Assurance,
    checked_line,
    checkpoint_content,
    end_line,
    leaf_content,
    main,
    render,
    verify_file,
)
from pdms.errors import IntegrityBroken

MEMBER = "ab" * 16

ONCE = pytest.mark.parametrize("log", ["sqlite"], indirect=True)
"""Minutes over every byte of a file: which database it was exported from makes no difference."""


@pytest.fixture
def exported(log, event, now):
    """Seven leaves, one of them shredded, under three checkpoints."""
    log.append(event(), event(member_id=MEMBER), event(EventKind.CONSENT_RECORDED))
    log.sequence()
    log.append(event(), event())
    log.sequence()
    with log.begin() as session:
        service.shred_openings(session, MEMBER, now=now, actor="system")
    log.append(event())
    log.sequence()
    return log.export()


def codes(path, **options):
    return [problem.code for problem in verify_file(path, **options).problems]


def rewrite(path, contents):
    """Write an export anew with all its checksums mended, as somebody who knows the format would."""
    import hashlib

    lines = [checked_line(content) for content in contents]
    whole = b"".join(lines)
    path.write_bytes(whole + end_line(len(lines), hashlib.sha256(whole).hexdigest()))


def contents_of(path):
    return [line[: -len(checked_line(b""))] for line in path.read_bytes().splitlines(keepends=True)[:-1]]


def test_an_untouched_export_is_self_consistent_and_no_more(exported, log):
    report = verify_file(exported, key=log.key)
    assert report.ok
    assert (report.size, report.shredded, report.checkpoints, report.proven) == (7, 1, 3, 0)
    assert report.assurance is Assurance.SELF_CONSISTENT
    assert render(report).endswith("OK: self-consistent only")


def test_the_same_log_gives_the_same_bytes_and_only_its_owner_may_read_them(exported, log):
    again = log.export("again.jsonl")
    assert again.read_bytes() == exported.read_bytes()
    assert again.stat().st_mode & 0o077 == 0
    assert [path.name for path in log.folder.glob("*.part")] == []


def test_every_line_is_json_that_any_tool_reads(exported):
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == [
        *("format", "leaf", "leaf", "leaf", "checkpoint", "leaf", "leaf", "checkpoint", "leaf", "leaf"),
        *("checkpoint", "end"),
    ]
    assert lines[3]["event"]["kind"] == "consent.recorded"
    assert "event" not in lines[2]


@ONCE
def test_PIPL_69_every_changed_byte_is_found_at_its_line(exported, log, tmp_path):
    raw = exported.read_bytes()
    copy = tmp_path / "changed.jsonl"
    line = 1
    for position, byte in enumerate(raw):
        for change in (1, 0x20, 0x80) if position % 16 == 0 else (1,):
            changed = bytearray(raw)
            changed[position] = byte ^ change
            copy.write_bytes(changed)
            report = verify_file(copy, key=log.key)
            assert not report.ok, position
            places = {problem.line for problem in report.problems}
            # a newline that changed joins two lines: the first of them is named
            assert line in places, (position, change, report.problems)
        line += byte == 0x0A


@ONCE
def test_every_changed_byte_is_found_without_the_key_too(exported, tmp_path):
    raw = exported.read_bytes()
    copy = tmp_path / "changed.jsonl"
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        copy.write_bytes(changed)
        assert not verify_file(copy).ok, position


@ONCE
def test_every_removed_or_doubled_byte_is_found(exported, log, tmp_path):
    raw = exported.read_bytes()
    copy = tmp_path / "changed.jsonl"
    for position in range(0, len(raw), 3):
        for changed in (raw[:position] + raw[position + 1 :], raw[:position] + b" " + raw[position:]):
            copy.write_bytes(changed)
            assert not verify_file(copy, key=log.key).ok, position


@ONCE
def test_every_cut_is_found(exported, log, tmp_path):
    raw = exported.read_bytes()
    copy = tmp_path / "cut.jsonl"
    for end in range(len(raw)):
        copy.write_bytes(raw[:end])
        assert "END_MISSING" in codes(copy, key=log.key) or not verify_file(copy, key=log.key).ok
    copy.write_bytes(raw + b"\n")
    assert "AFTER_END" in codes(copy, key=log.key)


@pytest.mark.parametrize("first", range(1, 10))
def test_lines_removed_exchanged_or_doubled_are_found_though_all_checksums_are_mended(exported, log, first):
    contents = contents_of(exported)
    removed = contents[:first] + contents[first + 1 :]
    exchanged = [*contents[:first], contents[first + 1], contents[first], *contents[first + 2 :]]
    doubled = contents[: first + 1] + contents[first:]
    for changed in (removed, exchanged, doubled):
        rewrite(exported, changed)
        report = verify_file(exported, key=log.key)
        assert not report.ok
        assert any(problem.line is not None or problem.leaf is not None for problem in report.problems)


def test_an_event_rewritten_with_digest_and_checksums_is_placed_between_its_checkpoints(exported, log, event):
    contents = contents_of(exported)
    body, salt = event().canonical(), bytes(16)
    contents[5] = leaf_content(3, leaf_of(salt, body), salt, body)
    rewrite(exported, contents)
    report = verify_file(exported, key=log.key)
    places = {(problem.code, problem.line, problem.leaf) for problem in report.problems}
    assert ("ROOT_DIFFERS", 8, 3) in places
    assert all(code in ("ROOT_DIFFERS", "UNSIGNED_TAIL") for code, _, _ in places)


def forge(exported, log, signer):
    """Write the whole log anew: another event at leaf 3, every digest, root, signature and checksum to match."""
    tree, forged = Frontier(), []
    for position, content in enumerate(contents_of(exported)):
        line = json.loads(content + b"}")
        if position == 0:
            forged.append(content.replace(log.key.vkey.encode(), note_key(signer).vkey.encode()))
        elif "leaf" in line:
            if line["leaf"] == 3:
                salt, body = bytes(16), content.split(b'"event":')[1].replace(b'"segment"', b'"service"')
                content = leaf_content(3, leaf_of(salt, body), salt, body)
            tree.append(bytes.fromhex(json.loads(content + b"}")["digest"]))
            forged.append(content)
        else:
            old = parse_signed_checkpoint(line["checkpoint"].encode()).checkpoint
            new = sign_checkpoint(old.__class__(old.origin, old.size, tree.root()), signer)
            forged.append(checkpoint_content(new.render()))
    rewrite(exported, forged)


def test_a_log_rewritten_and_signed_again_is_found_only_from_outside(exported, log, named):
    witness = named("witness.example")
    with log.begin(read_only=True) as session:
        earlier = service.checkpoint(session)
    forge(exported, log, log.signer)
    alone = verify_file(exported, key=log.key)
    assert alone.ok
    assert alone.assurance is Assurance.SELF_CONSISTENT
    assert alone.proven == 0
    assert codes(exported, key=log.key, earlier=earlier) == ["HISTORY_DIFFERS"]
    assert codes(exported, key=log.key, witness=NoteKey(witness.name, witness.public_key, 4)) == ["NOT_WITNESSED"]


def test_a_log_signed_by_another_key_is_found_by_the_key(exported, log, named):
    forge(exported, log, named(log.signer.name))
    assert verify_file(exported).ok
    assert {"KEY_DIFFERS", "NOTE_UNSIGNED"} == set(codes(exported, key=log.key))


def test_an_earlier_checkpoint_proves_what_it_covers(exported, log):
    notes = [
        json.loads(line)["checkpoint"] for line in exported.read_text().splitlines() if line.startswith('{"checkpoint')
    ]
    for note, size in zip(notes, (3, 5, 7), strict=True):
        report = verify_file(exported, key=log.key, earlier=parse_signed_checkpoint(note.encode()))
        assert report.ok
        assert report.assurance is Assurance.EARLIER
        assert report.proven == size
        assert ("self-consistent only from there" in render(report)) == (size < 7)


def test_an_earlier_checkpoint_that_is_larger_or_false_is_a_problem(exported, log, event, named):
    log.append(event())
    log.sequence()
    with log.begin(read_only=True) as session:
        later = service.checkpoint(session)
    assert codes(exported, key=log.key, earlier=later) == ["LOG_SHORTER"]
    forged = sign_checkpoint(later.checkpoint, named(log.signer.name))
    assert "NOTE_UNSIGNED" in codes(exported, key=log.key, earlier=forged)


def test_a_witness_proves_what_it_cosigned(log, named, event):
    witness = named("witness.example")
    key = NoteKey(witness.name, witness.public_key, 4)
    log.grow(4)
    with log.begin() as session:
        head = service.checkpoint(session)
        service.add_cosignature(session, cosigned=cosign(head.note, witness, at=1).render().encode(), witness=key)
    log.grow(2)
    path = log.export()
    report = verify_file(path, key=log.key, witness=key)
    assert report.ok
    assert report.assurance is Assurance.WITNESSED
    assert report.proven == 4
    assert verify_file(path, key=log.key).assurance is Assurance.SELF_CONSISTENT


def test_an_opening_removed_without_the_event_that_says_so(exported, log):
    contents = contents_of(exported)
    line = json.loads(contents[1] + b"}")
    contents[1] = leaf_content(0, bytes.fromhex(line["digest"]), None, None)
    rewrite(exported, contents)
    assert codes(exported, key=log.key) == ["OPENINGS_MISSING"]


def test_unsequenced_events_are_counted_and_not_exported(log, event):
    log.grow(2)
    log.append(event(), event(), event())
    report = verify_file(log.export(), key=log.key)
    assert report.ok
    assert (report.size, report.unsequenced) == (2, 3)
    assert "3 events were not yet in the tree" in render(report)


def test_an_empty_log_exports_and_verifies(log):
    report = verify_file(log.export(), key=log.key)
    assert report.ok
    assert report.size == 0


def test_an_export_of_a_log_with_a_hole_fails_and_leaves_nothing(log):
    log.grow(5)
    log.tamper("DELETE FROM audit_event WHERE seq = 3")
    with pytest.raises(IntegrityBroken) as broken:
        log.export()
    assert broken.value.code == "EVENT_MISSING"
    assert not (log.folder / "export.jsonl").exists()
    assert not (log.folder / "export.jsonl.part").exists()


def test_a_long_log_goes_through_in_batches(log):
    log.grow(9000, 1)
    report = verify_file(log.export(), key=log.key)
    assert report.ok
    assert report.size == 9001


@pytest.mark.parametrize("raw", [b"", b"\n", b"\x00" * 1000, b"{" * 400_000, b'{"end":0,"sha256":""}\n'])
def test_what_is_no_export_is_a_problem_and_no_crash(tmp_path, raw):
    path = tmp_path / "no.jsonl"
    path.write_bytes(raw)
    assert not verify_file(path).ok


def test_command_line_answers_by_exit_code(exported, log, capsys, tmp_path):
    note = tmp_path / "note"
    with log.begin(read_only=True) as session:
        note.write_text(service.checkpoint(session).render())
    assert main([str(exported), "--key", log.key.vkey, "--checkpoint", str(note)]) == 0
    assert capsys.readouterr().out.endswith("OK: extends the earlier checkpoint in full\n")
    assert main([str(exported), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 7
    assert main([str(exported), "--key", "nonsense"]) == 2
    assert main([str(tmp_path / "absent")]) == 2
    exported.write_bytes(exported.read_bytes().replace(b"reveal", b"revead", 1))
    assert main([str(exported)]) == 7
    out = capsys.readouterr().out
    assert "at line 2, leaf 0" in out


def test_the_verifier_needs_no_database(exported, log):
    """On another machine: a fresh interpreter that has cryptography, and neither SQL nor pydantic."""
    program = (
        "import sys\n"
        "for name in ('sqlalchemy', 'sqlmodel', 'pydantic', 'sqlite3', 'msgspec', 'argon2'): sys.modules[name] = None\n"
        "from pdms.audit.verifier import main\n"
        f"sys.exit(main([{str(exported)!r}, '--key', {log.key.vkey!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.endswith("OK: self-consistent only\n")
    assert done.returncode == 0
