"""Offline verifier of what pdms hands out: `python verifier.py FILE` on an audit export or an audit pack.

One file, Python 3.11 or later and the package `cryptography`, nothing else: a copy lies in every pack, so that whoever
receives it needs neither pdms nor its database nor trust in its operator. It is written to be read, from top to bottom,
by whoever must decide whether to believe it: hence its length, where the rest of pdms is cut into small modules. pdms
itself checks with this very code.

What is checked
1. An export, or the events of a pack: each line has exactly the form that is written and its checksum holds; a leaf
   stands where its number says; its opening leads to its digest and is an event; each checkpoint is signed by the log's
   key, and the leaves before it lead to its root (RFC 9162 section 2.1).
2. A pack besides: its zip holds what the signed manifest lists and nothing else, bytes for bytes; its first living
   event is from before the period (or the pack begins with the log), its last one from after it (or the manifest says
   that the log held no more when it was packed, which is then said); policies and notices are the texts that their
   digests name; every decision names a policy that is there; the consistency proof leads from the checkpoint before to
   the one after; the state of consents at the end agrees with the consent events of the period; openings that are gone
   are accounted for by events of the log.
3. What is held outside: the log's public key, an earlier checkpoint (every receipt carries one), a witness's
   cosignature (C2SP). Against somebody who writes the whole log anew and signs it with the log's own key nothing else
   helps; without any of them the result is "self-consistent only".

Exit codes: 0 nothing found, 7 problems found, 2 the input cannot be read.
"""

import argparse
import base64
import binascii
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Broken(Exception):
    """Bytes are not what was written; `code` says which rule they break."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Malformed(Broken):
    """What the caller gave (a key) has the wrong form."""


# ---------------------------------------------------------------------------------------------------------------------
# The Merkle tree, RFC 9162 section 2.1

DIGEST_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves (RFC 9162 section 2.1.1)."""


def leaf_digest(data: bytes) -> bytes:
    """Return the digest of a leaf holding `data`; the 0x00 prefix keeps leaves and nodes apart."""
    return sha256(b"\x00" + data).digest()


def node_digest(left: bytes, right: bytes) -> bytes:
    """Return the digest of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def leaf_of(salt: bytes, body: bytes) -> bytes:
    """Return the leaf digest of an opening: RFC 9162's leaf over the salt followed by the event.

    The salt (16 random bytes) is what lets an opening die: without it the digest says nothing about the event.
    """
    return leaf_digest(salt + body)


def join_peaks(peaks: Sequence[bytes]) -> bytes:
    """Return the digest over complete subtrees of falling size, given left to right."""
    joined = peaks[-1]
    for peak in reversed(peaks[:-1]):
        joined = node_digest(peak, joined)
    return joined


class Frontier:
    """The right edge of a growing tree: enough to know its root at every size, in memory of log(size) digests."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Begin at `size` leaves whose complete subtrees, left to right, have the digests `peaks`."""
        if len(peaks) != size.bit_count() or any(len(peak) != DIGEST_BYTES for peak in peaks):
            raise Broken("tree: its complete subtrees do not fit its size", code="PEAKS")
        self.size = size
        self._peaks: list[bytes] = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf digest at the right."""
        digest, carry = leaf, self.size
        while carry & 1:
            digest = node_digest(self._peaks.pop(), digest)
            carry >>= 1
        self._peaks.append(digest)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf digests in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root of what was appended so far."""
        return join_peaks(self._peaks) if self._peaks else EMPTY_ROOT


def root_by_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to from the leaf digest `leaf` (RFC 9162 section 2.1.3.2).

    :raises Broken: PROOF_SHAPE, the path has the wrong length or digest size, or the index is outside.
    """
    if not 0 <= index < size or any(len(step) != DIGEST_BYTES for step in (leaf, *path)):
        raise Broken("inclusion proof: index or digest size is wrong", code="PROOF_SHAPE")
    position, last, digest = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise Broken("inclusion proof: longer than the tree is high", code="PROOF_SHAPE")
        if position & 1 or position == last:
            digest = node_digest(step, digest)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            digest = node_digest(digest, step)
        position >>= 1
        last >>= 1
    if last:
        raise Broken("inclusion proof: shorter than the tree is high", code="PROOF_SHAPE")
    return digest


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf digest `leaf` is at `index` of the tree of `size` leaves with `root`.

    :raises Broken: PROOF_SHAPE or ROOT_DIFFERS.
    """
    if root_by_inclusion(leaf, index=index, size=size, path=path) != root:
        raise Broken("inclusion proof: does not lead to the root", code="ROOT_DIFFERS")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins with all of the older tree's (RFC 9162 section 2.1.4.2).

    :raises Broken: PROOF_SHAPE, or ROOT_DIFFERS naming the older or the newer root.
    """
    if not 0 <= old_size <= new_size or any(len(step) != DIGEST_BYTES for step in path):
        raise Broken("consistency proof: sizes or digest size are wrong", code="PROOF_SHAPE")
    if old_size in (0, new_size):
        if path:
            raise Broken("consistency proof: nothing to prove, yet not empty", code="PROOF_SHAPE")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise Broken("consistency proof: the empty tree has another root", code="ROOT_DIFFERS")
        if old_size == new_size and old_root != new_root:
            raise Broken("consistency proof: one size, two roots", code="ROOT_DIFFERS")
        return
    steps = list(path)
    if old_size & (old_size - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise Broken("consistency proof: empty", code="PROOF_SHAPE")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise Broken("consistency proof: longer than the tree is high", code="PROOF_SHAPE")
        if position & 1 or position == last:
            old, new = node_digest(step, old), node_digest(step, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_digest(new, step)
        position >>= 1
        last >>= 1
    if last:
        raise Broken("consistency proof: shorter than the tree is high", code="PROOF_SHAPE")
    if old != old_root:
        raise Broken("consistency proof: does not lead to the older root", code="ROOT_DIFFERS")
    if new != new_root:
        raise Broken("consistency proof: does not lead to the newer root", code="ROOT_DIFFERS")


# ---------------------------------------------------------------------------------------------------------------------
# C2SP signed notes and witness cosignatures

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 100

ED25519 = 0x01
COSIGNATURE_V1 = 0x04

_KEY_NAME = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,255}")
_SIGNATURE_LINE = re.compile(r"\u2014 ([\x21-\x2a\x2c-\x7e]{1,255}) ([A-Za-z0-9+/]+={0,2})")
_VKEY = re.compile(r"([\x21-\x2a\x2c-\x7e]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


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
            raise Malformed("note key name: printable ASCII without blank or '+'", code="KEY_NAME")
        if len(self.public_key) != 32 or self.kind not in (ED25519, COSIGNATURE_V1):
            raise Malformed("note key: an Ed25519 key of 32 bytes is needed", code="KEY_KIND")

    @property
    def key_id(self) -> bytes:
        """Four bytes that name this key on a signature line."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: name, key id, kind and key."""
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.kind]) + self.public_key)}"

    @classmethod
    def from_vkey(cls, text: str) -> Self:
        """Read `vkey` text.

        :raises Malformed: VKEY, it is malformed, of an unknown kind, or its key id is not that of the key.
        """
        match = _VKEY.fullmatch(text)
        raw = unb64(match[3]) if match else None
        if match is None or raw is None or len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE_V1):
            raise Malformed("verifier key: not of the form name+id+key", code="VKEY")
        key = cls(match[1], raw[1:], raw[0])
        if key.key_id.hex() != match[2]:
            raise Malformed("verifier key: its id does not belong to its key", code="VKEY")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who, which key, and the bytes after the key id."""

    name: str
    key_id: bytes
    raw: bytes

    def line(self) -> str:
        """Return the line without its newline."""
        return f"\u2014 {self.name} {b64(self.key_id + self.raw)}"


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


def parse_note(raw: bytes) -> Note:
    """Read a note.

    :raises Broken: NOTE_SIZE, NOTE_TEXT, NOTE_SIGNATURE_LINE; the message says which rule is broken.
    """
    if len(raw) > MAX_NOTE_BYTES:
        raise Broken("note: larger than 64 KiB", code="NOTE_SIZE")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise Broken("note: not UTF-8", code="NOTE_TEXT") from None
    cut = whole.rfind("\n\n")
    if cut < 1 or not whole.endswith("\n"):
        raise Broken("note: no blank line between text and signatures", code="NOTE_TEXT")
    text, lines = whole[: cut + 1], whole[cut + 2 : -1].split("\n")
    check_text(text)
    if len(lines) > MAX_SIGNATURES:
        raise Broken("note: more than 100 signatures", code="NOTE_SIGNATURE_LINE")
    return Note(text, tuple(_parse_line(line) for line in lines))


def verify_note(note: Note, key: NoteKey) -> int | None:
    """Check that `key` signed the note; return the time of a witness's cosignature, in seconds since 1970.

    :raises Broken: NOTE_UNSIGNED, no signature names this key; BAD_SIGNATURE, one does and is false.
    """
    for one in (key, *key.older):
        for signature in note.signatures:
            if signature.name == one.name and signature.key_id == one.key_id:
                return _verify(note.text, signature.raw, one)
    raise Broken("note: not signed by this key", code="NOTE_UNSIGNED")


def check_text(text: str) -> None:
    """Refuse a text that cannot be a note's.

    :raises Broken: NOTE_TEXT.
    """
    if not text.endswith("\n") or _CONTROL.search(text) or "\n\n" in text:
        raise Broken("note: its text has a control character or an empty line", code="NOTE_TEXT")


def cosigned(text: str, at: int) -> bytes:
    """Return what a witness signs of a note's text at `at` (C2SP tlog-cosignature v1)."""
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _verify(text: str, raw: bytes, key: NoteKey) -> int | None:
    wanted = 64 if key.kind == ED25519 else 72
    if len(raw) != wanted:
        raise Broken("note: a signature has the wrong length", code="BAD_SIGNATURE")
    at = None if key.kind == ED25519 else int.from_bytes(raw[:8], "big")
    message = text.encode() if at is None else cosigned(text, at)
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(raw[-64:], message)
    except (InvalidSignature, ValueError):
        raise Broken("signature: not by this key over these bytes", code="BAD_SIGNATURE") from None
    return at


def _parse_line(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    raw = unb64(match[2]) if match else None
    if match is None or raw is None or len(raw) < 5:
        raise Broken("note: a signature line is malformed", code="NOTE_SIGNATURE_LINE")
    return Signature(match[1], raw[:4], raw[4:])


def b64(raw: bytes) -> str:
    """Return base64 text."""
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes | None:
    """Return the bytes, or None where `text` is not their one canonical form (stray bits in the last sextet)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if b64(raw) == text else None


# ---------------------------------------------------------------------------------------------------------------------
# C2SP checkpoints

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
            raise Broken("checkpoint: size out of range", code="CHECKPOINT_SIZE")
        if len(self.root) != DIGEST_BYTES:
            raise Broken("checkpoint: the root has 32 bytes", code="CHECKPOINT_ROOT")
        lines = (self.origin, *self.extensions)
        if len(self.extensions) > MAX_EXTENSIONS or not all(_LINE.fullmatch(line) for line in lines):
            raise Broken("checkpoint: origin or extension is not one short line", code="CHECKPOINT_LINE")

    def text(self) -> str:
        """Return the note text, newline included."""
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
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


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note.

    :raises Broken: CHECKPOINT_LINE, CHECKPOINT_SIZE or CHECKPOINT_ROOT.
    """
    if not text.endswith("\n"):
        raise Broken("checkpoint: the last line does not end", code="CHECKPOINT_LINE")
    lines = text[:-1].split("\n", MAX_EXTENSIONS + 3)
    if len(lines) < 3 or any(len(line) > MAX_LINE for line in lines):
        raise Broken("checkpoint: needs origin, size and root, one short line each", code="CHECKPOINT_LINE")
    if not _SIZE.fullmatch(lines[1]):
        raise Broken("checkpoint: the size is not a canonical decimal number", code="CHECKPOINT_SIZE")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise Broken("checkpoint: the root is not base64", code="CHECKPOINT_ROOT") from None
    checkpoint = Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))
    if checkpoint.text() != text:
        raise Broken("checkpoint: not in canonical form", code="CHECKPOINT_ROOT")
    return checkpoint


def parse_signed_checkpoint(raw: bytes) -> SignedCheckpoint:
    """Read a checkpoint note; its signatures are not verified yet.

    :raises Broken: as `parse_note` and `parse_checkpoint` do.
    """
    note = parse_note(raw)
    return SignedCheckpoint(parse_checkpoint(note.text), note)


# ---------------------------------------------------------------------------------------------------------------------
# Events

MAX_BODY_BYTES = 16_384
SHREDDED = "audit.openings_shredded"
CONSENTS = ("consent.recorded", "consent.withdrawn")
INVALIDATED = "consent.invalidated"
DECIDED = ("permit", "denial", "policy.activated")
_TEXT = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_TEXTS = {"actor", "at", "digest", "id", "kind", "member", "outcome", "purpose", "ticket"}
_ALWAYS = {"actor", "at", "id", "kind", "outcome", "v"}


def event_of(body: bytes) -> dict[str, Any]:
    """Return the event that `body` is, after checking that it is written as pdms writes events.

    :raises Broken: EVENT_FORM.
    """
    try:
        event = json.loads(body) if len(body) <= MAX_BODY_BYTES else None
        if isinstance(event, dict) and _is_event(event) and canonical(event) == body:
            return event
    except (ValueError, TypeError, RecursionError):
        pass
    raise Broken("audit event: not in the form that pdms writes", code="EVENT_FORM")


def canonical(value: Any) -> bytes:
    """Return the one JSON form: keys sorted, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _is_event(event: dict[str, Any]) -> bool:
    if not _ALWAYS <= set(event) <= _TEXTS | {"v", "reasons", "refs", "numbers"}:
        return False
    texts = [event[name] for name in _TEXTS if name in event]
    reasons, refs, numbers = event.get("reasons", []), event.get("refs", {}), event.get("numbers", {})
    if not (isinstance(reasons, list) and isinstance(refs, dict) and isinstance(numbers, dict)):
        return False
    texts += [*reasons, *refs, *refs.values(), *numbers]
    return (
        event["v"] == 1
        and all(isinstance(text, str) and _TEXT.fullmatch(text) for text in texts)
        and all(type(number) is int for number in numbers.values())
        and _INSTANT.fullmatch(event["at"]) is not None
    )


# ---------------------------------------------------------------------------------------------------------------------
# What a verification says


class Assurance(StrEnum):
    """What stands behind a log in which no problem was found."""

    BROKEN = "broken"
    SELF_CONSISTENT = "self-consistent only"
    """It agrees with itself. Whoever holds the log's key could have written all of it anew."""
    EARLIER = "extends the earlier checkpoint"
    WITNESSED = "witnessed"


MAX_PROBLEMS = 1000
"""More are counted but not listed: a log broken a million times is told apart from one broken once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written. `line` counts from 1 and exists in files only; `leaf` from 0."""

    code: str
    detail: str
    leaf: int | None = None
    line: int | None = None
    file: str | None = None
    """Name inside a pack."""

    def __str__(self) -> str:
        place = [self.file] if self.file is not None else []
        place += [f"line {self.line}"] if self.line is not None else []
        place += [f"leaf {self.leaf}"] if self.leaf is not None else []
        return f"{self.code}{' at ' + ', '.join(place) if place else ''}: {self.detail}"


class Problems:
    """Collects problems up to the limit."""

    __slots__ = ("_listed", "count", "file")

    def __init__(self) -> None:
        self.count = 0
        self.file: str | None = None
        """The file of a pack that is being read."""
        self._listed: list[Problem] = []

    def add(self, code: str, detail: str, *, leaf: int | None = None, line: int | None = None) -> None:
        """Note one problem."""
        self.count += 1
        if len(self._listed) < MAX_PROBLEMS:
            self._listed.append(Problem(code, detail, leaf, line, self.file))

    def listed(self) -> tuple[Problem, ...]:
        """Return what was listed, in order."""
        return tuple(self._listed)


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
    first: int = 0
    """First leaf that is there: 0 in an export, the period's in a pack."""
    files: int = 0
    """Files of a pack whose bytes are those of its manifest."""
    notes: tuple[str, ...] = ()
    """What is no problem and must be known beside the verdict."""

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return self.problem_count == 0


# ---------------------------------------------------------------------------------------------------------------------
# The lines of an export
#
# Every byte is covered. Each line ends with a checksum of itself, which tells *where* a byte changed; leaf digests,
# checkpoints and their signatures tell *that* something did, also of those who mend the checksums; the last line holds
# the digest of all before it.
#
#     {"format":"pdms-audit-export/1","key":VKEY,"leaves":N,"checkpoints":M,"unsequenced":U,"line":C}
#     {"leaf":0,"digest":HEX,"salt":HEX,"event":{...},"line":C}      opening alive
#     {"leaf":1,"digest":HEX,"line":C}                               opening shredded
#     {"checkpoint":NOTE,"line":C}                                   after the last leaf it speaks for
#     {"end":K,"sha256":HEX}                                         K lines before this one, and their digest
#
# The events of a pack begin at leaf F, with the digests of the complete subtrees to its left; N counts what follows:
#
#     {"format":"pdms-audit-pack-events/1","key":VKEY,"first":F,"peaks":[HEX,...],"leaves":N,"checkpoints":M,"line":C}

FORMAT = "pdms-audit-export/1"
PACK_EVENTS = "pdms-audit-pack-events/1"
CHECK_DIGITS = 16
MAX_LINE_BYTES = 262_144
_NUMBER = rb"(0|[1-9][0-9]{0,18})"
_KEY_TEXT = rb'"key":"([\x21\x23-\x5b\x5d-\x7e]{1,512})"'
_HEADER = re.compile(
    rb'\{"format":"' + re.escape(FORMAT.encode()) + rb'",' + _KEY_TEXT + rb',"leaves":' + _NUMBER
    + rb',"checkpoints":' + _NUMBER + rb',"unsequenced":' + _NUMBER
)  # fmt: skip
_PACK_HEADER = re.compile(
    rb'\{"format":"' + re.escape(PACK_EVENTS.encode()) + rb'",' + _KEY_TEXT + rb',"first":' + _NUMBER
    + rb',"peaks":\[((?:"[0-9a-f]{64}"(?:,(?=")|(?=\])))*)\],"leaves":' + _NUMBER + rb',"checkpoints":' + _NUMBER
)  # fmt: skip
_LEAF = re.compile(
    rb'\{"leaf":(0|[1-9][0-9]{0,18}),"digest":"([0-9a-f]{64})"(?:,"salt":"([0-9a-f]{32})","event":(\{.*\}))?'
)
_CHECKPOINT = re.compile(rb'\{"checkpoint":("[\x20-\x7e]*")')
_END = re.compile(rb'\{"end":(0|[1-9][0-9]{0,18}),"sha256":"([0-9a-f]{64})"\}\n')


def checked_line(content: bytes) -> bytes:
    """Return a line: an open JSON object, its checksum, the closing brace and the newline."""
    return content + b',"line":"' + sha256(content).hexdigest()[:CHECK_DIGITS].encode() + b'"}\n'


def end_line(lines: int, digest: str) -> bytes:
    """Return the last line."""
    return f'{{"end":{lines},"sha256":"{digest}"}}\n'.encode()


def export_header(vkey: str, *, leaves: int, checkpoints: int, unsequenced: int) -> bytes:
    """Return the first line of an export without its checksum."""
    head = f'{{"format":"{FORMAT}","key":{json.dumps(vkey)},"leaves":{leaves},"checkpoints":{checkpoints}'
    return f'{head},"unsequenced":{unsequenced}'.encode()


def pack_header(vkey: str, *, first: int, peaks: Sequence[bytes], leaves: int, checkpoints: int) -> bytes:
    """Return the first line of a pack's events without its checksum."""
    listed = ",".join(f'"{peak.hex()}"' for peak in peaks)
    head = f'{{"format":"{PACK_EVENTS}","key":{json.dumps(vkey)},"first":{first},"peaks":[{listed}]'
    return f'{head},"leaves":{leaves},"checkpoints":{checkpoints}'.encode()


def leaf_content(index: int, digest: bytes, salt: bytes | None, body: bytes | None) -> bytes:
    """Return a leaf's line without its checksum."""
    start = f'{{"leaf":{index},"digest":"{digest.hex()}"'.encode()
    if salt is None or body is None:
        return start
    return start + b',"salt":"' + salt.hex().encode() + b'","event":' + body


def checkpoint_content(note: str) -> bytes:
    """Return a checkpoint's line without its checksum."""
    return b'{"checkpoint":' + json.dumps(note).encode()


_TAIL = len(checked_line(b""))


class _Lines(Protocol):
    def readline(self, limit: int, /) -> bytes: ...


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
    pack: "_Manifest | None" = None
    first: int = 0
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
    notes: list[str] = field(default_factory=list)
    """What is said plainly and is no problem."""
    opened: str = ""
    """Instant of the first living event of a pack."""
    closed: str = ""
    """Instant of the last living event of a pack."""
    consents: dict[tuple[str, str, str], "_Told"] = field(default_factory=dict)
    """The last consent event of the period, by member, purpose and recipient."""
    invalidated: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many consents the log tells of as invalidated, by purpose and instant."""


@dataclass(slots=True)
class _Told:
    at: str
    records: dict[str, str]
    """Record id → state, of all events of that instant."""
    restored: bool


def verify_file(
    path: Path, *, key: NoteKey | None = None, witness: NoteKey | None = None, earlier: SignedCheckpoint | None = None
) -> ExportReport:
    """Check an export or a pack.

    :param key: the log's public key from a source other than the file. :param witness: key of a witness (C2SP
        cosignature). :param earlier: a checkpoint kept outside.
    :raises OSError: the file cannot be read.
    """
    reading = _Reading()
    files = 0
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            files = _pack(file, reading, key=key, witness=witness, earlier=earlier)
        else:
            file.seek(0)
            _lines(file, reading, key=key, witness=witness, earlier=earlier)
            if reading.shredded > reading.accounted:
                gone = reading.shredded - reading.accounted
                reading.found.add("OPENINGS_MISSING", f"{gone} openings are gone, and no event accounts for it")
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
        reading.first,
        files,
        tuple(reading.notes),
    )


def _lines(
    file: _Lines,
    reading: _Reading,
    *,
    key: NoteKey | None,
    witness: NoteKey | None,
    earlier: SignedCheckpoint | None,
) -> None:
    number = 0
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
    head = (_HEADER if reading.pack is None else _PACK_HEADER).fullmatch(content)
    reading.key = key
    if head is None:
        reading.found.add("HEADER_FORM", "the first line is not that of an export", line=1)
        return
    try:
        named = NoteKey.from_vkey(head[1].decode())
    except Malformed as error:
        reading.found.add(error.code, error.message, line=1)
    else:
        if key is not None and key.vkey != named.vkey:
            reading.found.add("KEY_DIFFERS", "the export names another key than the one given", line=1)
        reading.key = key or named
    if reading.pack is None:
        reading.leaves, reading.checkpoints_told, reading.unsequenced = int(head[2]), int(head[3]), int(head[4])
        return
    reading.first, reading.leaves, reading.checkpoints_told = int(head[2]), int(head[4]), int(head[5])
    try:
        reading.tree = Frontier(
            reading.first, [bytes.fromhex(one) for one in re.findall("[0-9a-f]+", head[3].decode())]
        )
    except Broken as error:
        reading.found.add(error.code, error.message, line=1)
    if reading.first != reading.pack.first:
        reading.found.add("RANGE_DIFFERS", "the events begin at another leaf than the manifest says", line=1)


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
        event = event_of(body)
    except Broken as error:
        found.add(error.code, error.message, line=number, leaf=index)
        return
    if event["kind"] == SHREDDED:
        reading.accounted += event.get("numbers", {}).get("openings", 0)
    if reading.pack is not None:
        _of_period(event, number, index, reading, reading.pack)


def _checkpoint(text: bytes, number: int, reading: _Reading, *, witness: NoteKey | None) -> None:
    found, size = reading.found, reading.tree.size
    reading.checkpoints += 1
    try:
        signed = _read_checkpoint(text)
    except (ValueError, Broken) as error:
        code = error.code if isinstance(error, Broken) else "LINE_FORM"
        found.add(code, "the checkpoint cannot be read", line=number)
        return
    if reading.key is not None:
        _check_signature(signed, reading.key, reading, number)
    if signed.size != size:
        found.add("CHECKPOINT_PLACE", f"it speaks of {signed.size} leaves after {size} of them", line=number)
        return
    if signed.root != reading.tree.root():
        span = f"a leaf from {reading.covered} to {size - 1}"
        found.add("ROOT_DIFFERS", f"{span} is not the one that was signed", line=number, leaf=reading.covered)
        return
    reading.covered = size
    if witness is not None:
        _check_witness(signed, witness, reading, number)


def _read_checkpoint(text: bytes) -> SignedCheckpoint:
    note = json.loads(text)
    if checkpoint_content(note) != b'{"checkpoint":' + text:  # JSON has several spellings of one string
        raise Broken("checkpoint: not written as an export writes it", code="LINE_FORM")
    return parse_signed_checkpoint(note.encode())


def _check_signature(signed: SignedCheckpoint, key: NoteKey, reading: _Reading, number: int | None = None) -> None:
    try:
        verify_note(signed.note, key)
    except Broken as error:
        reading.found.add(error.code, f"checkpoint: {error.message}", line=number)
    if signed.checkpoint.origin != key.name:
        reading.found.add("CHECKPOINT_DIFFERS", "the checkpoint is of another log", line=number)


def _check_witness(signed: SignedCheckpoint, witness: NoteKey, reading: _Reading, number: int) -> None:
    if not any((s.name, s.key_id) == (witness.name, witness.key_id) for s in signed.note.signatures):
        return
    try:
        verify_note(signed.note, witness)
    except Broken as error:
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
    if reading.leaves is not None and reading.leaves != size - reading.first:
        there = size - reading.first
        found.add("LEAF_COUNT", f"{there} leaves, but the first line tells of {reading.leaves}", leaf=size, line=1)
    if reading.checkpoints_told is not None and reading.checkpoints_told != reading.checkpoints:
        told = reading.checkpoints_told
        found.add("CHECKPOINT_COUNT", f"{reading.checkpoints} checkpoints, but the first line tells of {told}", line=1)
    if reading.covered != size:
        found.add("UNSIGNED_TAIL", "no good checkpoint speaks for the last leaves", leaf=reading.covered)
    if witness is not None and not reading.cosignatures:
        found.add("NOT_WITNESSED", "no checkpoint bears a good cosignature of this witness")
    if earlier is not None:
        if not reading.earlier_seen and reading.pack is not None:
            place = f"{earlier.size} leaves, the pack begins after {reading.first} and ends after {size}"
            reading.notes.append(f"the checkpoint that was given lies outside the pack ({place}): not compared")
        elif not reading.earlier_seen:
            if earlier.size < reading.first:
                found.add("EARLIER_OUTSIDE", f"the earlier checkpoint ends before leaf {reading.first}, the first here")
            elif earlier.size > size:
                found.add("LOG_SHORTER", f"{size} leaves, the earlier checkpoint speaks of {earlier.size}", leaf=size)
        if reading.key is not None:
            try:
                verify_note(earlier.note, reading.key)
            except Broken as error:
                found.add(error.code, f"earlier checkpoint: {error.message}")


# ---------------------------------------------------------------------------------------------------------------------
# A pack: a zip for a regulator
#
#     manifest.json                  what is in the pack, with the digest of every other file; canonical JSON
#     manifest.note                  the log's signature over the digest of manifest.json (a C2SP signed note)
#     checkpoints/{before,after}.note    the log before the period (absent where it begins with it) and after it
#     events.jsonl                   every leaf between the two, with its opening where it still lives
#     proofs/consistency.json        that the log after begins with the log before
#     proofs/shredded.jsonl          events after the period that account for openings that are gone,
#     proofs/latest.json             with their inclusion proofs under checkpoints/latest.note; absent where none is
#     policies/DIGEST.json           every policy in force at some time of the period
#     notices/VERSION.json           every notice version published by its end
#     consent/state.jsonl            the state of every consent at its end: random ids and codes
#     summary.{en,zh-CN}.html        the same to be read
#     verifier.py, README.txt        this file, and how to use it
#
# The archive's comment is the SHA-256 of all bytes before it: a change in the zip's own structure is found too.

PACK_FORMAT = "pdms-audit-pack/1"
STATE_FORMAT = "pdms-consent-state/1"
MANIFEST, MANIFEST_NOTE = "manifest.json", "manifest.note"
EVENTS, STATE = "events.jsonl", "consent/state.jsonl"
BEFORE, AFTER, LATEST = "checkpoints/before.note", "checkpoints/after.note", "checkpoints/latest.note"
CONSISTENCY, LATEST_PROOF, ACCOUNTS = "proofs/consistency.json", "proofs/latest.json", "proofs/shredded.jsonl"
COMMENT_BYTES = 64
MAX_MANIFEST = 1 << 26
MAX_SMALL = 1 << 20
MAX_RATIO = 100
"""Of unpacked to packed bytes, above 1 MiB: random ids and digests do not shrink so far, a bomb does."""
CHUNK = 1 << 20
_SAFE_NAME = re.compile(r"(?:[a-z]+/)?[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError,
    OSError, OverflowError, IndexError, struct.error,
)  # fmt: skip
_STATE_KEYS = {
    "at", "categories", "channel", "known", "member", "notice", "purpose", "recipient", "record", "source", "state",
    "type",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Manifest:
    key: NoteKey
    first: int
    end: int
    since: str
    until: str
    open: str
    """The instant of packing, where the log told then of nothing at or after the period's end; else empty."""
    files: dict[str, tuple[int, str]]
    policies: frozenset[str]
    notices: frozenset[str]


class _Entry:
    """Reads one file of a pack; counts and digests what goes by. What cannot be unpacked ends it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.digest, self.size = sha256(), 0
        self.error = ""

    def readline(self, limit: int, /) -> bytes:
        return self._seen(self._stream.readline, limit)

    def read(self, limit: int) -> bytes:
        return self._seen(self._stream.read, limit)

    def drain(self) -> None:
        while self.read(CHUNK):
            pass

    def _seen(self, read: Callable[[int], bytes], limit: int) -> bytes:
        try:
            data = b"" if self.error else read(limit)
        except _ZIP_ERRORS as error:
            self.error, data = type(error).__name__, b""
        self.digest.update(data)
        self.size += len(data)
        return data


def manifest_text(origin: str, manifest: bytes) -> str:
    """Return the text of the note by which the log signs a manifest; no checkpoint reads like it."""
    return f"{origin}\n{PACK_FORMAT}\n{b64(sha256(manifest).digest())}\n"


def _pack(
    file: BinaryIO,
    reading: _Reading,
    *,
    key: NoteKey | None,
    witness: NoteKey | None,
    earlier: SignedCheckpoint | None,
) -> int:
    """Check a pack; return how many of its files have the bytes that the manifest tells of."""
    found = reading.found
    _archive_digest(file, found)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive, found)
            manifest = _manifest(archive, entries, found, key)
            if manifest is None:
                return 0
            reading.pack = manifest
            checked = _Pack(archive, entries, manifest, reading)
            checked.listed()
            checked.contents(witness=witness, earlier=earlier)
            return checked.whole
    except _ZIP_ERRORS as error:
        found.add("ZIP_BROKEN", f"the zip cannot be read, cut or damaged ({type(error).__name__})")
        return 0


def _archive_digest(file: BinaryIO, found: Problems) -> None:
    size = file.seek(0, 2)
    file.seek(0)
    left, digest = max(0, size - COMMENT_BYTES), sha256()
    while left:
        chunk = file.read(min(left, CHUNK))
        digest.update(chunk)
        left -= len(chunk)
    if file.read() != digest.hexdigest().encode():
        found.add("ARCHIVE_DIFFERS", "the bytes of the zip are not those that were written")
    file.seek(0)


def _entries(archive: zipfile.ZipFile, found: Problems) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
        bomb = info.file_size > MAX_SMALL and info.file_size > MAX_RATIO * max(1, info.compress_size)
        if not _SAFE_NAME.fullmatch(info.filename) or ".." in info.filename:
            found.add("NAME_UNSAFE", "a name in the zip leads elsewhere or is none of a pack")
        elif info.filename in entries:
            found.add("NAME_DOUBLED", f"{info.filename} is there twice")
        elif not plain:
            found.add("ZIP_METHOD", f"{info.filename} is packed or encrypted as no file of a pack is")
        elif bomb:
            found.add("ZIP_BOMB", f"{info.filename} would unpack to more than {MAX_RATIO} times its size; not read")
        else:
            entries[info.filename] = info
    return entries


def _manifest(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], found: Problems, key: NoteKey | None
) -> _Manifest | None:
    raw = _small(archive, entries.get(MANIFEST), MAX_MANIFEST)
    signed = _small(archive, entries.get(MANIFEST_NOTE), MAX_NOTE_BYTES)
    found.file = MANIFEST
    try:
        if raw is None or signed is None:
            found.add("MANIFEST_MISSING", "no manifest, or no signature of it, or too large")
            return None
        manifest = _read_manifest(raw)
        if key is not None and key.vkey != manifest.key.vkey:
            found.add("KEY_DIFFERS", "the pack names another key than the one given")
        told = key or manifest.key
        note = parse_note(signed)
        verify_note(note, told)
        if note.text != manifest_text(told.name, raw):
            found.add("MANIFEST_DIFFERS", "the manifest is not the one that the log signed")
        return manifest if key is None else replace(manifest, key=replace(key, older=manifest.key.older))
    except Broken as error:
        found.add(error.code, f"manifest: {error.message}")
        return None
    finally:
        found.file = None


def _read_manifest(raw: bytes) -> _Manifest:
    try:
        parts = json.loads(raw)
        _must(canonical(parts) == raw and parts["format"] == PACK_FORMAT)
        key = NoteKey.from_vkey(parts["key"])
        older = tuple(NoteKey.from_vkey(one) for one in parts["older"])
        manifest = _Manifest(
            replace(key, older=older),
            parts["first"],
            parts["end"],
            parts["since"],
            parts["until"],
            parts.get("open", ""),
            {name: (int(one["bytes"]), str(one["sha256"])) for name, one in parts["files"].items()},
            frozenset(one["digest"] for one in parts["policies"]),
            frozenset(one["version"] for one in parts["notices"]),
        )
        _must(bool(_INSTANT.fullmatch(manifest.since) and _INSTANT.fullmatch(manifest.until)))
        _must(manifest.open == "" or bool(_INSTANT.fullmatch(manifest.open)))
        _must(type(manifest.first) is int and type(manifest.end) is int)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Broken("not in the form that pdms writes", code="MANIFEST_FORM") from None
    return manifest


def _must(holds: bool) -> None:
    if not holds:
        raise ValueError


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, limit: int) -> bytes | None:
    if info is None or info.file_size > limit:
        return None
    with archive.open(info) as stream:
        return stream.read(limit + 1)


class _Pack:
    """The files of a pack, one after the other."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        entries: dict[str, zipfile.ZipInfo],
        manifest: _Manifest,
        reading: _Reading,
    ) -> None:
        self.archive, self.entries, self.manifest, self.reading = archive, entries, manifest, reading
        self.found = reading.found
        self.whole = 0
        self.proof_purged = False

    def listed(self) -> None:
        """The zip holds what the manifest lists, and nothing else."""
        there = set(self.entries) - {MANIFEST, MANIFEST_NOTE}
        for name in sorted(set(self.manifest.files) - there):
            self.found.add("FILE_MISSING", f"{name} is in the manifest and not in the pack")
        for name in sorted(there - set(self.manifest.files)):
            self.found.add("FILE_STRAY", f"{name} is in the pack and not in the manifest")
        for name in (AFTER, EVENTS, STATE, CONSISTENCY):
            if name not in self.manifest.files:
                self.found.add("FILE_MISSING", f"the manifest tells of no {name}")
        named = {f"policies/{one}.json" for one in self.manifest.policies}
        named |= {f"notices/{one}.json" for one in self.manifest.notices}
        kept = {name for name in self.manifest.files if name.startswith(("policies/", "notices/"))}
        for name in sorted(named ^ kept):
            self.found.add("TEXT_MISSING", f"{name}: the manifest's lists of texts and of files differ")

    def contents(self, *, witness: NoteKey | None, earlier: SignedCheckpoint | None) -> None:
        """Every file: its bytes, then what it says."""
        reading, manifest = self.reading, self.manifest
        before, after = self.checkpoint(BEFORE), self.checkpoint(AFTER)
        for entry in self.open(EVENTS):
            _lines(entry, reading, key=manifest.key, witness=witness, earlier=earlier)
        if reading.tree.size != manifest.end:
            self.found.add("RANGE_DIFFERS", "the events end at another leaf than the manifest says", leaf=manifest.end)
        if after is not None and (after.size, after.root) != (reading.tree.size, reading.tree.root()):
            self.found.add("ROOT_DIFFERS", "the events do not lead to the checkpoint after the period")
        self.covers()
        self.proof(CONSISTENCY, before, after)
        if LATEST in self.manifest.files:
            latest = self.checkpoint(LATEST)
            self.proof(LATEST_PROOF, after, latest)
            if latest is not None:
                for entry in self.open(ACCOUNTS):
                    self.accounts(entry, latest)
        for entry in self.open(STATE):
            self.states(entry)
        for name in sorted(self.manifest.files):
            if name not in (BEFORE, AFTER, LATEST, EVENTS, CONSISTENCY, LATEST_PROOF, ACCOUNTS, STATE):
                for entry in self.open(name):
                    entry.drain()
                    told = name.rpartition("/")[2].removesuffix(".json")
                    if name.startswith(("policies/", "notices/")) and entry.digest.hexdigest() != told:
                        self.found.add("TEXT_DIFFERS", "the text is not the one that its digest names")
        if reading.shredded > reading.accounted:
            gone = reading.shredded - reading.accounted
            self.found.add("OPENINGS_MISSING", f"{gone} openings are gone, and no event accounts for it")

    def covers(self) -> None:
        """The leaves begin before the period and end after it: events of both sides say so, or its beginning is 0."""
        reading, manifest = self.reading, self.manifest
        if manifest.first and not reading.opened < manifest.since:
            self.found.add("PERIOD_OPEN", "no event from before the period shows that its first ones are here")
        elif manifest.first and not reading.opened:
            self.found.add("PERIOD_OPEN", "no opening is left that shows where the period begins")
        if reading.closed >= manifest.until:
            return
        if not manifest.open:
            self.found.add("PERIOD_OPEN", "no event from after the period shows that its last ones are here")
            return
        last = f"the last event is of {reading.closed}" if reading.closed else "no opening is left"
        reading.notes.append(
            f"PERIOD_OPEN: nothing in here is from after the period; {last}. The log's key signed that this was all"
            f" that the log held when it was packed, at {manifest.open}; compare a checkpoint of that time"
        )

    def open(self, name: str) -> Iterator[_Entry]:
        """Yield the file once; afterwards its bytes are compared with the manifest."""
        info = self.entries.get(name)
        if info is None or name not in self.manifest.files:
            return
        size, digest = self.manifest.files[name]
        self.found.file = name
        try:
            stream = self.archive.open(info)
        except _ZIP_ERRORS as error:
            self.found.add("FILE_BROKEN", f"cannot be unpacked ({type(error).__name__})")
            self.found.file = None
            return
        with stream:
            entry = _Entry(stream)
            yield entry
            entry.drain()
        if entry.error:
            self.found.add("FILE_BROKEN", f"cannot be unpacked ({entry.error})")
        elif (entry.size, entry.digest.hexdigest()) == (size, digest):
            self.whole += 1
        else:
            self.found.add("FILE_DIFFERS", "its bytes are not those that the signed manifest tells of")
        self.found.file = None

    def checkpoint(self, name: str) -> SignedCheckpoint | None:
        """Return a checkpoint of the log, its signature checked."""
        signed = None
        for entry in self.open(name):
            try:
                signed = parse_signed_checkpoint(entry.read(MAX_NOTE_BYTES + 1))
            except Broken as error:
                self.found.add(error.code, f"checkpoint: {error.message}")
                continue
            _check_signature(signed, self.manifest.key, self.reading)
        return signed

    def proof(self, name: str, old: SignedCheckpoint | None, new: SignedCheckpoint | None) -> None:
        """Check the consistency proof between two checkpoints; the empty log needs none."""
        for entry in self.open(name):
            try:
                told = json.loads(entry.read(MAX_SMALL))
                path = [bytes.fromhex(step) for step in told["path"]]
                sizes = (told["old"], told["new"])
            except (ValueError, KeyError, TypeError, RecursionError):
                self.found.add("PROOF_FORM", "not a consistency proof")
                continue
            size, root = (old.size, old.root) if old is not None else (0, EMPTY_ROOT)
            if new is None or sizes != (size, new.size):
                self.found.add("PROOF_SHAPE", "the proof speaks of other checkpoints")
                continue
            try:
                verify_consistency(old_size=size, old_root=root, new_size=new.size, new_root=new.root, path=path)
            except Broken as error:
                self.found.add(error.code, error.message)

    def accounts(self, entry: _Entry, latest: SignedCheckpoint) -> None:
        """Add up the openings that later events of the log tell of as shredded."""
        number, seen = 0, -1
        while line := entry.readline(MAX_LINE_BYTES + 1):
            number += 1
            try:
                told = json.loads(line)
                event = event_of(canonical(told["event"]))
                leaf = leaf_of(bytes.fromhex(told["salt"]), canonical(told["event"]))
                path = [bytes.fromhex(step) for step in told["path"]]
                _must(event["kind"] == SHREDDED and max(seen, self.manifest.end - 1) < told["leaf"])
                verify_inclusion(leaf, index=told["leaf"], size=latest.size, path=path, root=latest.root)
            except (ValueError, KeyError, TypeError, RecursionError):
                self.found.add("PROOF_FORM", "not the proof of an event that tells of shredded openings", line=number)
                return
            except Broken as error:
                self.found.add(error.code, error.message, line=number)
                return
            seen = told["leaf"]
            self.reading.accounted += event.get("numbers", {}).get("openings", 0)
            self.proof_purged = self.proof_purged or event.get("refs", {}).get("retention") == "proof"

    def states(self, entry: _Entry) -> None:
        """Check the state of consents at the end of the period against the consent events of the period."""
        head = canonical({"as_of": self.manifest.until, "format": STATE_FORMAT}) + b"\n"
        if entry.readline(MAX_LINE_BYTES) != head:
            self.found.add("STATE_FORM", "the first line does not tell of this period's end", line=1)
        number, last, told = 1, ("", "", ""), self.reading.consents
        while line := entry.readline(MAX_LINE_BYTES + 1):
            number += 1
            try:
                state = json.loads(line)
                _must(canonical(state) + b"\n" == line and set(state) == _STATE_KEYS)
                place = (state["member"], state["purpose"], state["recipient"])
                _must(all(isinstance(part, str) for name, part in state.items() if name != "categories"))
            except (ValueError, TypeError, RecursionError):
                self.found.add("STATE_FORM", "not the state of a consent", line=number)
                continue
            if place <= last:
                self.found.add("STATE_ORDER", "out of order, or twice", line=number)
            last = place
            if state["notice"] and state["notice"] not in self.manifest.notices:
                self.found.add("NOTICE_MISSING", "it rests on a notice that is not in the pack", line=number)
            self.state(state, told.pop((place[0], place[1], place[2].replace("_", "-")), None), number)
        if told:
            self.found.add("CONSENT_MISSING", f"{len(told)} consents that the log tells of are not in the state")

    def state(self, state: dict[str, Any], told: _Told | None, number: int) -> None:
        """Compare one consent with the last event that the log tells of it."""
        named = None if told is None else told.records.get(state["record"])
        if told is not None and not told.restored:
            if named is not None and (named, told.at) != (state["state"], state["at"]):
                self.found.add("CONSENT_DIFFERS", "the log tells of this record otherwise", line=number)
            elif named is None and state["at"] < told.at:
                self.found.add("CONSENT_DIFFERS", "the log tells of a later event of this consent", line=number)
        if not self.manifest.since <= state["known"] < self.manifest.until:
            return
        early = state["source"] == "live" and state["state"] == "invalidated" and named is None
        if state["source"] == "defect" or early:  # one event tells of a set; early versions wrote them as "live"
            place = (state["purpose"], state["known"])
            left = self.reading.invalidated.get(place, 0) if state["state"] == "invalidated" else 0
            self.reading.invalidated[place] = left - 1
            if left < 1:
                self.found.add("CONSENT_UNLOGGED", "the log tells of no such invalidation, or of fewer", line=number)
        elif state["source"] == "live" and named is None and not self.proof_purged:
            self.found.add("CONSENT_UNLOGGED", "a record of the period that the log does not know", line=number)


def _of_period(event: dict[str, Any], number: int, index: int, reading: _Reading, pack: _Manifest) -> None:
    """Look whether what an event names is in the pack; remember what it says of consents."""
    refs = event.get("refs", {})
    reading.opened, reading.closed = reading.opened or event["at"], event["at"]
    if event["at"] >= pack.until:
        return
    policy, version = refs.get("policy"), refs.get("version")
    decided = event["kind"] in DECIDED and event["at"] >= pack.since
    if decided and policy is not None and policy not in pack.policies:
        reading.found.add("POLICY_MISSING", "it names a policy that is not in the pack", line=number, leaf=index)
    if event["kind"] == "notice.published" and version not in pack.notices:
        reading.found.add("NOTICE_MISSING", "it names a notice that is not in the pack", line=number, leaf=index)
    if event["kind"] == INVALIDATED:
        of_set = (event.get("purpose", ""), event["at"])
        told = event.get("numbers", {}).get("records", 0)
        reading.invalidated[of_set] = reading.invalidated.get(of_set, 0) + told
    if event["kind"] in CONSENTS and "record" in refs and "member" in event:
        place = (event["member"], event.get("purpose", ""), refs.get("recipient", ""))
        last = reading.consents.get(place)
        if last is None or event["at"] > last.at:
            last = reading.consents[place] = _Told(event["at"], {}, restored=False)
        if event["at"] == last.at:
            last.records[refs["record"]] = refs.get("state", "")
        last.restored = last.restored or refs.get("source") == "restore"


# ---------------------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verifier: 0 nothing found, 7 problems found, 2 the input cannot be read."""
    parser = argparse.ArgumentParser(prog="verifier.py", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the export or the pack")
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
    except (OSError, Broken) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(report), indent=2) if options.json else render(report))
    return 0 if report.ok else 7


def render(report: ExportReport) -> str:
    """Return the report as text for people."""
    lines = [str(problem) for problem in report.problems]
    if report.problem_count > len(lines):
        lines.append(f"… and {report.problem_count - len(lines)} more")
    if report.files:
        lines.append(f"a pack of {report.files} files, leaves {report.first} to {report.size - 1}")
    lines.append(
        f"{report.size} leaves ({report.shredded} shredded), {report.checkpoints} checkpoints, root {report.root}"
    )
    if report.unsequenced:
        lines.append(f"{report.unsequenced} events were not yet in the tree and are not part of this export")
    lines += [f"NOTE: {note}" for note in report.notes]
    verdict = report.assurance.value
    if report.ok and report.proven:
        verdict += f" up to leaf {report.proven - 1}" if report.proven < report.size else " in full"
        if report.proven < report.size:
            verdict += ", self-consistent only from there"
    lines.append(("OK: " if report.ok else f"{report.problem_count} problem(s): ") + verdict)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
