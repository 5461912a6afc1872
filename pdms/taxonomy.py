"""The closed lists and id types that every package shares. Words are the field's own (PIPL, DPV, ISO/IEC TS 27560)."""

import secrets
from enum import StrEnum
from typing import NewType

MemberId = NewType("MemberId", bytes)
"""16 random bytes: a member in vault, consent and audit; after erasure linked to nobody."""
Pseudonym = NewType("Pseudonym", bytes)
"""16 random bytes: the same member in facts, and nowhere else; its link is destroyed on erasure."""

ID_BYTES = 16


def new_id_bytes() -> bytes:
    """Return 128 fresh random bits."""
    return secrets.token_bytes(ID_BYTES)


def new_id(prefix: str) -> str:
    """Return a random public id such as `req-0f3c…` (prefix, hyphen, 32 hex digits)."""
    return f"{prefix}-{secrets.token_hex(ID_BYTES)}"


HOME_REGION = "cn"
"""Where data is at home; whoever is in any other region is abroad (PIPL-38, 41)."""


class Scope(StrEnum):
    """What an API key may do. One key may hold several; every route and command declares the one it needs."""

    COMPLIANCE = "compliance"
    MARKETING = "marketing"
    INGEST = "ingest"
    SUPPORT = "support"
    ADMIN = "admin"
    MEMBER = "member"


class GuardedAct(StrEnum):
    """What one operator alone may not do: a second one approves it first (PIPL-10, PIPL-51, MIN-36)."""

    BULK_EXPORT = "bulk_export"
    """Rows of a release leave as a file."""
    CONSENT_EXPORT = "consent_export"
    """Consent records leave as a file."""
    HOLD_ACCESS = "hold_access"
    """A record kept by statute is opened."""
    POLICY_ACTIVATION = "policy_activation"
    """Another policy comes into force."""
    DISCLOSURE = "disclosure"
    """An authority is given what it asked for (PIPL-63)."""
    MINOR_REVEAL = "minor_reveal"
    """Fields of a minor are opened (MIN-36)."""


class Authority(StrEnum):
    """Who may ask for a disclosure (PIPL-63, ECL-25)."""

    COURT = "court"
    PROCURATORATE = "procuratorate"
    POLICE = "police"
    TAX = "tax"
    CUSTOMS = "customs"
    REGULATOR = "regulator"


class LawfulBasis(StrEnum):
    """The seven bases of PIPL art. 13 para 1, and data that is not personal (art. 4)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_DUTY = "legal_duty"
    EMERGENCY = "emergency"
    NEWS = "news"
    PUBLIC = "public"
    OTHER_LAW = "other_law"
    NOT_PERSONAL = "not_personal"


class ConsentType(StrEnum):
    """How strong a consent is; a purpose names the least it accepts (PIPL-14-1, 29, 31)."""

    NONE = "none"
    CONSENT = "consent"
    SEPARATE = "separate"
    WRITTEN = "written"
    GUARDIAN = "guardian"


class ConsentState(StrEnum):
    """State of one member's consent to one purpose (and recipient); never a boolean."""

    UNASKED = "unasked"
    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"


class Operation(StrEnum):
    """What is done with the data (PIPL art. 4 para 2, and the regulated acts of art. 24 and 73)."""

    COLLECT = "collect"
    STORE = "store"
    USE = "use"
    PROFILE = "profile"
    ADM = "adm"
    SEND = "send"
    DEIDENTIFY = "deidentify"
    AGGREGATE = "aggregate"
    ENTRUST = "entrust"
    PROVIDE = "provide"
    EXPORT = "export"
    REVEAL = "reveal"
    SECURE = "secure"


class Channel(StrEnum):
    """A way to reach a member; each needs its own consent (ADL-43, CPL-29)."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class Sensitivity(StrEnum):
    """PIPL art. 28."""

    GENERAL = "general"
    SENSITIVE = "sensitive"


class MemberStatus(StrEnum):
    """What the vault knows of a member's standing."""

    ACTIVE = "active"
    DISABLED = "disabled"
    ERASED = "erased"


class AgeStage(StrEnum):
    """Stages that the law names: child < 14 (PIPL-31), minor 14-17 (MIN-24-3), adult; unknown is treated as a minor."""

    CHILD = "child"
    MINOR = "minor"
    ADULT = "adult"
    UNKNOWN = "unknown"


class RestrictionKind(StrEnum):
    """What a member does not want: PIPL-44 (restrict, refuse), PIPL-24-2 (no automated decisions), contact, kin."""

    RESTRICTION = "restriction"
    OBJECTION = "objection"
    ADM_OPT_OUT = "adm_opt_out"
    DO_NOT_CONTACT = "do_not_contact"
    NO_KIN = "no_kin"
    """After the member's death nobody acts on the data as kin (PIPL-49: otherwise arranged); stops no use before."""


class Requester(StrEnum):
    """Who asks: the member, or another who may by law."""

    MEMBER = "member"
    GUARDIAN = "guardian"
    """Of a minor (PIPL-31, MIN-34)."""
    KIN = "kin"
    """A close relative of a member who has died (PIPL-49)."""


class KinInterest(StrEnum):
    """The lawful and proper interest of their own for which kin asks (PIPL-49)."""

    INHERITANCE = "inheritance"
    CLAIM = "claim"
    """A claim of their own, or one against them."""
    ACCOUNT = "account"
    """Settling or closing the account."""
    MEMORY = "memory"


class RequestType(StrEnum):
    """Kinds of subject request."""

    ACCESS = "access"
    CORRECTION = "correction"
    DELETION = "deletion"
    RESTRICTION = "restriction"
    WITHDRAWAL = "withdrawal"


class RequestState(StrEnum):
    """States of a subject request."""

    RECEIVED = "received"
    IDENTITY_CHECK = "identity_check"
    ASSESSING = "assessing"
    EXECUTING = "executing"
    FULFILLED = "fulfilled"
    PARTIAL = "partial"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    CLOSED = "closed"


class ReleaseState(StrEnum):
    """Life of a release."""

    LIVE = "live"
    STALE = "stale"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Language(StrEnum):
    """Languages of member-facing and officer-facing text."""

    ZH = "zh-CN"
    EN = "en"
