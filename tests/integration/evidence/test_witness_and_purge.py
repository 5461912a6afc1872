"""A witness's cosignature from the head to the export; and no opening goes before its time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common.shell import command_line
from common.world import World
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.note import NoteKey, cosign
from pdms.audit.verifier import Assurance, verify_file
from pdms.crypto import Signer
from pdms.errors import Conflict, InvalidInput, NotFound
from pdms.reports import evidence


class Witness:
    """An Ed25519 key of somebody else."""

    def __init__(self, name: str = "witness.example") -> None:
        key = Signer.generate()
        self.name, self.public_key, self.sign = name, key.public_key, key.sign

    @property
    def key(self) -> NoteKey:
        return NoteKey(self.name, self.public_key, 4)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[World]:
    made = World.make(tmp_path)
    yield made
    made.close()


def test_a_cosigned_head_comes_back_and_stands_in_the_export(shop: World, tmp_path: Path) -> None:
    witness, home, token = Witness(), shop.app.home.root, shop.tokens["compliance"]
    head, signed, log = tmp_path / "head.note", tmp_path / "signed.note", tmp_path / "log.jsonl"

    def run(*words: str | Path, code: int = 0) -> str:
        answer = command_line(home, token, *map(str, words), at=shop.clock.instant)
        assert answer.code == code, answer.text
        return answer.text

    run("audit", "head", head)
    note = parse_signed_checkpoint(head.read_bytes()).note
    signed.write_text(cosign(note, witness, at=1_795_000_000).render(), "utf-8")
    run("audit", "cosign", signed, "--witness", witness.key.vkey)
    run("audit", "export", log)
    told = run("audit", "verify", log, "--witness", witness.key.vkey)
    assert "witnessed" in told
    report = verify_file(log, witness=witness.key)
    assert (report.ok, report.assurance) == (True, Assurance.WITNESSED)
    run("audit", "verify", log, "--witness", Witness().key.vkey, code=7)
    run("audit", "verify", log, "--witness", "no key", code=2)
    with shop.unit() as uow:
        assert len(audit.list_events(uow.session, kinds=[EventKind.AUDIT_COSIGNED]).items) == 1


def test_a_cosignature_that_does_not_hold_or_of_another_log_is_refused(shop: World, tmp_path: Path) -> None:
    witness, path = Witness(), tmp_path / "signed.note"
    shop.app.sequence()
    head = shop.run("compliance", evidence.head)
    note = parse_signed_checkpoint(head.note.encode()).note
    path.write_text(cosign(note, Witness(), at=1).render(), "utf-8")
    with pytest.raises(Exception, match="not signed by this key") as unsigned:
        shop.run("compliance", evidence.cosign, path=path, witness=witness.key.vkey)
    assert unsigned.value.code == "NOTE_UNSIGNED"
    other = note.__class__(note.text.replace("\n", "-other\n", 1))
    path.write_text(cosign(other, witness, at=1).render(), "utf-8")
    with pytest.raises(NotFound):
        shop.run("compliance", evidence.cosign, path=path, witness=witness.key.vkey)
    plain = NoteKey(witness.name, witness.public_key)
    with pytest.raises(InvalidInput):
        shop.run("compliance", evidence.cosign, path=path, witness=plain.vkey)
    with shop.unit() as uow:
        assert audit.list_events(uow.session, kinds=[EventKind.AUDIT_COSIGNED]).items == ()


def test_CSL_23_3_openings_are_not_purged_before_their_time(shop: World) -> None:
    with pytest.raises(Exception, match="API key"):
        shop.app.authenticate("pdms_key_nothing")
    start, officer = shop.clock.instant, shop.actor("compliance")  # the key itself lasts a year
    shop.pass_time(days=179)
    with pytest.raises(Conflict) as early:
        shop.app.run(officer, evidence.purge, retention="network_log", before=shop.clock.instant)
    assert early.value.code == "RETENTION_FLOOR"
    for retention in ("record", "proof"):
        shop.clock.instant = start.replace(year=start.year + 2)
        with pytest.raises(Conflict):
            shop.app.run(officer, evidence.purge, retention=retention, before=shop.clock.instant.replace(day=1))
    with pytest.raises(Conflict):
        shop.app.run(officer, evidence.purge, retention="log", before=start.replace(year=2000))
    with pytest.raises(InvalidInput):
        shop.app.run(officer, evidence.purge, retention="everything", before=start)
    before = shop.clock.instant.replace(day=1, month=1)
    shop.app.sequence()
    gone = shop.app.run(officer, evidence.purge, retention="network_log", before=before)
    assert gone > 0
    shop.app.sequence()
    report = shop.app.run(officer, evidence.verify)
    assert (report.ok, report.shredded) == (True, gone)
