"""Keys under keys: wrapping one key under another, bound to what the wrapped key is for.

A wrapped key: layout version 0x01, suite code, nonce (12 bytes), ciphertext, tag (16). Associated data = the first two
bytes and the context. AEAD rather than AES-KW (RFC 3394), which cannot bind a context: a wrapped DEK put into another
member's row must not open.

A wrapping key under random nonces serves at most 2^32 wrappings (SP 800-38D 8.3); an epoch ends long before.
"""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag

from pdms.crypto.kdf import derive
from pdms.crypto.seal import SealError, broken
from pdms.crypto.secret import KeyBytes, Unprintable
from pdms.crypto.suites import DEFAULT_SUITE, NONCE_BYTES, TAG_BYTES, Aead, SuiteName, suite_of, suite_of_code

LAYOUT_VERSION: Final = 1
_BODY: Final = 2 + NONCE_BYTES
_MIN_BYTES: Final = _BODY + 16 + TAG_BYTES


_BLOCK: Final = 1024


def _nonces() -> Iterator[bytes]:
    while True:
        yield from struct.unpack(f"{NONCE_BYTES}s" * _BLOCK, os.urandom(NONCE_BYTES * _BLOCK))


class KeyWrapper(Unprintable):
    """Wraps keys under a subkey of `material` made for one use (`label`)."""

    __slots__ = ("_aead", "_header", "_label", "_material", "_others")

    def __init__(self, material: bytes, *, label: str, suite: SuiteName | str = DEFAULT_SUITE) -> None:
        self._material = material
        self._label = label
        chosen = suite_of(suite)
        self._header = bytes((LAYOUT_VERSION, chosen.code))
        self._others: dict[int, Aead] = {}
        self._aead = self._aead_of(chosen.code)

    def _aead_of(self, code: int) -> Aead:
        """Return the cipher of a suite, each under its own subkey: after a change of suite old wrappings still open."""
        aead = self._others.get(code)
        if aead is None:
            suite = suite_of_code(code)
            key = derive(self._material, self._label, context=bytes((code,)), length=suite.key_bytes, suite=suite.name)
            aead = self._others[code] = suite.aead(key)
        return aead

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return `key` wrapped and bound to `context` (any bytes; fixed lengths inside, so that it reads one way)."""
        nonce = os.urandom(NONCE_BYTES)
        return self._header + nonce + self._aead.encrypt(nonce, key, self._header + context)

    def wrap_many(self, keys: Sequence[bytes], *, contexts: Sequence[bytes]) -> list[bytes]:
        """Wrap keys in bulk, each bound to its own context."""
        header, encrypt = self._header, self._aead.encrypt
        block = os.urandom(NONCE_BYTES * len(keys))
        wrapped = []
        at = 0
        for key, context in zip(keys, contexts, strict=True):
            nonce = block[at : at + NONCE_BYTES]
            at += NONCE_BYTES
            wrapped.append(header + nonce + encrypt(nonce, key, header + context))
        return wrapped

    def unwrap(self, wrapped: bytes, *, context: bytes) -> KeyBytes:
        """Return the key.

        :raises IntegrityBroken: `TRUNCATED`, `UNKNOWN_VERSION`, `UNKNOWN_SUITE` or `NOT_AUTHENTIC`.
        """
        if len(wrapped) < _MIN_BYTES:
            raise broken(SealError.TRUNCATED)
        header = wrapped[:2]
        if header == self._header:
            aead = self._aead
        elif header[0] != LAYOUT_VERSION:
            raise broken(SealError.UNKNOWN_VERSION)
        else:
            aead = self._aead_of(header[1])
        try:
            return KeyBytes(aead.decrypt(wrapped[2:_BODY], wrapped[_BODY:], header + context))
        except InvalidTag:
            raise broken(SealError.NOT_AUTHENTIC) from None

    def rewrapping(self, to: "KeyWrapper") -> Callable[[bytes, bytes, bytes], bytes]:
        """Return what wraps a key of this wrapper anew under `to`: (wrapped, context before, context after) → wrapped.

        For many keys: nonces are drawn by the block. It raises as `unwrap`.
        """
        ours, theirs = self._header, to._header  # noqa: SLF001 - of this class
        decrypt, encrypt, nonces = self._aead.decrypt, to._aead.encrypt, _nonces()  # noqa: SLF001 - as well

        def rewrap(wrapped: bytes, was: bytes, now: bytes) -> bytes:
            nonce = next(nonces)
            if wrapped[:2] != ours or len(wrapped) < _MIN_BYTES:
                return theirs + nonce + encrypt(nonce, self.unwrap(wrapped, context=was), theirs + now)
            try:
                key = decrypt(wrapped[2:_BODY], wrapped[_BODY:], ours + was)
            except InvalidTag:
                raise broken(SealError.NOT_AUTHENTIC) from None
            return theirs + nonce + encrypt(nonce, key, theirs + now)

        return rewrap
