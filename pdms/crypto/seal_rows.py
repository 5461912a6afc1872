"""Sealing the first write of many members at once, each row under its own key.

Guarantee: every value is what `seal_fields` gives for it: the same layout, padding and associated data, a random
nonce of its own. The work goes column by column over a few rows at a time, so that ciphers and bytes are still at hand;
a call for each member, or a map that is encoded afterwards, costs a quarter more. How the values of a row stand side by
side is the caller's to say: bytes are put together once.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final, Protocol

from pdms.crypto.seal import (
    BODY_BYTES,
    MAX_FIELD_CODE_BYTES,
    MEMBER_BYTES,
    PAD_BLOCK,
    PADS,
    header_of,
)
from pdms.crypto.suites import DEFAULT_SUITE, NONCE_BYTES, TAG_BYTES, SuiteName, suite_of
from pdms.errors import InvalidInput

_ROWS: Final = 100


class RowForm(Protocol):
    """How the sealed values of one row are stored side by side."""

    def begin(self, count: int) -> bytes:
        """Return what a row of `count` values begins with."""
        ...

    def before(self, field: bytes, size: int) -> bytes:
        """Return what stands before the sealed value of a field, `size` bytes long."""
        ...


class _Heads(dict[int, bytes]):
    """All that stands before the nonce of a field's value, by the whole blocks of its plaintext."""

    __slots__ = ("_field", "_form", "_header")

    def __init__(self, form: RowForm, field: bytes, header: bytes) -> None:
        super().__init__()
        self._form, self._field, self._header = form, field, header

    def __missing__(self, blocks: int) -> bytes:
        size = BODY_BYTES + (blocks + 1) * PAD_BLOCK + TAG_BYTES
        head = self[blocks] = self._form.before(self._field, size) + self._header
        return head


def seal_rows(
    deks: Sequence[bytes],
    *,
    members: Sequence[bytes],
    columns: Sequence[tuple[bytes, Sequence[bytes]]],
    form: RowForm,
    key_version: int = 1,
    write_seq: int = 1,
    suite: SuiteName | str = DEFAULT_SUITE,
) -> list[bytes]:
    """Return each row's sealed values in the form asked for.

    :param columns: field code and plaintexts, one for each member; an empty plaintext is left out of its row.
    :raises InvalidInput: a length or a number is out of range.
    """
    which = suite_of(suite)
    count = len(members)
    if len(deks) != count or any(len(values) != count for _, values in columns):
        raise InvalidInput("rows: keys, members and columns are of one length", code="UNLIKE_LENGTHS")
    if any(len(one) != MEMBER_BYTES for one in members):
        raise InvalidInput(f"member: an id has {MEMBER_BYTES} bytes", code="MEMBER_ID_LENGTH")
    if any(len(one) != which.key_bytes for one in deks):
        raise InvalidInput(f"dek: {which.name} takes {which.key_bytes} bytes", code="KEY_LENGTH")
    if not all(0 < len(field) <= MAX_FIELD_CODE_BYTES for field, _ in columns):
        raise InvalidInput(f"field code: 1 to {MAX_FIELD_CODE_BYTES} bytes", code="FIELD_CODE_LENGTH")
    header = header_of(which, key_version=key_version, write_seq=write_seq)
    heads = [_Heads(form, field, header) for field, _ in columns]
    begun = [form.begin(present) for present in range(len(columns) + 1)]
    join, rows = b"".join, list[bytes]()
    for at in range(0, count, _ROWS):
        encrypts = [which.aead(dek).encrypt for dek in deks[at : at + _ROWS]]
        bounds = [header + member for member in members[at : at + _ROWS]]
        parts = [values[at : at + _ROWS] for _, values in columns]
        nonces = _drawn(len(parts), len(bounds))
        full = all(map(all, parts))
        counts = (
            repeat(len(parts), len(bounds)) if full else map(sum, zip(*[map(bool, one) for one in parts], strict=True))
        )
        pieces: list[Iterable[bytes]] = [map(begun.__getitem__, counts)]
        for (field, _), values, drawn, head in zip(columns, parts, nonces, heads, strict=True):
            own: Iterable[bytes] = drawn
            sealed = [
                encrypt(nonce, value + PADS[len(value) & 15], bound + field) if value else b""
                for encrypt, nonce, value, bound in zip(encrypts, drawn, values, bounds, strict=True)
            ]
            before: Iterable[bytes] = [head[len(value) >> 4] for value in values]
            if not full:
                before, own = map(_kept, values, before), map(_kept, values, own)
            pieces += (before, own, sealed)
        rows += map(join, zip(*pieces, strict=True))
    return rows


def _kept(value: bytes, piece: bytes) -> bytes:
    return piece if value else b""


@lru_cache(maxsize=64)
def _cut(count: int) -> struct.Struct:
    return struct.Struct(f"{NONCE_BYTES}s" * count)


def _drawn(columns: int, rows: int) -> list[tuple[bytes, ...]]:
    """Return a fresh nonce for each value, used or not: those of a column together."""
    cut = _cut(rows)
    block = os.urandom(cut.size * columns)
    return [cut.unpack_from(block, at) for at in range(0, len(block), cut.size)]
