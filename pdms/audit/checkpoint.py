"""C2SP tlog-checkpoint: the log's name, its size and its root, as the text of a signed note.

Guarantee: the parser accepts exactly what the writer writes (canonical decimal size, canonical base64 root, capped
length), so that two different texts are never the same checkpoint. It does not judge whether the root is right;
`merkle` and the verifiers do.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from pdms.audit.merkle import DIGEST_BYTES
from pdms.audit.note import NamedSigner, Note, NoteKey, parse_note, sign_note, verify_note
from pdms.errors import IntegrityBroken

MAX_SIZE = (1 << 63) - 1
MAX_EXTENSIONS = 16
MAX_LINE = 1024
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,1024}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of the log. `root` is 32 bytes; `extensions` are further lines, kept and not interpreted."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise IntegrityBroken("checkpoint: size out of range", code="CHECKPOINT_SIZE")
        if len(self.root) != DIGEST_BYTES:
            raise IntegrityBroken("checkpoint: the root has 32 bytes", code="CHECKPOINT_ROOT")
        lines = (self.origin, *self.extensions)
        if len(self.extensions) > MAX_EXTENSIONS or not all(_LINE.fullmatch(line) for line in lines):
            raise IntegrityBroken("checkpoint: origin or extension is not one short line", code="CHECKPOINT_LINE")

    def text(self) -> str:
        """Return the note text, newline included."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(line + "\n" for line in lines)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the note that carries it."""

    checkpoint: Checkpoint
    note: Note

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Root digest."""
        return self.checkpoint.root

    def render(self) -> str:
        """Return the note as text: what a receipt carries and a witness signs."""
        return self.note.render()

    def verify(self, key: NoteKey) -> int | None:
        """Check the signature of `key`; see `verify_note`."""
        return verify_note(self.note, key)


def sign_checkpoint(checkpoint: Checkpoint, signer: NamedSigner) -> SignedCheckpoint:
    """Return `checkpoint` signed by the log's key."""
    return SignedCheckpoint(checkpoint, sign_note(checkpoint.text(), signer))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note.

    :raises IntegrityBroken: CHECKPOINT_LINE, CHECKPOINT_SIZE or CHECKPOINT_ROOT.
    """
    if not text.endswith("\n"):
        raise IntegrityBroken("checkpoint: the last line does not end", code="CHECKPOINT_LINE")
    lines = text[:-1].split("\n", MAX_EXTENSIONS + 3)
    if len(lines) < 3 or any(len(line) > MAX_LINE for line in lines):
        raise IntegrityBroken("checkpoint: needs origin, size and root, one short line each", code="CHECKPOINT_LINE")
    if not _SIZE.fullmatch(lines[1]):
        raise IntegrityBroken("checkpoint: the size is not a canonical decimal number", code="CHECKPOINT_SIZE")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise IntegrityBroken("checkpoint: the root is not base64", code="CHECKPOINT_ROOT") from None
    checkpoint = Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))
    if checkpoint.text() != text:
        raise IntegrityBroken("checkpoint: not in canonical form", code="CHECKPOINT_ROOT")
    return checkpoint


def parse_signed_checkpoint(raw: bytes) -> SignedCheckpoint:
    """Read a checkpoint note; its signatures are not verified yet.

    :raises IntegrityBroken: as `parse_note` and `parse_checkpoint` do.
    """
    note = parse_note(raw)
    return SignedCheckpoint(parse_checkpoint(note.text), note)
