"""Keyed digests of sets of ids, and comparison in constant time.

A set operation is audited by one event with a count and such a digest: whoever holds the key and the ids can show that
the event speaks of them; whoever holds the log alone learns nothing (ids are random, but a guess could be tried on an
unkeyed digest).
"""

import hmac
import struct
from collections.abc import Iterable

from pdms.crypto.suited import mac_suite
from pdms.crypto.suites import SuiteName

_COUNT = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")


def set_digest(key: bytes, ids: Iterable[bytes], *, suite: SuiteName | str | None = None) -> bytes:
    """Return the 32-byte keyed digest of a set of ids; order does not matter, a repeated id counts once."""
    members = sorted(set(ids))
    keyed = mac_suite(key, suite).new_hmac(key)
    keyed.update(_COUNT.pack(len(members)))
    # Each id with its length: no two sets give the same bytes.
    keyed.update(b"".join([_LENGTH.pack(len(one)) + one for one in members]))
    return keyed.finalize()


def packed_set_digest(key: bytes, packed: bytes, *, width: int, suite: SuiteName | str | None = None) -> bytes:
    """Return what `set_digest` returns, of ids of one width that lie packed, ascending and distinct."""
    keyed = mac_suite(key, suite).new_hmac(key)
    keyed.update(_COUNT.pack(len(packed) // width))
    head, step = _LENGTH.pack(width), width * _AT_ONCE
    for at in range(0, len(packed), step):
        piece = packed[at : at + step]
        count = len(piece) // width
        laid = bytearray((head + bytes(width)) * count)
        for place in range(width):  # column by column: a slice for each byte of an id, not one for each id
            laid[len(head) + place :: len(head) + width] = piece[place::width]
        keyed.update(bytes(laid))
    return keyed.finalize()


_AT_ONCE = 1 << 16


def same_bytes(a: bytes, b: bytes) -> bool:
    """Compare without telling by its duration where the difference lies."""
    return hmac.compare_digest(a, b)
