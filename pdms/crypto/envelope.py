"""Sealing a whole blob once: access packages, held records, state that leaves as an opaque word.

A sealed blob: layout version 0x01, suite code, 16 random bytes (HKDF salt), ciphertext, tag. Each blob is sealed under
a subkey of its own (fresh salt), hence a fixed nonce is safe and one key may seal any number of blobs. Associated data
is the first 18 bytes and the context.

It is not for passphrases (nothing is stretched) and not for streams (a blob lies in memory whole).
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag

from pdms.crypto.kdf import derive
from pdms.crypto.seal import SealError, broken
from pdms.crypto.suited import sealing_suite
from pdms.crypto.suites import NONCE_BYTES, TAG_BYTES, SuiteName, suite_of, suite_of_code

LAYOUT_VERSION: Final = 1
SALT_BYTES: Final = 16
_LABEL: Final = "envelope"
_NONCE: Final = bytes(NONCE_BYTES)
_HEAD: Final = 2 + SALT_BYTES


def seal_blob(key_material: bytes, plaintext: bytes, *, context: bytes, suite: SuiteName | str | None = None) -> bytes:
    """Seal `plaintext` under a fresh subkey of `key_material` (at least 16 random bytes), bound to `context`.

    :param suite: default: the one that the key says (`SuitedKey`).
    """
    which = suite_of(suite or sealing_suite(key_material))
    head = bytes((LAYOUT_VERSION, which.code)) + os.urandom(SALT_BYTES)
    key = derive(key_material, _LABEL, length=which.key_bytes, salt=head[2:], suite=which.name)
    return head + which.aead(key).encrypt(_NONCE, plaintext, head + context)


def open_blob(key_material: bytes, sealed: bytes, *, context: bytes) -> bytes:
    """Return the plaintext.

    :raises IntegrityBroken: `TRUNCATED`, `UNKNOWN_VERSION`, `UNKNOWN_SUITE` or `NOT_AUTHENTIC`.
    """
    if len(sealed) < _HEAD + TAG_BYTES:
        raise broken(SealError.TRUNCATED)
    head = sealed[:_HEAD]
    if head[0] != LAYOUT_VERSION:
        raise broken(SealError.UNKNOWN_VERSION)
    which = suite_of_code(head[1])
    key = derive(key_material, _LABEL, length=which.key_bytes, salt=head[2:], suite=which.name)
    try:
        return which.aead(key).decrypt(_NONCE, sealed[_HEAD:], head + context)
    except InvalidTag:
        raise broken(SealError.NOT_AUTHENTIC) from None
