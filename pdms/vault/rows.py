"""How members lie in the tables: statements for the driver, and stored rows read back.

Driver SQL, not Core: SQLAlchemy's executemany costs twice the insert itself. Every value is bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from pdms.db import for_update
from pdms.taxonomy import MemberId
from pdms.vault.age import turning_dates
from pdms.vault.sealing import SealedMember, split_digests

CHUNK: Final = 1000
"""Values bound in one statement: one prepared statement serves all full chunks."""

CHANGED: Final = "member_change"
"""Log of members whose state changed (`db.changes`)."""
INSERT_EXTERNAL: Final = "INSERT INTO external_index (digest, row_no) VALUES (?, ?)"
INSERT_INDEX: Final = "INSERT INTO blind_index (kind, digest, row_no) VALUES (?, ?, ?)"
DELETE_INDEX: Final = "DELETE FROM blind_index WHERE kind = ? AND digest = ? AND row_no = ?"

_decode_corrections = msgspec.msgpack.Decoder(dict[bytes, bytes]).decode


@dataclass(frozen=True, slots=True)
class StoredMember:
    """The sealed row of one member."""

    row_no: int
    sealed: SealedMember
    digests: Mapping[int, bytes]
    source_digest: bytes
    corrections: Mapping[bytes, bytes]


def read_sealed(connection: Connection, members: Mapping[int, MemberId]) -> dict[int, StoredMember]:
    """Read sealed rows. :param members: row number → member id."""
    found: dict[int, StoredMember] = {}
    numbers = sorted(members)
    for at in range(0, len(numbers), CHUNK):
        part = tuple(numbers[at : at + CHUNK])
        sql = (
            "SELECT row_no, key_version, write_seq, sealed, digests, source_digest, corrections"
            f" FROM sealed_member WHERE row_no IN ({marks(len(part))})"
        )
        rows = connection.exec_driver_sql(sql, part).all()
        for number, version, sequence, blob, digests, source, corrections in rows:
            found[number] = StoredMember(
                number,
                SealedMember(members[number], version, sequence, blob),
                split_digests(digests),
                source,
                _decode_corrections(corrections) if corrections else {},
            )
    return found


def lock_members(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Lock members' rows until the transaction ends, in order of their numbers; return the status of each still there.

    Whatever was read of them before may be stale: read again behind this.
    """
    found: dict[int, str] = {}
    ordered = sorted(set(numbers))
    for at in range(0, len(ordered), CHUNK):
        part = tuple(ordered[at : at + CHUNK])
        sql = f"SELECT row_no, status FROM member WHERE row_no IN ({marks(len(part))}) ORDER BY row_no"
        found.update(connection.exec_driver_sql(sql + for_update(connection), part).all())
    return found


def turning_columns(birth: str, today: date) -> tuple[str | None, str | None]:
    """Return the two turning dates as the driver stores dates."""
    t14, t18 = turning_dates(birth, today)
    return (t14.isoformat() if t14 else None, t18.isoformat() if t18 else None)


def sqlite_instant(at: datetime) -> str:
    """Return an instant as `UtcDateTime` stores it on SQLite, and as PostgreSQL reads it, for driver SQL."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def marks(count: int) -> str:
    """Return `count` placeholders."""
    return ",".join("?" * count)
