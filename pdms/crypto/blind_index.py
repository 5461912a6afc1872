"""Blind indexes: a keyed digest of a normalised value, by which a sealed field is found again.

Guarantee: without the key, an index tells nothing but equality; its 32 bytes are untruncated, so equal indexes mean
equal values. It does not normalise (the vault does, so that one rule holds for storing and looking up), and it cannot
hide how often a value occurs: the store keeps one member per value where that matters.
"""

from collections.abc import Iterable

from pdms.crypto.secret import Unprintable
from pdms.crypto.suited import mac_suite
from pdms.crypto.suites import SuiteName
from pdms.errors import InvalidInput

INDEX_BYTES = 32
MIN_KEY_BYTES = 32


class BlindIndex(Unprintable):
    """HMAC under one key that serves this index and nothing else. Objects may be shared between threads."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes, *, suite: SuiteName | str | None = None) -> None:
        """:param suite: of the MAC; default: what the key says (`SuitedKey`), else HMAC-SHA-256."""
        if len(key) < MIN_KEY_BYTES:
            raise InvalidInput(f"key of a blind index: at least {MIN_KEY_BYTES} bytes", code="KEY_TOO_SHORT")
        self._keyed = mac_suite(key, suite).new_hmac(key)

    def digest(self, value: bytes) -> bytes:
        """Return the 32-byte index of a normalised value."""
        keyed = self._keyed.copy()  # half the cost of keying afresh
        keyed.update(value)
        return keyed.finalize()

    def digest_many(self, values: Iterable[bytes]) -> list[bytes]:
        """Return the indexes of many values, in order."""
        copy = self._keyed.copy
        found = []
        for value in values:
            keyed = copy()
            keyed.update(value)
            found.append(keyed.finalize())
        return found
