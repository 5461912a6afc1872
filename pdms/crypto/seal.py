"""Sealing single fields of one member under that member's DEK.

A sealed value, layout version 1 (integers big-endian):

    offset  bytes  what
         0      1  layout version, 0x01
         1      1  suite code (1 aes-256-gcm, 2 sm4-gcm)
         2      4  key version: which of the member's DEKs
         6      8  write sequence: which write of the member
        14     12  nonce, random
        26      n  ciphertext of the padded plaintext; n is a multiple of 16
      26+n     16  tag

Associated data = the first 14 bytes, the member id (16 bytes), the field code (the rest): every part but the last has a
fixed length, so no two places share it. The plaintext is padded with 0x80 and zeros to a multiple of 16 bytes (ISO/IEC
7816-4), so that the length of a gender, a city or a short name does not speak through its ciphertext.

Guarantees: a value that was altered, cut, or moved to another member or field does not open, nor does one of another
key version or an older write, and the error says which. It does not hide that a field is present, nor its length beyond
16-byte steps; and a caller who takes the expected write sequence from a place that can be rolled back will accept the
old value.

One random nonce per value: under a key that seals one member's fields the bound of SP 800-38D (2^32 values) is remote.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag

from pdms.crypto.suites import DEFAULT_SUITE, NONCE_BYTES, TAG_BYTES, Suite, SuiteName, suite_of, suite_of_code
from pdms.errors import IntegrityBroken, InvalidInput

LAYOUT_VERSION: Final = 1
MEMBER_BYTES: Final = 16
MAX_FIELD_CODE_BYTES: Final = 64
PAD_BLOCK: Final = 16

_HEADER: Final = struct.Struct(">BBIQ")
_HEADER_BYTES: Final = _HEADER.size
BODY_BYTES: Final = _HEADER_BYTES + NONCE_BYTES
MIN_SEALED_BYTES: Final = BODY_BYTES + PAD_BLOCK + TAG_BYTES
PADS: Final = tuple(b"\x80" + bytes(PAD_BLOCK - 1 - n) for n in range(PAD_BLOCK))


class SealError(StrEnum):
    """Why a sealed value does not open: the `code` of the `IntegrityBroken` raised."""

    TRUNCATED = "TRUNCATED"
    UNKNOWN_VERSION = "UNKNOWN_VERSION"
    UNKNOWN_SUITE = "UNKNOWN_SUITE"
    WRONG_KEY_LENGTH = "WRONG_KEY_LENGTH"
    WRONG_KEY_VERSION = "WRONG_KEY_VERSION"
    WRONG_WRITE_SEQUENCE = "WRONG_WRITE_SEQUENCE"
    NOT_AUTHENTIC = "NOT_AUTHENTIC"


_MESSAGES: Final = {
    SealError.TRUNCATED: "sealed value: shorter than its layout, or of broken length",
    SealError.UNKNOWN_VERSION: "sealed value: unknown layout version",
    SealError.UNKNOWN_SUITE: "sealed value: unknown suite",
    SealError.WRONG_KEY_LENGTH: "sealed value: its suite takes a key of another length",
    SealError.WRONG_KEY_VERSION: "sealed value: sealed under another key version than expected",
    SealError.WRONG_WRITE_SEQUENCE: "sealed value: of another write than expected",
    SealError.NOT_AUTHENTIC: "sealed value: altered, or moved from another member, field or key",
}


def broken(code: SealError) -> IntegrityBroken:
    """Return the error for `code`; it names the rule and holds no value."""
    return IntegrityBroken(_MESSAGES[code], code=code.value)


def header_of(suite: Suite, *, key_version: int, write_seq: int) -> bytes:
    """Return the first bytes of a sealed value. :raises InvalidInput: a number is out of range."""
    try:
        return _HEADER.pack(LAYOUT_VERSION, suite.code, key_version, write_seq)
    except struct.error:
        raise InvalidInput("key_version: 32 bits, write_seq: 64 bits, neither negative", code="OUT_OF_RANGE") from None


def _check_member(member: bytes) -> None:
    if len(member) != MEMBER_BYTES:
        raise InvalidInput(f"member: an id has {MEMBER_BYTES} bytes", code="MEMBER_ID_LENGTH")


def seal_fields(
    dek: bytes,
    *,
    member: bytes,
    fields: Sequence[tuple[bytes, bytes]],
    key_version: int = 1,
    write_seq: int = 1,
    suite: SuiteName | str = DEFAULT_SUITE,
    nonces: bytes | None = None,
) -> list[bytes]:
    """Seal the fields of one member, in order.

    :param dek: the member's key, 32 bytes (aes-256-gcm) or 16 (sm4-gcm).
    :param fields: pairs of field code (1 to 64 bytes, stable for ever) and plaintext.
    :param write_seq: grows with each write of this member.
    :param nonces: 12 bytes per field, for known answers only; random when absent. A repeated nonce breaks GCM.
    :return: sealed values, 42 bytes longer than the padded plaintext each.
    :raises InvalidInput: a length or a number is out of range.
    """
    which = suite_of(suite)
    _check_member(member)
    if len(dek) != which.key_bytes:
        raise InvalidInput(f"dek: {which.name} takes {which.key_bytes} bytes", code="KEY_LENGTH")
    wanted = NONCE_BYTES * len(fields)
    if nonces is None:
        nonces = os.urandom(wanted)
    elif len(nonces) != wanted:
        raise InvalidInput(f"nonces: {NONCE_BYTES} bytes for each field", code="NONCE_LENGTH")
    header = header_of(which, key_version=key_version, write_seq=write_seq)
    bound = header + member
    encrypt = which.aead(dek).encrypt
    sealed = []
    at = 0
    for field, plaintext in fields:
        if not 0 < len(field) <= MAX_FIELD_CODE_BYTES:
            raise InvalidInput(f"field code: 1 to {MAX_FIELD_CODE_BYTES} bytes", code="FIELD_CODE_LENGTH")
        nonce = nonces[at : at + NONCE_BYTES]
        at += NONCE_BYTES
        sealed.append(header + nonce + encrypt(nonce, plaintext + PADS[len(plaintext) & 15], bound + field))
    return sealed


def open_fields(
    dek: bytes, *, member: bytes, fields: Iterable[tuple[bytes, bytes]], key_version: int = 1, write_seq: int = 1
) -> list[bytes]:
    """Open fields of one member that were sealed by one write, in order.

    :param fields: pairs of field code and sealed value.
    :return: plaintexts.
    :raises IntegrityBroken: with a `SealError` as code.
    """
    _check_member(member)
    opened = []
    header = bound = b""
    which: Suite | None = None
    try:
        for field, sealed in fields:
            # The header must equal what the caller expects, byte by byte; only when it does not, find out why.
            if which is None or not sealed.startswith(header):
                which = _expect(sealed, dek=dek, key_version=key_version, write_seq=write_seq)
                header = sealed[:_HEADER_BYTES]
                bound = header + member
                decrypt = which.aead(dek).decrypt
            plain = decrypt(sealed[_HEADER_BYTES:BODY_BYTES], sealed[BODY_BYTES:], bound + field)
            opened.append(plain[: plain.rindex(b"\x80")])
    except (InvalidTag, ValueError):  # ValueError: the nonce itself is cut
        short = len(sealed) < MIN_SEALED_BYTES
        raise broken(SealError.TRUNCATED if short else SealError.NOT_AUTHENTIC) from None
    return opened


def open_field(
    sealed: bytes, *, dek: bytes, member: bytes, field: bytes, key_version: int = 1, write_seq: int = 1
) -> bytes:
    """Open one field; arguments and errors as in `open_fields`."""
    return open_fields(dek, member=member, fields=((field, sealed),), key_version=key_version, write_seq=write_seq)[0]


def _expect(sealed: bytes, *, dek: bytes, key_version: int, write_seq: int) -> Suite:
    """Return the suite of a value whose header is the expected one, or raise the error that names the difference."""
    version, code, found_key_version, found_write_seq = _parse(sealed)
    if version != LAYOUT_VERSION:
        raise broken(SealError.UNKNOWN_VERSION)
    suite = suite_of_code(code)
    if len(dek) != suite.key_bytes:
        raise broken(SealError.WRONG_KEY_LENGTH)
    if found_key_version != key_version:
        raise broken(SealError.WRONG_KEY_VERSION)
    if found_write_seq != write_seq:
        raise broken(SealError.WRONG_WRITE_SEQUENCE)
    return suite


def _parse(sealed: bytes) -> tuple[int, int, int, int]:
    if len(sealed) < MIN_SEALED_BYTES:
        raise broken(SealError.TRUNCATED)
    version, code, key_version, write_seq = _HEADER.unpack_from(sealed)
    return version, code, key_version, write_seq


@dataclass(frozen=True, slots=True, repr=False)
class SealedValue:
    """A sealed value as stored. Reading its header does no cryptography and proves nothing; opening is explicit."""

    raw: bytes

    def __repr__(self) -> str:
        return "<sealed>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealed value is not pickled")

    @property
    def suite(self) -> SuiteName:
        """Suite named in the header. :raises IntegrityBroken: truncated or unknown."""
        return suite_of_code(_parse(self.raw)[1]).name

    @property
    def key_version(self) -> int:
        """Key version named in the header."""
        return _parse(self.raw)[2]

    @property
    def write_seq(self) -> int:
        """Write sequence named in the header."""
        return _parse(self.raw)[3]

    def needs_reseal(self, *, suite: SuiteName | str, key_version: int) -> bool:
        """Tell whether the value was sealed by another suite or key version than the current ones."""
        return self.suite != suite or self.key_version != key_version

    def open(self, dek: bytes, *, member: bytes, field: bytes, key_version: int = 1, write_seq: int = 1) -> bytes:
        """Open it; arguments and errors as in `open_fields`."""
        return open_field(self.raw, dek=dek, member=member, field=field, key_version=key_version, write_seq=write_seq)
