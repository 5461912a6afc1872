"""Signed notes and checkpoints: one byte form, named errors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdms.audit.checkpoint import Checkpoint, parse_checkpoint, parse_signed_checkpoint, sign_checkpoint
from pdms.audit.note import NoteKey, cosign, note_key, parse_note, sign_note, verify_note
from pdms.crypto import note_key_id
from pdms.errors import IntegrityBroken, InvalidInput

LINES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)
ROOT = base64.b64encode(bytes(range(32))).decode()


@given(LINES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=16).map(tuple))
def test_checkpoint_text_reads_back(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, size, root, extensions)
    assert parse_checkpoint(checkpoint.text()) == checkpoint


@given(st.text(max_size=200))
def test_whatever_parses_is_written_the_same_way(text):
    try:
        checkpoint = parse_checkpoint(text)
    except IntegrityBroken:
        return
    assert checkpoint.text() == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "CHECKPOINT_LINE"),
        ("log\n", "CHECKPOINT_LINE"),
        ("log\n5\n", "CHECKPOINT_LINE"),
        (f"log\n5\n{ROOT}", "CHECKPOINT_LINE"),
        (f"\n5\n{ROOT}\n", "CHECKPOINT_LINE"),
        (f"log\n05\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n+5\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n-5\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n5 \n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n5e0\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n٥\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n9223372036854775808\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n{'9' * 400}\n{ROOT}\n", "CHECKPOINT_SIZE"),
        (f"log\n5\n{ROOT[:-1]}\n", "CHECKPOINT_ROOT"),
        (f"log\n5\n{ROOT[:-2]}9=\n", "CHECKPOINT_ROOT"),  # stray bits: decodes to the same bytes, is another text
        ("log\n5\nAAAA\n", "CHECKPOINT_ROOT"),
        (f"log\n5\n {ROOT}\n", "CHECKPOINT_ROOT"),
        (f"log\r\n5\n{ROOT}\n", "CHECKPOINT_LINE"),
        (f"{'x' * 1025}\n5\n{ROOT}\n", "CHECKPOINT_LINE"),
        (f"log\n5\n{ROOT}\n" + "x\n" * 17, "CHECKPOINT_LINE"),
    ],
)
def test_checkpoints_in_any_other_form_are_refused_by_name(text, code):
    with pytest.raises(IntegrityBroken) as broken:
        parse_checkpoint(text)
    assert broken.value.code == code


def test_a_signed_checkpoint_reads_back_and_verifies(named):
    log = named("shop.example/audit")
    signed = sign_checkpoint(Checkpoint(log.name, 7, bytes(32)), log)
    again = parse_signed_checkpoint(signed.render().encode())
    assert again == signed
    assert verify_note(again.note, note_key(log)) is None


def test_every_flipped_bit_of_a_signed_checkpoint_is_found(named):
    log = named("shop.example/audit")
    raw = sign_checkpoint(Checkpoint(log.name, 7, bytes(32)), log).render().encode()
    for position in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            with pytest.raises(IntegrityBroken):
                verify_note(parse_signed_checkpoint(bytes(changed)).note, note_key(log))


def test_signatures_of_unknown_keys_are_kept_and_a_false_one_of_a_known_key_refuses(named):
    log, stranger = named("shop.example/audit"), named("someone.example")
    note = sign_note("hello\n", log)
    both = sign_note("hello\n", stranger).signed(note.signatures[0])
    verify_note(parse_note(both.render().encode()), note_key(log))
    with pytest.raises(IntegrityBroken) as unsigned:
        verify_note(note, note_key(stranger))
    assert unsigned.value.code == "NOTE_UNSIGNED"
    with pytest.raises(IntegrityBroken) as false:
        verify_note(sign_note("other\n", log).__class__("hello\n", sign_note("other\n", log).signatures), note_key(log))
    assert false.value.code == "BAD_SIGNATURE"


def test_a_cosignature_tells_its_time_and_binds_it(named):
    log, witness = named("shop.example/audit"), named("witness.example")
    note = cosign(sign_checkpoint(Checkpoint(log.name, 7, bytes(32)), log).note, witness, at=1_795_000_000)
    key = NoteKey(witness.name, witness.public_key, kind=4)
    assert verify_note(parse_note(note.render().encode()), key) == 1_795_000_000
    line = note.signatures[1]
    later = line.__class__(line.name, line.key_id, (1_795_000_001).to_bytes(8, "big") + line.raw[8:])
    with pytest.raises(IntegrityBroken) as broken:
        verify_note(note.__class__(note.text, (note.signatures[0], later)), key)
    assert broken.value.code == "BAD_SIGNATURE"


def test_verifier_key_text_reads_back_and_must_belong_to_its_id(named):
    log = named("shop.example/audit")
    key = note_key(log)
    assert NoteKey.from_vkey(key.vkey) == key
    assert key.key_id == note_key_id(log.name, log.public_key)
    for wrong in (
        key.vkey.replace("shop", "chop"),
        key.vkey[:-1],
        key.vkey + "\n",
        "",
        "a+b+c",
        key.vkey.replace("+", " ", 1),
    ):
        with pytest.raises(InvalidInput) as refused:
            NoteKey.from_vkey(wrong)
        assert refused.value.code == "VKEY"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "NOTE_TEXT"),
        (b"text\n", "NOTE_TEXT"),
        (b"text\n\n", "NOTE_SIGNATURE_LINE"),
        (b"text\n\n- key AAAAAAA=\n", "NOTE_SIGNATURE_LINE"),
        ("text\n\n— key AAAAAA==\n".encode(), "NOTE_SIGNATURE_LINE"),
        ("text\n\n— key AAAAAAB=\n".encode(), "NOTE_SIGNATURE_LINE"),
        ("text\n\n— key  AAAAAAA=\n".encode(), "NOTE_SIGNATURE_LINE"),
        ("text\n\n— key AAAAAAA=".encode(), "NOTE_TEXT"),
        ("te\txt\n\n— key AAAAAAA=\n".encode(), "NOTE_TEXT"),
        ("a\n\nb\n\n— key AAAAAAA=\n".encode(), "NOTE_TEXT"),
        ("text\r\n\n— key AAAAAAA=\n".encode(), "NOTE_TEXT"),
        (b"text\n\n\xff\n", "NOTE_TEXT"),
        (b"text\n\n" + "— key AAAAAAA=\n".encode() * 101, "NOTE_SIGNATURE_LINE"),
        (b"x" * 65_537, "NOTE_SIZE"),
    ],
)
def test_notes_in_any_other_form_are_refused_by_name(raw, code):
    with pytest.raises(IntegrityBroken) as broken:
        parse_note(raw)
    assert broken.value.code == code
