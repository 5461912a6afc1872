"""C2SP signed notes: text that carries signatures of named Ed25519 keys, and witness cosignatures.

Guarantee: a note has one byte form; what is not exactly that form is refused with the code of what is wrong, so that
no byte of a note can change unseen. Signatures of unknown keys are carried along and ignored, one of a known key that
does not verify refuses the note. Cosignatures follow C2SP tlog-cosignature v1. Signing itself happens in `crypto`.
"""

import base64
import binascii
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

from pdms.crypto import Verifier
from pdms.errors import IntegrityBroken, InvalidInput

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 100

ED25519 = 0x01
COSIGNATURE_V1 = 0x04

_KEY_NAME = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,255}")
_SIGNATURE_LINE = re.compile(r"\u2014 ([\x21-\x2a\x2c-\x7e]{1,255}) ([A-Za-z0-9+/]+={0,2})")
_VKEY = re.compile(r"([\x21-\x2a\x2c-\x7e]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class NamedSigner(Protocol):
    """What signs a note: an Ed25519 key under a name. For the log, the name is its origin."""

    @property
    def name(self) -> str:
        """Printable ASCII without blank or '+'."""
        ...

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the raw 64-byte signature of `message`."""
        ...


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key that may sign notes, known to others by its `vkey` text."""

    name: str
    public_key: bytes
    kind: int = ED25519
    older: tuple["NoteKey", ...] = ()
    """Keys with which the same signer signed before; what they signed is still theirs."""

    def __post_init__(self) -> None:
        if not _KEY_NAME.fullmatch(self.name):
            raise InvalidInput("note key name: printable ASCII without blank or '+'", code="KEY_NAME")
        if len(self.public_key) != 32 or self.kind not in (ED25519, COSIGNATURE_V1):
            raise InvalidInput("note key: an Ed25519 key of 32 bytes is needed", code="KEY_KIND")

    @property
    def key_id(self) -> bytes:
        """Four bytes that name this key on a signature line."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: name, key id, kind and key."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([self.kind]) + self.public_key)}"

    @classmethod
    def from_vkey(cls, text: str) -> "NoteKey":
        """Read `vkey` text.

        :raises InvalidInput: VKEY, it is malformed, of an unknown kind, or its key id is not that of the key.
        """
        match = _VKEY.fullmatch(text)
        raw = _unb64(match[3]) if match else None
        if match is None or raw is None or len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE_V1):
            raise InvalidInput("verifier key: not of the form name+id+key", code="VKEY")
        key = cls(match[1], raw[1:], raw[0])
        if key.key_id.hex() != match[2]:
            raise InvalidInput("verifier key: its id does not belong to its key", code="VKEY")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who, which key, and the bytes after the key id."""

    name: str
    key_id: bytes
    raw: bytes

    def line(self) -> str:
        """Return the line without its newline."""
        return f"\u2014 {self.name} {_b64(self.key_id + self.raw)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a newline, and the signatures on it."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def render(self) -> str:
        """Return the one form of this note."""
        return self.text + "\n" + "".join(signature.line() + "\n" for signature in self.signatures)

    def signed(self, signature: Signature) -> "Note":
        """Return the note with one more signature."""
        return replace(self, signatures=(*self.signatures, signature))


def note_key(signer: NamedSigner) -> NoteKey:
    """Return the public half of a log's signer."""
    older = getattr(signer, "older", ())
    return NoteKey(signer.name, signer.public_key, older=tuple(NoteKey(signer.name, one) for one in older))


def sign_note(text: str, signer: NamedSigner) -> Note:
    """Return `text` as a note signed by `signer`.

    :raises IntegrityBroken: NOTE_TEXT, the text cannot be a note's.
    """
    check_text(text)
    return Note(text).signed(Signature(signer.name, note_key(signer).key_id, signer.sign(text.encode())))


def cosign(note: Note, signer: NamedSigner, *, at: int) -> Note:
    """Return `note` with a witness's cosignature made at `at` (seconds since 1970)."""
    key = NoteKey(signer.name, signer.public_key, COSIGNATURE_V1)
    raw = at.to_bytes(8, "big") + signer.sign(_cosigned(note.text, at))
    return note.signed(Signature(signer.name, key.key_id, raw))


def parse_note(raw: bytes) -> Note:
    """Read a note.

    :raises IntegrityBroken: NOTE_SIZE, NOTE_TEXT, NOTE_SIGNATURE_LINE; the message says which rule is broken.
    """
    if len(raw) > MAX_NOTE_BYTES:
        raise IntegrityBroken("note: larger than 64 KiB", code="NOTE_SIZE")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise IntegrityBroken("note: not UTF-8", code="NOTE_TEXT") from None
    cut = whole.rfind("\n\n")
    if cut < 1 or not whole.endswith("\n"):
        raise IntegrityBroken("note: no blank line between text and signatures", code="NOTE_TEXT")
    text, lines = whole[: cut + 1], whole[cut + 2 : -1].split("\n")
    check_text(text)
    if len(lines) > MAX_SIGNATURES:
        raise IntegrityBroken("note: more than 100 signatures", code="NOTE_SIGNATURE_LINE")
    return Note(text, tuple(_parse_line(line) for line in lines))


def verify_note(note: Note, key: NoteKey) -> int | None:
    """Check that `key` signed the note; return the time of a witness's cosignature, in seconds since 1970.

    :raises IntegrityBroken: NOTE_UNSIGNED, no signature names this key; BAD_SIGNATURE, one does and is false.
    """
    for one in (key, *key.older):
        for signature in note.signatures:
            if signature.name == one.name and signature.key_id == one.key_id:
                return _verify(note.text, signature.raw, one)
    raise IntegrityBroken("note: not signed by this key", code="NOTE_UNSIGNED")


def check_text(text: str) -> None:
    """Refuse a text that cannot be a note's.

    :raises IntegrityBroken: NOTE_TEXT.
    """
    if not text.endswith("\n") or _CONTROL.search(text) or "\n\n" in text:
        raise IntegrityBroken("note: its text has a control character or an empty line", code="NOTE_TEXT")


def _verify(text: str, raw: bytes, key: NoteKey) -> int | None:
    verifier = Verifier(key.public_key)
    if key.kind == ED25519:
        if len(raw) != 64:
            raise IntegrityBroken("note: a signature has the wrong length", code="BAD_SIGNATURE")
        verifier.verify(text.encode(), raw)
        return None
    if len(raw) != 72:
        raise IntegrityBroken("note: a cosignature has the wrong length", code="BAD_SIGNATURE")
    at = int.from_bytes(raw[:8], "big")
    verifier.verify(_cosigned(text, at), raw[8:])
    return at


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _parse_line(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    raw = _unb64(match[2]) if match else None
    if match is None or raw is None or len(raw) < 5:
        raise IntegrityBroken("note: a signature line is malformed", code="NOTE_SIGNATURE_LINE")
    return Signature(match[1], raw[:4], raw[4:])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes | None:
    """Return the bytes, or None where `text` is not their one canonical form (stray bits in the last sextet)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if _b64(raw) == text else None
