"""A pack for a regulator: what is in it, and that its verifier, alone, finds whatever was changed in it."""

import base64
import hashlib
import json
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cffi
import cryptography
import pytest

from common.world import World, consents_of, people
from pdms.audit import pack as log
from pdms.audit import service as audit
from pdms.audit import verifier
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint, sign_checkpoint
from pdms.audit.note import NoteKey, cosign, note_key, sign_note
from pdms.consent import service as consent
from pdms.consent.service import Defect
from pdms.crypto import Signer
from pdms.errors import Conflict, Denied, InvalidInput
from pdms.gate import service as gate
from pdms.reports import pack as packs
from pdms.reports.pack_words import KINDS_ZH, TEXTS
from pdms.rights import service as rights
from pdms.taxonomy import ConsentState, Language, MemberId, Operation
from pdms.unit_of_work import Actor

SINCE, UNTIL = datetime(2026, 11, 2, 16, 0, tzinfo=UTC), datetime(2026, 11, 3, 16, 0, tzinfo=UTC)
"""3 November in Shanghai; the home was made on the 2nd."""
BAD_PAGE = "0" * 64
"""The page where two gave a consent that is none."""
NEAR = 24
"""Every so manyth byte is flipped; the places differ from file to file."""


@dataclass
class Packed:
    """A shop after three days, and the pack of the second."""

    world: World
    path: Path
    result: packs.PackResult
    asked: MemberId
    erased: MemberId

    @property
    def key(self) -> NoteKey:
        return note_key(self.world.app.unit(Actor.system()).log_signer)


def day_of(world: World, *, hours: float = 24) -> None:
    world.app.sequence()
    world.pass_time(hours=hours)


def use(world: World, member: MemberId, purpose: str = "segment") -> None:
    with suppress(Denied):
        world.run("compliance", gate.permit, member_id=member, purpose=purpose, operation=Operation.PROFILE)


@pytest.fixture(scope="module")
def packed(lasting_database: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    folder = tmp_path_factory.mktemp("packed")
    world = World.make(folder, database=lasting_database)
    world.app.sequence()
    members = people(6)
    world.ingest("shop-members", members)
    world.ingest("shop-consents", consents_of(members))
    day_of(world)
    asked, erased = world.id_of("H00000"), world.id_of("H00001")
    for number in range(6):
        use(world, world.id_of(f"H0000{number}"))
    use(world, asked, "nothing")
    for state in (ConsentState.WITHDRAWN, ConsentState.GIVEN):
        world.pass_time(minutes=5)
        world.run("support", gate.record_consent, asked, purpose="segment", state=state)
    gave = {"purpose": "market_email", "state": ConsentState.GIVEN, "channel": "web", "ui_hash": BAD_PAGE}
    for number in (2, 3):
        world.run("support", gate.record_consent, world.id_of(f"H0000{number}"), **gave)
    defect = Defect("market_email", ui_hash=BAD_PAGE)
    rights.invalidate(world.app.units(world.actor("compliance")), defect, ticket="LEGAL-12")
    day_of(world, hours=16)
    use(world, asked)  # the period is over, and a checkpoint says so
    day_of(world)
    rights.erase_member(
        world.app.units(world.actor("support")), member_id=erased, field="phone", value=members[1]["手机号"]
    )
    world.app.sequence()
    path = folder / "pack.zip"
    yield Packed(world, path, world.run("compliance", packs.pack, since=SINCE, until=UNTIL, path=path), asked, erased)
    world.close()


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, files: dict[str, bytes], *, sealed: bool = True) -> Path:
    """A zip of other contents, its own structure and comment as somebody who knows the format would make them."""
    with path.open("w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
            archive.comment = b"0" * 64
        if sealed:
            packs._seal(file)
    return path


def codes(path: Path, **options: Any) -> list[str]:
    return [problem.code for problem in verifier.verify_file(path, **options).problems]


def listed_anew(files: dict[str, bytes], packed: Packed, signer: Any = None, **changes: Any) -> dict[str, bytes]:
    """The files with a manifest that tells of them, signed by the log's own key (or another)."""
    manifest = json.loads(files[verifier.MANIFEST])
    kept = {name: raw for name, raw in files.items() if name not in (verifier.MANIFEST, verifier.MANIFEST_NOTE)}
    manifest["files"] = {
        name: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for name, raw in kept.items()
    }
    raw = verifier.canonical(manifest | changes)
    signer = signer or packed.world.app.unit(Actor.system()).log_signer
    note = sign_note(verifier.manifest_text(signer.name, raw), signer)
    return kept | {verifier.MANIFEST: raw, verifier.MANIFEST_NOTE: note.render().encode()}


def relined(raw: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """An events file with other contents and all its checksums mended."""
    tail = len(verifier.checked_line(b""))
    contents = change([line[:-tail] for line in raw.splitlines(keepends=True)[:-1]])
    lines = b"".join(verifier.checked_line(content) for content in contents)
    return lines + verifier.end_line(len(contents), hashlib.sha256(lines).hexdigest())


def test_AUD_5_a_pack_holds_the_period_its_texts_and_its_proofs(packed: Packed) -> None:
    files = read(packed.path)
    manifest = json.loads(files["manifest.json"])
    digest = packed.world.app.policy.digest
    assert [one["digest"] for one in manifest["policies"]] == [digest]
    assert hashlib.sha256(files[f"policies/{digest}.json"]).hexdigest() == digest
    assert {one["notice"] for one in manifest["notices"]} == set(packed.world.app.policy.notices)
    lines = [json.loads(line) for line in files["events.jsonl"].splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    assert {"permit", "consent.withdrawn", "consent.recorded", "login.succeeded"} - {e["kind"] for e in events} <= {
        "login.succeeded"
    }
    inside = [event for event in events if manifest["since"] <= event["at"] < manifest["until"]]
    assert len(inside) == packed.result.events
    edges = [event for event in events if event not in inside]
    assert events[0]["at"] < manifest["since"] < manifest["until"] <= events[-1]["at"]
    assert [event["kind"] for event in edges if event["at"] >= manifest["until"]] == ["permit"]
    assert manifest["open"] == ""
    assert {"checkpoints/latest.note", "proofs/latest.json", "proofs/shredded.jsonl"} <= set(files)
    # Five permits, beside the one that is shredded, a denial, four of consents, and one that two consents are none.
    assert packed.result.events == 11
    assert packed.result.shredded == sum("leaf" in line and "event" not in line for line in lines) > 0
    states = [json.loads(line) for line in files["consent/state.jsonl"].splitlines()[1:]]
    assert len(states) == 12 == packed.result.consents
    (own,) = [s for s in states if (s["member"], s["purpose"]) == (packed.asked.hex(), "segment")]
    assert (own["state"], own["source"]) == ("given", "live")
    none = [s for s in states if s["state"] != "given"]
    assert [(s["purpose"], s["state"], s["source"]) for s in none] == [("market_email", "invalidated", "defect")] * 2


def test_that_a_consent_is_none_is_proved_by_the_event_of_its_set(packed: Packed, tmp_path: Path) -> None:
    report = verifier.verify_file(packed.path, key=packed.key)
    assert (report.problems, report.assurance) == ((), verifier.Assurance.SELF_CONSISTENT)
    states = [json.loads(line) for line in read(packed.path)[verifier.STATE].splitlines()[1:]]
    one = next(s for s in states if s["state"] == "invalidated")
    proof = packed.world.run("compliance", consent.bundle, record_id=one["record"]).document["log"]
    event = json.loads(proof["event"])
    assert (event["kind"], event["at"], event["numbers"]["records"]) == ("consent.invalidated", one["known"], 2)
    files = read(packed.path)
    state_changed(files, lambda state: state | {"source": "live"} if state["source"] == "defect" else state)
    assert codes(write(tmp_path / "early.zip", listed_anew(files, packed)), key=packed.key) == [], "as once written"
    cases: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        lambda state: state | {"source": "defect"} if state["record"] == own else state,  # three, and the log says two
        lambda state: state | {"source": "live", "known": one["at"][:-2] + "1Z"} if state == one else state,
        lambda state: state | {"state": "withdrawn"} if state["source"] == "defect" else state,
        lambda state: state | {"known": state["at"][:-2] + "1Z"} if state["source"] == "defect" else state,
    ]
    own = next(s["record"] for s in states if (s["member"], s["purpose"]) == (packed.asked.hex(), "segment"))
    for change in cases:
        files = read(packed.path)
        state_changed(files, change)
        assert "CONSENT_UNLOGGED" in codes(write(tmp_path / "state.zip", listed_anew(files, packed)), key=packed.key)


def test_a_pack_verifies_with_nothing_but_its_own_file_and_cryptography(packed: Packed, tmp_path: Path) -> None:
    """On the regulator's machine: an interpreter that sees neither pdms nor anything else that is installed here."""
    alone = tmp_path / "site"
    alone.mkdir()
    for package in (cryptography, cffi):
        folder = Path(package.__file__).parent
        (alone / folder.name).symlink_to(folder)
    for compiled in Path(cryptography.__file__).parent.parent.glob("_cffi_backend*"):
        (alone / compiled.name).symlink_to(compiled)
    program = tmp_path / "verifier.py"
    program.write_bytes(read(packed.path)["verifier.py"])
    starter = f"import sys; sys.path.append({str(alone)!r}); sys.argv = sys.argv[1:]; import runpy;"
    starter += " runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-c", starter, str(program), str(packed.path), "--key", packed.key.vkey]

    def run(*more: str) -> tuple[int, str, str]:
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, env={}, cwd="/")
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["first"], told["size"], told["files"]) == (
        packed.result.first,
        packed.result.end,
        len(read(packed.path)) - 2,
    )
    assert told["assurance"] == "self-consistent only"
    with zipfile.ZipFile(packed.path) as archive:
        at = archive.getinfo("events.jsonl").header_offset + 400
    raw = bytearray(packed.path.read_bytes())
    raw[at] ^= 1
    changed = tmp_path / "changed.zip"
    changed.write_bytes(raw)
    command[-3] = str(changed)
    code, out, _ = run()
    assert code == 7
    assert "events.jsonl" in out
    command[-3] = str(tmp_path / "absent.zip")
    assert run()[0] == 2


def test_the_same_period_gives_the_same_bytes_and_only_its_owner_may_read_them(packed: Packed, tmp_path: Path) -> None:
    again = packed.world.run("compliance", packs.pack, since=SINCE, until=UNTIL, path=tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.path.read_bytes()
    assert again.sha256 == packed.result.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert packed.path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.part")) == []
    with packed.world.unit() as uow:
        made = audit.list_events(uow.session, kinds=[EventKind.AUDIT_PACKED]).items
    assert {item.event.refs["manifest"] for item in made} == {packed.result.manifest}


def test_every_flipped_byte_is_found(packed: Packed, tmp_path: Path) -> None:
    """The zip's own structure, its comment and its compressed data: no byte is without meaning."""
    raw, copy = packed.path.read_bytes(), tmp_path / "changed.zip"
    tail = {*range(len(raw) - 120, len(raw)), *range(80)}
    for position in sorted({*range(0, len(raw), len(raw) // 400), *tail}):
        changed = bytearray(raw)
        changed[position] ^= 1 << position % 8
        copy.write_bytes(changed)
        assert not verifier.verify_file(copy, key=packed.key).ok, position


@pytest.mark.parametrize("end", ["head", "half", "comment", "nothing"])
def test_a_cut_pack_is_a_problem_and_no_crash(packed: Packed, tmp_path: Path, end: str) -> None:
    raw = packed.path.read_bytes()
    size = {"head": 2, "half": len(raw) // 2, "comment": len(raw) - 1, "nothing": 0}[end]
    cut = tmp_path / "cut.zip"
    cut.write_bytes(raw[:size])
    report = verifier.verify_file(cut)
    assert not report.ok
    assert verifier.main([str(cut)]) == 7


FILES = ("checkpoints/before.note", "checkpoints/after.note", "consent/state.jsonl", "events.jsonl", "manifest.json",
         "manifest.note", "proofs/consistency.json", "README.txt", "summary.en.html", "summary.zh-CN.html",
         "verifier.py", "policies/", "notices/")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_changed_file_is_named_though_the_zip_is_mended(packed: Packed, tmp_path: Path, name: str) -> None:
    files = read(packed.path)
    name = next(one for one in sorted(files) if one.startswith(name))
    raw = files[name]
    for position in range(len(name) % NEAR, len(raw), max(NEAR, len(raw) // 25)):
        changed = bytearray(raw)
        changed[position] ^= 1
        path = write(tmp_path / "changed.zip", files | {name: bytes(changed)})
        problems = verifier.verify_file(path, key=packed.key).problems
        assert problems, position
        manifest = name.startswith("manifest")
        assert any(p.file == ("manifest.json" if manifest else name) for p in problems), (position, problems)


def test_a_file_taken_out_or_slipped_in_is_named(packed: Packed, tmp_path: Path) -> None:
    files = read(packed.path)
    for name in files:
        less = {one: raw for one, raw in files.items() if one != name}
        problems = verifier.verify_file(write(tmp_path / "less.zip", less), key=packed.key).problems
        assert any(name in p.detail or p.file == "manifest.json" for p in problems), name
    assert codes(write(tmp_path / "more.zip", files | {"notes.txt": b"hello"}), key=packed.key) == ["FILE_STRAY"]


def test_whoever_lists_changed_files_anew_needs_the_logs_key(packed: Packed, tmp_path: Path) -> None:
    files = read(packed.path)
    files["summary.en.html"] = files["summary.en.html"].replace(b"Audit pack", b"Audit park")
    stranger = Signer.generate()

    class Other:
        name, public_key, sign = packed.key.name, stranger.public_key, staticmethod(stranger.sign)

    path = write(tmp_path / "forged.zip", listed_anew(files, packed, Other()))
    assert codes(path, key=packed.key) == ["NOTE_UNSIGNED"]


def dropped(contents: list[bytes]) -> list[bytes]:
    return contents[:5] + contents[6:]


def exchanged(contents: list[bytes]) -> list[bytes]:
    return [*contents[:5], contents[6], contents[5], *contents[7:]]


def emptied(contents: list[bytes]) -> list[bytes]:
    at = next(n for n, line in enumerate(contents) if b'"kind":"permit"' in line)
    return [*contents[:at], contents[at][: contents[at].index(b',"salt"')], *contents[at + 1 :]]


def rewritten(contents: list[bytes]) -> list[bytes]:
    at = next(n for n, line in enumerate(contents) if b'"kind":"permit"' in line)
    line = json.loads(contents[at] + b"}")
    body = contents[at].split(b'"event":')[1].replace(b'"segment"', b'"service"')
    salt = bytes.fromhex(line["salt"])
    fresh = verifier.leaf_content(line["leaf"], verifier.leaf_of(salt, body), salt, body)
    return [*contents[:at], fresh, *contents[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "code"),
    [(dropped, "LEAF_ORDER"), (exchanged, "LEAF_ORDER"), (rewritten, "ROOT_DIFFERS"), (emptied, "OPENINGS_MISSING")],
)
def test_an_operator_who_signs_again_cannot_drop_reorder_or_rewrite_events(
    packed: Packed, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], code: str
) -> None:
    """Every checksum, the manifest and its signature are mended with the log's own key."""
    files = read(packed.path)
    files[verifier.EVENTS] = relined(files[verifier.EVENTS], change)
    if change is emptied:  # the erasure accounts for its openings, for one more it does not
        files = {
            name: raw
            for name, raw in files.items()
            if name not in (verifier.ACCOUNTS, verifier.LATEST, verifier.LATEST_PROOF)
        }
    found = codes(write(tmp_path / "signed.zip", listed_anew(files, packed)), key=packed.key)
    assert code in found


def state_changed(files: dict[str, bytes], change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    head, *lines = files[verifier.STATE].splitlines(keepends=True)
    made = [change(json.loads(line)) for line in lines]
    files[verifier.STATE] = head + b"".join(verifier.canonical(one) + b"\n" for one in made if one is not None)


def test_a_state_of_consents_that_contradicts_the_log_is_found_though_it_is_signed(
    packed: Packed, tmp_path: Path
) -> None:
    own = (packed.asked.hex(), "segment")

    def at(state: dict[str, Any], /, **values: Any) -> dict[str, Any]:
        return state | values if (state["member"], state["purpose"]) == own else state

    cases: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
        "CONSENT_DIFFERS": lambda state: at(state, state="refused"),
        "CONSENT_UNLOGGED": lambda state: at(state, record="cns-" + "0" * 32),
        "CONSENT_MISSING": lambda state: None if (state["member"], state["purpose"]) == own else state,
        "NOTICE_MISSING": lambda state: at(state, notice="0" * 64),
    }
    for code, change in cases.items():
        files = read(packed.path)
        state_changed(files, change)
        assert code in codes(write(tmp_path / "state.zip", listed_anew(files, packed)), key=packed.key), code
    files = read(packed.path)
    older = (SINCE - timedelta(days=9)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    state_changed(files, lambda state: at(state, at=older, known=older, record="cns-" + "1" * 32, source="import"))
    found = codes(write(tmp_path / "state.zip", listed_anew(files, packed)), key=packed.key)
    assert found == ["CONSENT_DIFFERS"]


def test_texts_that_decisions_rest_on_must_be_there(packed: Packed, tmp_path: Path) -> None:
    files, digest = read(packed.path), packed.world.app.policy.digest
    text = files.pop(f"policies/{digest}.json")
    found = codes(write(tmp_path / "no.zip", listed_anew(files, packed, policies=[])), key=packed.key)
    assert set(found) == {"POLICY_MISSING"}
    other = text.replace(b"true", b"false", 1)
    path = write(tmp_path / "other.zip", listed_anew(read(packed.path) | {f"policies/{digest}.json": other}, packed))
    assert codes(path, key=packed.key) == ["TEXT_DIFFERS"]


def test_a_checkpoint_of_another_tree_is_found(packed: Packed, tmp_path: Path) -> None:
    with packed.world.unit() as uow:
        newest = audit.checkpoint(uow.session)
        assert newest is not None
    files = read(packed.path)
    files[verifier.AFTER] = newest.render().encode()
    found = codes(write(tmp_path / "later.zip", listed_anew(files, packed)), key=packed.key)
    assert "ROOT_DIFFERS" in found
    assert "PROOF_SHAPE" in found
    before = parse_signed_checkpoint(read(packed.path)[verifier.BEFORE])
    report = verifier.verify_file(packed.path, key=packed.key, earlier=before)
    assert (report.ok, report.assurance) == (True, verifier.Assurance.EARLIER)
    forged = verifier.Checkpoint(before.checkpoint.origin, before.size, bytes(32))
    other = sign_checkpoint(forged, packed.world.app.unit(Actor.system()).log_signer)
    assert "HISTORY_DIFFERS" in codes(packed.path, key=packed.key, earlier=other)


def test_a_checkpoint_outside_the_pack_is_not_compared_and_supports_nothing(packed: Packed, tmp_path: Path) -> None:
    with packed.world.unit() as uow:
        newest = audit.checkpoint(uow.session)
    assert newest is not None
    assert newest.size > packed.result.end
    forged = verifier.Checkpoint(newest.checkpoint.origin, packed.result.first - 1, bytes(32))
    signer = packed.world.app.unit(Actor.system()).log_signer
    for outside in (newest, sign_checkpoint(forged, signer)):
        report = verifier.verify_file(packed.path, key=packed.key, earlier=outside)
        assert (report.problems, report.assurance, report.proven) == ((), verifier.Assurance.SELF_CONSISTENT, 0)
        assert [("outside the pack" in note, str(outside.size) in note) for note in report.notes] == [(True, True)]
        kept = tmp_path / "kept.note"
        kept.write_text(outside.render())
        assert verifier.main([str(packed.path), "--checkpoint", str(kept)]) == 0
        assert "not compared" in verifier.render(report)


@pytest.mark.parametrize("name", ["../evil.sh", "/etc/passwd", "a/../../b", "C:\\x", "policies/../../x.json"])
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_unpacked(
    packed: Packed, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "names.zip", read(packed.path) | {name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    assert "NAME_UNSAFE" in codes(path, key=packed.key)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_is_not_unpacked(packed: Packed, tmp_path: Path) -> None:
    files = read(packed.path) | {verifier.EVENTS: bytes(300 << 20)}
    path = write(tmp_path / "bomb.zip", listed_anew(files, packed))
    files.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "ZIP_BOMB" in codes(path, key=packed.key)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    big = write(tmp_path / "manifest.zip", {"manifest.json": bytes(200 << 20), "manifest.note": b""})
    assert {"ZIP_BOMB", "MANIFEST_MISSING"} <= set(codes(big))


@pytest.fixture
def denying(tmp_path: Path) -> Iterator[tuple[World, datetime]]:
    """Thirteen denials of a period under three checkpoints, and when it begins."""
    world = World.make(tmp_path)
    world.ingest("shop-members", people(2))
    day_of(world, hours=1)
    since = world.clock.instant
    for denials in (5, 1, 7):
        for _ in range(denials):
            use(world, world.id_of("H00000"), "nothing")
        day_of(world, hours=1)
    yield world, since
    world.close()


def denials_of(path: Path) -> int:
    return read(path)[verifier.EVENTS].count(b'"kind":"denial"')


def test_a_pack_cut_off_at_the_edges_of_its_period_is_found(
    denying: tuple[World, datetime], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything in it is genuine and signed: only other checkpoints were chosen."""
    world, since = denying
    until = world.clock.instant
    use(world, world.id_of("H00000"), "nothing")
    world.app.sequence()
    whole = world.run("compliance", packs.pack, since=since, until=until, path=tmp_path / "whole.zip")
    report = verifier.verify_file(whole.path)
    assert (report.problems, report.notes, whole.open, denials_of(whole.path)) == ((), (), False, 14)
    with world.unit() as uow:
        stored = uow.session.connection().exec_driver_sql("SELECT note FROM audit_checkpoint ORDER BY size").all()
    notes = [parse_signed_checkpoint(row[0].encode()) for row in stored]
    for first, end, told in ((-4, -3, 2), (-4, -1, 1), (0, -2, 1)):
        span = log.Span(notes[first], notes[end], open=False)
        monkeypatch.setattr(log, "span_of", lambda *_, span=span, **__: span)
        cut = tmp_path / f"cut{first}{end}.zip"
        world.run("compliance", packs.pack, since=since, until=until, path=cut)
        assert codes(cut) == ["PERIOD_OPEN"] * told
        assert denials_of(cut) < 14


def test_a_period_that_the_log_has_not_left_yet_says_so_and_is_no_problem(
    denying: tuple[World, datetime], tmp_path: Path
) -> None:
    world, since = denying
    result = world.run("compliance", packs.pack, since=since, until=world.clock.instant, path=tmp_path / "open.zip")
    report = verifier.verify_file(result.path)
    assert (report.problems, result.open, denials_of(result.path)) == ((), True, 13)
    packed_at = json.loads(read(result.path)[verifier.MANIFEST])["open"]
    assert datetime.fromisoformat(packed_at) == world.clock.instant
    assert len(report.notes) == 1
    assert report.notes[0].startswith("PERIOD_OPEN")
    assert packed_at in verifier.render(report)
    assert verifier.main([str(result.path)]) == 0


def test_what_is_written_while_a_pack_is_made_is_in_neither_of_its_parts(
    denying: tuple[World, datetime], tmp_path: Path
) -> None:
    """Recorded after the log was signed last: the state does not tell of what the leaves do not hold."""
    world, since = denying
    gave = {"purpose": "market_email", "state": ConsentState.GIVEN, "channel": "web", "ui_hash": BAD_PAGE}
    until = world.clock.instant + timedelta(hours=8)
    for number in range(2):
        world.run("support", gate.record_consent, world.id_of(f"H0000{number}"), **gave)
        if number == 0:
            world.app.sequence()
        world.pass_time(seconds=1)
    defect = Defect("market_email", ui_hash=BAD_PAGE)
    for told in (["given"], ["given"], ["invalidated", "invalidated"]):
        path = tmp_path / f"p{world.clock.instant.timestamp()}.zip"
        world.run("compliance", packs.pack, since=since, until=until, path=path)
        assert codes(path) == []
        assert [json.loads(one)["state"] for one in read(path)[verifier.STATE].splitlines()[1:]] == told
        world.pass_time(seconds=1)
        if world.run("compliance", consent.standing_under, defect):
            rights.invalidate(world.app.units(world.actor("compliance")), defect, ticket="LEGAL-12")
        else:
            world.app.sequence()
        world.pass_time(seconds=1)


def test_a_witness_is_asked_through_the_pack(tmp_path: Path) -> None:
    world = World.make(tmp_path)
    world.app.sequence()
    seed = Signer.generate()

    class Witness:
        name, public_key, sign = "witness.example", seed.public_key, staticmethod(seed.sign)

    key = NoteKey("witness.example", seed.public_key, 4)
    with world.unit() as uow:
        head = audit.checkpoint(uow.session)
        assert head is not None
        text = cosign(head.note, Witness(), at=1_795_000_000).render()
        audit.add_cosignature(uow.session, cosigned=text.encode(), witness=key)
    path = tmp_path / "w.zip"
    result = world.run("compliance", packs.pack, since=SINCE - timedelta(days=1), until=UNTIL, path=path)
    assert result.first == 0
    assert "checkpoints/before.note" not in read(path)
    report = verifier.verify_file(path, witness=key)
    assert (report.problems, report.assurance) == ((), verifier.Assurance.WITNESSED)
    stranger = NoteKey("witness.example", Signer.generate().public_key, 4)
    assert codes(path, witness=stranger) == ["NOT_WITNESSED"]
    world.close()


def test_the_summary_reads_in_both_languages_and_loads_nothing(packed: Packed) -> None:
    files = read(packed.path)
    for language in Language:
        page = files[f"summary.{language.value}.html"].decode()
        assert TEXTS[language]["title"] in page
        assert f'lang="{language.value}"' in page
        assert str(packed.result.events) in page
        assert re.search(r"<script|https?://(?!www\.w3\.org)|\son\w+=|style=|@import|url\(", page) is None
        style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        assert f"style-src &#39;sha256-{digest}&#39;" in page or f"style-src 'sha256-{digest}'" in page
        assert page.count("<rect") >= 5
    assert "撤回" in files["summary.zh-CN.html"].decode()


def test_every_kind_has_its_words() -> None:
    assert set(KINDS_ZH) == set(EventKind)
    assert all(text.endswith("。") for text in KINDS_ZH.values())
    assert set(TEXTS[Language.ZH]) == set(TEXTS[Language.EN])


def test_a_pack_of_nothing_or_over_another_file_is_refused(packed: Packed, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as empty:
        packed.world.run("compliance", packs.pack, since=UNTIL, until=SINCE, path=tmp_path / "x.zip")
    assert empty.value.code == "PERIOD_EMPTY"
    with pytest.raises(Conflict):
        packed.world.run("compliance", packs.pack, since=SINCE, until=UNTIL, path=packed.path)
    with pytest.raises(Denied):
        packed.world.run("marketing", packs.pack, since=SINCE, until=UNTIL, path=tmp_path / "x.zip")
    with pytest.raises(InvalidInput):
        packed.world.run("compliance", packs.pack, since=SINCE, until=UNTIL, path=tmp_path / "no" / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_PIPL_51_no_member_value_is_in_a_pack(packed: Packed) -> None:
    everything = b"\n".join(read(packed.path).values())
    for member in people(6):
        for field in ("姓名", "手机号", "邮箱", "身份证号", "登录名", "地址"):
            if member.get(field):
                assert member[field].encode() not in everything, field
