"""By which mechanism how many people's data may go abroad in a year (XBF-5, 7, 8), and to whom never (PIPL-42). Pure.

The counts are of distinct people since 1 January, the one about to go included. Whoever needs an export to perform a
contract with the person is exempt whatever the numbers (XBF-5); an operator of critical infrastructure is not.
Deliberately not here: the counting, which is the gate's; groups that split volumes among companies (the law adds them).
"""

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Final

from pdms.policy.definitions import Controller, Policy, Purpose, Recipient
from pdms.taxonomy import LawfulBasis

CONTRACT_FROM: Final = 100_000
"""People from which on an exemption no longer covers an export: standard contract, certificate or assessment."""
ASSESSMENT_FROM: Final = 1_000_000
"""People from which on only a security assessment covers it."""
SENSITIVE_ASSESSMENT_FROM: Final = 10_000
"""The same for people whose sensitive data goes abroad; any at all end the exemption."""
EVERY: Final = frozenset({"exempt", "scc", "cert", "assessment"})


@dataclass(frozen=True, slots=True)
class Exported:
    """Distinct people whose data went abroad this year."""

    people: int = 0
    sensitive: int = 0
    """Of them, those of whom sensitive data went."""


NOBODY: Final = Exported()


def covering(exported: Exported, *, controller: Controller, purpose: Purpose) -> frozenset[str]:
    """Return the mechanisms that cover so many people."""
    if controller.ciio:
        return frozenset({"assessment"})
    if purpose.basis is LawfulBasis.CONTRACT:
        return EVERY
    if exported.people >= ASSESSMENT_FROM or exported.sensitive >= SENSITIVE_ASSESSMENT_FROM:
        return frozenset({"assessment"})
    if exported.people >= CONTRACT_FROM or exported.sensitive:
        return EVERY - {"exempt"}
    return EVERY


def listed(policy: Policy, recipient: Recipient, *, today: date) -> bool:
    """Return whether a recipient is on the list of those to whom nothing may be given, however its name is written."""
    name = _plain(recipient.name)
    return any(line.since <= today and _plain(line.name) == name for line in policy.restricted)


def _plain(name: str) -> str:
    """Return a name without blanks and punctuation, in one width and case."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())
