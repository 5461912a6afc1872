"""Coming member keys: minted beside the old ones, put in their place when the member's fields are sealed under them.

Guarantees: each call is one committed transaction; while a member has two keys both are given to whoever opens it; an
erased member gets no coming key, and destroying takes both. Which members still have an old key stands in the rows.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pdms.crypto import Dek, SuiteName, suite_of
from pdms.db import Lock, beside
from pdms.keystore.places import PLACE, stored
from pdms.keystore.store import KeyStore
from pdms.taxonomy import MemberId

# Layout version, suite code and nonce, the key, its tag: what tells the suite of a wrapped key by its length.
_AROUND: Final = 14 + 16


def stale(store: KeyStore, *, until: datetime | None, suite: SuiteName, after: bytes, limit: int) -> list[MemberId]:
    """Return members after `after`, in order of id, whose key was minted up to an instant or is for another suite."""
    length = suite_of(suite).key_bytes + _AROUND
    limit_of_age = int(until.timestamp()) if until is not None else -1
    with store.reading.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT member_id FROM member_key WHERE member_id > ? AND (minted_at <= ? OR length(wrapped) <> ?)"
            " ORDER BY member_id LIMIT ?",
            (after, limit_of_age, length, limit),
        )
        return [MemberId(bytes(row[0])) for row in rows]


def count_stale(store: KeyStore, *, until: datetime | None, suite: SuiteName) -> int:
    """Count members whose key was minted up to an instant or is for another suite."""
    length = suite_of(suite).key_bytes + _AROUND
    limit = int(until.timestamp()) if until is not None else -1
    with store.reading.connect() as connection:
        sql = "SELECT count(*) FROM member_key WHERE minted_at <= ? OR length(wrapped) <> ?"
        return int(connection.exec_driver_sql(sql, (limit, length)).scalar_one())


def last_minted(store: KeyStore) -> datetime | None:
    """Return when the newest of the members' keys was minted; None: there is none."""
    with store.reading.connect() as connection:
        found = connection.exec_driver_sql("SELECT max(minted_at) FROM member_key").scalar()
    return datetime.fromtimestamp(int(found), UTC) if found is not None else None


def coming(store: KeyStore, *, after: bytes = b"", limit: int = 1 << 30) -> list[MemberId]:
    """Return members with a coming key, in order of id."""
    with store.reading.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT member_id FROM member_key_next WHERE member_id > ? ORDER BY member_id LIMIT ?", (after, limit)
        )
        return [MemberId(bytes(row[0])) for row in rows]


def count_coming(store: KeyStore) -> int:
    """Count members with a coming key: their fields are being sealed anew."""
    with store.reading.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM member_key_next").scalar_one())


def mint_next(store: KeyStore, members: Sequence[MemberId], *, now: datetime) -> None:
    """Mint a coming key for each member who has a key and no coming one; erased members are passed over."""
    store.system.look()
    with store.engine.begin() as connection:
        beside(connection, Lock.FENCE)
        epoch, size, at = store.current(connection), store.suite.key_bytes, int(now.timestamp())
        for one in members:
            version = connection.exec_driver_sql(
                "SELECT k.key_version FROM member_key AS k WHERE k.member_id = ?"
                " AND NOT EXISTS (SELECT 1 FROM fence AS f WHERE f.member_id = k.member_id)",
                (one,),
            ).scalar()
            if version is None:
                continue
            wrapped = epoch.member.wrap(Dek(os.urandom(size)), context=one + PLACE.pack(version + 1, epoch.id))
            connection.exec_driver_sql(
                "INSERT INTO member_key_next (member_id, key_version, epoch, minted_at, wrapped) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (member_id) DO NOTHING",
                (one, version + 1, epoch.id, at, wrapped),
            )


def promote(store: KeyStore, members: Sequence[MemberId]) -> int:
    """Put the coming keys of members in the place of their old ones, which are destroyed; return how many.

    Only of members whose fields are all sealed, durably, under the coming key.
    """
    done = 0
    with store.engine.begin() as connection:
        for one in sorted(members):
            # The coming key first, as whoever destroys both takes them, and as it is now, not as it was to be read.
            row = connection.exec_driver_sql(
                "DELETE FROM member_key_next WHERE member_id = ? RETURNING key_version, epoch, minted_at, wrapped",
                (one,),
            ).one_or_none()
            if row is not None:
                done += connection.exec_driver_sql(
                    "UPDATE member_key SET key_version = ?, epoch = ?, minted_at = ?, wrapped = ? WHERE member_id = ?",
                    (*row, one),
                ).rowcount
    return done


def choose_suite(store: KeyStore, suite: SuiteName, *, now: datetime) -> None:
    """Put a suite in force: from now on, in every process, keys are made for it."""
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO key_rotation (what, target, started_at, position, done) VALUES ('suite', ?, ?, 0, 0)"
            " ON CONFLICT (what) DO UPDATE SET target = excluded.target, started_at = excluded.started_at",
            (suite.value, stored(now)),
        )
