"""Rows of `vault.db` that say who may ask. No secret is stored, only keyed digests of secrets."""

from datetime import date, datetime

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field

from pdms.db import UtcDateTime
from pdms.db.bases import MainTable


class OperatorRow(MainTable, table=True):
    """One member of staff or one machine; the label is a work name chosen by an administrator, not a person's name."""

    __tablename__ = "operator"

    operator_id: str = Field(primary_key=True)
    label: str = Field(unique=True)
    role: str
    trained_until: date | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    subject_digest: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary, nullable=True, unique=True, index=True)
    )
    """Keyed digest of issuer and subject of the sign-in service; NULL: signs in by API key only."""


class ApiKeyRow(MainTable, table=True):
    """One API key: found by its public part, proved by the keyed digest of its secret part."""

    __tablename__ = "api_key"

    key_id: str = Field(primary_key=True)
    operator_id: str = Field(foreign_key="operator.operator_id", index=True)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_on: date | None = None
    """Day (Asia/Shanghai) of the last call; a day, so that calls need not write."""


class MemberTokenRow(MainTable, table=True):
    """A token bound to one member, handed out by the shop's own login for fifteen minutes."""

    __tablename__ = "member_token"

    token_id: str = Field(primary_key=True)
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    member_id: bytes = Field(sa_column=Column(LargeBinary(16), nullable=False, index=True))
    expires_at: datetime = Field(sa_type=UtcDateTime)


class IdempotencyRow(MainTable, table=True):
    """One write that a client may repeat: digests, place and outcome; no body, neither of request nor of answer."""

    __tablename__ = "idempotency"

    key_digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    """Keyed digest of the actor and the client's key."""
    request_digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """Keyed digest of method, path and body."""
    route: str
    """Method and path template, e.g. `POST /v1/requests`; no path of a request."""
    status: int | None = None
    """HTTP status of the answer; NULL while the first request is still at work."""
    resource: str | None = None
    """Path of what was made."""
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ApprovalRow(MainTable, table=True):
    """One question of an operator: may I do exactly this? What became of it are its steps.

    Never changed, but that a restore lets it expire."""

    __tablename__ = "approval"

    approval_id: str = Field(primary_key=True)
    act: str
    asked: str
    """Canonical JSON of the parameters: ids, names and codes, as the approver reads them."""
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False, index=True))
    """Keyed digest of act, asker and parameters: what is done must have the same."""
    asked_by: str = Field(foreign_key="operator.operator_id")
    asked_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ApprovalStepRow(MainTable, table=True):
    """What became of a question: decided once, used once. Its key keeps two processes from doing either."""

    __tablename__ = "approval_step"

    approval_id: str = Field(primary_key=True, foreign_key="approval.approval_id")
    step: str = Field(primary_key=True)
    """`decided` or `used`."""
    outcome: str
    """`approved`, `refused` or `used`."""
    actor: str
    at: datetime = Field(sa_type=UtcDateTime)
