"""The closed list of system keys: one 256-bit key for each use, never two uses for one key.

Closed, because a misspelt label would silently make a fresh key, and an index under a fresh key finds nobody.
"""

from enum import StrEnum


class SystemKey(StrEnum):
    """Uses of system keys."""

    INDEX_EXTERNAL = "index:external"
    INDEX_PHONE = "index:phone"
    INDEX_EMAIL = "index:email"
    INDEX_ID_NUMBER = "index:id_number"
    INDEX_LOGIN = "index:login"
    SUPPRESSION = "suppression"
    """Blind index of erased members, so that a re-import is refused; rotation nests, since plaintexts are gone."""
    AUDIT_DIGEST = "audit-digest"
    """Keyed digests of the member ids of set operations."""
    AUDIT_LEAF = "audit-leaf"
    PSEUDONYM_INDEX = "pseudonym-index"
    PSEUDONYM_LINK = "pseudonym-link"
    """Seals the link from member to pseudonym where it is not a field under the member's DEK."""
    ACCESS_KEYS = "access-keys"
    """Digests of operators' API keys and members' short-lived access words."""
    ONE_TIME_CODES = "one-time-codes"
    OPT_OUT = "opt-out"
    PACKAGES = "packages"
    ROW_DIGEST = "row-digest"
    """Tells a changed source row from an unchanged one without keeping it."""
    RELEASE_DIGEST = "release-digest"
    CURSOR = "cursor"
    NOTE_SEAL = "note-seal"
    IDEMPOTENCY = "idempotency"
    RIGHTS_LEDGER = "rights-ledger"
    SIGN_LOG = "sign:log"
    SIGN_RECEIPTS = "sign:receipts"
    SIGN_MANIFESTS = "sign:manifests"
