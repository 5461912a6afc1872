"""Honey members: decoys among the members, of whom nobody has any business to look at one.

Guarantees: which members are decoys lies sealed in one row, padded, so that the database alone neither names one nor
counts them closer than a block of 64; a decoy is stored, shown and opened as any member, with the same answers; whoever
meets one leaves an alarm event in the same transaction. Set operations leave them out (`decoys` names them to the gate
and to reports). It does not stop anyone: an alarm is for those who watch the log. A decoy that has raised its alarm is
named in the log, and is one no longer to a thief of that log.
"""

import struct
from collections.abc import Iterable
from typing import Final

from pdms.audit.catalogue import EventKind
from pdms.crypto import open_blob, seal_blob, set_digest
from pdms.errors import Conflict, IntegrityBroken
from pdms.taxonomy import ID_BYTES, MemberId
from pdms.unit_of_work import UnitOfWork

LABEL: Final = "honey"
"""System key under which the list is sealed."""
_CONTEXT: Final = b"pdms/honey-members"
_BLOCK: Final = 64 * ID_BYTES
_COUNT: Final = struct.Struct(">I")
_KEPT: Final = "pdms.vault.decoys"


def decoys(uow: UnitOfWork) -> frozenset[MemberId]:
    """Return all honey members. :raises IntegrityBroken: the list was altered."""
    return _read(uow)[1]


def mark_decoys(uow: UnitOfWork, member_ids: Iterable[MemberId], *, drop: bool = False) -> int:
    """Make members decoys, or with `drop` ordinary members again; return how many changed. Its event names none.

    :raises Conflict: another process changed the list at this moment.
    """
    stored, held = _read(uow)
    wanted = held.difference(member_ids) if drop else held.union(member_ids)
    changed = held.symmetric_difference(wanted)
    if not changed:
        return 0
    sealed = seal_blob(uow.keys.system_key(LABEL), _padded(wanted), context=_CONTEXT)
    run = uow.session.connection().exec_driver_sql
    if stored is None:
        done = run("INSERT INTO decoy_list (row_no, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING", (sealed,))
    else:
        done = run("UPDATE decoy_list SET sealed = ? WHERE row_no = 1 AND sealed = ?", (sealed, stored))
    if done.rowcount != 1:
        raise Conflict("honey members: changed by another process at this moment; try again")
    uow.session.info.pop(_KEPT, None)
    digest = set_digest(uow.keys.system_key("audit-digest"), changed).hex()
    uow.record(EventKind.HONEY_CHANGED, numbers={"dropped" if drop else "marked": len(changed)}, digest=digest)
    return len(changed)


def alarm(uow: UnitOfWork, member_ids: Iterable[MemberId], *, act: str) -> None:
    """Leave one alarm event for each decoy among members just met. :param act: `view`, `look-up`, `reveal`, …"""
    for member_id in sorted(decoys(uow).intersection(member_ids)):
        uow.record(EventKind.REVEAL_HONEY, member=member_id, refs={"act": act})


def _read(uow: UnitOfWork) -> tuple[bytes | None, frozenset[MemberId]]:
    """Return the row and what it says, opened once in a transaction."""
    info = uow.session.info
    if _KEPT not in info:
        connection = uow.session.connection()
        stored = connection.exec_driver_sql("SELECT sealed FROM decoy_list WHERE row_no = 1").scalar()
        info[_KEPT] = (stored, _open(uow, bytes(stored)) if stored is not None else frozenset())
    kept: tuple[bytes | None, frozenset[MemberId]] = info[_KEPT]
    return kept


def _open(uow: UnitOfWork, stored: bytes) -> frozenset[MemberId]:
    opened = open_blob(uow.keys.system_key(LABEL), stored, context=_CONTEXT)
    count = _COUNT.unpack_from(opened)[0]
    ids = opened[_COUNT.size : _COUNT.size + count * ID_BYTES]
    if len(ids) != count * ID_BYTES:
        raise IntegrityBroken("honey members: the list is cut", code="TRUNCATED")
    return frozenset(MemberId(ids[at : at + ID_BYTES]) for at in range(0, len(ids), ID_BYTES))


def _padded(members: frozenset[MemberId]) -> bytes:
    ids = b"".join(sorted(members))
    return _COUNT.pack(len(members)) + ids + bytes(-len(ids) % _BLOCK or (0 if ids else _BLOCK))
