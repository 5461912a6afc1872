"""Sealing a stream in bounded chunks: backups, whatever their size, in flat memory.

Layout, integers big-endian:

- head: magic `PDMSSTREAM`, layout version 0x01, suite code, chunk size (4 bytes), length of the note (2) and the note,
  length of the wrapped key (2) and the wrapped key;
- chunks: ciphertext and tag of `chunk size` bytes of plaintext, the last one shorter or as long.

The key is fresh for each stream, so that the nonce may be the chunk's number and the mark of the last chunk. Associated
data: digest of the head (SHA-256, of an SM4 stream SM3), the number, the mark. Hence a chunk that was altered, moved,
left out, doubled or taken from another stream does not open, and a stream that was cut, even between two chunks, ends
without its last chunk.
(The construction is STREAM, Hoang, Reyhanitabar, Rogaway, Vizár 2015.)

Nothing is given out before its chunk was authenticated; but what was given out from a cut stream was a true beginning,
so a reader must reach the end before it trusts the whole. The note is public, bound, and not secret.
"""

import struct
from collections.abc import Callable
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag

from pdms.crypto.seal import SealError, broken
from pdms.crypto.secret import KeyBytes, Unprintable
from pdms.crypto.suites import DEFAULT_SUITE, NONCE_BYTES, TAG_BYTES, Aead, SuiteName, suite_of, suite_of_code
from pdms.errors import InvalidInput

MAGIC: Final = b"PDMSSTREAM"
LAYOUT_VERSION: Final = 1
CHUNK_BYTES: Final = 1 << 18
LEAST_CHUNK: Final = 1 << 10
LARGEST_CHUNK: Final = 1 << 24
LARGEST_PART: Final = 4096
_FIXED: Final = struct.Struct(">10sBBI")
_LENGTH: Final = struct.Struct(">H")
_PLACE: Final = struct.Struct(">QB")

Wrap = Callable[[bytes, bytes], bytes]
"""(key, context) → the key wrapped, or a wrapped key opened: a root's `wrap` or `unwrap`."""


class SealedWriter(Unprintable):
    """Writes a sealed stream. `close()` writes the last chunk; without it the stream is incomplete and says so."""

    __slots__ = ("_aead", "_buffer", "_chunk", "_closed", "_count", "_head", "_out")

    def __init__(
        self,
        out: BinaryIO,
        *,
        wrap: Wrap,
        note: bytes = b"",
        chunk_bytes: int = CHUNK_BYTES,
        suite: SuiteName | str = DEFAULT_SUITE,
    ) -> None:
        """Write the head. :param wrap: wraps the fresh key, bound to the head before it. :param note: public bytes."""
        which = suite_of(suite)
        if not LEAST_CHUNK <= chunk_bytes <= LARGEST_CHUNK or len(note) > LARGEST_PART:
            raise InvalidInput("sealed stream: chunk size or note out of bounds", code="STREAM_BOUNDS")
        key = which.new_dek()
        context = _FIXED.pack(MAGIC, LAYOUT_VERSION, which.code, chunk_bytes) + _LENGTH.pack(len(note)) + note
        wrapped = wrap(key, context)
        head = context + _LENGTH.pack(len(wrapped)) + wrapped
        out.write(head)
        self._out = out
        self._aead = which.aead(key)
        self._head = which.digest_of(head)
        self._chunk = chunk_bytes
        self._buffer = bytearray()
        self._count = 0
        self._closed = False

    def write(self, data: bytes) -> int:
        """Add plaintext; returns its length."""
        self._buffer += data
        # One chunk is always held back: only the end tells which is the last.
        while len(self._buffer) > self._chunk:
            self._put(bytes(self._buffer[: self._chunk]), last=False)
            del self._buffer[: self._chunk]
        return len(data)

    def close(self) -> None:
        """Write the last chunk. A second time does nothing."""
        if not self._closed:
            self._closed = True
            self._put(bytes(self._buffer), last=True)
            self._buffer.clear()

    def _put(self, plain: bytes, *, last: bool) -> None:
        place = _PLACE.pack(self._count, last)
        self._out.write(self._aead.encrypt(_nonce(place), plain, self._head + place))
        self._count += 1


class SealedReader(Unprintable):
    """Reads a sealed stream front to back; `read` gives authenticated plaintext only."""

    __slots__ = ("_aead", "_buffer", "_chunk", "_count", "_ended", "_file", "_head", "_next")

    def __init__(self, file: BinaryIO, *, unwrap: Wrap) -> None:
        """Read the head and open the key.

        :raises IntegrityBroken: `TRUNCATED`, `UNKNOWN_VERSION`, `UNKNOWN_SUITE`. :raises KeyUnavailable: `WRONG_ROOT`.
        """
        code, self._chunk, context, wrapped = _read_head(file)
        suite = suite_of_code(code)
        key = KeyBytes(unwrap(wrapped, context))
        if len(key) != suite.key_bytes:
            raise broken(SealError.WRONG_KEY_LENGTH)
        self._aead: Aead = suite.aead(key)
        self._head = suite.digest_of(context + _LENGTH.pack(len(wrapped)) + wrapped)
        self._file = file
        self._next = file.read(self._chunk + TAG_BYTES)
        self._buffer = bytearray()
        self._count = 0
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes (-1: all that is left, in memory); empty at the authenticated end.

        :raises IntegrityBroken: `NOT_AUTHENTIC` (altered, moved, cut) or `TRUNCATED`.
        """
        while not self._ended and (size < 0 or len(self._buffer) < size):
            self._open_next()
        taken = bytes(self._buffer if size < 0 else self._buffer[:size])
        del self._buffer[: len(taken)]
        return taken

    def finish(self) -> None:
        """Read on to the end and drop what is read: only then is it known that nothing was cut off."""
        while not self._ended:
            self._buffer.clear()
            self._open_next()
        self._buffer.clear()

    def _open_next(self) -> None:
        sealed, self._next = self._next, self._file.read(self._chunk + TAG_BYTES)
        if len(sealed) < TAG_BYTES:
            raise broken(SealError.TRUNCATED)
        last = not self._next
        place = _PLACE.pack(self._count, last)
        try:
            self._buffer += self._aead.decrypt(_nonce(place), sealed, self._head + place)
        except InvalidTag:
            raise broken(SealError.NOT_AUTHENTIC) from None
        self._count += 1
        self._ended = last


def read_note(file: BinaryIO) -> bytes:
    """Return the public note of a stream, not yet authenticated: it may only help to find the key.

    :raises IntegrityBroken: `TRUNCATED` or `UNKNOWN_VERSION`.
    """
    return _read_head(file)[2][_FIXED.size + _LENGTH.size :]


def _read_head(file: BinaryIO) -> tuple[int, int, bytes, bytes]:
    """Return suite code, chunk size, the bytes that the key is bound to, and the wrapped key."""
    fixed = _exactly(file, _FIXED.size)
    magic, version, code, chunk = _FIXED.unpack(fixed)
    if magic != MAGIC or version != LAYOUT_VERSION or not LEAST_CHUNK <= chunk <= LARGEST_CHUNK:
        raise broken(SealError.UNKNOWN_VERSION)
    note, wrapped = _part(file), _part(file)
    return code, chunk, fixed + note, wrapped[_LENGTH.size :]


def _part(file: BinaryIO) -> bytes:
    length = _exactly(file, _LENGTH.size)
    (size,) = _LENGTH.unpack(length)
    if size > LARGEST_PART:
        raise broken(SealError.TRUNCATED)
    return length + _exactly(file, size)


def _exactly(file: BinaryIO, size: int) -> bytes:
    found = file.read(size)
    if len(found) != size:
        raise broken(SealError.TRUNCATED)
    return found


def _nonce(place: bytes) -> bytes:
    return place.rjust(NONCE_BYTES, b"\0")
