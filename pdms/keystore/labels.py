"""The uses of system keys: one 256-bit key for each use, never two uses for one key.

Closed but for the blind indexes, whose names policy gives (`index:phone`): a misspelt label would silently make a fresh
key, and a digest under a fresh key matches nothing.
"""

import re
from enum import StrEnum
from typing import Final

from pdms.errors import InvalidInput

_INDEX: Final = re.compile(r"index:[a-z0-9]+(?:[-_][a-z0-9]+)*")


class SystemKey(StrEnum):
    """Uses of system keys beside the blind indexes."""

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
    OIDC_SUBJECTS = "oidc-subjects"
    """Digests of the subjects by which a sign-in service names operators."""
    APPROVALS = "approvals"
    """Digests of what operators ask others to approve."""
    ONE_TIME_CODES = "one-time-codes"
    OPT_OUT = "opt-out"
    PACKAGES = "packages"
    PACKAGE_LINKS = "package-links"
    REQUEST_DETAILS = "request-details"
    HELD_BATCHES = "held-batches"
    ROW_DIGEST = "row-digest"
    """Tells a changed source row from an unchanged one without keeping it."""
    RELEASE_DIGEST = "release-digest"
    CURSOR = "cursor"
    HONEY = "honey"
    """Seals the list of honey members."""
    NOTE_SEAL = "note-seal"
    IDEMPOTENCY = "idempotency"
    RIGHTS_LEDGER = "rights-ledger"
    SIGN_LOG = "sign:log"
    SIGN_RECEIPTS = "sign:receipts"
    SIGN_MANIFESTS = "sign:manifests"


def known_label(label: str) -> str:
    """Return `label` if it names a use: one of `SystemKey`, or `index:` and the name of a blind index.

    :raises InvalidInput: `UNKNOWN_KEY_LABEL`.
    """
    if _INDEX.fullmatch(label) is None and label not in set(SystemKey):
        raise InvalidInput("label: not a use of system keys", code="UNKNOWN_KEY_LABEL")
    return str(label)
