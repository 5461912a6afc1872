"""What a notice tells members, as plain frozen definitions, which `definitions` gives to the packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pdms.taxonomy import Language, Operation


@dataclass(frozen=True, slots=True)
class NoticePurpose:
    """What a notice says of one purpose (PIPL-17-1 (2), PIPL-30)."""

    purpose: str
    text: str
    method: str
    operations: tuple[Operation, ...]
    """The method in closed terms: what the gate compares a consent with (PIPL-14-2, NDR-22(4))."""
    categories: tuple[str, ...]
    necessity: str | None
    impact: str | None
    retention: str
    expiry: str
    """What happens to the data when the period ends (NDR-21)."""


@dataclass(frozen=True, slots=True)
class NoticeRecipient:
    """One line of the recipient list (PIPL-23, 39, NDR-21-2)."""

    name: str
    contact: str
    purpose: str
    method: str
    categories: tuple[str, ...]
    overseas: bool = False
    rights: str | None = None
    """How rights are exercised against a recipient abroad (PIPL-39)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One language version of a notice, content-addressed: `version` is the SHA-256 of its canonical form, in hex."""

    id: str
    language: Language
    audience: Literal["adult", "child"]
    effective_on: date
    title: str
    introduction: str
    controller_name: str
    controller_address: str
    contact: str
    officer: str
    rights: Mapping[str, str]
    """Route of each right: access, copy, transfer, correct, delete, restrict, cancel, withdraw, complain."""
    automated_decisions: str
    """Principle, intent and mechanism of automated decisions (PIPL-24, ALG-16)."""
    recipients: tuple[NoticeRecipient, ...]
    purposes: Mapping[str, NoticePurpose]
    changes: str | None
    """What changed against the version before (PIPL-17-2)."""
    version: str
