"""What a consent event must be to count: the rules that live recording and bulk import share. Pure.

Each broken rule is a code with its article; the live path raises it, the import reports it beside the row number.
"""

from datetime import datetime

from pdms.consent.notices import Terms, day_of
from pdms.errors import InvalidInput
from pdms.policy.decide import STRENGTH
from pdms.policy.definitions import Policy, Purpose
from pdms.taxonomy import AgeStage, ConsentState, ConsentType

DECIDING = frozenset({ConsentState.GIVEN, ConsentState.REFUSED, ConsentState.WITHDRAWN, ConsentState.REQUESTED})
"""States that somebody may report; expiry is read from the clock, invalidation is the controller's own act."""
DECLINING = frozenset({ConsentState.REFUSED, ConsentState.WITHDRAWN})
"""A no of the member's own: dated no earlier than what it answers, however far ahead that clock ran (PIPL-15-1)."""
UNBUNDLED = frozenset({ConsentType.SEPARATE, ConsentType.WRITTEN})

RULES = {
    "PURPOSE_UNKNOWN": "purpose: no such purpose (PIPL-6-1)",
    "NOT_CONSENT_BASED": "purpose: its basis is not consent, so nothing is asked (PIPL-13-2, 16)",
    "STATE_UNKNOWN": "state: given, refused, withdrawn or requested",
    "TYPE_UNKNOWN": "type: consent, separate, written or guardian",
    "CONSENT_TYPE": "type: the purpose needs a separate or written consent (PIPL-29, 23, 39)",
    "GUARDIAN_NEEDED": "type: below 14 the guardian consents (PIPL-31-1)",
    "GUARDIAN_NOT_APPLICABLE": "type: a guardian consents for children below 14 and purposes open to them (PIPL-31-1)",
    "GUARDIAN_PROOF": "guardian: the reference of the guardian's proof is missing (PIPL-31-1)",
    "RECIPIENT_REQUIRED": "recipient: a consent to provide is for one recipient (PIPL-23)",
    "RECIPIENT_UNKNOWN": "recipient: not registered for this purpose (PIPL-23)",
    "RECIPIENT_NOT_APPLICABLE": "recipient: this purpose has none to choose",
    "NOTICE_UNKNOWN": "notice: no such notice, version or language",
    "CHILD_NOTICE": "notice: a guardian is shown the children's notice, others are not (PIPL-31-2)",
    "NOTICE_SILENT": "notice: this version does not tell of the purpose (PIPL-17-1)",
    "NOTICE_LATER": "at: lies before the notice took effect (PIPL-14-1)",
    "INSTANT_FORM": "at: not an instant",
    "INSTANT_FUTURE": "at: lies in the future",
    "EVIDENCE_MISSING": "evidence: missing; a consent must be provable (PIPL-14-1, 69)",
    "EVIDENCE_FORM": "evidence: an id or digest of letters, digits and . _ : / - only, at most 128; never a text",
    "UI_HASH_FORM": "ui_hash: the SHA-256 of the page, 64 hex digits in lower case",
    "ASKED_LATELY": "purpose: it stands, or was asked, refused or withdrawn lately; not yet again (NDR-22(5))",
    "BUNDLED": "evidence: one act, one purpose, one recipient: a separate consent is never bundled (NDR-62(7))",
    "PRETICKED": "preticked: a box ticked in advance is no consent (PIPL-14-1, ECL-19)",
    "MEMBER_UNKNOWN": "key.member: no such member",
}


class Broken(Exception):
    """One rule that an event breaks."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def field(self) -> str:
        """Name of the field concerned."""
        return RULES[self.code].partition(":")[0]

    def as_error(self) -> InvalidInput:
        """Return the error that the live path raises."""
        return InvalidInput(RULES[self.code], code=self.code)


def check_purpose(policy: Policy, name: str, *, state: ConsentState, kind: ConsentType) -> Purpose | None:
    """Return the purpose that is asked for; None where a withdrawal names one that the policy no longer has.

    :raises Broken: it is unknown, or nothing is asked for it.
    """
    purpose = policy.purposes.get(name)
    if purpose is None:
        if state is ConsentState.WITHDRAWN:
            return None
        raise Broken("PURPOSE_UNKNOWN")
    asked = purpose.rests_on_consent or (kind is ConsentType.GUARDIAN and purpose.minors == "guardian")
    if not asked and state is not ConsentState.WITHDRAWN:
        raise Broken("NOT_CONSENT_BASED")
    return purpose


def check_type(purpose: Purpose, kind: ConsentType, *, state: ConsentState, age: AgeStage | None) -> None:
    """Check the strength of a consent that is given. :param age: None where it is not known to the caller."""
    if state is not ConsentState.GIVEN:
        return
    if kind is ConsentType.NONE:
        raise Broken("TYPE_UNKNOWN")
    if kind is ConsentType.GUARDIAN:
        if purpose.minors != "guardian" or (age is not None and age not in (AgeStage.CHILD, AgeStage.UNKNOWN)):
            raise Broken("GUARDIAN_NOT_APPLICABLE")
    elif age is AgeStage.CHILD:
        raise Broken("GUARDIAN_NEEDED")
    elif STRENGTH[kind] < STRENGTH[purpose.consent]:
        raise Broken("CONSENT_TYPE")


def check_recipient(purpose: Purpose | None, recipient: str, *, state: ConsentState) -> None:
    """Check that a recipient is named exactly where the purpose lets one choose."""
    if purpose is None or state is ConsentState.WITHDRAWN:
        return
    if purpose.per_recipient and not recipient:
        raise Broken("RECIPIENT_REQUIRED")
    if not purpose.per_recipient and recipient:
        raise Broken("RECIPIENT_NOT_APPLICABLE")
    if recipient and recipient not in purpose.recipients:
        raise Broken("RECIPIENT_UNKNOWN")


def check_terms(purpose: Purpose, terms: Terms, *, kind: ConsentType, occurred_at: datetime) -> tuple[str, ...]:
    """Return the categories that the notice version told of for this purpose.

    :raises Broken: it is for another audience, silent on the purpose, or took effect later.
    """
    if (terms.audience == "child") is not (kind is ConsentType.GUARDIAN):
        raise Broken("CHILD_NOTICE")
    told = terms.purposes.get(purpose.name)
    if told is None:
        raise Broken("NOTICE_SILENT")
    if day_of(occurred_at) < terms.effective_on:
        raise Broken("NOTICE_LATER")
    return told[0]
