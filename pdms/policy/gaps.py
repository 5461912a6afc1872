"""Which line of the policy is missing or in the way, for a refusal that lies with the use and not with the member.

Guarantee: a place in the documents (`policy.yaml: purposes.order.operations: send is not among them`), made of names
that the policy itself knows; what was asked for and is unknown to the policy is not repeated, since it may be anything.
Pure; asked only when something is refused.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from pdms.policy.definitions import Policy, Purpose
from pdms.taxonomy import Operation


class Asked(Protocol):
    """What is asked for: `policy.decide.Use`."""

    @property
    def purpose(self) -> str:
        """Name of the purpose."""

    @property
    def operation(self) -> Operation:
        """What is to be done."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Member fields."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Data categories."""

    @property
    def recipient(self) -> str | None:
        """Who gets it."""


class Asker(Protocol):
    """Who asks: `policy.decide.ActorFacts`."""

    @property
    def role(self) -> str | None:
        """Their role."""


def line_of(policy: Policy, code: str, *, use: Asked, actor: Asker) -> str:
    """Return the place in the policy that yields `code` for this use, "" where it does not lie in the policy."""
    purpose = policy.purposes.get(use.purpose)
    if purpose is None:
        return "policy.yaml: purposes: none of this name"
    told = _LINES.get(code)
    return f"policy.yaml: {told(policy, purpose, use, actor)}" if told else ""


def _categories(policy: Policy, purpose: Purpose, use: Asked, _: Asker) -> str:
    missing = sorted({name for name in use.categories if name in policy.categories} - set(purpose.categories))
    return f"purposes.{purpose.name}.categories: {_not_among(missing)}"


def _fields(policy: Policy, purpose: Purpose, use: Asked, _: Asker) -> str:
    denied = sorted(set(use.fields) & set(purpose.deny_fields))
    if denied:
        return f"purposes.{purpose.name}.deny_fields: names {', '.join(denied)}"
    outside = sorted({policy.fields[one].category for one in use.fields if one in policy.fields})
    missing = [name for name in outside if name not in purpose.categories]
    if missing:
        return f"purposes.{purpose.name}.categories: {_not_among(missing)}"
    return "fields: none of this name"


def _not_among(names: list[str]) -> str:
    return f"{', '.join(names)} not among them" if names else "none of this name"


def _pipia(policy: Policy, purpose: Purpose, _use: Asked, _: Asker) -> str:
    if purpose.pipia is None or purpose.pipia not in policy.pipias:
        return f"purposes.{purpose.name}.pipia: no assessment on file"
    return f"pipias.{purpose.pipia}: not in force today"


def _recipients(policy: Policy, purpose: Purpose, use: Asked, _: Asker) -> str:
    if use.recipient in policy.recipients:
        return f"purposes.{purpose.name}.recipients: {use.recipient} not among them"
    return "recipients: none of this name"


def _mechanism(policy: Policy, purpose: Purpose, use: Asked, _: Asker) -> str:
    recipient = policy.recipients[use.recipient or ""]
    if recipient.mechanism is None:
        return f"recipients.{recipient.id}.mechanism: missing"
    if recipient.mechanism not in purpose.mechanisms:
        return f"purposes.{purpose.name}.mechanisms: {recipient.mechanism} not among them"
    return f"recipients.{recipient.id}.mechanism_until: past"


def _roles(policy: Policy, purpose: Purpose, _use: Asked, actor: Asker) -> str:
    if actor.role in policy.roles:
        return f"roles.{actor.role}.purposes: {purpose.name} not among them, or its scopes are not the actor's"
    return f"roles: none with the actor's scopes has {purpose.name} among its purposes"


_LINES: Mapping[str, Callable[[Policy, Purpose, Asked, Asker], str]] = {
    "OPERATION_NOT_ALLOWED": lambda _, p, use, __: f"purposes.{p.name}.operations: {use.operation} not among them",
    "CATEGORY_NOT_ALLOWED": _categories,
    "FIELD_NOT_ALLOWED": _fields,
    "CHANNEL_NOT_ALLOWED": lambda _, p, __, ___: f"purposes.{p.name}.channel: {p.channel or 'none'}",
    "PIPIA_MISSING": _pipia,
    "PIPIA_OVERDUE": lambda _, p, __, ___: f"pipias.{p.pipia}.review_by: past",
    "RECIPIENT_REQUIRED": lambda _, p, __, ___: f"purposes.{p.name}.recipients: one of them must be named",
    "RECIPIENT_NOT_ALLOWED": _recipients,
    "CONTRACT_EXPIRED": lambda _, __, use, ___: f"recipients.{use.recipient}.contract_until: missing or past",
    "MECHANISM_MISSING": _mechanism,
    "REGION_NOT_ALLOWED": lambda _, __, use, ___: f"recipients.{use.recipient}.region: abroad, and this is no export",
    "EXPORT_THRESHOLD": lambda p, _, use, ___: (
        f"recipients.{use.recipient}.mechanism: {p.recipients[use.recipient or ''].mechanism} does not cover so many"
    ),
    "ROLE_NOT_ALLOWED": _roles,
    "REASON_UNKNOWN": lambda _, __, ___, ____: "reveal.reasons: not among them",
    "TICKET_MISSING": lambda _, __, ___, ____: "reveal.ticket: true",
}
LINED = frozenset({"NO_PURPOSE", *_LINES})
"""Codes that lie in the policy."""
