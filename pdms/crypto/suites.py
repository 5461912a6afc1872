"""The two cipher suites and their codes in stored bytes.

A suite is chosen per home and named in every sealed value. `aes-256-gcm` (NIST SP 800-38D, FIPS 180-4) is the default;
`sm4-gcm` (GB/T 32907, RFC 8998; HMAC over SM3, GB/T 32905) serves homes that must use Chinese commercial cryptography.
Adding a suite is adding a line here: no other module names a cipher.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pdms.crypto.secret import KeyBytes
from pdms.errors import IntegrityBroken, InvalidInput

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class SuiteName(StrEnum):
    """Names of the suites, as settings and reports write them."""

    AES_256_GCM = "aes-256-gcm"
    SM4_GCM = "sm4-gcm"


DEFAULT_SUITE: Final = SuiteName.AES_256_GCM


class Aead(Protocol):
    """Authenticated encryption with associated data under one key. Ciphertexts end in a 16-byte tag."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext. :raises InvalidTag: not authentic."""
        ...


class Sm4Gcm:
    """SM4 in Galois/Counter Mode with a 128-bit key and tag (RFC 8998)."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return ciphertext and tag."""
        context = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(associated_data)
        return context.update(data) + context.finalize() + context.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Return the plaintext. :raises InvalidTag: not authentic."""
        if len(data) < TAG_BYTES:
            raise InvalidTag
        context = Cipher(self._algorithm, modes.GCM(nonce, data[-TAG_BYTES:])).decryptor()
        context.authenticate_additional_data(associated_data)
        return context.update(data[:-TAG_BYTES]) + context.finalize()


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite: its name, its code in stored bytes, the length of its keys, its cipher and its digest."""

    name: SuiteName
    code: int
    key_bytes: int
    aead: Callable[[bytes], Aead]
    digest: Callable[[], hashes.HashAlgorithm]

    def new_hmac(self, key: bytes) -> hmac.HMAC:
        """Return a keyed HMAC to be copied for each message."""
        return hmac.HMAC(key, self.digest())

    def digest_of(self, data: bytes) -> bytes:
        """Return the digest of public bytes."""
        running = hashes.Hash(self.digest())
        running.update(data)
        return running.finalize()

    def new_dek(self) -> KeyBytes:
        """Return a fresh random data key of this suite's length."""
        return KeyBytes(os.urandom(self.key_bytes))


_SUITES: Final = (
    Suite(SuiteName.AES_256_GCM, 1, 32, AESGCM, hashes.SHA256),
    Suite(SuiteName.SM4_GCM, 2, 16, Sm4Gcm, hashes.SM3),
)
_BY_NAME: Final = {suite.name: suite for suite in _SUITES}
_BY_KEY_BYTES: Final = {suite.key_bytes: suite for suite in _SUITES}
_BY_CODE: Final = {suite.code: suite for suite in _SUITES}


def suite_of(name: SuiteName | str) -> Suite:
    """Return the suite called `name`.

    :raises InvalidInput: no suite has this name.
    """
    try:
        return _BY_NAME[SuiteName(name)]
    except ValueError:
        raise InvalidInput("suite: not one of " + ", ".join(SuiteName), code="UNKNOWN_SUITE") from None


def suite_of_code(code: int) -> Suite:
    """Return the suite whose code stands in stored bytes.

    :raises IntegrityBroken: `UNKNOWN_SUITE`.
    """
    suite = _BY_CODE.get(code)
    if suite is None:
        raise IntegrityBroken("sealed value: unknown suite", code="UNKNOWN_SUITE")
    return suite


def suite_of_key(key: bytes) -> Suite:
    """Return the suite that a data key was made for: each suite has keys of a length of its own.

    :raises InvalidInput: `KEY_LENGTH`.
    """
    suite = _BY_KEY_BYTES.get(len(key))
    if suite is None:
        raise InvalidInput("key: of a length that no suite has", code="KEY_LENGTH")
    return suite
