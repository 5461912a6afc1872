"""Ed25519 signatures (RFC 8032) over bytes, and the key id of C2SP signed notes.

Guarantee: `verify` returns nothing and raises when the signature does not hold, so that no caller can forget to look
at a boolean. It knows no message format: notes, receipts and manifests separate their domains in the bytes they sign.
"""

import hashlib
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pdms.crypto.secret import Unprintable, new_key
from pdms.errors import IntegrityBroken, InvalidInput

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
NOTE_KEY_ID_BYTES = 4
_NOTE_ED25519 = b"\x01"


class Verifier:
    """Checks signatures of one public key (32 bytes)."""

    __slots__ = ("_key", "public_key")

    def __init__(self, public_key: bytes) -> None:
        if len(public_key) != PUBLIC_KEY_BYTES:
            raise InvalidInput(f"public key: {PUBLIC_KEY_BYTES} bytes", code="PUBLIC_KEY_LENGTH")
        self.public_key = bytes(public_key)
        self._key = Ed25519PublicKey.from_public_bytes(self.public_key)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if `signature` (64 bytes) is this key's over `message`.

        :raises IntegrityBroken: `BAD_SIGNATURE`.
        """
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise IntegrityBroken("signature: not by this key over these bytes", code="BAD_SIGNATURE") from None


class Signer(Unprintable):
    """Signs under one seed (32 bytes)."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidInput(f"seed: {SEED_BYTES} bytes", code="KEY_LENGTH")
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(seed))
        self.public_key = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a signer under a fresh seed that is stored nowhere."""
        return cls(new_key(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)

    @property
    def verifier(self) -> Verifier:
        """The verifier of this signer's public key."""
        return Verifier(self.public_key)


def note_key_id(name: str, public_key: bytes) -> bytes:
    """Return the 4-byte key id of C2SP signed notes: SHA-256(name, 0x0A, 0x01, public key), first four bytes."""
    return hashlib.sha256(name.encode() + b"\n" + _NOTE_ED25519 + public_key).digest()[:NOTE_KEY_ID_BYTES]
