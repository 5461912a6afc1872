"""The closed list of what the log tells: each kind of event, what it means, and how long its opening is kept.

Guarantee: no event of another kind can be made, and every kind has its line here. Floors are the law's: nothing may
shred an opening earlier, but for those that concern an erased member. Whether every kind is really emitted is proved
by tests over the running product, not here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Retention(StrEnum):
    """How long an opening is kept at least; the leaf's digest stays as long as the log."""

    NETWORK_LOG = "network_log"
    """180 days: network logs of six months and more (CSL-23(3))."""
    RECORD = "record"
    """Three years: processing records (PIPL-56-2, NDR-12)."""
    PROOF = "proof"
    """Three years after the erasure: minimal proof of consent, withdrawal, erasure (Civil Code 188, PIPL-69)."""
    LOG = "log"
    """As long as the log: without it the log cannot be understood."""


class EventKind(StrEnum):
    """Every kind of event."""

    INIT = "init"
    HOME_UPGRADED = "home.upgraded"
    OPERATOR_CREATED = "operator.created"
    OPERATOR_DISABLED = "operator.disabled"
    OPERATOR_TRAINED = "operator.trained"
    OPERATOR_KEY_ISSUED = "operator.key_issued"
    OPERATOR_KEY_REVOKED = "operator.key_revoked"
    OPERATOR_LINKED = "operator.linked"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GRANTED = "approval.granted"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_USED = "approval.used"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"

    PERMIT = "permit"
    DENIAL = "denial"
    REVEAL = "reveal"
    REVEAL_HONEY = "reveal.honey"
    MEMBER_LOOKED_UP = "member.looked_up"
    MEMBER_VIEWED = "member.viewed"
    HONEY_CHANGED = "honey.changed"
    SEARCH_INDEXED = "search.indexed"

    SCAN_DONE = "scan.done"
    INGEST_STARTED = "ingest.started"
    INGEST_BATCH = "ingest.batch"
    INGEST_FINISHED = "ingest.finished"
    INGEST_VERIFIED = "ingest.verified"
    MEMBER_CREATED = "member.created"
    MEMBER_UPDATED = "member.updated"
    MEMBER_CORRECTED = "member.corrected"
    MEMBER_DISABLED = "member.disabled"

    NOTICE_PUBLISHED = "notice.published"
    NOTICE_DELIVERED = "notice.delivered"
    NOTICE_OWED = "notice.owed"
    CONSENT_RECORDED = "consent.recorded"
    CONSENT_IMPORTED = "consent.imported"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_EXPORTED = "consent.exported"
    CONSENT_INVALIDATED = "consent.invalidated"
    OPTOUT_USED = "optout.used"
    RESTRICTION_SET = "restriction.set"
    RESTRICTION_LIFTED = "restriction.lifted"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_REFUSED = "policy.refused"

    RELEASE_INTENT = "release.intent"
    RELEASE_PUBLISHED = "release.published"
    RELEASE_REFUSED = "release.refused"
    RELEASE_WITHDRAWN = "release.withdrawn"
    RELEASE_STALE = "release.stale"
    RELEASE_READ = "release.read"
    RELEASE_EXPORTED = "release.exported"
    ANSWER_CHARGED = "answer.charged"
    ANSWER_GIVEN = "answer.given"
    RELEASE_COPY_DELETED = "release.copy_deleted"
    SEGMENT_SAVED = "segment.saved"
    SEGMENT_PREVIEWED = "segment.previewed"

    CAMPAIGN_CREATED = "campaign.created"
    CAMPAIGN_STARTED = "campaign.started"
    CAMPAIGN_FINISHED = "campaign.finished"
    CAMPAIGN_CANCELLED = "campaign.cancelled"
    SEND_INTENT = "send.intent"
    SEND_DENIED = "send.denied"
    SEND_OUTCOME = "send.outcome"

    REQUEST_RECEIVED = "request.received"
    REQUEST_VERIFIED = "request.verified"
    REQUEST_TRANSITION = "request.transition"
    REQUEST_CANCELLED = "request.cancelled"
    REQUEST_OVERDUE = "request.overdue"
    PACKAGE_CREATED = "package.created"
    PACKAGE_OPENED = "package.opened"
    ERASE_INTENT = "erase.intent"
    ERASE_STEP = "erase.step"
    ERASE_DONE = "erase.done"
    HOLD_CREATED = "hold.created"
    HOLD_OPENED = "hold.opened"
    HOLD_EXPIRED = "hold.expired"
    DISCLOSURE_MADE = "disclosure.made"
    SUPPRESSION_ADDED = "suppression.added"
    SUPPRESSION_LIFTED = "suppression.lifted"

    KEY_EPOCH_CREATED = "key.epoch_created"
    KEY_EPOCH_DESTROYED = "key.epoch_destroyed"
    KEY_ROTATED = "key.rotated"
    KEY_DESTROYED = "key.destroyed"
    BACKUP_CREATED = "backup.created"
    BACKUP_RESTORED = "backup.restored"
    SWEEP_CLOSED = "sweep.closed"

    AUDIT_EXPORTED = "audit.exported"
    AUDIT_PACKED = "audit.packed"
    AUDIT_COSIGNED = "audit.cosigned"
    AUDIT_VERIFIED = "audit.verified"
    AUDIT_OPENINGS_SHREDDED = "audit.openings_shredded"
    REPORT_READ = "report.read"
    DUTY_RECORDED = "duty.recorded"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_STEP = "incident.step"
    DUTY_OVERDUE = "duty.overdue"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue. `dies_with_member`: an opening that names a member is shredded with them."""

    meaning: str
    retention: Retention
    dies_with_member: bool = True


def _log(meaning: str) -> Entry:
    return Entry(meaning, Retention.LOG)


def _net(meaning: str) -> Entry:
    return Entry(meaning, Retention.NETWORK_LOG)


def _rec(meaning: str) -> Entry:
    return Entry(meaning, Retention.RECORD)


def _proof(meaning: str) -> Entry:
    return Entry(meaning, Retention.PROOF, dies_with_member=False)


CATALOGUE: dict[EventKind, Entry] = {
    EventKind.INIT: _log("A home was made; the log begins."),
    EventKind.HOME_UPGRADED: _log("The databases were brought to the schema of this version; numbers: revisions."),
    EventKind.OPERATOR_CREATED: _rec("An operator was registered."),
    EventKind.OPERATOR_DISABLED: _rec("An operator lost all access."),
    EventKind.OPERATOR_TRAINED: _rec("An operator's training was recorded with its end (PIPL-51-4)."),
    EventKind.OPERATOR_KEY_ISSUED: _rec("An API key was issued to an operator."),
    EventKind.OPERATOR_KEY_REVOKED: _rec("An API key was revoked."),
    EventKind.OPERATOR_LINKED: _rec("An operator was bound to an identity of the sign-in service, or unbound."),
    EventKind.APPROVAL_ASKED: _rec("An operator asked for another's approval of an act that none may do alone."),
    EventKind.APPROVAL_GRANTED: _rec("Another operator approved the act (PIPL-10)."),
    EventKind.APPROVAL_REFUSED: _rec("The act was not approved, or its asker took the question back."),
    EventKind.APPROVAL_USED: _rec("An approval was used up by the act that it was given for."),
    EventKind.LOGIN_SUCCEEDED: _net("Somebody was recognised and a short-lived token was issued."),
    EventKind.LOGIN_FAILED: _net("A key, token or one-time code opened nothing."),
    EventKind.PERMIT: _rec("The gate permitted a use, of one member or of a set."),
    EventKind.DENIAL: _rec("A use or an operation was refused; the reasons are codes."),
    EventKind.REVEAL: _rec("Plaintext of a member left the vault towards a caller."),
    EventKind.REVEAL_HONEY: _rec("A honey member was looked up, viewed or opened: an alarm."),
    EventKind.MEMBER_LOOKED_UP: _rec("An operator looked members up; by which fields, and how many were found."),
    EventKind.MEMBER_VIEWED: _rec("A member was shown under masks."),
    EventKind.SEARCH_INDEXED: _rec("Search indexes were brought in line with the policy; a batch is counted."),
    EventKind.HONEY_CHANGED: _rec("Members were made honey members, or ordinary ones again (count and keyed digest)."),
    EventKind.SCAN_DONE: _rec("A file was scanned for personal data; counts by class of column."),
    EventKind.INGEST_STARTED: _rec("Loading of a file began."),
    EventKind.INGEST_BATCH: _rec("A batch of a file was stored; accepted and rejected rows are counted."),
    EventKind.INGEST_FINISHED: _rec("Loading of a file ended."),
    EventKind.INGEST_VERIFIED: _rec("A source table was compared with the vault; alike and unlike are counted."),
    EventKind.MEMBER_CREATED: _rec("Members were stored for the first time (a set: count and keyed digest)."),
    EventKind.MEMBER_UPDATED: _rec("Stored members were changed by a source (a set: count and keyed digest)."),
    EventKind.MEMBER_CORRECTED: _rec("A field of a member was corrected on request (PIPL-46)."),
    EventKind.MEMBER_DISABLED: _rec("A member was disabled at once (ECL-24)."),
    EventKind.NOTICE_PUBLISHED: _proof("A version of a notice was published."),
    EventKind.NOTICE_DELIVERED: _proof("A notice was shown to a member."),
    EventKind.CONSENT_RECORDED: _proof("A consent event of a member was recorded: given, refused, requested, expired."),
    EventKind.CONSENT_IMPORTED: _proof("Consent records with evidence were imported (a set: count and keyed digest)."),
    EventKind.CONSENT_WITHDRAWN: _proof("A member withdrew a consent (PIPL-15-1)."),
    EventKind.CONSENT_INVALIDATED: _proof(
        "Consents turned out to be none and were invalidated (a set: count, digest)."
    ),
    EventKind.NOTICE_OWED: _log("A reason for not telling members ended; they are owed the notice (PIPL-18)."),
    EventKind.CONSENT_EXPORTED: _rec("Consent records were written to a file, or the evidence of one was bundled."),
    EventKind.OPTOUT_USED: _proof("The opt-out of a message was used; it withdraws that channel."),
    EventKind.RESTRICTION_SET: _proof("A use was restricted, objected to or opted out of (PIPL-44, 24-2)."),
    EventKind.RESTRICTION_LIFTED: _proof("A restriction was lifted."),
    EventKind.POLICY_ACTIVATED: _log("A policy came into force; its digest is named."),
    EventKind.POLICY_REFUSED: _rec("A policy was not activated."),
    EventKind.RELEASE_INTENT: _rec("Publishing of a view is about to begin."),
    EventKind.RELEASE_PUBLISHED: _rec("A release crossed the boundary; what it reached is counted."),
    EventKind.RELEASE_REFUSED: _rec("A release missed its criteria and was not published."),
    EventKind.RELEASE_WITHDRAWN: _rec("A release was withdrawn."),
    EventKind.RELEASE_STALE: _rec("A release lost the basis of some of its rows."),
    EventKind.RELEASE_READ: _rec("A release was read."),
    EventKind.RELEASE_EXPORTED: _rec("Whole classes of a release were exported."),
    EventKind.ANSWER_CHARGED: _rec("A noised number was charged to a population's budget; numbers: billionths of rho."),
    EventKind.ANSWER_GIVEN: _rec("A noised number crossed the boundary for the first time."),
    EventKind.RELEASE_COPY_DELETED: _rec("A consumer acknowledged that nothing is left of their copy of a release."),
    EventKind.SEGMENT_SAVED: _rec("A segment's rule was saved."),
    EventKind.SEGMENT_PREVIEWED: _rec("A segment's rule was evaluated on a release."),
    EventKind.CAMPAIGN_CREATED: _rec("A campaign was drafted."),
    EventKind.CAMPAIGN_STARTED: _rec("A campaign began to send."),
    EventKind.CAMPAIGN_FINISHED: _rec("A campaign ended; exact counts by reason are in the event."),
    EventKind.CAMPAIGN_CANCELLED: _rec("A campaign was stopped."),
    EventKind.SEND_INTENT: _rec("One message is about to be handed over."),
    EventKind.SEND_DENIED: _rec("One message was held back; the reasons are codes."),
    EventKind.SEND_OUTCOME: _rec("What became of one message: handed over, failed or unknown."),
    # The four below prove that an erasure was asked for, by the right person, and done inside the legal clock.
    EventKind.REQUEST_RECEIVED: _proof("A subject request came in; its clock starts (PIPL-50)."),
    EventKind.REQUEST_VERIFIED: _proof(
        "The identity of the requester was checked with data held, or the proof of a guardian or of kin was accepted."
    ),
    EventKind.REQUEST_TRANSITION: _proof("A subject request changed its state."),
    EventKind.REQUEST_CANCELLED: _proof("The requester withdrew the request before execution."),
    EventKind.REQUEST_OVERDUE: _rec("A subject request passed its due date."),
    EventKind.PACKAGE_CREATED: _rec("An access package was made and encrypted (PIPL-45)."),
    EventKind.PACKAGE_OPENED: _rec("An access package was opened by its one-time link."),
    EventKind.ERASE_INTENT: _proof("Erasure of a member is about to begin; the plan is counted."),
    EventKind.ERASE_STEP: _proof("One store or recipient acknowledged the erasure."),
    EventKind.ERASE_DONE: _proof("An erasure is complete; its receipt is named."),
    EventKind.HOLD_CREATED: _rec("Records were set aside under a statutory hold (PIPL-47-2)."),
    EventKind.DISCLOSURE_MADE: _proof("An authority was given what it asked for of one member (PIPL-63, ECL-25)."),
    EventKind.HOLD_OPENED: _rec("Held records were opened for an authority, a court or the subject."),
    EventKind.HOLD_EXPIRED: _rec("The key of a month of held records was destroyed."),
    EventKind.SUPPRESSION_ADDED: _proof("A keyed digest now stops the silent re-import of an erased member."),
    EventKind.SUPPRESSION_LIFTED: _proof(
        "A later registration passed a suppression (count and keyed digest); its entries stay against older data."
    ),
    EventKind.KEY_EPOCH_CREATED: _log("A key epoch began."),
    EventKind.KEY_EPOCH_DESTROYED: _log("A key epoch ended: its root and its key were destroyed."),
    EventKind.KEY_ROTATED: _rec("Keys were rotated; a batch is counted."),
    EventKind.KEY_DESTROYED: _proof("Keys were destroyed; what they sealed is gone at the key level."),
    EventKind.BACKUP_CREATED: _rec("A backup was written."),
    EventKind.BACKUP_RESTORED: _log("A backup was restored."),
    EventKind.SWEEP_CLOSED: _rec("A sweep closed what a crash had left open."),
    EventKind.AUDIT_EXPORTED: _rec("The log was exported."),
    EventKind.AUDIT_PACKED: _rec("A pack for a regulator was made; the digest of its manifest is named."),
    EventKind.AUDIT_COSIGNED: _rec("A witness's cosignature of a checkpoint was taken in."),
    EventKind.AUDIT_VERIFIED: _rec("The log was verified in place; problems are counted."),
    EventKind.AUDIT_OPENINGS_SHREDDED: _log(
        "Openings were shredded; how many is in the event, and verification counts."
    ),
    EventKind.REPORT_READ: _rec("A compliance report was read."),
    EventKind.DUTY_RECORDED: _rec("A duty done outside was put on record: a drill, an audit, a filing, an assessment."),
    EventKind.INCIDENT_OPENED: _rec("An incident was opened; its clocks run from its detection (PIPL-57)."),
    EventKind.INCIDENT_STEP: _rec("The authority or people were told of an incident, or it was closed."),
    EventKind.DUTY_OVERDUE: _rec("A sweep found duties whose time is over; the numbers count them by finding."),
}
"""What each kind means. An audit event may leave its opening, never its leaf."""
