"""Writes that may be repeated safely: the same key with the same request is carried out once.

Guarantees: two requests with one key never both run, also when they come at the same time; the store holds keyed
digests, the route, the status and the path of what was made, and neither bodies nor keys. A key is forgotten after a
day. It does not repeat an answer's body: whoever lost it reads the resource.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete

from pdms.access.tables import IdempotencyRow
from pdms.crypto import BlindIndex, same_bytes
from pdms.db import member_alone
from pdms.errors import Conflict, InvalidInput
from pdms.unit_of_work import Actor, UnitOfWork

KEY_LABEL = "idempotency"
KEPT = timedelta(hours=24)
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that holds its key and is to be carried out now."""

    key_digest: bytes

    def __repr__(self) -> str:
        return "Claim(…)"


@dataclass(frozen=True, slots=True)
class Replay:
    """What the request with this key came to the first time."""

    status: int
    resource: str | None


def claim(uow: UnitOfWork, *, key: str, route: str, path: str, body: bytes) -> Claim | Replay:
    """Take a key for a request of the acting actor, or say what the same request came to.

    :param key: 1 to 255 printable ASCII characters. :param route: method and path template.
    :raises InvalidInput: the key has another form, or came with another request before.
    :raises Conflict: the request that holds the key has not ended, or nobody knows how it ended.
    """
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidInput(f"Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters", code="IDEMPOTENCY_KEY")
    digest = BlindIndex(uow.keys.system_key(KEY_LABEL)).digest
    key_digest = digest(b"key\0" + _actor(uow.actor) + b"\0" + key.encode())
    request_digest = digest(b"request\0" + f"{route}\0{path}\0".encode() + body)
    uow.session.exec(delete(IdempotencyRow).where(col(IdempotencyRow.created_at) < uow.now - KEPT))
    member_alone(uow.session.connection(), [key_digest])
    row = uow.session.get(IdempotencyRow, key_digest)
    if row is None:
        uow.session.add(
            IdempotencyRow(key_digest=key_digest, request_digest=request_digest, route=route, created_at=uow.now)
        )
        return Claim(key_digest)
    if not same_bytes(row.request_digest, request_digest):
        raise InvalidInput("Idempotency-Key: it came with another request before", code="IDEMPOTENCY_KEY_REUSED")
    if row.status is None:
        raise Conflict("Idempotency-Key: the first request has not ended", code="IDEMPOTENCY_IN_PROGRESS")
    return Replay(row.status, row.resource)


def settle(uow: UnitOfWork, claimed: Claim, *, status: int, resource: str | None) -> None:
    """Note how a request ended; in the unit that carries it out, so that both are committed or neither."""
    row = uow.session.get(IdempotencyRow, claimed.key_digest)
    if row is not None and row.status is None:
        row.status, row.resource = status, resource
        uow.session.add(row)


def release(uow: UnitOfWork, claimed: Claim) -> None:
    """Let a key go whose request failed and left nothing behind; what is settled stays."""
    uow.session.exec(
        delete(IdempotencyRow).where(
            col(IdempotencyRow.key_digest) == claimed.key_digest, col(IdempotencyRow.status).is_(None)
        )
    )


def _actor(actor: Actor) -> bytes:
    return actor.id.encode() + b"\0" + (actor.member_id or b"")
