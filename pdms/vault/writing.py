"""Writing members: new ones in bulk, by column; a changed one sealed anew.

Guarantee: keys are durable before the rows that need them. The bulk path is by column because per-row objects would
cost more than the cryptography.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection

from pdms.clock import SHANGHAI
from pdms.crypto import Dek, seal_rows, suite_of_key
from pdms.db import Column, Same, cut, greatest, insert_columns, mark, on_postgres
from pdms.taxonomy import ID_BYTES, MemberId, MemberStatus, Pseudonym
from pdms.unit_of_work import UnitOfWork
from pdms.vault.age import BIRTH_DATE, ID_NUMBER, PASSED, birth_text, latest_birth, passed_before
from pdms.vault.rows import (
    CHANGED,
    CHUNK,
    DELETE_INDEX,
    INSERT_INDEX,
    StoredMember,
    marks,
    sqlite_instant,
    turning_columns,
)
from pdms.vault.sealing import (
    EXTERNAL_CODE,
    FieldCodes,
    Indexes,
    SealedMap,
    encode_map,
    join_digests,
    seal_member,
)
from pdms.vault.search_rows import add_entries, replace_entries

_CLAIM: Final = (
    "INSERT INTO external_index (digest, row_no) SELECT digest, nextval('member_row_no_seq')"
    f" FROM (SELECT {cut(32)}) AS fresh (digest) ORDER BY digest ON CONFLICT (digest) DO NOTHING"
    " RETURNING digest, row_no"
)
"""In order of digest, so that two who enter the same ids wait for each other in one direction only."""


@dataclass(frozen=True, slots=True)
class NewMembers:
    """Members to create, by column: `columns` has the external ids under `EXTERNAL`, then the fields ("" = empty)."""

    system: str
    columns: Mapping[str, Sequence[str]] = field(repr=False)
    external_digests: Sequence[bytes]
    numbers: Sequence[int]
    """Row numbers, as claimed."""
    said: Sequence[bytes] = field(repr=False)
    """What each row said, as bytes, for the digest that tells a changed row."""


def claim(connection: Connection, external_digests: Sequence[bytes]) -> dict[bytes, int]:
    """Enter external ids; return the row numbers of those that are this transaction's now, absent if somebody has them.

    An id that another transaction is entering is waited for: absent here once that one has committed.

    :param external_digests: ascending; row numbers follow.
    """
    if on_postgres(connection):
        bound = (b"".join(external_digests), len(external_digests) - 1)
        return dict(connection.exec_driver_sql(_CLAIM, bound).all())
    first = greatest(connection, [("member", "row_no")])[0] + 1
    numbers = range(first, first + len(external_digests))
    columns: list[Column] = [("digest", "bytea", external_digests), ("row_no", "int8", numbers)]
    if insert_columns(connection, "external_index", columns, unless="digest") == len(numbers):
        return dict(zip(external_digests, numbers, strict=True))
    claimed: dict[bytes, int] = {}
    for at in range(0, len(external_digests), CHUNK):
        part = tuple(external_digests[at : at + CHUNK])
        sql = f"SELECT digest, row_no FROM external_index WHERE digest IN ({marks(len(part))}) AND row_no >= {first}"
        claimed.update(connection.exec_driver_sql(sql, part).all())
    return claimed


def release(connection: Connection, external_digests: Sequence[bytes]) -> None:
    """Give up claims of this transaction."""
    connection.exec_driver_sql("DELETE FROM external_index WHERE digest = ?", [(one,) for one in external_digests])


def create_members(
    uow: UnitOfWork, codes: FieldCodes, indexes: Indexes, new: NewMembers
) -> tuple[list[MemberId], list[Pseudonym]]:
    """Mint keys, seal, index and insert; return both random ids in the order of the rows.

    Rows come in the order of their numbers.
    """
    count, numbers = len(new.said), new.numbers
    block = os.urandom(2 * ID_BYTES * count)
    # Ascending, as the rows are: a batch goes into each index along its leaves. It tells nothing, as the rows come in
    # the order of keyed digests and not in that of the source.
    ids = sorted([MemberId(block[at : at + ID_BYTES]) for at in range(0, ID_BYTES * count, ID_BYTES)])
    tokens = [Pseudonym(block[at : at + ID_BYTES]) for at in range(ID_BYTES * count, len(block), ID_BYTES)]
    deks = uow.keys.mint(ids)
    connection = uow.session.connection()
    columns = {name: [value.encode() for value in column] for name, column in new.columns.items()}
    blobs = _seal(codes, columns, ids, deks)
    source_digests = indexes.rows().digest_many([one + said for one, said in zip(ids, new.said, strict=True)])
    # each row's own digests, kind by kind, beside the rows of the index table
    own: list[list[bytes]] = [[bytes((EXTERNAL_CODE,)) + digest for digest in new.external_digests]]
    entries: list[tuple[int, Sequence[bytes], Sequence[int]]] = []
    for kind, name in indexes.field_of.items():
        if name in columns:
            code = indexes.code_of[kind]
            parts, digests, rows_of = _index(indexes, kind, code, columns[name], numbers)
            own.append(parts)
            entries.append((code, digests, rows_of))
    turning = _turning(uow, new.columns, count)
    insert_columns(
        connection,
        "member",
        [
            ("row_no", "int8", numbers),
            ("member_id", "bytea", ids),
            ("pseudonym", "bytea", tokens),
            ("system", "text", Same(new.system)),
            ("status", "text", Same(MemberStatus.ACTIVE.value)),
            ("region", "text", Same(uow.policy.controller.region)),
            ("turns_14", "date", [t14 for t14, _ in turning]),
            ("turns_18", "date", [t18 for _, t18 in turning]),
            ("created_at", "timestamp", Same(uow.now)),
            ("updated_at", "timestamp", Same(uow.now)),
        ],
    )
    mark(connection, CHANGED, ids)
    insert_columns(
        connection,
        "sealed_member",
        [
            ("row_no", "int8", numbers),
            ("key_version", "int4", Same(1)),
            ("write_seq", "int4", Same(1)),
            ("sealed", "bytea", blobs),
            ("digests", "bytea", list(map(b"".join, zip(*own, strict=True)))),
            ("source_digest", "bytea", source_digests),
            ("corrections", "bytea", Same(None)),
        ],
    )
    if entries:
        insert_columns(connection, "blind_index", _along_the_leaves(entries))
    add_entries(uow, new.columns, numbers)
    return ids, tokens


def _seal(
    codes: FieldCodes, columns: Mapping[str, Sequence[bytes]], ids: Sequence[MemberId], deks: Sequence[bytes]
) -> list[bytes]:
    """Return each row's map of sealed values, all under key version 1 and write sequence 1."""
    coded = [(codes.code(name), column) for name, column in columns.items()]
    suite = suite_of_key(deks[0]).name  # minted together, hence for one suite
    return seal_rows(deks, members=ids, columns=coded, form=SealedMap(), suite=suite)


def _index(
    indexes: Indexes, kind: str, code: int, column: Sequence[bytes], numbers: Sequence[int]
) -> tuple[list[bytes], Sequence[bytes], Sequence[int]]:
    """Return each row's part of its own digests, then the index's digests and the row numbers that they lead to."""
    mark = bytes((code,))
    if all(column):
        digests = indexes.digests_of(kind, column)
        return [mark + digest for digest in digests], digests, numbers
    present = [at for at, value in enumerate(column) if value]
    digests = indexes.digests_of(kind, [column[at] for at in present])
    parts = [b""] * len(column)
    for at, digest in zip(present, digests, strict=True):
        parts[at] = mark + digest
    return parts, digests, [numbers[at] for at in present]


def _along_the_leaves(entries: Sequence[tuple[int, Sequence[bytes], Sequence[int]]]) -> list[Column]:
    """Return entries (code, digests, row numbers) as columns in the order of the index: its pages are met once each."""
    kinds: list[int] = []
    digests: list[bytes] = []
    numbers: list[int] = []
    for code, some, rows_of in sorted(entries, key=itemgetter(0)):
        order = sorted(range(len(some)), key=some.__getitem__)
        kinds += [code] * len(order)
        digests += [some[at] for at in order]
        numbers += [rows_of[at] for at in order]
    return [("kind", "int4", kinds), ("digest", "bytea", digests), ("row_no", "int8", numbers)]


def _turning(uow: UnitOfWork, columns: Mapping[str, Sequence[str]], count: int) -> list[tuple[str | None, str | None]]:
    today = uow.now.astimezone(SHANGHAI).date()
    empty = [""] * count
    births, numbers = columns.get(BIRTH_DATE, empty), columns.get(ID_NUMBER, empty)
    adult_until = passed_before(18, today)
    passed = (PASSED.isoformat(), PASSED.isoformat())
    return [
        # most members are adults: comparing months is enough for them
        passed if birth and birth[:7] <= adult_until else turning_columns(birth, today)
        for birth in map(latest_birth, births, numbers)
    ]


def write_member(
    uow: UnitOfWork,
    codes: FieldCodes,
    indexes: Indexes,
    dek: bytes,
    before: StoredMember,
    fields: Mapping[str, str],
    *,
    source_digest: bytes,
    corrections: Mapping[bytes, bytes],
) -> None:
    """Seal all of a member's fields under the next write sequence and bring indexes and turning dates along."""
    run = uow.session.connection().exec_driver_sql
    row_no, sequence = before.row_no, before.sealed.write_seq + 1
    blob = seal_member(dek, member_id=before.sealed.member_id, fields=codes.coded(fields), write_seq=sequence)
    digests = {EXTERNAL_CODE: before.digests[EXTERNAL_CODE]}
    for kind, name in indexes.field_of.items():
        if fields.get(name):
            digests[indexes.code_of[kind]] = indexes.digests(kind, [fields[name]])[0]
    gone = [(code, one, row_no) for code, one in before.digests.items() if code and digests.get(code) != one]
    new = [(code, one, row_no) for code, one in digests.items() if code and before.digests.get(code) != one]
    if gone:
        run(DELETE_INDEX, gone)
    if new:
        run(INSERT_INDEX, new)
    run(
        "UPDATE sealed_member SET key_version = ?, write_seq = ?, sealed = ?, digests = ?, source_digest = ?,"
        " corrections = ? WHERE row_no = ?",
        (
            Dek.version_of(dek), sequence, blob, join_digests(digests), source_digest,
            encode_map(dict(corrections)) if corrections else None, row_no,
        ),
    )  # fmt: skip
    replace_entries(uow, row_no, fields)
    t14, t18 = turning_columns(birth_text(fields), uow.now.astimezone(SHANGHAI).date())
    run(
        "UPDATE member SET turns_14 = ?, turns_18 = ?, updated_at = ? WHERE row_no = ?",
        (t14, t18, sqlite_instant(uow.now), row_no),
    )
    mark(uow.session.connection(), CHANGED, [before.sealed.member_id])
