"""Bytes that are keys: they work wherever bytes do, but do not print, format, copy or pickle.

This stops accidents (a log line, a traceback with locals, a job queue that pickles its arguments). It does not stop
code that means to read a key, and it does not clear memory: Python cannot.
"""

import os
from typing import Any, NoReturn, SupportsIndex

from pdms.errors import InvalidInput

MASK = "<key>"


class KeyBytes(bytes):
    """Key material. Equality, length, slicing and `hex()` are those of bytes; everything that prints is masked."""

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a key is neither pickled nor copied")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is neither pickled nor copied")


class Dek(KeyBytes):
    """The data key of one member; `version` tells which of that member's keys it is (1 when first minted)."""

    version: int = 1
    other: "Dek | None" = None
    """While the member's fields are sealed anew: the key that some of them may still be under."""

    @staticmethod
    def at(key: bytes, version: int) -> bytes | None:
        """Return the one of a member's keys that has this version; None: there is none."""
        if Dek.version_of(key) == version:
            return key
        other = key.other if isinstance(key, Dek) else None
        return other if other is not None and other.version == version else None

    @classmethod
    def of(cls, key: bytes, *, version: int = 1) -> "Dek":
        """Return `key` marked with its version."""
        dek = cls(key)
        if version != 1:  # the class attribute serves all first keys: no dictionary per key on the hot path
            dek.version = version
        return dek

    @staticmethod
    def version_of(key: bytes) -> int:
        """Return the version of a DEK, 1 for bytes that do not say."""
        return key.version if isinstance(key, Dek) else 1


def new_key(length: int = 32) -> KeyBytes:
    """Return `length` fresh random bytes as a key.

    :raises InvalidInput: shorter than 16 bytes.
    """
    if length < 16:
        raise InvalidInput("a key has at least 16 bytes", code="KEY_TOO_SHORT")
    return KeyBytes(os.urandom(length))


class Unprintable:
    """Base of objects that hold a key: masked when printed, refused when pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError(f"{type(self).__name__} holds a key and is neither pickled nor copied")
