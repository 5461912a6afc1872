"""C2SP signed notes: the signing side, and the reading side of `verifier` in the error families of pdms.

Guarantee: a note has one byte form; what is not exactly that form is refused with the code of what is wrong, so that
no byte of a note can change unseen. Signatures of unknown keys are carried along and ignored, one of a known key that
does not verify refuses the note. Cosignatures follow C2SP tlog-cosignature v1. The keys themselves are `crypto`'s.
"""

from typing import Protocol, Self

from pdms.audit import verifier
from pdms.audit.families import in_families
from pdms.audit.verifier import COSIGNATURE_V1, ED25519, Note, Signature, cosigned

__all__ = [
    "COSIGNATURE_V1",
    "ED25519",
    "NamedSigner",
    "Note",
    "NoteKey",
    "Signature",
    "check_text",
    "cosign",
    "note_key",
    "parse_note",
    "sign_note",
    "verify_note",
]

parse_note = in_families()(verifier.parse_note)
verify_note = in_families()(verifier.verify_note)
check_text = in_families()(verifier.check_text)


class NoteKey(verifier.NoteKey):
    """A public key that may sign notes, as pdms makes and reads it.

    :raises InvalidInput: KEY_NAME or KEY_KIND.
    """

    __slots__ = ()

    @in_families()
    def __post_init__(self) -> None:
        super().__post_init__()

    @classmethod
    @in_families()
    def from_vkey(cls, text: str) -> Self:
        """Read `vkey` text. :raises InvalidInput: VKEY."""
        return super().from_vkey(text)


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
    raw = at.to_bytes(8, "big") + signer.sign(cosigned(note.text, at))
    return note.signed(Signature(signer.name, key.key_id, raw))
